{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook=["{{ forget_remade_orders() }}", "{{ find_orders_to_make() }}"],
        post_hook="{{ follow_identity('product_id', 'product', 'product_external_id') }}",
        indexes=[{'columns': ['order_id']}],
    )
}}

with

orders as (

    select * from {{ orders_to_make() }}

),

---- read twice, and never whole where few orders are made

unleashed_lines as not materialized (

    select * from {{ ref('stg_unleashed__sales_order_lines') }}

),

---- what a Shopify order's lines cost, its copy at Unleashed says

copied_costs as (

    select distinct on (orders.order_id, copied.sku)
        orders.order_id,
        copied.sku,
        copied.average_landed_price
    from orders
    inner join unleashed_lines as copied
        on orders.copy_account = copied.account
        and orders.copy_external_id = copied.order_unleashed_id
        {{- and_only('orders_to_make', 'copied.order_unleashed_id', 'copy_external_id') }}
    order by orders.order_id, copied.sku, copied.line_number, copied.unleashed_id

),

unleashed as (

    select
        orders.order_id,
        lines.unleashed_id as external_id,
        lines.product_unleashed_id as product_external_id,
        lines.sku,
        lines.product_name,
        lines.quantity,
        lines.unit_price,
        lines.line_total as revenue,
        lines.line_tax as tax,
        round(lines.quantity * lines.average_landed_price, 2) as cost
    from orders
    inner join unleashed_lines as lines
        on orders.account = lines.account
        and orders.external_id = lines.order_unleashed_id
        {{- and_only('orders_to_make', 'lines.order_unleashed_id', 'external_id') }}

),

shopify as (

    select
        orders.order_id,
        lines.shopify_id,
        lines.variant_shopify_id,
        lines.sku,
        lines.product_name,
        lines.quantity,
        lines.line_total / nullif(lines.quantity, 0),
        lines.line_total,
        lines.line_tax,
        round(lines.quantity * copied_costs.average_landed_price, 2)
    from orders
    inner join {{ ref('stg_shopify__order_lines') }} as lines
        on orders.account = lines.account
        and orders.external_id = lines.order_shopify_id
        {{- and_only('orders_to_make', 'lines.order_shopify_id', 'external_id') }}
    left join copied_costs
        on orders.order_id = copied_costs.order_id
        and lines.sku = copied_costs.sku
    where not lines.is_gift_card

),

bigcommerce as (

    select
        orders.order_id,
        lines.bigcommerce_id::text,
        lines.variant_bigcommerce_id::text,
        lines.sku,
        lines.product_name,
        lines.quantity,
        lines.unit_price,
        lines.line_total,
        lines.line_tax,
        round(lines.quantity * lines.unit_cost, 2)
    from orders
    inner join {{ ref('stg_bigcommerce__order_products') }} as lines
        on orders.account = lines.account
        and orders.external_number = lines.order_bigcommerce_id
        {{- and_only('orders_to_make', 'lines.order_bigcommerce_id', 'external_number') }}

),

woocommerce as (

    select
        orders.order_id,
        lines.woocommerce_id::text,
        {{ woocommerce_product('lines.product_woocommerce_id', 'lines.variation_woocommerce_id') }},
        lines.sku,
        lines.product_name,
        lines.quantity,
        lines.unit_price,
        lines.line_total,
        lines.line_tax,
        lines.line_cost
    from orders
    inner join {{ ref('stg_woocommerce__order_lines') }} as lines
        on orders.account = lines.account
        and orders.external_number = lines.order_woocommerce_id
        {{- and_only('orders_to_make', 'lines.order_woocommerce_id', 'external_number') }}

),

lines as (

    select * from unleashed
    union all
    select * from shopify
    union all
    select * from bigcommerce
    union all
    select * from woocommerce

),

products as (

    {{ identities('product') }}

),

final as (

    select
        ---- ids
        {{ key(['orders.account', 'orders.external_id', 'lines.external_id']) }} as order_line_id,
        orders.order_id,
        orders.business_key,
        orders.system,
        orders.account,
        lines.external_id,
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
        orders.load_id,
        orders.made_at
    from lines
    inner join orders on lines.order_id = orders.order_id
    left join products
        on orders.account = products.account
        and lines.product_external_id = products.external_id

)

select * from final
