with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

events as (

    select
        business_key,
        completed_on as date,
        fulfilment_days as numerator,
        1 as denominator
    from orders
    where completed_on is not null

),

{{ kpi_values('fulfilment_time') }}
