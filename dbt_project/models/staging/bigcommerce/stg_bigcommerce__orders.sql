with

source as (

    {{ union_accounts('bigcommerce', 'orders') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as bigcommerce_id,
        nullif(customer_id, 0) as customer_bigcommerce_id,
        {{ buyer('nullif(customer_id, 0)', 'billing_email', 'id') }} as customer_external_id,
        {{ clean_text('external_id') }} as external_order_number,
        channel_id,

        ---- text
        lower({{ clean_text('status') }}) as order_status,
        lower({{ clean_text('payment_status') }}) as payment_status,
        {{ clean_text('payment_method') }} as payment_method,
        {{ clean_text('order_source') }} as order_source,
        coalesce({{ clean_code('currency_code') }}, 'AUD') as currency,
        {{ clean_email('billing_email') }} as email,
        {{ clean_text('billing_first_name') }} as first_name,
        {{ clean_text('billing_last_name') }} as last_name,
        {{ clean_text('billing_company') }} as company_name,
        {{ clean_phone('billing_phone') }} as phone,
        {{ clean_text('billing_zip') }} as billing_postcode,
        {{ clean_text('customer_message') }} as customer_message,
        {{ clean_text('staff_notes') }} as staff_notes,

        ---- numerics
        status_id,
        {{ money('coalesce(discount_amount, 0) + coalesce(coupon_discount, 0)') }} as discount_total,
        {{ money('shipping_cost_ex_tax') }} as shipping_total,
        {{ money('shipping_cost_inc_tax') }} as shipping_total_inc_tax,
        {{ money('total_tax') }} as tax_total,
        {{ money('total_inc_tax') }} as total,
        {{ money('refunded_amount') }} as refunded_total,
        items_total,
        items_shipped,

        ---- booleans
        coalesce(is_deleted, false) as is_deleted,

        ---- timestamps
        date_created as ordered_at,
        date_shipped as shipped_at,
        date_modified as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
