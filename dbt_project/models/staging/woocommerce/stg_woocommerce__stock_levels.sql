with

source as (

    {{ union_accounts('woocommerce', 'stock_levels') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        product_id as product_woocommerce_id,
        coalesce(variation_id, 0) as variation_woocommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,
        status as product_status,
        stock_status,

        ---- numerics
        stock_quantity as on_hand,
        cost as average_cost,

        ---- booleans
        coalesce(manage_stock, false) as is_stock_managed,

        ---- timestamps
        snapshot_date,
        date_modified_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
