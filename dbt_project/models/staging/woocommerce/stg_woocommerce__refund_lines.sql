with

source as (

    {{ union_accounts('woocommerce', 'refund_lines') }}

),

parents as (

    {{ union_accounts('woocommerce', 'refunds') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.refund_id = parents.id
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.date_created_at') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as woocommerce_id,
        refund_id as refund_woocommerce_id,
        nullif(product_id, 0) as product_woocommerce_id,
        coalesce(variation_id, 0) as variation_woocommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,

        ---- numerics
        quantity,
        {{ money('total') }} as line_total,
        {{ money('total_tax') }} as line_tax,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
