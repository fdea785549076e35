{#- What the facts hold per account is what the systems said: joins neither drop lines nor multiply them. -#}

with

said as (

    select account, line_total from {{ ref('stg_unleashed__sales_order_lines') }}
    union all
    select account, line_total from {{ ref('stg_shopify__order_lines') }} where not is_gift_card
    union all
    select account, line_total from {{ ref('stg_bigcommerce__order_products') }}
    union all
    select account, line_total from {{ ref('stg_woocommerce__order_lines') }}

),

staged as (

    select account, count(*) as lines, sum(line_total) as revenue from said group by 1

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
