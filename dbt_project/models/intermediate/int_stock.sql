{{ config(materialized='ephemeral') }}

with

unleashed_stock as (

    select * from {{ ref('stg_unleashed__stock_on_hand') }}

),

unleashed_products as (

    select * from {{ ref('stg_unleashed__products') }}

),

woocommerce_stock as (

    select * from {{ ref('stg_woocommerce__stock_levels') }}

),

unleashed as (

    select
        unleashed_stock.account,
        unleashed_stock.business_key,
        unleashed_stock.snapshot_date,
        unleashed_stock.product_unleashed_id as product_external_id,
        coalesce(unleashed_stock.warehouse_code, '') as warehouse_code,
        unleashed_stock.sku,
        coalesce(unleashed_stock.on_hand, 0) as on_hand,
        coalesce(unleashed_stock.available, 0) as available,
        unleashed_stock.average_cost,
        coalesce(unleashed_products.is_sellable and not unleashed_products.is_obsolete, false) as is_sellable
    from unleashed_stock
    left join unleashed_products
        on unleashed_stock.account = unleashed_products.account
        and unleashed_stock.product_unleashed_id = unleashed_products.unleashed_id

),

woocommerce as (

    select
        account,
        business_key,
        snapshot_date,
        {{ woocommerce_product('product_woocommerce_id', 'variation_woocommerce_id') }} as product_external_id,
        ''::text as warehouse_code,
        sku,
        on_hand,
        on_hand as available,
        average_cost,
        coalesce(product_status = 'publish', false) as is_sellable
    from woocommerce_stock
    ---- what nobody counts is not stock
    where is_stock_managed and on_hand is not null

)

select * from unleashed
union all
select * from woocommerce
