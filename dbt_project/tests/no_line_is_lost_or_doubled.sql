{#- What the facts hold per account is what staging says: joins neither drop lines nor multiply them. -#}

with

staged as (

    select account, count(*) as lines, sum(line_total) as revenue from {{ ref('stg_unleashed__sales_order_lines') }} group by 1
    union all
    select account, count(*), sum(line_total) from {{ ref('stg_woocommerce__order_lines') }} group by 1

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
