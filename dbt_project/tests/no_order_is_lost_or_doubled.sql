{#- Every order is one fact, mirrored and cancelled ones included: joins neither drop orders nor multiply them. -#}

with

orders as (

    select account, count(*) as orders from {{ ref('int_order_versions') }} group by 1

),

facts as (

    select account, count(*) as orders from {{ ref('fct_orders') }} group by 1

)

select *
from orders
full join facts using (account)
where orders.orders is distinct from facts.orders
