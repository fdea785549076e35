with

orders as not materialized (

    select * from {{ ref('int_orders') }}

),

invoices as (

    select * from {{ ref('stg_unleashed__invoices') }}

),

credit_notes as (

    select * from {{ ref('stg_unleashed__credit_notes') }}

),

credit_note_lines as (

    select * from {{ ref('stg_unleashed__credit_note_lines') }}

),

shopify_lines as (

    select * from {{ ref('stg_shopify__order_lines') }}

),

shopify_refunds as (

    select * from {{ ref('stg_shopify__refunds') }}

),

shopify_refund_lines as (

    select * from {{ ref('stg_shopify__refund_lines') }}

),

bigcommerce_refunds as (

    select * from {{ ref('stg_bigcommerce__refunds') }}

),

bigcommerce_refund_items as (

    select * from {{ ref('stg_bigcommerce__refund_items') }}

),

woocommerce_refunds as (

    select * from {{ ref('stg_woocommerce__refunds') }}

),

woocommerce_refund_lines as (

    select * from {{ ref('stg_woocommerce__refund_lines') }}

),

---- an order number, an invoice number name one document of an account; should one be there twice, the newest is meant

credited_orders as (

    select distinct on (credit_notes.account, credit_notes.unleashed_id)
        credit_notes.account,
        credit_notes.unleashed_id,
        orders.order_id,
        orders.is_sale
    from credit_notes
    inner join invoices
        on credit_notes.account = invoices.account
        and credit_notes.invoice_number = invoices.invoice_number
    inner join orders
        on invoices.account = orders.account
        and invoices.order_number = orders.order_number
    order by credit_notes.account, credit_notes.unleashed_id, invoices.invoiced_at desc, orders.ordered_at desc

),

credited as (

    select
        account,
        credit_note_unleashed_id,
        sum(line_total) as amount
    from credit_note_lines
    group by 1, 2

),

unleashed as (

    select
        credit_notes.business_key,
        'unleashed' as system,
        credit_notes.account,
        credit_notes.unleashed_id as external_id,
        credited_orders.order_id,
        credit_notes.credited_at as refunded_at,
        {{ money('coalesce(credited.amount, 0)') }} as amount,
        coalesce(credit_notes.credit_note_status = 'Completed', false)
        and coalesce(credited_orders.is_sale, true) as is_counted,
        {{ is_intercompany('credit_notes.account', 'credit_notes.customer_code') }} as is_intercompany
    from credit_notes
    left join credited
        on credit_notes.account = credited.account
        and credit_notes.unleashed_id = credited.credit_note_unleashed_id
    left join credited_orders
        on credit_notes.account = credited_orders.account
        and credit_notes.unleashed_id = credited_orders.unleashed_id

),

shopify_refunded as (

    select
        refund_lines.account,
        refund_lines.refund_shopify_id,
        sum(case when coalesce(lines.is_gift_card, false) then 0 else refund_lines.line_total end) as amount
    from shopify_refund_lines as refund_lines
    left join shopify_lines as lines
        on refund_lines.account = lines.account
        and refund_lines.order_shopify_id = lines.order_shopify_id
        and refund_lines.line_shopify_id = lines.shopify_id
    group by 1, 2

),

shopify as (

    select
        refunds.business_key,
        'shopify',
        refunds.account,
        refunds.shopify_id,
        orders.order_id,
        refunds.refunded_at,
        coalesce(
            shopify_refunded.amount,
            {{ share_ex_gst('refunds.amount', 'orders') }},
            0
        )::numeric(14, 2),
        coalesce(orders.is_sale, false),
        false
    from shopify_refunds as refunds
    left join orders
        on refunds.account = orders.account
        and refunds.order_shopify_id = orders.external_id
    left join shopify_refunded
        on refunds.account = shopify_refunded.account
        and refunds.shopify_id = shopify_refunded.refund_shopify_id

),

---- what is charged beside goods is no revenue, and no refund of any; items' amounts are in the store's price basis, ex GST

bigcommerce_beside_goods as (

    select
        account,
        refund_bigcommerce_id,
        sum(amount) as amount
    from bigcommerce_refund_items
    where item_type in ('shipping', 'handling', 'gift_wrapping', 'fee')
    group by 1, 2

),

bigcommerce as (

    select
        refunds.business_key,
        'bigcommerce',
        refunds.account,
        refunds.bigcommerce_id::text,
        orders.order_id,
        refunds.refunded_at,
        (refunds.amount - refunds.tax_total - coalesce(beside_goods.amount, 0))::numeric(14, 2),
        coalesce(orders.is_sale, false),
        false
    from bigcommerce_refunds as refunds
    left join orders
        on refunds.account = orders.account
        and refunds.order_bigcommerce_id = orders.external_number
    left join bigcommerce_beside_goods as beside_goods
        on refunds.account = beside_goods.account
        and refunds.bigcommerce_id = beside_goods.refund_bigcommerce_id

),

woocommerce_refunded as (

    select
        account,
        refund_woocommerce_id,
        -sum(line_total) as amount
    from woocommerce_refund_lines
    group by 1, 2

),

woocommerce as (

    select
        refunds.business_key,
        'woocommerce',
        refunds.account,
        refunds.woocommerce_id::text,
        orders.order_id,
        refunds.refunded_at,
        coalesce(
            woocommerce_refunded.amount,
            {{ share_ex_gst('refunds.amount', 'orders') }},
            0
        )::numeric(14, 2),
        coalesce(orders.is_sale, false),
        false
    from woocommerce_refunds as refunds
    left join orders
        on refunds.account = orders.account
        and refunds.order_woocommerce_id = orders.external_number
    left join woocommerce_refunded
        on refunds.account = woocommerce_refunded.account
        and refunds.woocommerce_id = woocommerce_refunded.refund_woocommerce_id

)

select * from unleashed
union all
select * from shopify
union all
select * from bigcommerce
union all
select * from woocommerce
