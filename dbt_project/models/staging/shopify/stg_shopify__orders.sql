with

source as (

    {{ union_accounts('shopify', 'orders') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as shopify_id,
        {{ clean_text('name') }} as order_number,
        customer_id as customer_shopify_id,
        {{ buyer('customer_id', 'email', 'id') }} as customer_external_id,
        company_id as company_shopify_id,

        ---- text
        lower({{ clean_text('display_financial_status') }}) as financial_status,
        lower({{ clean_text('display_fulfillment_status') }}) as fulfilment_status,
        lower({{ clean_text('cancel_reason') }}) as cancel_reason,
        coalesce({{ clean_code('currency_code') }}, 'AUD') as currency,
        {{ clean_email('email') }} as email,
        {{ clean_phone('phone') }} as phone,
        {{ clean_text('billing_first_name') }} as first_name,
        {{ clean_text('billing_last_name') }} as last_name,
        {{ clean_text('billing_company') }} as billing_company_name,
        {{ clean_text('company_name') }} as company_name,
        {{ clean_text('billing_zip') }} as billing_postcode,
        {{ clean_text('shipping_city') }} as shipping_city,
        {{ clean_text('shipping_zip') }} as shipping_postcode,
        {{ clean_text('po_number') }} as po_number,
        {{ clean_text('source_name') }} as source_name,
        {{ clean_text('note') }} as note,

        ---- numerics
        {{ money('subtotal_price') }} as subtotal,
        {{ money('total_discounts') }} as discount_total,
        {{ money('total_shipping_price') }} as shipping_charged,
        {{ money('total_tax') }} as tax_total,
        {{ money('total_price') }} as total,
        {{ money('total_refunded') }} as refunded_total,

        ---- booleans
        coalesce(test, false) as is_test,
        coalesce(taxes_included, false) as prices_include_tax,

        ---- details
        discount_codes,
        tags,

        ---- timestamps
        created_at as ordered_at,
        processed_at,
        cancelled_at,
        closed_at,
        updated_at as modified_at,
        _deleted_at as deleted_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source

)

select * from renamed
