with

source as (

    {{ union_accounts('shopify', 'fulfillments') }}

),

parents as (

    {{ union_accounts('shopify', 'orders') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.order_id = parents.id
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
        order_id as order_shopify_id,
        location_id as location_shopify_id,

        ---- text
        {{ clean_text('name') }} as fulfilment_number,
        lower({{ clean_text('status') }}) as fulfilment_status,
        lower({{ clean_text('display_status') }}) as display_status,

        ---- details
        tracking,

        ---- timestamps
        created_at as fulfilled_at,
        delivered_at,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
