select
    business_key,
    grain,
    period_start
from {{ ref('kpis') }}
group by 1, 2, 3
having
    sum(value) filter (where kpi = 'customers')
    != sum(value) filter (where kpi = 'new_customers') + sum(value) filter (where kpi = 'returning_customers')
