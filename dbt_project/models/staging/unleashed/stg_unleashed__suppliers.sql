with

source as (

    {{ union_accounts('unleashed', 'suppliers') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_code('supplier_code') }} as supplier_code,
        {{ clean_abn('abn') }} as abn,

        ---- text
        {{ clean_text('supplier_name') }} as supplier_name,
        {{ clean_email('email') }} as email,
        {{ clean_phone('phone_number') }} as phone,

        ---- booleans
        coalesce(is_obsolete, false) as is_obsolete,

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
