{#-
    What is summed adds up over businesses, less what they sold to each other; distinct counts and ratios don't, and are
    left out.
-#}

with

intercompany as (

    select
        date,
        sum(revenue - refunded) as revenue,
        sum(orders) as orders,
        sum(units) as units,
        sum(refunded) as refunds
    from {{ ref('fct_sales_daily') }}
    where is_intercompany
    group by 1

),

eliminated as (

    select
        kpis.kpi,
        period_days.grain,
        period_days.period_start,
        sum(kpis.value) as value
    from intercompany
    cross join lateral (
        values ('revenue', revenue), ('orders', orders), ('units', units), ('refunds', refunds)
    ) as kpis (kpi, value)
    inner join {{ ref('kpi_period_days') }} as period_days
        on intercompany.date = period_days.date
        and period_days.part = 'period'
    group by 1, 2, 3

),

sums as (

    select
        kpi,
        grain,
        case when grain != 'all' then period_start end as period_start,
        coalesce(sum(value) filter (where business_key = 'group'), 0) as of_group,
        sum(value) filter (where business_key != 'group') as of_businesses
    from {{ ref('kpis') }}
    where kpi in ('revenue', 'orders', 'units', 'refunds')
    group by 1, 2, 3

)

select *
from sums
left join eliminated
    on sums.kpi = eliminated.kpi
    and sums.grain = eliminated.grain
    and (sums.grain = 'all' or sums.period_start = eliminated.period_start)
where sums.of_group != sums.of_businesses - coalesce(eliminated.value, 0)
