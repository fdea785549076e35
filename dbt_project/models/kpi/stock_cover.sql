with

inventory as (

    select * from {{ ref('fct_inventory_daily') }}

),

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        false as is_intercompany,
        date,
        sum(on_hand) as numerator,
        null::numeric as denominator
    from inventory
    group by 1, 2, 3

    union all

    select
        business_key,
        is_intercompany,
        date,
        null,
        units
    from sales

)

{{ kpi_events('stock_cover') }}
