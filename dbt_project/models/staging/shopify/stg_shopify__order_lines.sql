with

source as (

    {{ union_accounts('shopify', 'order_lines') }}

),

parents as (

    {{ union_accounts('shopify', 'orders') }}

),

of_current_parents as (

    select
        source.*,
        parents.taxes_included,
        {{ json_sum('source.discount_allocations', '{allocatedAmountSet,shopMoney,amount}') }} as discount,
        {{ json_sum('source.tax_lines', '{priceSet,shopMoney,amount}') }} as tax
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
        product_id as product_shopify_id,
        variant_id as variant_shopify_id,
        {{ clean_code('sku') }} as sku,

        ---- text
        {{ clean_text('title') }} as product_name,
        {{ clean_text('variant_title') }} as variant_name,

        ---- numerics
        quantity,
        current_quantity,
        original_unit_price as unit_price,
        {{ money('original_total - discount - case when taxes_included then tax else 0 end') }} as line_total,
        {{ money('tax') }} as line_tax,

        ---- booleans
        coalesce(taxable, true) as is_taxable,
        coalesce(is_gift_card, false) as is_gift_card,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
