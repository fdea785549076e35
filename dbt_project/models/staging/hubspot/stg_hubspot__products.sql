with

source as (

    {{ union_accounts('hubspot', 'products') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,
        {{ clean_code('hs_sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,
        {{ clean_text('description') }} as product_description,

        ---- numerics
        price,
        hs_cost_of_goods_sold as cost,

        ---- timestamps
        created_at,
        updated_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null
    and not coalesce(archived, false)

)

select * from renamed
