with

source as (

    {{ union_accounts('woocommerce', 'products') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as woocommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,
        slug,
        type as product_type,
        status as product_status,
        stock_status,
        tax_status,
        tax_class,

        ---- numerics
        price,
        regular_price,
        stock_quantity,
        cost as unit_cost,

        ---- booleans
        coalesce(manage_stock, false) as is_stock_managed,

        ---- details
        categories,
        variations,

        ---- timestamps
        date_created_at as created_at,
        date_modified_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
