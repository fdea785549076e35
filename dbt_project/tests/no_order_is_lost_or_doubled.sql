{#- Every order that staging holds is one fact, mirrored and cancelled ones included. -#}

with

staged as (

    select account, count(*) as orders from {{ ref('stg_unleashed__sales_orders') }} group by 1
    union all
    select account, count(*) from {{ ref('stg_woocommerce__orders') }} group by 1

),

facts as (

    select account, count(*) as orders from {{ ref('fct_orders') }} group by 1

)

select *
from staged
full join facts using (account)
where staged.orders is distinct from facts.orders
