with

inventory as (

    select * from {{ ref('fct_inventory_daily') }}

),

products as (

    select
        business_key,
        date,
        account,
        product_external_id,
        bool_or(is_sellable) as is_sellable,
        sum(available) as available
    from inventory
    group by 1, 2, 3, 4

),

events as (

    select
        business_key,
        date,
        count(*) filter (where is_sellable and available <= 0) as numerator,
        null::numeric as denominator
    from products
    group by 1, 2

)

{{ kpi_events('stock_outs') }}
