with

source as (

    {{ union_accounts('shopify', 'product_variants') }}

),

parents as (

    {{ union_accounts('shopify', 'products') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.product_id = parents.id
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.updated_at') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as shopify_id,
        product_id as product_shopify_id,
        inventory_item_id as inventory_item_shopify_id,
        {{ clean_code('sku') }} as sku,
        {{ clean_text('barcode') }} as barcode,

        ---- text
        {{ clean_text('title') }} as variant_name,
        lower({{ clean_text('inventory_policy') }}) as inventory_policy,

        ---- numerics
        position,
        price,
        compare_at_price,

        ---- booleans
        coalesce(taxable, true) as is_taxable,

        ---- timestamps
        created_at,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
