-- What the systems say of companies now (said), and what they share with others (claims); as for customers.

insert into said (
    system, account, external_id, present, company_name, abn, customer_code, phone, company_type, account_status,
    payment_terms, address, city, state, postcode, country, source_created_at, source_modified_at
)
select
    'unleashed',
    account,
    unleashed_id,
    true,
    customer_name,
    abn,
    customer_code,
    phone,
    lower(customer_type),
    case when is_obsolete then 'obsolete' when is_credit_stopped then 'credit stopped' else 'active' end,
    payment_terms,
    addresses -> 0 ->> 'StreetAddress',
    coalesce(addresses -> 0 ->> 'City', addresses -> 0 ->> 'Suburb'),
    addresses -> 0 ->> 'Region',
    addresses -> 0 ->> 'PostalCode',
    addresses -> 0 ->> 'Country',
    created_at,
    modified_at
from staging.stg_unleashed__customers;

insert into said (
    system, account, external_id, present, company_name, abn, customer_code, domain, phone, company_type,
    account_status, wholesale_discount_tier, minimum_order_value, payment_terms, address, city, state, postcode,
    country, source_created_at, source_modified_at
)
select
    'hubspot',
    account,
    hubspot_id,
    true,
    company_name,
    abn,
    unleashed_customer_code,
    domain,
    phone,
    company_type,
    account_status,
    wholesale_discount_tier,
    minimum_order_value,
    payment_terms,
    address,
    city,
    state,
    postcode,
    country,
    created_at,
    updated_at
from staging.stg_hubspot__companies
where not is_archived and deleted_at is null;

analyze said;

-- companies that were merged into others
insert into said (system, account, external_id, present)
select distinct 'hubspot', account, merged_id, false
from staging.stg_hubspot__companies as companies, unnest(merged_hubspot_ids) as merged_id
where
    not is_archived and deleted_at is null
    and not exists (
        select from said as known
        where known.account = companies.account and known.external_id = merged_id
    );


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
