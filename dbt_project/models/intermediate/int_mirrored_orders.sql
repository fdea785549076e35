{{ config(indexes=[{'columns': ['account', 'unleashed_id']}, {'columns': ['shopify_account', 'shopify_id']}]) }}

{#-
    Shopify is the sale, Unleashed the fulfilment. A name alone is not enough: without a known order of that name the
    order at Unleashed is the only one that there is, and counts.
-#}

with

orders as (

    select * from {{ ref('stg_unleashed__sales_orders') }}

),

shopify_orders as (

    select * from {{ ref('stg_shopify__orders') }}

),

named as (

    select distinct
        orders.account,
        orders.business_key,
        orders.unleashed_id,
        orders.order_number,
        orders.ordered_at,
        orders.load_id,
        name[2] as shopify_order_number
    from orders
    cross join lateral regexp_matches(
        concat_ws(E'\n', orders.customer_ref, orders.comments),
        case orders.business_key
            {%- for business_key, pattern in var('shopify_order_name').items() %}
            when '{{ business_key }}' then '{{ pattern }}'
            {%- endfor %}
        end,
        'g'
    ) as name

),

mirrored as (

    select
        named.account,
        named.business_key,
        named.unleashed_id,
        named.order_number,
        named.load_id,
        shopify_orders.account as shopify_account,
        shopify_orders.shopify_id,
        shopify_orders.company_shopify_id is not null as is_wholesale,
        row_number() over (
            partition by shopify_orders.account, shopify_orders.shopify_id
            order by named.ordered_at desc nulls last, named.unleashed_id desc
        ) = 1 as is_newest
    from named
    inner join shopify_orders
        on named.business_key = shopify_orders.business_key
        and named.shopify_order_number = shopify_orders.order_number

)

select * from mirrored
