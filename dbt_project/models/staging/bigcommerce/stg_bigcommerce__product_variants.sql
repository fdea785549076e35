with

source as (

    {{ union_accounts('bigcommerce', 'product_variants') }}

),

parents as (

    {{ union_accounts('bigcommerce', 'products') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.product_id = parents.id
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.date_modified') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as bigcommerce_id,
        product_id as product_bigcommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- numerics
        coalesce(price, calculated_price) as price,
        nullif(cost_price, 0) as unit_cost,
        inventory_level,

        ---- booleans
        not coalesce(purchasing_disabled, false) as is_purchasable,

        ---- details
        option_values,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
