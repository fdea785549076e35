{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook="{{ forget_changed_orders() }}",
        indexes=[{'columns': ['account', 'external_id'], 'unique': true}, {'columns': ['order_id']}],
    )
}}

{#- Only what is missing is made; `forget_changed_orders` has taken what changed away. -#}

with

versions as (

    select * from {{ 'missing_orders' if is_incremental() else ref('int_order_versions') }}

),

unleashed_orders as (

    select * from {{ ref('stg_unleashed__sales_orders') }}

),

shopify_orders as (

    select * from {{ ref('stg_shopify__orders') }}

),

fulfilments as (

    select
        versions.account,
        versions.external_id,
        max(parcels.fulfilled_at) as completed_at
    from versions
    inner join {{ ref('stg_shopify__fulfillments') }} as parcels
        on versions.account = parcels.account
        and versions.external_id = parcels.order_shopify_id
        {{- and_only('missing_orders', 'parcels.order_shopify_id', 'external_id') }}
    where parcels.fulfilment_status = 'success'
    group by 1, 2

),

bigcommerce_orders as (

    select * from {{ ref('stg_bigcommerce__orders') }}

),

woocommerce_orders as (

    select * from {{ ref('stg_woocommerce__orders') }}

),

unleashed as (

    select
        versions.*,
        orders.business_key,
        'unleashed' as system,
        orders.order_number,
        orders.customer_unleashed_id as customer_external_id,
        lower(orders.order_status) as status,
        coalesce(orders.order_status in ('Placed', 'Backordered', 'Completed'), false) as is_accepted,
        {{ is_intercompany('orders.account', 'orders.customer_code') }} as is_intercompany,
        orders.ordered_at,
        orders.completed_at,
        orders.currency,
        0::numeric(14, 2) as discount_total,
        0::numeric(14, 2) as shipping_total,
        orders.tax_total,
        orders.total,
        false as prices_include_tax,
        orders.loaded_at
    from versions
    inner join unleashed_orders as orders
        on versions.account = orders.account
        and versions.external_id = orders.unleashed_id
        {{- and_only('missing_orders', 'orders.unleashed_id', 'external_id') }}

),

shopify as (

    select
        versions.*,
        orders.business_key,
        'shopify',
        orders.order_number,
        orders.customer_external_id,
        case
            when orders.deleted_at is not null then 'deleted'
            when orders.cancelled_at is not null then 'cancelled'
            when orders.is_test then 'test'
            else orders.fulfilment_status
        end,
        orders.deleted_at is null and orders.cancelled_at is null and not orders.is_test,
        false,
        orders.ordered_at,
        case when orders.fulfilment_status = 'fulfilled' then fulfilments.completed_at end,
        orders.currency,
        orders.discount_total,
        orders.shipping_charged,
        orders.tax_total,
        orders.total,
        orders.prices_include_tax,
        orders.loaded_at
    from versions
    inner join shopify_orders as orders
        on versions.account = orders.account
        and versions.external_id = orders.shopify_id
        {{- and_only('missing_orders', 'orders.shopify_id', 'external_id') }}
    left join fulfilments
        on versions.account = fulfilments.account
        and versions.external_id = fulfilments.external_id

),

bigcommerce as (

    select
        versions.*,
        orders.business_key,
        'bigcommerce',
        versions.external_id,
        orders.customer_external_id,
        case when orders.is_deleted then 'deleted' else orders.order_status end,
        ---- 0 incomplete, 5 cancelled, 6 declined
        not orders.is_deleted and coalesce(orders.status_id not in (0, 5, 6), false),
        false,
        orders.ordered_at,
        ---- 2 shipped, 4 refunded, 10 completed, 14 partially refunded
        case when orders.status_id in (2, 4, 10, 14) then orders.shipped_at end,
        orders.currency,
        orders.discount_total,
        orders.shipping_total,
        orders.tax_total,
        orders.total,
        false,
        orders.loaded_at
    from versions
    inner join bigcommerce_orders as orders
        on versions.account = orders.account
        and versions.external_number = orders.bigcommerce_id
        {{- and_only('missing_orders', 'orders.bigcommerce_id', 'external_number') }}

),

woocommerce as (

    select
        versions.*,
        orders.business_key,
        'woocommerce',
        orders.order_number,
        orders.customer_external_id,
        orders.order_status,
        coalesce(orders.order_status in ('processing', 'completed', 'refunded'), false),
        false,
        orders.ordered_at,
        orders.completed_at,
        orders.currency,
        orders.discount_total,
        orders.shipping_total,
        orders.tax_total,
        orders.total,
        false,
        orders.loaded_at
    from versions
    inner join woocommerce_orders as orders
        on versions.account = orders.account
        and versions.external_number = orders.woocommerce_id
        {{- and_only('missing_orders', 'orders.woocommerce_id', 'external_number') }}

),

orders as (

    select * from unleashed
    union all
    select * from shopify
    union all
    select * from bigcommerce
    union all
    select * from woocommerce

),

final as (

    select
        ---- ids
        {{ key(['account', 'external_id']) }} as order_id,
        business_key,
        system,
        account,
        external_id,
        external_number,
        order_number,
        customer_external_id,
        copy_account,
        copy_external_id,

        ---- state
        status,
        is_mirrored,
        is_wholesale,
        is_intercompany,
        is_accepted and not is_mirrored as is_sale,

        ---- timestamps
        ordered_at,
        {{ business_day('ordered_at') }} as ordered_on,
        completed_at,
        {{ business_day('completed_at') }} as completed_on,

        ---- money
        currency,
        discount_total,
        shipping_total,
        tax_total,
        total,
        prices_include_tax,

        ---- loading
        loaded_at,
        load_id,
        copy_load_id,
        transaction_timestamp() as made_at
    from orders

)

select * from final
