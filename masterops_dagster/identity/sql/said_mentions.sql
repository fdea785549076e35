-- Customers of Unleashed that only documents mention: buyers, and companies.
insert into said (
    system, account, external_id, present, company_name, customer_code, source_created_at, source_modified_at
)
with

documents as (
    select account, customer_unleashed_id as external_id, customer_code, customer_name, ordered_at as dated_at
    from staging.stg_unleashed__sales_orders
    union all
    select account, customer_unleashed_id, customer_code, customer_name, invoiced_at
    from staging.stg_unleashed__invoices
)

select
    'unleashed',
    account,
    external_id,
    false,
    (array_agg(customer_name order by dated_at desc))[1],
    (array_agg(customer_code order by dated_at desc))[1],
    min(dated_at),
    max(dated_at)
from documents
where
    external_id is not null
    and not exists (
        select from said as known
        where known.account = documents.account and known.external_id = documents.external_id
    )
group by account, external_id;
