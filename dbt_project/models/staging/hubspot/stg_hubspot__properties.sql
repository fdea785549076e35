with

source as (

    {{ union_accounts('hubspot', 'properties') }}

),

renamed as (

    select
        account,

        ---- ids
        object_type,
        name as property_name,

        ---- text
        {{ clean_text('label') }} as label,
        type as data_type,
        field_type,
        group_name,

        ---- booleans
        coalesce(hubspot_defined, false) as is_hubspot_defined,
        coalesce(has_unique_value, false) as is_unique,
        coalesce(archived, false) as is_archived,

        ---- details
        options,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
