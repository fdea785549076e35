-- what ended badly around an incident, of its account or system, or named in it
select source, kind, name, execution_id, coalesce(parent_id, execution_id) as run_id, started_at, error_class
from ops.workflow_execution_logs
where error
and started_at between %(from_moment)s and %(to_moment)s
and kind in ('run', 'step', 'execution', 'command', 'node')
and (
    account = %(account)s
    or (%(account)s::text is null and system = %(system)s)
    or execution_id = any(%(run_ids)s)
    or parent_id = any(%(run_ids)s)
)
order by started_at desc
limit 12
