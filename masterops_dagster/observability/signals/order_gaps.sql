-- needs: marts.fct_orders
-- business time without an order, as a share of what is allowed, up to where orders were read; parameters: accounts
-- {account: {stream, hours}}. Only hours of business count. Simulated accounts get no orders by themselves.
with

wanted as (

    select
        given.account,
        given.allowed ->> 'stream' as stream,
        (given.allowed ->> 'hours')::double precision as hours,
        read.read_until
    from jsonb_each(%(parameters)s::jsonb -> 'accounts') as given (account, allowed)
    cross join lateral (
        select business_at as read_until
        from ops.loads
        where account = given.account and stream = given.allowed ->> 'stream'
        and status = 'succeeded' and kind in ('live', 'sweep') and finished_at <= %(at)s
        order by load_id desc
        limit 1
    ) as read
    where not exists (select from ops.origins where origins.account = given.account and origins.simulated)

),

recent as (

    select account, max(ordered_at) as last_order_at, max(business_key) as business_key
    from marts.fct_orders
    where ordered_at > (select min(read_until) from wanted) - interval '14 days'
    and ordered_at <= (select max(read_until) from wanted)
    group by account

),

latest as (

    select
        wanted.account,
        coalesce(recent.business_key, substr(wanted.account, position('_' in wanted.account) + 1)) as business_key,
        coalesce(recent.last_order_at, wanted.read_until - interval '14 days') as last_order_at
    from wanted
    left join recent on wanted.account = recent.account
    where recent.account is not null
    or exists (
        select from ops.loads where account = wanted.account and stream = wanted.stream and rows > 0
    )

),

elapsed as (

    select
        wanted.account,
        latest.business_key,
        wanted.hours,
        latest.last_order_at,
        (
            select sum(greatest(
                interval '0',
                least(day + (hours.given ->> 'to')::interval, wanted.read_until at time zone 'Australia/Melbourne')
                - greatest(
                    day + (hours.given ->> 'from')::interval, latest.last_order_at at time zone 'Australia/Melbourne'
                )
            ))
            from generate_series(
                date_trunc('day', greatest(latest.last_order_at, wanted.read_until - interval '14 days')
                    at time zone 'Australia/Melbourne'),
                wanted.read_until at time zone 'Australia/Melbourne',
                interval '1 day'
            ) as day
            where hours.given -> 'days' ? to_char(day, 'dy')
        ) as open_time
    from wanted
    inner join latest on wanted.account = latest.account
    cross join (select %(parameters)s::jsonb -> 'business_hours' as given) as hours

)

select
    account as subject,
    split_part(account, '_', 1) as system,
    account,
    business_key,
    extract(epoch from open_time)::double precision / 3600 / hours as value,
    jsonb_build_object(
        'hours', round((extract(epoch from open_time) / 3600)::numeric, 1),
        'allowed', hours,
        'last_order_at', to_char(last_order_at at time zone 'Australia/Melbourne', 'YYYY-MM-DD HH24:MI')
    ) as detail,
    null::timestamptz as began_at
from elapsed
