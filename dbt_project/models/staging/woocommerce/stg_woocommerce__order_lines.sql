with

source as (

    {{ union_accounts('woocommerce', 'order_lines') }}

),

parents as (

    {{ union_accounts('woocommerce', 'orders') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.order_id = parents.id
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
        order_id as order_woocommerce_id,
        nullif(product_id, 0) as product_woocommerce_id,
        coalesce(variation_id, 0) as variation_woocommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,

        ---- numerics
        quantity,
        {{ money('subtotal') }} as subtotal,
        {{ money('total') }} as line_total,
        {{ money('total_tax') }} as line_tax,
        price as unit_price,
        cost as line_cost,

        ---- details
        meta_data,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
