-- how many ticks of each sensor of Dagster failed within the last ten minutes
select
    name as subject,
    'dagster' as system,
    null::text as account,
    null::text as business_key,
    count(*)::double precision as value,
    jsonb_build_object(
        'error_class', coalesce((array_agg(error_class order by started_at desc))[1], 'an error'),
        'error', coalesce((array_agg(left(error_message, 300) order by started_at desc))[1], 'no message')
    ) as detail,
    min(started_at) as began_at
from ops.workflow_execution_logs
where error and source = 'dagster' and kind = 'sensor' and status = 'failed'
and started_at <= %(at)s and started_at > %(at)s - interval '10 minutes'
group by name
