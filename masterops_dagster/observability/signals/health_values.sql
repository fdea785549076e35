-- what health checks measured last: connections used, days that a token has left … one reading for each measure
select
    states.check_id as subject,
    states.system,
    states.account,
    states.business_key,
    (measures.value #>> '{}')::double precision as value,
    jsonb_build_object('measure', measures.name) as detail,
    null::timestamptz as began_at
from ops.health_states as states
cross join lateral (
    select detail
    from ops.health_checks
    where check_id = states.check_id and checked_at <= %(at)s and checked_at > %(at)s - interval '1 day'
    and outcome in ('ok', 'degraded')
    order by checked_at desc
    limit 1
) as made
cross join lateral jsonb_each(made.detail) as measures (name, value)
where jsonb_typeof(measures.value) = 'number'
