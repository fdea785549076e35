-- each account's requests of the last hour, and of the same hour in the weeks before
with

windows as (

    select
        weeks,
        (%(at)s::timestamptz at time zone 'Australia/Melbourne' - weeks * interval '7 days')
        at time zone 'Australia/Melbourne' as ends_at
    from generate_series(0, 6) as weeks

),

counts as (

    select windows.weeks, metrics.account, max(metrics.system) as system, count(*) as requests
    from windows
    inner join ops.api_metrics as metrics
        on metrics.occurred_at > windows.ends_at - interval '1 hour'
        and metrics.occurred_at <= windows.ends_at
    group by windows.weeks, metrics.account

)

select
    account as subject,
    max(system) as system,
    account,
    ops.business_of(account) as business_key,
    (max(requests) filter (where weeks = 0))::double precision as value,
    jsonb_build_object(
        'past', coalesce(jsonb_agg(requests order by weeks) filter (where weeks > 0), '[]')
    ) as detail,
    null::timestamptz as began_at
from counts
group by account
