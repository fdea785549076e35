with

source as (

    {{ union_accounts('unleashed', 'purchase_orders') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_text('order_number') }} as order_number,
        supplier_guid as supplier_unleashed_id,
        {{ clean_code('supplier_code') }} as supplier_code,
        {{ clean_code('warehouse_code') }} as warehouse_code,

        ---- text
        order_status,
        {{ clean_text('supplier_name') }} as supplier_name,

        ---- numerics
        {{ money('sub_total') }} as sub_total,
        {{ money('tax_total') }} as tax_total,
        {{ money('total') }} as total,

        ---- timestamps
        order_date as ordered_at,
        required_date as required_at,
        received_date as received_at,
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
