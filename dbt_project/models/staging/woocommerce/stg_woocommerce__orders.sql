with

source as (

    {{ union_accounts('woocommerce', 'orders') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as woocommerce_id,
        {{ clean_text('number') }} as order_number,
        nullif(customer_id, 0) as customer_woocommerce_id,
        {{ buyer('nullif(customer_id, 0)', 'billing_email', 'id') }} as customer_external_id,

        ---- text
        lower({{ clean_text('status') }}) as order_status,
        coalesce({{ clean_code('currency') }}, 'AUD') as currency,
        {{ clean_email('billing_email') }} as email,
        {{ clean_text('billing_first_name') }} as first_name,
        {{ clean_text('billing_last_name') }} as last_name,
        {{ clean_text('billing_company') }} as company_name,
        {{ clean_phone('billing_phone') }} as phone,
        {{ clean_text('billing_postcode') }} as billing_postcode,
        {{ clean_text('shipping_postcode') }} as shipping_postcode,
        {{ clean_text('payment_method') }} as payment_method,
        {{ clean_text('customer_note') }} as customer_note,

        ---- numerics
        {{ money('discount_total') }} as discount_total,
        {{ money('discount_tax') }} as discount_tax,
        {{ money('shipping_total') }} as shipping_total,
        {{ money('shipping_tax') }} as shipping_tax,
        {{ money('cart_tax') }} as cart_tax,
        {{ money('total_tax') }} as tax_total,
        {{ money('total') }} as total,

        ---- booleans
        coalesce(prices_include_tax, false) as prices_include_tax,

        ---- timestamps
        date_created_at as ordered_at,
        date_paid_at as paid_at,
        date_completed_at as completed_at,
        date_modified_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
