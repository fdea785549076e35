-- up to when every stream that feeds a KPI had been read when its figures were last built
select
    freshness.kpi,
    definitions.label,
    freshness.business_key,
    freshness.loaded_until
from kpi.kpi_freshness as freshness
inner join kpi.definitions as definitions using (kpi)
order by definitions.position, definitions.kpi
