-- The resolved record of each product; of several records with one SKU, the newest name.

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
    inner join core.product_sources as sources on identities.identity_id = sources.identity_id
    where identities.entity = 'product'
),

counting as (
    select * from records
    where present or not any_present
)

select
    entity_id as product_id,
    (array_agg(business_key order by identity_id))[1] as business_key,
    (array_agg(sku order by place) filter (where sku is not null))[1] as sku,
    (array_agg(product_name order by place) filter (where product_name is not null))[1] as product_name,
    (array_agg(product_group order by place) filter (where product_group is not null))[1] as product_group,
    (array_agg(barcode order by place) filter (where barcode is not null))[1] as barcode,
    (array_agg(unit_of_measure order by place) filter (where unit_of_measure is not null))[1] as unit_of_measure,
    bool_or(is_sellable) as is_sellable,
    min(source_created_at) as known_since
from counting
group by entity_id;
