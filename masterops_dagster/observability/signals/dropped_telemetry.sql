-- rows of logs, requests and executions that a program could not keep, within the last quarter of an hour
select
    coalesce(program, 'a program') as subject,
    'masterops' as system,
    null::text as account,
    null::text as business_key,
    sum((fields ->> 'dropped')::double precision) as value,
    '{}'::jsonb as detail,
    min(occurred_at) as began_at
from ops.integration_logs
where occurred_at <= %(at)s and occurred_at > %(at)s - interval '15 minutes'
and event = 'telemetry_dropped'
group by program
