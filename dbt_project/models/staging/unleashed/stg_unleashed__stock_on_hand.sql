with

source as (

    {{ union_accounts('unleashed', 'stock_on_hand') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        product_guid as product_unleashed_id,
        {{ clean_code('product_code') }} as sku,
        {{ clean_code('warehouse_code') }} as warehouse_code,

        ---- numerics
        qty_on_hand as on_hand,
        available_qty as available,
        allocated_qty as allocated,
        on_purchase,
        avg_cost as average_cost,
        total_cost,
        days_since_last_sale,

        ---- timestamps
        snapshot_date,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
