with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

events as (

    select
        business_key,
        ordered_on as date,
        revenue_with_cost as numerator,
        revenue as denominator
    from orders

),

{{ kpi_values('cost_coverage') }}
