with

source as (

    {{ union_accounts('unleashed', 'purchase_order_lines') }}

),

parents as (

    {{ union_accounts('unleashed', 'purchase_orders') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.parent_guid = parents.guid
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.last_modified_on') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,
        parent_guid as purchase_order_unleashed_id,
        product_guid as product_unleashed_id,
        {{ clean_code('product_code') }} as sku,

        ---- text
        {{ clean_text('product_description') }} as product_name,

        ---- numerics
        line_number,
        order_quantity as quantity,
        unit_price,
        {{ money('line_total') }} as line_total,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
