with

source as (

    {{ union_accounts('unleashed', 'products') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_code('product_code') }} as sku,
        {{ clean_text('barcode') }} as barcode,

        ---- text
        {{ clean_text('product_description') }} as product_name,
        {{ clean_text('product_group') }} as product_group,
        {{ clean_text('unit_of_measure') }} as unit_of_measure,

        ---- numerics
        default_purchase_price,
        default_sell_price,
        average_land_price as average_landed_price,
        min_stock_alert_level,

        ---- booleans
        coalesce(is_sellable, false) as is_sellable,
        coalesce(is_component, false) as is_component,
        coalesce(is_obsolete, false) as is_obsolete,
        coalesce(taxable_sales, true) as is_taxable,

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
