with

source as (

    {{ union_accounts('hubspot', 'companies') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,
        {{ clean_text('hubspot_owner_id') }} as owner_hubspot_id,
        {{ clean_code('unleashed_customer_code') }} as unleashed_customer_code,
        {{ clean_list("replace(hs_merged_object_ids, ',', ';')") }} as merged_hubspot_ids,
        {{ clean_abn('tax_id') }} as abn,

        ---- text
        lower({{ clean_text('source_business') }}) as source_business,
        {{ clean_text('name') }} as company_name,
        lower({{ clean_text('domain') }}) as domain,
        {{ clean_phone('phone') }} as phone,
        {{ clean_text('address') }} as address,
        {{ clean_text('city') }} as city,
        {{ clean_text('state') }} as state,
        {{ clean_text('zip') }} as postcode,
        {{ clean_text('country') }} as country,
        lower({{ clean_text('company_type') }}) as company_type,
        lower({{ clean_text('account_status') }}) as account_status,
        {{ clean_text('wholesale_discount_tier') }} as wholesale_discount_tier,
        {{ clean_text('payment_terms') }} as payment_terms,

        ---- numerics
        minimum_order_value,

        ---- booleans
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
