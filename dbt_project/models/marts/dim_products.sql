{{ config(unique_key='product_id') }}

with

products as (

    select * from {{ source('core', 'products') }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_sale

),

sold as (

    select
        product_id,
        min(ordered_on) as first_sold_on,
        max(ordered_on) as last_sold_on,
        sum(quantity) as units,
        sum(revenue) as revenue
    from lines
    where product_id is not null
    group by 1

),

final as (

    select
        ---- ids
        products.product_id,
        products.business_key,
        products.sku,
        products.barcode,

        ---- text
        products.product_name,
        products.product_group,
        products.unit_of_measure,

        ---- booleans
        products.is_sellable,

        ---- what was sold
        coalesce(sold.units, 0) as units,
        coalesce(sold.revenue, 0)::numeric(14, 2) as revenue,

        ---- days
        sold.first_sold_on,
        sold.last_sold_on,
        {{ business_day('products.known_since') }} as known_since
    from products
    left join sold on products.product_id = sold.product_id

)

select * from final
