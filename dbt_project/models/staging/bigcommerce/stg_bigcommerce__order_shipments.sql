with

source as (

    {{ union_accounts('bigcommerce', 'order_shipments') }}

),

parents as (

    {{ union_accounts('bigcommerce', 'orders') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.order_id = parents.id
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
        order_id as order_bigcommerce_id,

        ---- text
        {{ clean_text('tracking_number') }} as tracking_number,
        {{ clean_text('shipping_provider') }} as shipping_provider,
        {{ clean_text('tracking_carrier') }} as tracking_carrier,
        {{ clean_text('shipping_method') }} as shipping_method,

        ---- details
        items,

        ---- timestamps
        date_created as shipped_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
