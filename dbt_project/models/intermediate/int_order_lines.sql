{{ config(materialized='ephemeral') }}

with

unleashed_lines as (

    select * from {{ ref('stg_unleashed__sales_order_lines') }}

),

woocommerce_lines as (

    select * from {{ ref('stg_woocommerce__order_lines') }}

),

lines as (

    select
        account,
        order_unleashed_id as order_external_id,
        unleashed_id as line_external_id,
        product_unleashed_id as product_external_id,
        sku,
        product_name,
        quantity,
        unit_price,
        line_total as revenue,
        line_tax as tax,
        round(quantity * average_landed_price, 2) as cost
    from unleashed_lines

    union all

    select
        account,
        order_woocommerce_id::text,
        woocommerce_id::text,
        {{ woocommerce_product('product_woocommerce_id', 'variation_woocommerce_id') }},
        sku,
        product_name,
        quantity,
        unit_price,
        line_total,
        line_tax,
        line_cost
    from woocommerce_lines

)

select * from lines
