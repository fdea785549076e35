-- What the systems say of customers now (said), and what they share with others (claims).
-- Not present: records that are only mentioned, by an order or as merged away; they are known, and tie nothing by themselves.

alter table said alter is_retail set default false;

insert into said (
    system, account, external_id, present, email, first_name, last_name, company_name, phone, abn, customer_code,
    contact_type, is_retail, address, city, state, postcode, country, source_created_at, source_modified_at
)
select
    'unleashed',
    account,
    unleashed_id,
    true,
    email,
    first_name,
    last_name,
    customer_name,
    phone,
    abn,
    customer_code,
    case
        when lower(customer_type) in ('shopify', 'retail', 'online') then 'customer'
        when lower(customer_type) = 'distributor' then 'distributor'
        else 'stockist'
    end,
    -- bought in the Shopify store that pushes its orders into Unleashed
    coalesce(lower(customer_type) in ('shopify', 'retail', 'online'), false),
    addresses -> 0 ->> 'StreetAddress',
    coalesce(addresses -> 0 ->> 'City', addresses -> 0 ->> 'Suburb'),
    addresses -> 0 ->> 'Region',
    addresses -> 0 ->> 'PostalCode',
    addresses -> 0 ->> 'Country',
    created_at,
    modified_at
from staging.stg_unleashed__customers;

-- who buys for a company in a Shopify store is no retail customer
insert into said (
    system, account, external_id, present, email, first_name, last_name, company_name, phone, contact_type, is_retail,
    address, city, state, postcode, country, source_created_at, source_modified_at
)
with

company_buyers as (
    select distinct account, customer_external_id as external_id
    from staging.stg_shopify__orders
    where company_shopify_id is not null and deleted_at is null
),

shop_customers as (
    select
        'shopify' as system, account, shopify_id as external_id, email, first_name, last_name, company_name, phone,
        address, city, state, postcode, country, created_at, modified_at
    from staging.stg_shopify__customers
    union all
    select
        'bigcommerce', account, bigcommerce_id::text, email, first_name, last_name, company_name, phone,
        address, city, state, postcode, country, created_at, modified_at
    from staging.stg_bigcommerce__customers
    union all
    select
        'woocommerce', account, woocommerce_id::text, email, first_name, last_name, company_name, phone,
        address, city, state, postcode, country, created_at, modified_at
    from staging.stg_woocommerce__customers
)

select
    system,
    account,
    external_id,
    true,
    email,
    first_name,
    last_name,
    company_name,
    phone,
    case when company_buyers.external_id is null then 'customer' else 'stockist' end,
    company_buyers.external_id is null,
    address,
    city,
    state,
    postcode,
    country,
    created_at,
    modified_at
from shop_customers
left join company_buyers using (account, external_id);

insert into said (
    system, account, external_id, present, email, first_name, last_name, phone, customer_code, contact_type, is_retail,
    address, city, state, postcode, country, source_created_at, source_modified_at
)
select
    'hubspot',
    account,
    hubspot_id,
    true,
    email,
    first_name,
    last_name,
    phone,
    unleashed_customer_code,
    contact_type,
    shopify_customer_id is not null,
    address,
    city,
    state,
    postcode,
    country,
    created_at,
    updated_at
from staging.stg_hubspot__contacts
where not is_archived and deleted_at is null;

analyze said;

-- guests of the shops, and customers whose accounts are gone
insert into said (
    system, account, external_id, present, email, first_name, last_name, company_name, phone, contact_type, is_retail,
    postcode, source_created_at, source_modified_at
)
with

orders as (
    select
        'shopify' as system, account, customer_external_id as external_id, customer_shopify_id is null as is_guest,
        company_shopify_id is null as is_retail, email, first_name, last_name, billing_company_name as company_name,
        phone, billing_postcode, ordered_at, order_number
    from staging.stg_shopify__orders
    where deleted_at is null
    union all
    select
        'bigcommerce', account, customer_external_id, customer_bigcommerce_id is null,
        true, email, first_name, last_name, company_name,
        phone, billing_postcode, ordered_at, bigcommerce_id::text
    from staging.stg_bigcommerce__orders
    union all
    select
        'woocommerce', account, customer_external_id, customer_woocommerce_id is null,
        true, email, first_name, last_name, company_name,
        phone, billing_postcode, ordered_at, woocommerce_id::text
    from staging.stg_woocommerce__orders
),

latest_orders as (
    select distinct on (account, external_id)
        *,
        min(ordered_at) over (partition by account, external_id) as first_ordered_at
    from orders
    where
        external_id is not null
        and not exists (
            select from said as known
            where known.account = orders.account and known.external_id = orders.external_id
        )
    order by account, external_id, ordered_at desc, order_number desc
)

select
    system,
    account,
    external_id,
    is_guest,
    email,
    first_name,
    last_name,
    company_name,
    phone,
    case when is_retail then 'customer' else 'stockist' end,
    is_retail,
    billing_postcode,
    first_ordered_at,
    ordered_at
from latest_orders;

-- contacts that were merged into others
insert into said (system, account, external_id, present)
select distinct 'hubspot', account, merged_id, false
from staging.stg_hubspot__contacts as contacts, unnest(merged_hubspot_ids) as merged_id
where
    not is_archived and deleted_at is null
    and not exists (
        select from said as known
        where known.account = contacts.account and known.external_id = merged_id
    );


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

-- the numbers of Shopify's customers are Shopify's own: no two stores give one twice
shopify_numbers as (
    select 'shopify' as system, account, shopify_id as external_id, 'shopify_customer' as rule, legacy_id as value
    from staging.stg_shopify__customers
    where legacy_id is not null
    union all
    select 'hubspot', account, hubspot_id, 'shopify_customer', shopify_customer_id
    from contacts
    where shopify_customer_id in (select legacy_id from staging.stg_shopify__customers)
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
select * from shopify_numbers
union all
select * from abns
union all
select * from merges;
