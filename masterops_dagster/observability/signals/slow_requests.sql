-- in how many seconds 95 of 100 requests of the last ten minutes were answered, by account
select
    account as subject,
    max(system) as system,
    account,
    ops.business_of(account) as business_key,
    percentile_cont(0.95) within group (order by duration_ms::double precision) / 1000 as value,
    jsonb_build_object(
        'requests', count(*),
        'slowest', (array_agg(operation order by duration_ms desc))[1]
    ) as detail,
    null::timestamptz as began_at
from ops.api_metrics
where occurred_at <= %(at)s and occurred_at > %(at)s - interval '10 minutes'
group by account
having count(*) >= coalesce((%(parameters)s::jsonb ->> 'least_requests')::integer, 20)
