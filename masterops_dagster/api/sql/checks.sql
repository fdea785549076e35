-- the present state of every health check
select
    check_id,
    system,
    account,
    business_key,
    status,
    since,
    last_checked_at,
    response_ms::double precision as response_ms,
    message
from ops.health_states
order by length(check_id), check_id
