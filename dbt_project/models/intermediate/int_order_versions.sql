{{ config(materialized='view') }}

{#- Cheap to read whole: no column that has to be cleaned. -#}

with

unleashed_orders as (

    select * from {{ ref('stg_unleashed__sales_orders') }}

),

shopify_orders as (

    select * from {{ ref('stg_shopify__orders') }}

),

mirrored_orders as (

    select * from {{ ref('int_mirrored_orders') }}

),

mirrored as (

    select
        account,
        unleashed_id,
        bool_or(is_wholesale) as is_wholesale
    from mirrored_orders
    group by 1, 2

),

copies as (

    select * from mirrored_orders
    where is_newest

),

versions as (

    select
        unleashed_orders.account,
        unleashed_orders.unleashed_id as external_id,
        null::bigint as external_number,
        unleashed_orders.load_id,
        mirrored.unleashed_id is not null as is_mirrored,
        coalesce(mirrored.is_wholesale, true) as is_wholesale,
        null::text as copy_account,
        null::text as copy_external_id,
        null::bigint as copy_load_id
    from unleashed_orders
    left join mirrored
        on unleashed_orders.account = mirrored.account
        and unleashed_orders.unleashed_id = mirrored.unleashed_id

    union all

    select
        shopify_orders.account,
        shopify_orders.shopify_id,
        null,
        shopify_orders.load_id,
        false,
        shopify_orders.company_shopify_id is not null,
        copies.account,
        copies.unleashed_id,
        copies.load_id
    from shopify_orders
    left join copies
        on shopify_orders.account = copies.shopify_account
        and shopify_orders.shopify_id = copies.shopify_id

    union all

    select account, bigcommerce_id::text, bigcommerce_id, load_id, false, false, null, null, null
    from {{ ref('stg_bigcommerce__orders') }}

    union all

    select account, woocommerce_id::text, woocommerce_id, load_id, false, false, null, null, null
    from {{ ref('stg_woocommerce__orders') }}

)

select * from versions
