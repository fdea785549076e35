-- Who is who across systems: golden records, the identities they have in each system, what each system says of them,
-- and what a person overrode. Facts (orders, stock, refunds) are never copied here.

create schema core;
comment on schema core is 'Customers, companies and products of the group, each once; the only tables that people and HubSpot may change.';


-- ---- golden records: written by identity.resolve from the sources and the overrides, never by hand

create table core.customers (
    customer_id uuid primary key,
    email text,
    first_name text,
    last_name text,
    company_name text,
    phone text,
    abn text,
    contact_type text,
    wholesale_account boolean not null default false,
    address text,
    city text,
    state text,
    postcode text,
    country text,
    known_since timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create index customers_by_email on core.customers (email);
comment on table core.customers is 'A buyer or contact, person or company, once for the group.';
comment on column core.customers.contact_type is 'customer (retail), distributor or stockist (wholesale), or what HubSpot says.';
comment on column core.customers.known_since is 'The earliest creation date that any of its systems gives.';

create table core.companies (
    company_id uuid primary key,
    company_name text,
    abn text,
    domain text,
    phone text,
    company_type text,
    account_status text,
    wholesale_discount_tier text,
    minimum_order_value numeric(14, 2),
    payment_terms text,
    address text,
    city text,
    state text,
    postcode text,
    country text,
    known_since timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create index companies_by_abn on core.companies (abn);
comment on table core.companies is 'A company that the group deals with, once.';

create table core.products (
    product_id uuid primary key,
    business_key text not null,
    sku text,
    product_name text,
    product_group text,
    barcode text,
    unit_of_measure text,
    is_sellable boolean,
    known_since timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create index products_by_sku on core.products (business_key, sku);
comment on table core.products is 'A normalised SKU within a business; shared by businesses only where core.shared_products says so.';
comment on column core.products.business_key is 'The business; of a shared product, the one that had it first.';


-- ---- identities

create table core.identities (
    identity_id bigint generated always as identity primary key,
    entity text not null check (entity in ('customer', 'company', 'product')),
    system text not null,
    account text not null,
    external_id text not null,
    own_id uuid not null unique,
    entity_id uuid not null,
    rule text not null,
    first_seen_at timestamptz not null default clock_timestamp(),
    matched_at timestamptz not null default clock_timestamp(),
    gone_at timestamptz,
    unique (entity, system, account, external_id)
);
create index identities_by_entity_id on core.identities (entity, entity_id);
comment on table core.identities is 'Which record of which system is which of ours. Older records have a smaller identity_id.';
comment on column core.identities.external_id is 'The record''s id there. WooCommerce buyers without an account are guest:<e-mail>, or order:<id> without an e-mail; a variation is <product>:<variation>.';
comment on column core.identities.own_id is 'The id that the record has as long as it stands alone; of matched records, the oldest one''s is the entity_id of all.';
comment on column core.identities.entity_id is 'Our id: customer_id, company_id or product_id.';
comment on column core.identities.rule is 'The strongest rule that ties it to the others of its entity; alone if none does.';
comment on column core.identities.matched_at is 'Since when it has this entity_id.';
comment on column core.identities.gone_at is 'Since when its system no longer has it; it keeps its entity_id, and ties nothing.';

create table core.matches (
    entity text not null,
    rule text not null,
    value text not null,
    identity_id bigint not null references core.identities (identity_id) on delete cascade,
    primary key (entity, rule, value, identity_id)
);
create index matches_by_identity on core.matches (identity_id);
comment on table core.matches is 'What two or more records share, and are matched by: the evidence behind identities.entity_id.';

create table core.match_vetoes (
    veto_id bigint generated always as identity primary key,
    entity text not null check (entity in ('customer', 'company', 'product')),
    identity_id bigint not null references core.identities (identity_id),
    other_identity_id bigint not null references core.identities (identity_id),
    reason text not null,
    made_by text not null,
    made_at timestamptz not null default clock_timestamp(),
    withdrawn_at timestamptz,
    withdrawn_by text,
    check (identity_id < other_identity_id)
);
create unique index match_vetoes_in_force on core.match_vetoes (identity_id, other_identity_id) where withdrawn_at is null;
comment on table core.match_vetoes is 'Pairs of records that must not be one, whatever the rules say, until the veto is withdrawn.';

create table core.identity_changes (
    change_id bigint generated always as identity primary key,
    entity text not null,
    identity_id bigint not null references core.identities (identity_id) on delete cascade,
    from_entity_id uuid not null,
    to_entity_id uuid not null,
    rule text not null,
    changed_at timestamptz not null default clock_timestamp()
);
create index identity_changes_by_identity on core.identity_changes (identity_id);
comment on table core.identity_changes is 'Every time that a record moved from one of our entities to another: merges, and splits, which undo them.';

create table core.shared_products (
    business_key text not null,
    sku text not null,
    shared_sku text not null,
    primary key (business_key, sku)
);
comment on table core.shared_products is 'Products that businesses share: rows with one shared_sku are one product. SKUs in upper case.';


-- ---- what each system says

create table core.customer_sources (
    identity_id bigint primary key references core.identities (identity_id) on delete cascade,
    email text,
    first_name text,
    last_name text,
    company_name text,
    phone text,
    abn text,
    customer_code text,
    contact_type text,
    is_retail boolean not null default false,
    address text,
    city text,
    state text,
    postcode text,
    country text,
    source_created_at timestamptz,
    source_modified_at timestamptz
);
comment on table core.customer_sources is 'What each system says, or last said, of a customer, cleaned.';
comment on column core.customer_sources.is_retail is 'Whether the record belongs to a retail shop''s customer, who stays retail whatever others say.';

create table core.company_sources (
    identity_id bigint primary key references core.identities (identity_id) on delete cascade,
    company_name text,
    abn text,
    customer_code text,
    domain text,
    phone text,
    company_type text,
    account_status text,
    wholesale_discount_tier text,
    minimum_order_value numeric(14, 2),
    payment_terms text,
    address text,
    city text,
    state text,
    postcode text,
    country text,
    source_created_at timestamptz,
    source_modified_at timestamptz
);
comment on table core.company_sources is 'What each system says, or last said, of a company, cleaned.';

create table core.product_sources (
    identity_id bigint primary key references core.identities (identity_id) on delete cascade,
    business_key text not null,
    sku text,
    product_name text,
    product_group text,
    barcode text,
    unit_of_measure text,
    is_sellable boolean,
    source_created_at timestamptz,
    source_modified_at timestamptz
);
comment on table core.product_sources is 'What each system says, or last said, of a product, cleaned.';


-- ---- what a person overrode

create table core.overrides (
    override_id bigint generated always as identity primary key,
    entity text not null check (entity in ('customer', 'company', 'product')),
    entity_id uuid not null,
    field text not null,
    value text,
    reason text not null,
    made_by text not null,
    made_at timestamptz not null default clock_timestamp(),
    withdrawn_at timestamptz,
    withdrawn_by text
);
create unique index overrides_in_force on core.overrides (entity, entity_id, field) where withdrawn_at is null;
comment on table core.overrides is 'Fields that a person decided; they win over every system until withdrawn. They follow their record when entities merge.';
comment on column core.overrides.value is 'As text; null decides that the field is empty.';
