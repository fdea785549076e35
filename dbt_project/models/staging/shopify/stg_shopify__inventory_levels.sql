with

source as (

    {{ union_accounts('shopify', 'inventory_levels') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        inventory_item_id as inventory_item_shopify_id,
        location_id as location_shopify_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('location_name') }} as location_name,

        ---- numerics
        available,
        on_hand,
        committed,
        incoming,
        unit_cost,

        ---- booleans
        coalesce(tracked, false) as is_tracked,

        ---- timestamps
        snapshot_date,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
