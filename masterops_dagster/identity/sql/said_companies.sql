-- What the systems say of companies now (said), and what they share with others (claims); as for customers.

create temporary table said on commit drop as
with

unleashed_customers as (
    select
        'unleashed' as system,
        account,
        unleashed_id as external_id,
        true as present,
        customer_name as company_name,
        abn,
        customer_code,
        null::text as domain,
        phone,
        lower(customer_type) as company_type,
        case when is_obsolete then 'obsolete' when is_credit_stopped then 'credit stopped' else 'active' end as account_status,
        null::text as wholesale_discount_tier,
        null::numeric(14, 2) as minimum_order_value,
        payment_terms,
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
        (array_agg(customer_name order by dated_at desc))[1] as company_name,
        null::text as abn,
        (array_agg(customer_code order by dated_at desc))[1] as customer_code,
        null::text as domain,
        null::text as phone,
        null::text as company_type,
        null::text as account_status,
        null::text as wholesale_discount_tier,
        null::numeric(14, 2) as minimum_order_value,
        null::text as payment_terms,
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

companies as (
    select *
    from staging.stg_hubspot__companies
    where not is_archived and deleted_at is null
),

hubspot_companies as (
    select
        'hubspot' as system,
        account,
        hubspot_id as external_id,
        true as present,
        company_name,
        abn,
        unleashed_customer_code as customer_code,
        domain,
        phone,
        company_type,
        account_status,
        wholesale_discount_tier,
        minimum_order_value::numeric(14, 2) as minimum_order_value,
        payment_terms,
        address,
        city,
        state,
        postcode,
        country,
        created_at as source_created_at,
        updated_at as source_modified_at
    from companies
),

hubspot_merged as (
    select distinct
        'hubspot' as system,
        account,
        merged_id as external_id,
        false as present,
        null::text as company_name,
        null::text as abn,
        null::text as customer_code,
        null::text as domain,
        null::text as phone,
        null::text as company_type,
        null::text as account_status,
        null::text as wholesale_discount_tier,
        null::numeric(14, 2) as minimum_order_value,
        null::text as payment_terms,
        null::text as address,
        null::text as city,
        null::text as state,
        null::text as postcode,
        null::text as country,
        null::timestamptz as source_created_at,
        null::timestamptz as source_modified_at
    from companies, unnest(merged_hubspot_ids) as merged_id
    where
        not exists (
            select
            from hubspot_companies as known
            where known.account = companies.account and known.external_id = merged_id
        )
)

select * from unleashed_customers
union all
select * from unleashed_mentions
union all
select * from hubspot_companies
union all
select * from hubspot_merged;


create temporary table claims on commit drop as
with

companies as (
    select *
    from staging.stg_hubspot__companies
    where not is_archived and deleted_at is null
),

unleashed_codes as (
    select account, unleashed_id, business_key || ':' || customer_code as code
    from staging.stg_unleashed__customers
    where customer_code is not null
),

codes as (
    select 'unleashed' as system, account, unleashed_id as external_id, 'customer_code' as rule, code as value
    from unleashed_codes
    union all
    select 'hubspot', account, hubspot_id, 'customer_code', source_business || ':' || unleashed_customer_code
    from companies
    where source_business || ':' || unleashed_customer_code in (select code from unleashed_codes)
),

abns as (
    select system, account, external_id, 'abn' as rule, abn as value
    from said
    where present and abn is not null
),

merges as (
    select 'hubspot' as system, account, hubspot_id as external_id, 'hubspot_merge' as rule, hubspot_id as value
    from companies
    where cardinality(merged_hubspot_ids) > 0
    union all
    select 'hubspot', account, merged_id, 'hubspot_merge', hubspot_id
    from companies, unnest(merged_hubspot_ids) as merged_id
)

select * from codes
union all
select * from abns
union all
select * from merges;
