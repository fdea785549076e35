with

source as (

    {{ union_accounts('hubspot', 'contacts') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,
        {{ clean_text('hubspot_owner_id') }} as owner_hubspot_id,
        {{ clean_text('shopify_customer_id') }} as shopify_customer_id,
        {{ clean_code('unleashed_customer_code') }} as unleashed_customer_code,
        {{ clean_list("replace(hs_merged_object_ids, ',', ';')") }} as merged_hubspot_ids,

        ---- text
        lower({{ clean_text('source_business') }}) as source_business,
        {{ clean_email('email') }} as email,
        {{ clean_list('hs_additional_emails', clean_email) }} as additional_emails,
        {{ clean_text('firstname') }} as first_name,
        {{ clean_text('lastname') }} as last_name,
        {{ clean_phone('phone') }} as phone,
        {{ clean_text('address') }} as address,
        {{ clean_text('city') }} as city,
        {{ clean_text('state') }} as state,
        {{ clean_text('zip') }} as postcode,
        {{ clean_text('country') }} as country,
        lower({{ clean_text('lifecyclestage') }}) as lifecycle_stage,
        lower({{ clean_text('contact_type') }}) as contact_type,

        ---- numerics
        shopify_total_spent,
        shopify_order_count,
        engagement_score,

        ---- booleans
        coalesce(wholesale_account, false) as is_wholesale,
        coalesce(archived, false) as is_archived,

        ---- timestamps
        created_at,
        updated_at,
        _deleted_at as deleted_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source

)

select * from renamed
