{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook="{{ forget_changed_orders() }}",
        post_hook="{{ follow_identity('product_id', 'product', 'product_external_id') }}",
        indexes=[{'columns': ['order_id']}],
    )
}}

with

lines as (

    select * from {{ ref('int_order_lines') }}

),

orders as (

    {{ orders_to_make() }}

),

products as (

    {{ identities('product') }}

),

final as (

    select
        ---- ids
        {{ key(['lines.account', 'lines.order_external_id', 'lines.line_external_id']) }} as order_line_id,
        orders.order_id,
        orders.business_key,
        orders.system,
        orders.account,
        lines.line_external_id as external_id,
        lines.product_external_id,
        products.id as product_id,

        ---- order
        orders.ordered_on,
        orders.is_sale,

        ---- product
        lines.sku,
        lines.product_name,

        ---- numerics
        lines.quantity,
        lines.unit_price::numeric(14, 4) as unit_price,
        lines.revenue,
        lines.tax,
        lines.cost::numeric(14, 2) as cost,
        orders.currency,

        ---- loading
        orders.load_id
    from lines
    inner join orders
        on lines.account = orders.account
        and lines.order_external_id = orders.external_id
    left join products
        on lines.account = products.account
        and lines.product_external_id = products.external_id

)

select * from final
