with

source as (

    {{ union_accounts('bigcommerce', 'customers') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as bigcommerce_id,

        ---- text
        {{ clean_email('email') }} as email,
        {{ clean_text('first_name') }} as first_name,
        {{ clean_text('last_name') }} as last_name,
        {{ clean_text('company') }} as company_name,
        {{ clean_phone('phone') }} as phone,
        {{ clean_text("addresses -> 0 ->> 'address1'") }} as address,
        {{ clean_text("addresses -> 0 ->> 'city'") }} as city,
        {{ clean_text("addresses -> 0 ->> 'state_or_province'") }} as state,
        {{ clean_text("addresses -> 0 ->> 'postal_code'") }} as postcode,
        {{ clean_text("addresses -> 0 ->> 'country_code'") }} as country,
        {{ clean_text('notes') }} as notes,

        ---- numerics
        customer_group_id,

        ---- booleans
        coalesce(accepts_marketing, false) as accepts_marketing,

        ---- timestamps
        date_created as created_at,
        date_modified as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
