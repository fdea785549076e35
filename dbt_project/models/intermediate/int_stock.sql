{{ config(materialized='view') }}

with

unleashed_stock as (

    select * from {{ ref('stg_unleashed__stock_on_hand') }}

),

unleashed_products as (

    select * from {{ ref('stg_unleashed__products') }}

),

bigcommerce_stock as (

    select * from {{ ref('stg_bigcommerce__stock_levels') }}

),

bigcommerce_products as (

    select * from {{ ref('stg_bigcommerce__products') }}

),

bigcommerce_variants as (

    select * from {{ ref('stg_bigcommerce__product_variants') }}

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
        coalesce(unleashed_products.is_sellable and not unleashed_products.is_obsolete, false) as is_sellable,
        unleashed_stock.load_id
    from unleashed_stock
    left join unleashed_products
        on unleashed_stock.account = unleashed_products.account
        and unleashed_stock.product_unleashed_id = unleashed_products.unleashed_id

),

bigcommerce as (

    select
        stock.account,
        stock.business_key,
        stock.snapshot_date,
        stock.variant_bigcommerce_id::text as product_external_id,
        stock.location_bigcommerce_id::text as warehouse_code,
        stock.sku,
        coalesce(stock.on_hand, 0) as on_hand,
        coalesce(stock.available, 0) as available,
        stock.unit_cost as average_cost,
        coalesce(products.is_visible and variants.is_purchasable, false) as is_sellable,
        stock.load_id
    from bigcommerce_stock as stock
    left join bigcommerce_products as products
        on stock.account = products.account
        and stock.product_bigcommerce_id = products.bigcommerce_id
    left join bigcommerce_variants as variants
        on stock.account = variants.account
        and stock.product_bigcommerce_id = variants.product_bigcommerce_id
        and stock.variant_bigcommerce_id = variants.bigcommerce_id
    ---- what nobody counts is not stock
    where products.inventory_tracking is distinct from 'none'

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
        coalesce(product_status = 'publish', false) as is_sellable,
        load_id
    from woocommerce_stock
    where is_stock_managed and on_hand is not null

)

select * from unleashed
union all
select * from bigcommerce
union all
select * from woocommerce
