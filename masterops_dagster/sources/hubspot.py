"""HubSpot's streams: one account for the whole group. Property values arrive as strings or null."""

from __future__ import annotations

from masterops_dagster.sources.stream import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    JSON,
    TEXT,
    TIMESTAMP,
    Column,
    Mode,
    Stream,
    columns,
)

OBJECT = columns(
    id=TEXT,
    created_at=(TIMESTAMP, "createdAt"),
    updated_at=(TIMESTAMP, "updatedAt"),
    archived=BOOLEAN,
)


def crm_object(name: str, description: str, properties: tuple[Column, ...], *, dated: bool = True) -> Stream:
    """CRM objects: listed on the first load, searched by modification afterwards, by creation in a backfill.

    Only what is dated has day partitions and can be backfilled.
    """
    return Stream(
        name,
        resource=name,
        columns=OBJECT + properties,
        modified="updated_at",
        business_date="created_at" if dated else None,
        description=description,
    )


def associations(name: str, parent: str, to: str) -> Stream:
    """Pairs of object ids, asked for by the parent's ids and replaced with the parent."""
    return Stream(
        name,
        resource=f"associations/{parent}/{to}",
        columns=columns(from_id=TEXT, to_id=TEXT, association_types=JSON),
        key=("from_id", "to_id"),
        parent=parent,
        parent_key="from_id",
        description=f"Which {to} each of the {parent} is associated with.",
    )


STREAMS = (
    crm_object(
        "contacts",
        "People known to the CRM, of all four businesses.",
        columns(
            "properties.",
            email=TEXT,
            hs_additional_emails=TEXT,
            hs_merged_object_ids=TEXT,
            firstname=TEXT,
            lastname=TEXT,
            phone=TEXT,
            address=TEXT,
            city=TEXT,
            state=TEXT,
            zip=TEXT,
            country=TEXT,
            lifecyclestage=TEXT,
            hubspot_owner_id=TEXT,
            contact_type=TEXT,
            source_business=TEXT,
            wholesale_account=BOOLEAN,
            shopify_customer_id=TEXT,
            unleashed_customer_code=TEXT,
            shopify_total_spent=DECIMAL,
            shopify_order_count=INTEGER,
            engagement_score=DECIMAL,
        ),
    ),
    crm_object(
        "companies",
        "Companies known to the CRM, wholesale customers above all.",
        columns(
            "properties.",
            name=TEXT,
            domain=TEXT,
            phone=TEXT,
            address=TEXT,
            city=TEXT,
            state=TEXT,
            zip=TEXT,
            country=TEXT,
            hubspot_owner_id=TEXT,
            hs_merged_object_ids=TEXT,
            company_type=TEXT,
            account_status=TEXT,
            source_business=TEXT,
            wholesale_discount_tier=TEXT,
            minimum_order_value=DECIMAL,
            payment_terms=TEXT,
            tax_id=TEXT,
            unleashed_customer_code=TEXT,
        ),
    ),
    crm_object(
        "deals",
        "Sales opportunities and their outcome.",
        columns(
            "properties.",
            dealname=TEXT,
            amount=DECIMAL,
            deal_currency_code=TEXT,
            pipeline=TEXT,
            dealstage=TEXT,
            closedate=TIMESTAMP,
            hs_is_closed=BOOLEAN,
            hs_is_closed_won=BOOLEAN,
            hubspot_owner_id=TEXT,
            deal_source=TEXT,
            source_business=TEXT,
            order_total=DECIMAL,
            unleashed_order_number=TEXT,
            fulfillment_status=TEXT,
            payment_status=TEXT,
        ),
    ),
    crm_object(
        "products",
        "The CRM's product library.",
        columns("properties.", name=TEXT, hs_sku=TEXT, price=DECIMAL, hs_cost_of_goods_sold=DECIMAL, description=TEXT),
        dated=False,
    ),
    crm_object(
        "line_items",
        "Products on deals.",
        columns(
            "properties.", name=TEXT, hs_sku=TEXT, hs_product_id=TEXT, quantity=DECIMAL, price=DECIMAL, amount=DECIMAL
        ),
        dated=False,
    ),
    associations("contact_companies", "contacts", "companies"),
    associations("deal_contacts", "deals", "contacts"),
    associations("deal_companies", "deals", "companies"),
    associations("deal_line_items", "deals", "line_items"),
    Stream(
        "owners",
        resource="owners",
        mode=Mode.FULL,
        columns=columns(
            id=TEXT,
            email=TEXT,
            first_name=(TEXT, "firstName"),
            last_name=(TEXT, "lastName"),
            user_id=(INTEGER, "userId"),
            created_at=(TIMESTAMP, "createdAt"),
            updated_at=(TIMESTAMP, "updatedAt"),
            archived=BOOLEAN,
        ),
        description="HubSpot users to whom records are assigned.",
    ),
    Stream(
        "deal_pipelines",
        resource="pipelines/deals",
        mode=Mode.FULL,
        columns=columns(
            id=TEXT,
            label=TEXT,
            display_order=(INTEGER, "displayOrder"),
            created_at=(TIMESTAMP, "createdAt"),
            updated_at=(TIMESTAMP, "updatedAt"),
            archived=BOOLEAN,
            stages=JSON,
        ),
        description="Deal pipelines with their stages.",
    ),
    Stream(
        "properties",
        resource="properties",
        mode=Mode.FULL,
        key=("object_type", "name"),
        columns=columns(
            object_type=(TEXT, "objectType"),
            name=TEXT,
            label=TEXT,
            type=TEXT,
            field_type=(TEXT, "fieldType"),
            group_name=(TEXT, "groupName"),
            hubspot_defined=(BOOLEAN, "hubspotDefined"),
            has_unique_value=(BOOLEAN, "hasUniqueValue"),
            options=JSON,
            archived=BOOLEAN,
        ),
        description="Property definitions of contacts, companies, deals, products and line items.",
    ),
)
