with

source as (

    {{ union_accounts('hubspot', 'deals') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,
        {{ clean_text('hubspot_owner_id') }} as owner_hubspot_id,
        {{ clean_text('pipeline') }} as pipeline_hubspot_id,
        {{ clean_text('dealstage') }} as stage_hubspot_id,
        {{ clean_text('unleashed_order_number') }} as unleashed_order_number,

        ---- text
        lower({{ clean_text('source_business') }}) as source_business,
        {{ clean_text('dealname') }} as deal_name,
        lower({{ clean_text('deal_source') }}) as deal_source,
        lower({{ clean_text('fulfillment_status') }}) as fulfilment_status,
        lower({{ clean_text('payment_status') }}) as payment_status,
        coalesce({{ clean_code('deal_currency_code') }}, 'AUD') as currency,

        ---- numerics
        {{ money('amount') }} as amount,
        {{ money('order_total') }} as order_total,

        ---- booleans
        coalesce(hs_is_closed, false) as is_closed,
        coalesce(hs_is_closed_won, false) as is_won,

        ---- timestamps
        closedate as closed_at,
        created_at,
        updated_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null
    and not coalesce(archived, false)

)

select * from renamed
