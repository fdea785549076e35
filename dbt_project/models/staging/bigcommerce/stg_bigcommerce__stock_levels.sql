with

source as (

    {{ union_accounts('bigcommerce', 'stock_levels') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        variant_id as variant_bigcommerce_id,
        product_id as product_bigcommerce_id,
        location_id as location_bigcommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- numerics
        total_inventory_onhand as on_hand,
        available_to_sell as available,
        nullif(cost_price, 0) as unit_cost,

        ---- timestamps
        snapshot_date,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
