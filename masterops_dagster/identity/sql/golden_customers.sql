-- The resolved record of each customer: per field the system that counts most, then the newest. A name and an address
-- are taken whole, from one record. Records that are gone count only where nothing else is left.

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
    inner join core.customer_sources as sources on identities.identity_id = sources.identity_id
    where identities.entity = 'customer'
),

counting as (
    select * from records
    where present or not any_present
),

resolved as (
    select
        entity_id,
        (array_agg(email order by place) filter (where email is not null))[1] as email,
        (array_agg(array[first_name, last_name] order by place)
            filter (where first_name is not null or last_name is not null)) as names,
        (array_agg(company_name order by place) filter (where company_name is not null))[1] as company_name,
        (array_agg(phone order by place) filter (where phone is not null))[1] as phone,
        (array_agg(abn order by place) filter (where abn is not null))[1] as abn,
        bool_or(is_retail) as is_retail,
        (array_agg(contact_type order by place) filter (where contact_type is not null))[1] as contact_type,
        (array_agg(array[address, city, state, postcode, country] order by place)
            filter (where coalesce(address, city, postcode) is not null)) as addresses,
        min(source_created_at) as known_since
    from counting
    group by entity_id
)

select
    entity_id as customer_id,
    email,
    names[1][1] as first_name,
    names[1][2] as last_name,
    company_name,
    phone,
    abn,
    case when is_retail then 'customer' else contact_type end as contact_type,
    not is_retail and coalesce(contact_type in ('distributor', 'stockist'), false) as wholesale_account,
    addresses[1][1] as address,
    addresses[1][2] as city,
    addresses[1][3] as state,
    addresses[1][4] as postcode,
    addresses[1][5] as country,
    known_since
from resolved;
