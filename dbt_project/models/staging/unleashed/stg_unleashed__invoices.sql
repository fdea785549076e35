with

source as (

    {{ union_accounts('unleashed', 'invoices') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_text('invoice_number') }} as invoice_number,
        {{ clean_text('order_number') }} as order_number,
        customer_guid as customer_unleashed_id,
        {{ clean_code('customer_code') }} as customer_code,

        ---- text
        invoice_status,
        {{ clean_text('customer_name') }} as customer_name,

        ---- numerics
        {{ money('sub_total') }} as sub_total,
        {{ money('tax_total') }} as tax_total,
        {{ money('total') }} as total,

        ---- timestamps
        invoice_date as invoiced_at,
        due_date as due_at,
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
