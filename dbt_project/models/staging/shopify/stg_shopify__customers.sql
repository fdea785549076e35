with

source as (

    {{ union_accounts('shopify', 'customers') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as shopify_id,
        legacy_resource_id as legacy_id,

        ---- text
        {{ clean_email('email') }} as email,
        {{ clean_text('first_name') }} as first_name,
        {{ clean_text('last_name') }} as last_name,
        {{ clean_text('company') }} as company_name,
        {{ clean_phone('phone') }} as phone,
        {{ clean_text('address1') }} as address,
        {{ clean_text('city') }} as city,
        {{ clean_text('province_code') }} as state,
        {{ clean_text('zip') }} as postcode,
        {{ clean_text('country_code') }} as country,
        lower({{ clean_text('state') }}) as account_state,
        lower({{ clean_text('email_marketing_state') }}) as email_marketing,
        {{ clean_text('note') }} as note,

        ---- numerics
        number_of_orders as order_count,
        {{ money('amount_spent') }} as spent_total,

        ---- booleans
        coalesce(tax_exempt, false) as is_tax_exempt,

        ---- details
        tags,

        ---- timestamps
        created_at,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
