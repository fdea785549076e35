{#- What the facts hold per account is what the systems said: joins neither drop lines nor multiply them. -#}

with

staged as (

    select account, count(*) as lines, sum(revenue) as revenue from {{ ref('int_order_lines') }} group by 1

),

facts as (

    select account, sum(lines) as lines, sum(revenue) as revenue from {{ ref('fct_orders') }} group by 1

)

select
    account,
    staged.lines as staged_lines,
    facts.lines as fact_lines,
    staged.revenue as staged_revenue,
    facts.revenue as fact_revenue
from staged
full join facts using (account)
where
    coalesce(staged.lines, 0) != coalesce(facts.lines, 0)
    or coalesce(staged.revenue, 0) != coalesce(facts.revenue, 0)
