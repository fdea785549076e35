-- for how many seconds each running run of Dagster has shown no progress
-- past: none
select
    name || ' ' || left(execution_id, 8) as subject,
    coalesce(system, source) as system,
    account,
    business_key,
    extract(epoch from %(at)s::timestamptz - coalesce(last_progress_at, started_at))::double precision as value,
    jsonb_build_object('source', source, 'kind', kind, 'name', name, 'run_id', execution_id) as detail,
    coalesce(last_progress_at, started_at) as began_at
from ops.running_executions
where started_at <= %(at)s
and lower(status) not in ('queued', 'not_started', 'waiting')
and kind in ('run', 'execution')
