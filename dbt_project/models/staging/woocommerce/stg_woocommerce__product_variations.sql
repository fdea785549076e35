with

source as (

    {{ union_accounts('woocommerce', 'product_variations') }}

),

parents as (

    {{ union_accounts('woocommerce', 'products') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.product_id = parents.id
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.date_modified_at') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as woocommerce_id,
        product_id as product_woocommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        status as variation_status,
        stock_status,

        ---- numerics
        price,
        regular_price,
        stock_quantity,
        cost as unit_cost,

        ---- booleans
        coalesce(manage_stock, false) as is_stock_managed,

        ---- details
        attributes,

        ---- timestamps
        date_created_at as created_at,
        date_modified_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
