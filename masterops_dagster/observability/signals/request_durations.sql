-- the median answer in milliseconds of the last half hour, by account, and of the same half hour in the weeks before
with

windows as (

    select
        weeks,
        (%(at)s::timestamptz at time zone 'Australia/Melbourne' - weeks * interval '7 days')
        at time zone 'Australia/Melbourne' as ends_at
    from generate_series(0, 6) as weeks

),

medians as (

    select
        windows.weeks,
        metrics.account,
        max(metrics.system) as system,
        percentile_cont(0.5) within group (order by metrics.duration_ms::double precision) as duration
    from windows
    inner join ops.api_metrics as metrics
        on metrics.occurred_at > windows.ends_at - interval '30 minutes'
        and metrics.occurred_at <= windows.ends_at
    where not metrics.error
    group by windows.weeks, metrics.account
    having count(*) >= 30

)

select
    account as subject,
    max(system) as system,
    account,
    ops.business_of(account) as business_key,
    max(duration) filter (where weeks = 0) as value,
    jsonb_build_object(
        'past', coalesce(jsonb_agg(duration order by weeks) filter (where weeks > 0), '[]')
    ) as detail,
    null::timestamptz as began_at
from medians
group by account
