-- What the systems say of customers now (said), and what they share with others (claims).
-- Not present: records that are only mentioned, by an order or as merged away; they are known, and tie nothing by themselves.

create temporary table said on commit drop as
with

unleashed_customers as (
    select
        'unleashed' as system,
        account,
        unleashed_id as external_id,
        true as present,
        email,
        first_name,
        last_name,
        customer_name as company_name,
        phone,
        abn,
        customer_code,
        case
            when lower(customer_type) in ('shopify', 'retail', 'online') then 'customer'
            when lower(customer_type) = 'distributor' then 'distributor'
            else 'stockist'
        end as contact_type,
        -- bought in the Shopify store that pushes its orders into Unleashed
        coalesce(lower(customer_type) in ('shopify', 'retail', 'online'), false) as is_retail,
        addresses -> 0 ->> 'StreetAddress' as address,
        coalesce(addresses -> 0 ->> 'City', addresses -> 0 ->> 'Suburb') as city,
        addresses -> 0 ->> 'Region' as state,
        addresses -> 0 ->> 'PostalCode' as postcode,
        addresses -> 0 ->> 'Country' as country,
        created_at as source_created_at,
        modified_at as source_modified_at
    from staging.stg_unleashed__customers
),

unleashed_documents as (
    select account, customer_unleashed_id, customer_code, customer_name, ordered_at as dated_at
    from staging.stg_unleashed__sales_orders
    union all
    select account, customer_unleashed_id, customer_code, customer_name, invoiced_at
    from staging.stg_unleashed__invoices
),

unleashed_mentions as (
    select
        'unleashed' as system,
        account,
        customer_unleashed_id as external_id,
        false as present,
        null::text as email,
        null::text as first_name,
        null::text as last_name,
        (array_agg(customer_name order by dated_at desc))[1] as company_name,
        null::text as phone,
        null::text as abn,
        (array_agg(customer_code order by dated_at desc))[1] as customer_code,
        null::text as contact_type,
        false as is_retail,
        null::text as address,
        null::text as city,
        null::text as state,
        null::text as postcode,
        null::text as country,
        min(dated_at) as source_created_at,
        max(dated_at) as source_modified_at
    from unleashed_documents
    where
        customer_unleashed_id is not null
        and not exists (
            select
            from unleashed_customers as known
            where known.account = unleashed_documents.account and known.external_id = unleashed_documents.customer_unleashed_id
        )
    group by account, customer_unleashed_id
),

woocommerce_customers as (
    select
        'woocommerce' as system,
        account,
        woocommerce_id::text as external_id,
        true as present,
        email,
        first_name,
        last_name,
        company_name,
        phone,
        null::text as abn,
        null::text as customer_code,
        'customer' as contact_type,
        true as is_retail,
        address,
        city,
        state,
        postcode,
        country,
        created_at as source_created_at,
        modified_at as source_modified_at
    from staging.stg_woocommerce__customers
),

latest_orders as (
    select distinct on (account, customer_external_id)
        *,
        min(ordered_at) over (partition by account, customer_external_id) as first_ordered_at
    from staging.stg_woocommerce__orders
    order by account, customer_external_id, ordered_at desc, woocommerce_id desc
),

-- guests, and customers whose accounts are gone
woocommerce_buyers as (
    select
        'woocommerce' as system,
        account,
        customer_external_id as external_id,
        customer_woocommerce_id is null as present,
        email,
        first_name,
        last_name,
        company_name,
        phone,
        null::text as abn,
        null::text as customer_code,
        'customer' as contact_type,
        true as is_retail,
        null::text as address,
        null::text as city,
        null::text as state,
        billing_postcode as postcode,
        null::text as country,
        first_ordered_at as source_created_at,
        ordered_at as source_modified_at
    from latest_orders
    where
        customer_external_id is not null
        and not exists (
            select
            from woocommerce_customers as known
            where known.account = latest_orders.account and known.external_id = latest_orders.customer_external_id
        )
),

contacts as (
    select *
    from staging.stg_hubspot__contacts
    where not is_archived and deleted_at is null
),

hubspot_contacts as (
    select
        'hubspot' as system,
        account,
        hubspot_id as external_id,
        true as present,
        email,
        first_name,
        last_name,
        null::text as company_name,
        phone,
        null::text as abn,
        unleashed_customer_code as customer_code,
        contact_type,
        shopify_customer_id is not null as is_retail,
        address,
        city,
        state,
        postcode,
        country,
        created_at as source_created_at,
        updated_at as source_modified_at
    from contacts
),

hubspot_merged as (
    select distinct
        'hubspot' as system,
        account,
        merged_id as external_id,
        false as present,
        null::text as email,
        null::text as first_name,
        null::text as last_name,
        null::text as company_name,
        null::text as phone,
        null::text as abn,
        null::text as customer_code,
        null::text as contact_type,
        false as is_retail,
        null::text as address,
        null::text as city,
        null::text as state,
        null::text as postcode,
        null::text as country,
        null::timestamptz as source_created_at,
        null::timestamptz as source_modified_at
    from contacts, unnest(merged_hubspot_ids) as merged_id
    where
        not exists (
            select
            from hubspot_contacts as known
            where known.account = contacts.account and known.external_id = merged_id
        )
)

select * from unleashed_customers
union all
select * from unleashed_mentions
union all
select * from woocommerce_customers
union all
select * from woocommerce_buyers
union all
select * from hubspot_contacts
union all
select * from hubspot_merged;


create temporary table claims on commit drop as
with

contacts as (
    select *
    from staging.stg_hubspot__contacts
    where not is_archived and deleted_at is null
),

emails as (
    select system, account, external_id, 'email' as rule, email as value
    from said
    where present and email is not null
    union
    select 'hubspot', account, hubspot_id, 'email', additional_email
    from contacts, unnest(additional_emails) as additional_email
),

unleashed_codes as (
    select account, unleashed_id, business_key || ':' || customer_code as code
    from staging.stg_unleashed__customers
    where customer_code is not null
),

-- contacts with one code are not one customer by that: only where Unleashed has the customer
codes as (
    select 'unleashed' as system, account, unleashed_id as external_id, 'customer_code' as rule, code as value
    from unleashed_codes
    union all
    select 'hubspot', account, hubspot_id, 'customer_code', source_business || ':' || unleashed_customer_code
    from contacts
    where source_business || ':' || unleashed_customer_code in (select code from unleashed_codes)
),

abns as (
    select 'unleashed' as system, account, unleashed_id as external_id, 'abn' as rule, abn as value
    from staging.stg_unleashed__customers
    where abn is not null
),

merges as (
    select 'hubspot' as system, account, hubspot_id as external_id, 'hubspot_merge' as rule, hubspot_id as value
    from contacts
    where cardinality(merged_hubspot_ids) > 0
    union all
    select 'hubspot', account, merged_id, 'hubspot_merge', hubspot_id
    from contacts, unnest(merged_hubspot_ids) as merged_id
)

select * from emails
union all
select * from codes
union all
select * from abns
union all
select * from merges;
