-- needs: marts.fct_orders
-- orders of the last three hours that were read, and of the same three hours in the eight weeks before
with

wanted as (

    select given.account, read.read_until
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

orders as (

    select
        orders.account,
        orders.business_key,
        orders.ordered_at,
        extract(
            epoch from wanted.read_until at time zone 'Australia/Melbourne'
            - orders.ordered_at at time zone 'Australia/Melbourne'
        )::integer as seconds_before
    from wanted
    inner join marts.fct_orders as orders
        on wanted.account = orders.account and orders.ordered_at <= wanted.read_until
    where orders.ordered_at > (select min(read_until) from wanted) - interval '57 days'

),

by_week as (

    select
        account,
        seconds_before / 604800 as weeks,
        count(*) filter (where seconds_before %% 604800 < 10800) as orders
    from orders
    group by account, seconds_before / 604800

),

first_orders as (

    select account, max(business_key) as business_key, max(seconds_before) / 604800 as weeks
    from orders
    group by account

),

counts as (

    select first_orders.account, first_orders.business_key, known.weeks, coalesce(by_week.orders, 0) as orders
    from first_orders
    cross join lateral generate_series(0, least(8, first_orders.weeks)) as known (weeks)
    left join by_week on first_orders.account = by_week.account and known.weeks = by_week.weeks

)

select
    counts.account as subject,
    split_part(counts.account, '_', 1) as system,
    counts.account,
    max(counts.business_key) as business_key,
    (max(counts.orders) filter (where counts.weeks = 0))::double precision as value,
    jsonb_build_object(
        'past', coalesce(jsonb_agg(counts.orders order by counts.weeks) filter (where counts.weeks > 0), '[]')
    ) as detail,
    null::timestamptz as began_at
from counts
group by counts.account
