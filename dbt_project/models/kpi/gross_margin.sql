with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

events as (

    select
        business_key,
        ordered_on as date,
        revenue_with_cost - cost as numerator,
        revenue_with_cost as denominator
    from orders

),

{{ kpi_values('gross_margin') }}
