with

source as (

    {{ union_accounts('woocommerce', 'customers') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as woocommerce_id,

        ---- text
        {{ clean_email('email') }} as email,
        {{ clean_text('first_name') }} as first_name,
        {{ clean_text('last_name') }} as last_name,
        {{ clean_text('username') }} as username,
        {{ clean_text('role') }} as role,
        {{ clean_text('billing_company') }} as company_name,
        {{ clean_phone('billing_phone') }} as phone,
        {{ clean_text('billing_address_1') }} as address,
        {{ clean_text('billing_city') }} as city,
        {{ clean_text('billing_state') }} as state,
        {{ clean_text('billing_postcode') }} as postcode,
        {{ clean_text('billing_country') }} as country,

        ---- booleans
        coalesce(is_paying_customer, false) as is_paying_customer,

        ---- timestamps
        date_created_at as created_at,
        date_modified_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
