with

source as (

    {{ union_accounts('unleashed', 'stock_adjustments') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        {{ clean_text('adjustment_number') }} as adjustment_number,
        {{ clean_code('warehouse_code') }} as warehouse_code,

        ---- text
        {{ clean_text('adjustment_reason') }} as adjustment_reason,
        status as adjustment_status,

        ---- timestamps
        adjustment_date as adjusted_at,
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
