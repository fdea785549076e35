-- what health checks say: 1 degraded, or not known because the check itself is broken; 2 down. Where a check was made
-- after the moment, two failures in a row are down.
with

latest as (

    select
        states.check_id,
        states.system,
        states.account,
        states.business_key,
        case when states.last_checked_at <= %(at)s then states.status else made.status end as status,
        case when states.last_checked_at <= %(at)s then states.message else made.message end as message,
        case
            when states.last_checked_at <= %(at)s and states.status = 'down'
                then coalesce(states.first_failure_at, states.since)
            when states.last_checked_at <= %(at)s then states.since
            else made.began_at
        end as began_at
    from ops.health_states as states
    left join lateral (
        select
            case
                when count(*) filter (where failed) = 2 then 'down'
                when count(*) filter (where outcome = 'broken') = 2 then 'unknown'
                when (array_agg(outcome order by checked_at desc))[1] = 'degraded' then 'degraded'
                else 'up'
            end as status,
            (array_agg(message order by checked_at desc))[1] as message,
            min(checked_at) filter (where failed) as began_at
        from (
            select checked_at, outcome, message, outcome in ('failed', 'timed_out') as failed
            from ops.health_checks
            where check_id = states.check_id and checked_at <= %(at)s and checked_at > %(at)s - interval '1 day'
            order by checked_at desc
            limit 2
        ) as last_two
        where states.last_checked_at > %(at)s
    ) as made on true

)

select
    check_id as subject,
    system,
    account,
    business_key,
    (case status when 'down' then 2 else 1 end)::double precision as value,
    jsonb_build_object('status', status, 'message', coalesce(message, status)) as detail,
    began_at
from latest
where status in ('degraded', 'down', 'unknown')
