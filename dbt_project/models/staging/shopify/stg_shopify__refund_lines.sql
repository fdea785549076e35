with

source as (

    {{ union_accounts('shopify', 'refund_lines') }}

),

parents as (

    {{ union_accounts('shopify', 'orders') }}

),

of_current_parents as (

    select
        source.*,
        parents.taxes_included
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
        refund_id as refund_shopify_id,
        line_item_id as line_shopify_id,

        ---- text
        lower({{ clean_text('restock_type') }}) as restock_type,

        ---- numerics
        quantity,
        {{ money('subtotal - case when taxes_included then coalesce(total_tax, 0) else 0 end') }} as line_total,
        {{ money('total_tax') }} as line_tax,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
