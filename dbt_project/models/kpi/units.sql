with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

events as (

    select
        business_key,
        ordered_on as date,
        units as numerator,
        null::numeric as denominator
    from orders

),

{{ kpi_values('units') }}
