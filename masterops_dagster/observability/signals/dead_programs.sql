-- programs of the platform that ended without having been told to within the last three minutes, and how often they did
-- within a quarter of an hour
select
    name as subject,
    'masterops' as system,
    null::text as account,
    null::text as business_key,
    count(*)::double precision as value,
    jsonb_build_object('reason', (array_agg(coalesce(error_message, 'it ended') order by started_at desc))[1]) as detail,
    min(started_at) as began_at
from ops.workflow_execution_logs
where error and source = 'masterops' and kind = 'command' and error_class = 'ProgramDied'
and started_at <= %(at)s and started_at > %(at)s - interval '15 minutes'
group by name
having max(started_at) > %(at)s - interval '3 minutes'
