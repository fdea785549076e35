with

source as (

    {{ union_accounts('hubspot', 'line_items') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,
        {{ clean_text('hs_product_id') }} as product_hubspot_id,
        {{ clean_code('hs_sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as line_item_name,

        ---- numerics
        quantity,
        price,
        {{ money('amount') }} as amount,

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
