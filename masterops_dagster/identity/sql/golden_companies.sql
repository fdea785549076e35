-- The resolved record of each company; as for customers.

create temporary table golden on commit drop as
with

records as (
    select
        identities.entity_id,
        identities.gone_at is null as present,
        bool_or(identities.gone_at is null) over (partition by identities.entity_id) as any_present,
        row_number() over (
            partition by identities.entity_id
            order by
                priorities.priority,
                sources.source_modified_at desc nulls last,
                identities.identity_id
        ) as place,
        sources.*
    from core.identities as identities
    inner join priorities on identities.system = priorities.system
    inner join core.company_sources as sources on identities.identity_id = sources.identity_id
    where identities.entity = 'company'
),

counting as (
    select * from records
    where present or not any_present
),

resolved as (
    select
        entity_id,
        (array_agg(company_name order by place) filter (where company_name is not null))[1] as company_name,
        (array_agg(abn order by place) filter (where abn is not null))[1] as abn,
        (array_agg(domain order by place) filter (where domain is not null))[1] as domain,
        (array_agg(phone order by place) filter (where phone is not null))[1] as phone,
        (array_agg(company_type order by place) filter (where company_type is not null))[1] as company_type,
        (array_agg(account_status order by place) filter (where account_status is not null))[1] as account_status,
        (array_agg(wholesale_discount_tier order by place) filter (where wholesale_discount_tier is not null))[1]
            as wholesale_discount_tier,
        (array_agg(minimum_order_value order by place) filter (where minimum_order_value is not null))[1]
            as minimum_order_value,
        (array_agg(payment_terms order by place) filter (where payment_terms is not null))[1] as payment_terms,
        (array_agg(array[address, city, state, postcode, country] order by place)
            filter (where coalesce(address, city, postcode) is not null)) as addresses,
        min(source_created_at) as known_since
    from counting
    group by entity_id
)

select
    entity_id as company_id,
    company_name,
    abn,
    domain,
    phone,
    company_type,
    account_status,
    wholesale_discount_tier,
    minimum_order_value,
    payment_terms,
    addresses[1][1] as address,
    addresses[1][2] as city,
    addresses[1][3] as state,
    addresses[1][4] as postcode,
    addresses[1][5] as country,
    known_since
from resolved;
