-- per cent of each daily or hourly request quota that is left: by our own count, and as the system itself says
with

counted as (

    select
        budgets.account,
        budgets.window_name,
        100 * (1 - greatest(
            coalesce((
                select sum(slots)
                from unnest(budgets.used_until, budgets.used_slots) as bucket (until, slots)
                where until > extract(epoch from %(at)s::timestamptz) * 1000
                and until - budgets.window_ms <= extract(epoch from %(at)s::timestamptz) * 1000
            ), 0),
            (
                select count(*)
                from ops.api_metrics
                where account = budgets.account
                and occurred_at <= %(at)s
                and occurred_at > %(at)s - make_interval(secs => budgets.window_ms / 1000.0)
            )
        ) / nullif(budgets.current_limit, 0)::double precision) as percent_left
    from ops.rate_budgets as budgets
    where budgets.window_ms >= 3600000

),

told as (

    select
        states.account,
        'quota' as window_name,
        (made.detail ->> 'quota_left')::double precision as percent_left
    from ops.health_states as states
    cross join lateral (
        select detail
        from ops.health_checks
        where check_id = states.check_id and checked_at <= %(at)s and checked_at > %(at)s - interval '1 hour'
        order by checked_at desc
        limit 1
    ) as made
    where states.account is not null

),

least_left as (

    select distinct on (account) account, window_name, percent_left
    from (select * from counted union all select * from told) as both_counts
    where percent_left is not null
    order by account, percent_left

)

select
    account as subject,
    split_part(account, '_', 1) as system,
    account,
    ops.business_of(account) as business_key,
    percent_left as value,
    jsonb_build_object('quota', window_name) as detail,
    null::timestamptz as began_at
from least_left
