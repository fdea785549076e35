with

inventory as (

    select * from {{ ref('fct_inventory_daily') }}

),

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

events as (

    select
        business_key,
        date,
        sum(on_hand) as numerator,
        null::numeric as denominator
    from inventory
    group by 1, 2

    union all

    select
        business_key,
        ordered_on,
        null,
        units
    from orders

),

{{ kpi_values('stock_cover') }}
