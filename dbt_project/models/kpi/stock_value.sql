with

inventory as (

    select * from {{ ref('fct_inventory_daily') }}

),

events as (

    select
        business_key,
        date,
        sum(stock_value) as numerator,
        null::numeric as denominator
    from inventory
    group by 1, 2

)

{{ kpi_events('stock_value') }}
