with

source as (

    {{ union_accounts('shopify', 'products') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as shopify_id,

        ---- text
        {{ clean_text('title') }} as product_name,
        handle,
        {{ clean_text('vendor') }} as vendor,
        {{ clean_text('product_type') }} as product_group,
        lower({{ clean_text('status') }}) as product_status,

        ---- details
        tags,

        ---- timestamps
        created_at,
        updated_at as modified_at,
        published_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
