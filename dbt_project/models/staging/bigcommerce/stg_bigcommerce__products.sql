with

source as (

    {{ union_accounts('bigcommerce', 'products') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as bigcommerce_id,
        base_variant_id as base_variant_bigcommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,
        lower({{ clean_text('type') }}) as product_type,
        lower({{ clean_text('availability') }}) as availability,
        lower({{ clean_text('inventory_tracking') }}) as inventory_tracking,

        ---- numerics
        brand_id,
        tax_class_id,
        price,
        sale_price,
        nullif(cost_price, 0) as unit_cost,

        ---- booleans
        coalesce(is_visible, false) as is_visible,

        ---- details
        categories,

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
