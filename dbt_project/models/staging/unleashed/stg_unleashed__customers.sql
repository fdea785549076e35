with

source as (

    {{ union_accounts('unleashed', 'customers') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_code('customer_code') }} as customer_code,
        {{ clean_abn('abn') }} as abn,

        ---- text
        {{ clean_text('customer_name') }} as customer_name,
        {{ clean_text('customer_type') }} as customer_type,
        {{ clean_text('contact_first_name') }} as first_name,
        {{ clean_text('contact_last_name') }} as last_name,
        {{ clean_email('email') }} as email,
        {{ clean_phone('phone_number') }} as phone,
        {{ clean_text('payment_term') }} as payment_terms,
        coalesce({{ clean_code('currency') }}, 'AUD') as currency,

        ---- numerics
        discount_rate,

        ---- booleans
        coalesce(taxable, true) as is_taxable,
        coalesce(stop_credit, false) as is_credit_stopped,
        coalesce(is_obsolete, false) as is_obsolete,

        ---- details
        addresses,

        ---- timestamps
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
