with

source as (

    {{ union_accounts('unleashed', 'sales_orders') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_text('order_number') }} as order_number,
        customer_guid as customer_unleashed_id,
        {{ clean_code('customer_code') }} as customer_code,
        {{ clean_code('warehouse_code') }} as warehouse_code,

        ---- text
        order_status,
        {{ clean_text('customer_name') }} as customer_name,
        customer_ref,
        comments,
        {{ clean_text('sales_person') }} as sales_person,
        coalesce({{ clean_code('currency') }}, 'AUD') as currency,

        ---- numerics
        exchange_rate,
        {{ money('sub_total') }} as sub_total,
        {{ money('tax_total') }} as tax_total,
        {{ money('total') }} as total,

        ---- timestamps
        order_date as ordered_at,
        required_date as required_at,
        completed_date as completed_at,
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
