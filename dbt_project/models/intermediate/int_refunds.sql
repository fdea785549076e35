with

orders as (

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

refunds as (

    select * from {{ ref('stg_woocommerce__refunds') }}

),

refund_lines as (

    select * from {{ ref('stg_woocommerce__refund_lines') }}

),

---- an order number, an invoice number name one document of an account; should one be there twice, the newest is meant

order_numbers as (

    select distinct on (account, order_number) *
    from orders
    where order_number is not null
    order by account, order_number, ordered_at desc

),

invoice_numbers as (

    select distinct on (account, invoice_number) *
    from invoices
    where invoice_number is not null
    order by account, invoice_number, invoiced_at desc

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
        order_numbers.order_id,
        credit_notes.credited_at as refunded_at,
        {{ money('coalesce(credited.amount, 0)') }} as amount,
        coalesce(credit_notes.credit_note_status = 'Completed', false)
        and coalesce(order_numbers.is_sale, true) as is_counted
    from credit_notes
    left join credited
        on credit_notes.account = credited.account
        and credit_notes.unleashed_id = credited.credit_note_unleashed_id
    left join invoice_numbers
        on credit_notes.account = invoice_numbers.account
        and credit_notes.invoice_number = invoice_numbers.invoice_number
    left join order_numbers
        on invoice_numbers.account = order_numbers.account
        and invoice_numbers.order_number = order_numbers.order_number

),

refunded_lines as (

    select
        account,
        refund_woocommerce_id,
        -sum(line_total) as amount
    from refund_lines
    group by 1, 2

),

woocommerce as (

    select
        refunds.business_key,
        'woocommerce' as system,
        refunds.account,
        refunds.woocommerce_id::text as external_id,
        orders.order_id,
        refunds.refunded_at,
        coalesce(
            refunded_lines.amount,
            ---- an amount without lines: the order's share ex GST of it
            round(refunds.amount * (orders.total - orders.tax_total) / nullif(orders.total, 0), 2),
            0
        )::numeric(14, 2) as amount,
        coalesce(orders.is_sale, false) as is_counted
    from refunds
    left join orders
        on refunds.account = orders.account
        and refunds.order_woocommerce_id::text = orders.external_id
    left join refunded_lines
        on refunds.account = refunded_lines.account
        and refunds.woocommerce_id = refunded_lines.refund_woocommerce_id

)

select * from unleashed
union all
select * from woocommerce
