-- What the systems say of products now (said), and what they share with others (claims).
-- A product is its SKU within a business, also after its record is gone: lines of old orders still name it.

insert into said (
    system, account, external_id, present, business_key, sku, product_name, product_group, barcode, unit_of_measure,
    is_sellable, source_created_at, source_modified_at
)
select
    'unleashed', account, unleashed_id, true, business_key, sku, product_name, product_group, barcode, unit_of_measure,
    is_sellable and not is_obsolete, created_at, modified_at
from staging.stg_unleashed__products
union all
select
    'shopify', account, variants.shopify_id, true, variants.business_key, variants.sku, products.product_name,
    products.product_group, variants.barcode, null,
    products.product_status = 'active', variants.created_at, greatest(variants.modified_at, products.modified_at)
from staging.stg_shopify__product_variants as variants
inner join staging.stg_shopify__products as products using (account)
where variants.product_shopify_id = products.shopify_id
union all
select
    'bigcommerce', account, variants.bigcommerce_id::text, true, variants.business_key,
    coalesce(variants.sku, case when variants.bigcommerce_id = products.base_variant_bigcommerce_id then products.sku end),
    products.product_name, null, null, null,
    products.is_visible and variants.is_purchasable, products.created_at, products.modified_at
from staging.stg_bigcommerce__product_variants as variants
inner join staging.stg_bigcommerce__products as products using (account)
where variants.product_bigcommerce_id = products.bigcommerce_id
union all
select
    'woocommerce', account, woocommerce_id::text, true, business_key, sku, product_name, null, null, null,
    product_status = 'publish', created_at, modified_at
from staging.stg_woocommerce__products
union all
select
    'woocommerce', account, variations.product_woocommerce_id::text || ':' || variations.woocommerce_id::text, true,
    variations.business_key, variations.sku, products.product_name, null, null, null,
    variations.variation_status = 'publish' and products.product_status = 'publish',
    variations.created_at, variations.modified_at
from staging.stg_woocommerce__product_variations as variations
inner join staging.stg_woocommerce__products as products using (account)
where variations.product_woocommerce_id = products.woocommerce_id;

analyze said;

-- products that only lines of orders mention
insert into said (
    system, account, external_id, present, business_key, sku, product_name, is_sellable, source_modified_at
)
with

lines as (
    select
        'unleashed' as system, lines.account, lines.product_unleashed_id as external_id, lines.business_key, lines.sku,
        lines.product_name, lines.unleashed_id as line_id, orders.ordered_at
    from staging.stg_unleashed__sales_order_lines as lines
    inner join staging.stg_unleashed__sales_orders as orders
        on lines.account = orders.account and lines.order_unleashed_id = orders.unleashed_id
    union all
    select
        'shopify', lines.account, lines.variant_shopify_id, lines.business_key, lines.sku,
        lines.product_name, lines.shopify_id, orders.ordered_at
    from staging.stg_shopify__order_lines as lines
    inner join staging.stg_shopify__orders as orders
        on lines.account = orders.account and lines.order_shopify_id = orders.shopify_id
    union all
    select
        'bigcommerce', lines.account, lines.variant_bigcommerce_id::text, lines.business_key, lines.sku,
        lines.product_name, lines.bigcommerce_id::text, orders.ordered_at
    from staging.stg_bigcommerce__order_products as lines
    inner join staging.stg_bigcommerce__orders as orders
        on lines.account = orders.account and lines.order_bigcommerce_id = orders.bigcommerce_id
    union all
    select
        'woocommerce', lines.account,
        lines.product_woocommerce_id::text || coalesce(':' || nullif(lines.variation_woocommerce_id, 0)::text, ''),
        lines.business_key, lines.sku, lines.product_name, lines.woocommerce_id::text, orders.ordered_at
    from staging.stg_woocommerce__order_lines as lines
    inner join staging.stg_woocommerce__orders as orders
        on lines.account = orders.account and lines.order_woocommerce_id = orders.woocommerce_id
)

select distinct on (account, external_id)
    system, account, external_id, false, business_key, sku, product_name, false, ordered_at
from lines
where
    external_id is not null
    and not exists (
        select from said as known
        where known.account = lines.account and known.external_id = lines.external_id
    )
order by account, external_id, ordered_at desc, line_id;

-- HubSpot's library knows no business: a product is taken where only one business sells its SKU
insert into said (
    system, account, external_id, present, business_key, sku, product_name, source_created_at, source_modified_at
)
with

businesses_by_sku as (
    select sku, min(business_key) as business_key
    from said
    where sku is not null
    group by sku
    having min(business_key) = max(business_key)
)

select
    'hubspot', account, hubspot_id, true, business_key, sku, product_name, created_at, updated_at
from staging.stg_hubspot__products
inner join businesses_by_sku using (sku);


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
