with

unleashed_orders as (

    select * from {{ ref('stg_unleashed__sales_orders') }}

),

mirrored_orders as (

    select * from {{ ref('int_mirrored_orders') }}

),

woocommerce_orders as (

    select * from {{ ref('stg_woocommerce__orders') }}

),

unleashed as (

    select
        unleashed_orders.business_key,
        'unleashed' as system,
        unleashed_orders.account,
        unleashed_orders.unleashed_id as external_id,
        unleashed_orders.order_number,
        unleashed_orders.customer_unleashed_id as customer_external_id,
        lower(unleashed_orders.order_status) as status,
        mirrored_orders.unleashed_id is not null as is_mirrored,
        coalesce(unleashed_orders.order_status in ('Placed', 'Backordered', 'Completed'), false) as is_accepted,
        unleashed_orders.ordered_at,
        unleashed_orders.completed_at,
        unleashed_orders.currency,
        0::numeric(14, 2) as discount_total,
        0::numeric(14, 2) as shipping_total,
        unleashed_orders.tax_total,
        unleashed_orders.total,
        unleashed_orders.loaded_at,
        unleashed_orders.load_id
    from unleashed_orders
    left join mirrored_orders
        on unleashed_orders.account = mirrored_orders.account
        and unleashed_orders.unleashed_id = mirrored_orders.unleashed_id

),

woocommerce as (

    select
        business_key,
        'woocommerce' as system,
        account,
        woocommerce_id::text as external_id,
        order_number,
        customer_external_id,
        order_status as status,
        false as is_mirrored,
        coalesce(order_status in ('processing', 'completed', 'refunded'), false) as is_accepted,
        ordered_at,
        completed_at,
        currency,
        discount_total,
        shipping_total,
        tax_total,
        total,
        loaded_at,
        load_id
    from woocommerce_orders

),

orders as (

    select * from unleashed
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
        order_number,
        customer_external_id,

        ---- state
        status,
        is_mirrored,
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

        ---- loading
        loaded_at,
        load_id
    from orders

)

select * from final
