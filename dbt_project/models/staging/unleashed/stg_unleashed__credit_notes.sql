with

source as (

    {{ union_accounts('unleashed', 'credit_notes') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_text('credit_note_number') }} as credit_note_number,
        {{ clean_text('invoice_number') }} as invoice_number,
        customer_guid as customer_unleashed_id,
        {{ clean_code('customer_code') }} as customer_code,

        ---- text
        status as credit_note_status,
        {{ clean_text('customer_name') }} as customer_name,

        ---- numerics
        {{ money('sub_total') }} as sub_total,
        {{ money('tax_total') }} as tax_total,
        {{ money('total') }} as total,

        ---- timestamps
        credit_date as credited_at,
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
