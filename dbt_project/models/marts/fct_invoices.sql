{{ config(unique_key='invoice_id') }}

with

invoices as (

    select * from {{ ref('stg_unleashed__invoices') }}

),

mirrored_numbers as (

    select
        account,
        order_number,
        bool_or(is_wholesale) as is_wholesale
    from {{ ref('int_mirrored_orders') }}
    where order_number is not null
    group by 1, 2

),

customers as (

    {{ identities('customer') }}

),

final as (

    select
        ---- ids
        {{ key(['invoices.account', 'invoices.unleashed_id']) }} as invoice_id,
        invoices.business_key,
        invoices.account,
        invoices.unleashed_id as external_id,
        invoices.invoice_number,
        invoices.order_number,
        customers.id as customer_id,

        ---- state
        lower(invoices.invoice_status) as status,
        mirrored_numbers.order_number is not null as is_mirrored,
        {{ is_intercompany('invoices.account', 'invoices.customer_code') }} as is_intercompany,
        ---- what was bought in a shop is paid there, unless a company bought
        coalesce(invoices.invoice_status = 'Completed', false)
        and coalesce(mirrored_numbers.is_wholesale, true) as is_receivable,

        ---- days
        {{ business_day('invoices.invoiced_at') }} as invoiced_on,
        {{ business_day('coalesce(invoices.due_at, invoices.invoiced_at)') }} as due_on,

        ---- money
        invoices.sub_total,
        invoices.tax_total,
        invoices.total
    from invoices
    left join mirrored_numbers
        on invoices.account = mirrored_numbers.account
        and invoices.order_number = mirrored_numbers.order_number
    left join customers
        on invoices.account = customers.account
        and invoices.customer_unleashed_id = customers.external_id

)

select * from final
