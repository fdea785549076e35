-- needs: kpi.kpis, kpi.definitions
-- by how many per cent (points, where a KPI is in per cent) a KPI is worse than before, or than its target, in the last
-- whole week; parameters: worse_than_before {kpi: per cent} and targets {kpi: {business: limit}}. The group's and a
-- business's figures are left out where an account that feeds them is simulated.
with

week as (

    select date_trunc('week', %(business_at)s::timestamptz at time zone 'Australia/Melbourne')::date - 7 as first_day

),

figures as (

    select kpis.*, definitions.label, definitions.direction
    from kpi.kpis as kpis
    inner join week on kpis.period_start = week.first_day
    inner join kpi.definitions as definitions on kpis.kpi = definitions.kpi
    where kpis.grain = 'week' and kpis.complete
    and not exists (
        select from ops.origins
        where simulated
        and (kpis.business_key = 'group' or right(account, length(kpis.business_key)) = kpis.business_key)
    )

),

compared as (

    select
        figures.*,
        'last week' as compared_with,
        (given.allowed #>> '{}')::numeric as allowed,
        figures.prior_value as reference
    from figures
    inner join jsonb_each(%(parameters)s::jsonb -> 'worse_than_before') as given (kpi, allowed)
        on figures.kpi = given.kpi

    union all

    select figures.*, 'target', 0, (targets.target #>> '{}')::numeric
    from figures
    inner join jsonb_each(%(parameters)s::jsonb -> 'targets') as given (kpi, targets) on figures.kpi = given.kpi
    inner join jsonb_each(given.targets) as targets (business_key, target)
        on figures.business_key = targets.business_key

),

worse as (

    select
        compared.*,
        case direction when 'up' then reference - value else value - reference end
        * case when unit = 'percent' then 1 else 100 / nullif(abs(reference), 0) end as worse_by
    from compared

)

select
    kpi || '.' || business_key || case compared_with when 'target' then '.target' else '' end as subject,
    'kpi' as system,
    null::text as account,
    business_key,
    worse_by::double precision as value,
    jsonb_build_object(
        'kpi', kpi,
        'label', label,
        'compared_with', compared_with,
        'figure', round(value, 2)::text,
        'reference', round(reference, 2)::text,
        'week_of', period_start
    ) as detail,
    null::timestamptz as began_at
from worse
where worse_by > allowed
