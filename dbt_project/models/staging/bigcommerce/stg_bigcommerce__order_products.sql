with

source as (

    {{ union_accounts('bigcommerce', 'order_products') }}

),

parents as (

    {{ union_accounts('bigcommerce', 'orders') }}

),

of_current_parents as (

    select
        source.*,
        {{ json_sum('source.applied_discounts', '{amount}') }} as discount
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
        nullif(product_id, 0) as product_bigcommerce_id,
        nullif(variant_id, 0) as variant_bigcommerce_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('name') }} as product_name,
        lower({{ clean_text('type') }}) as product_type,

        ---- numerics
        quantity,
        quantity_shipped,
        quantity_refunded,
        price_ex_tax as unit_price,
        {{ money('total_ex_tax - discount') }} as line_total,
        {{ money('total_tax') }} as line_tax,
        nullif(cost_price_ex_tax, 0) as unit_cost,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
