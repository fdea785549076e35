with

source as (

    {{ union_accounts('unleashed', 'warehouses') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_code('warehouse_code') }} as warehouse_code,

        ---- text
        {{ clean_text('warehouse_name') }} as warehouse_name,

        ---- booleans
        coalesce(is_default, false) as is_default,
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
