with

source as (

    {{ union_accounts('shopify', 'refunds') }}

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

        ---- text
        {{ clean_text('note') }} as note,

        ---- numerics
        {{ money('total_refunded') }} as amount,

        ---- timestamps
        created_at as refunded_at,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
