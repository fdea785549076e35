with

source as (

    {{ union_accounts('shopify', 'abandoned_checkouts') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as shopify_id,
        {{ clean_text('name') }} as checkout_number,
        customer_id as customer_shopify_id,
        coalesce(customer_id, 'guest:' || {{ clean_email('email') }}) as customer_external_id,

        ---- text
        {{ clean_email('email') }} as email,

        ---- numerics
        {{ money('subtotal_price') }} as subtotal,
        {{ money('total_discount') }} as discount_total,
        {{ money('total_tax') }} as tax_total,
        {{ money('total_price') }} as total,

        ---- booleans
        coalesce(taxes_included, false) as prices_include_tax,

        ---- details
        line_items,

        ---- timestamps
        created_at,
        completed_at,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
