-- 1 while another program than Dagster watches
-- past: none
select
    'monitor' as subject,
    'dagster' as system,
    null::text as account,
    null::text as business_key,
    1::double precision as value,
    jsonb_build_object('holder', holder) as detail,
    acquired_at as began_at
from ops.leases
where name = 'monitor' and holder not like 'dagster %%' and acquired_at <= %(at)s
