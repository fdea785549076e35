-- what runs or waits: runs, workflows and commands as last looked, and loads by their own word
select source, kind, name, execution_id, coalesce(parent_id, execution_id) as run_id, account, status, started_at
from ops.running_executions
where kind in ('run', 'execution', 'command')

union all

select
    'load',
    kind,
    account || ' · ' || stream,
    load_id::text,
    dagster_run_id,
    account,
    'running',
    started_at
from ops.loads
where status = 'running'
and started_at > %(at)s - interval '1 day'

order by started_at, name
limit 40
