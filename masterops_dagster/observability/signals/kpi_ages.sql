-- needs: kpi.kpi_freshness
-- how many seconds of business time ago the accounts behind each KPI had been read when it was built
-- past: none
select
    kpi || '.' || business_key as subject,
    'kpi' as system,
    null::text as account,
    business_key,
    extract(epoch from %(business_at)s::timestamptz - loaded_until)::double precision as value,
    jsonb_build_object('kpi', kpi) as detail,
    null::timestamptz as began_at
from kpi.kpi_freshness
where loaded_until is not null
