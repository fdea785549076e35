-- how many seconds ago a schedule should have ticked and did not; parameters: schedules {name: {every, at}}, in Melbourne
with

expected as (

    select
        given.name,
        (
            date_trunc(
                given.schedule ->> 'every',
                %(at)s::timestamptz at time zone 'Australia/Melbourne' - (given.schedule ->> 'at')::interval
            ) + (given.schedule ->> 'at')::interval
        ) at time zone 'Australia/Melbourne' as due_at
    from jsonb_each(%(parameters)s::jsonb -> 'schedules') as given (name, schedule)

)

select
    name as subject,
    'dagster' as system,
    null::text as account,
    null::text as business_key,
    extract(epoch from %(at)s::timestamptz - due_at)::double precision as value,
    jsonb_build_object('due_at', to_char(due_at at time zone 'Australia/Melbourne', 'HH24:MI')) as detail,
    due_at as began_at
from expected
where not exists (
    select from ops.workflow_execution_logs
    where source = 'dagster' and kind = 'schedule' and name = expected.name
    and started_at >= expected.due_at - interval '1 minute' and started_at <= %(at)s
    and status <> 'failed'
)
-- before Dagster has ever run nothing is missed
and exists (
    select from ops.workflow_execution_logs
    where source = 'dagster' and kind in ('schedule', 'run', 'sensor')
    and started_at < expected.due_at and started_at > expected.due_at - interval '2 days'
)
