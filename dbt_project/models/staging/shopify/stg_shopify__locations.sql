with

source as (

    {{ union_accounts('shopify', 'locations') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as shopify_id,

        ---- text
        {{ clean_text('name') }} as location_name,

        ---- booleans
        coalesce(is_active, false) as is_active,
        coalesce(fulfills_online_orders, false) as fulfils_online_orders,

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
