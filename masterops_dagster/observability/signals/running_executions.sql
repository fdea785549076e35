-- for how many seconds each run of Dagster and execution of n8n has been running
select
    name || ' ' || left(execution_id, 8) as subject,
    coalesce(system, source) as system,
    coalesce(account, case when source = 'n8n' then 'n8n' end) as account,
    business_key,
    extract(epoch from %(at)s::timestamptz - started_at)::double precision as value,
    jsonb_build_object('source', source, 'kind', kind, 'name', name, 'run_id', execution_id) as detail,
    started_at as began_at
from (
    select source, kind, name, execution_id, system, account, business_key, started_at
    from ops.running_executions
    where started_at <= %(at)s
    and lower(status) not in ('queued', 'not_started', 'waiting')

    union all

    select source, kind, name, execution_id, system, account, business_key, started_at
    from ops.workflow_execution_logs as logs
    where started_at <= %(at)s and started_at > %(at)s - interval '12 hours' and ended_at > %(at)s
    and not exists (
        select from ops.running_executions as now
        where now.source = logs.source and now.execution_id = logs.execution_id
    )
) as running
where kind in ('run', 'execution')
