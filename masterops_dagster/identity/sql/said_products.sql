-- What the systems say of products now (said), and what they share with others (claims).
-- A product is its SKU within a business, also after its record is gone: lines of old orders still name it.

create temporary table said on commit drop as
with

unleashed_products as (
    select
        'unleashed' as system,
        account,
        unleashed_id as external_id,
        true as present,
        business_key,
        sku,
        product_name,
        product_group,
        barcode,
        unit_of_measure,
        is_sellable and not is_obsolete as is_sellable,
        created_at as source_created_at,
        modified_at as source_modified_at
    from staging.stg_unleashed__products
),

unleashed_mentions as (
    select distinct on (lines.account, lines.product_unleashed_id)
        'unleashed' as system,
        lines.account,
        lines.product_unleashed_id as external_id,
        false as present,
        lines.business_key,
        lines.sku,
        lines.product_name,
        null::text as product_group,
        null::text as barcode,
        null::text as unit_of_measure,
        false as is_sellable,
        null::timestamptz as source_created_at,
        orders.ordered_at as source_modified_at
    from staging.stg_unleashed__sales_order_lines as lines
    inner join staging.stg_unleashed__sales_orders as orders
        on lines.account = orders.account
        and lines.order_unleashed_id = orders.unleashed_id
    where
        lines.product_unleashed_id is not null
        and not exists (
            select
            from unleashed_products as known
            where known.account = lines.account and known.external_id = lines.product_unleashed_id
        )
    order by lines.account, lines.product_unleashed_id, orders.ordered_at desc, lines.unleashed_id
),

woocommerce_products as (
    select
        'woocommerce' as system,
        account,
        woocommerce_id::text as external_id,
        true as present,
        business_key,
        sku,
        product_name,
        null::text as product_group,
        null::text as barcode,
        null::text as unit_of_measure,
        product_status = 'publish' as is_sellable,
        created_at as source_created_at,
        modified_at as source_modified_at
    from staging.stg_woocommerce__products
    union all
    select
        'woocommerce',
        variations.account,
        variations.product_woocommerce_id::text || ':' || variations.woocommerce_id::text,
        true,
        variations.business_key,
        variations.sku,
        products.product_name,
        null,
        null,
        null,
        variations.variation_status = 'publish' and products.product_status = 'publish',
        variations.created_at,
        variations.modified_at
    from staging.stg_woocommerce__product_variations as variations
    inner join staging.stg_woocommerce__products as products
        on variations.account = products.account
        and variations.product_woocommerce_id = products.woocommerce_id
),

woocommerce_lines as (
    select
        lines.account,
        case
            when lines.variation_woocommerce_id > 0
                then lines.product_woocommerce_id::text || ':' || lines.variation_woocommerce_id::text
            else lines.product_woocommerce_id::text
        end as external_id,
        lines.business_key,
        lines.sku,
        lines.product_name,
        lines.woocommerce_id,
        orders.ordered_at
    from staging.stg_woocommerce__order_lines as lines
    inner join staging.stg_woocommerce__orders as orders
        on lines.account = orders.account
        and lines.order_woocommerce_id = orders.woocommerce_id
    where lines.product_woocommerce_id is not null
),

woocommerce_mentions as (
    select distinct on (account, external_id)
        'woocommerce' as system,
        account,
        external_id,
        false as present,
        business_key,
        sku,
        product_name,
        null::text as product_group,
        null::text as barcode,
        null::text as unit_of_measure,
        false as is_sellable,
        null::timestamptz as source_created_at,
        ordered_at as source_modified_at
    from woocommerce_lines
    where
        not exists (
            select
            from woocommerce_products as known
            where known.account = woocommerce_lines.account and known.external_id = woocommerce_lines.external_id
        )
    order by account, external_id, ordered_at desc, woocommerce_id
),

sellers as (
    select * from unleashed_products
    union all
    select * from unleashed_mentions
    union all
    select * from woocommerce_products
    union all
    select * from woocommerce_mentions
),

businesses_by_sku as (
    select sku, min(business_key) as business_key
    from sellers
    where sku is not null
    group by sku
    having min(business_key) = max(business_key)
),

-- HubSpot's library knows no business: a product is taken where only one business sells its SKU
hubspot_products as (
    select
        'hubspot' as system,
        products.account,
        products.hubspot_id as external_id,
        true as present,
        businesses_by_sku.business_key,
        products.sku,
        products.product_name,
        null::text as product_group,
        null::text as barcode,
        null::text as unit_of_measure,
        null::boolean as is_sellable,
        products.created_at as source_created_at,
        products.updated_at as source_modified_at
    from staging.stg_hubspot__products as products
    inner join businesses_by_sku on products.sku = businesses_by_sku.sku
)

select * from sellers
union all
select * from hubspot_products;


create temporary table claims on commit drop as
with

-- a record that is gone keeps the SKU that it had
known as (
    select system, account, external_id, business_key, sku
    from said
    union all
    select identities.system, identities.account, identities.external_id, sources.business_key, sources.sku
    from core.identities as identities
    inner join core.product_sources as sources on identities.identity_id = sources.identity_id
    where
        identities.entity = 'product'
        and not exists (
            select
            from said
            where
                said.system = identities.system
                and said.account = identities.account
                and said.external_id = identities.external_id
        )
),

skus as (
    select system, account, external_id, 'sku' as rule, business_key || ':' || sku as value
    from known
    where sku is not null
),

shared as (
    select known.system, known.account, known.external_id, 'mapping' as rule, shared_products.shared_sku as value
    from known
    inner join core.shared_products
        on known.business_key = shared_products.business_key
        and known.sku = shared_products.sku
)

select * from skus
union all
select * from shared;
