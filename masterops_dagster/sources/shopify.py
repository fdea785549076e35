"""Shopify's streams, the same for each store: Teelixir (retail) and Elevate Wholesale (B2B).

The connector turns GraphQL connections into plain lists, read to their ends, and gives every amount in the shop's own
currency. An order carries its lines, fulfilments and refunds; all refunds' lines stand beside them, with their
refund's id, since a child stream hangs on its order.
"""

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
    Type,
    columns,
)

DATES = columns(created_at=(TIMESTAMP, "createdAt"), updated_at=(TIMESTAMP, "updatedAt"))


def money(**amounts: str) -> tuple[Column, ...]:
    """Columns of money bags, in the shop's currency: `money(total_price="totalPriceSet")`."""
    return columns(**{name: (DECIMAL, f"{path}.shopMoney.amount") for name, path in amounts.items()})


def of_order(name: str, items: str, description: str, own: tuple[Column, ...]) -> Stream:
    """A list that each order carries, replaced with it."""
    return Stream(
        name,
        resource="",
        key=("order_id", "id"),
        parent="orders",
        parent_key="order_id",
        items=items,
        columns=(Column("order_id", TEXT, ""), *own),
        description=description,
    )


STREAMS = (
    Stream(
        "orders",
        resource="orders",
        modified="updated_at",
        business_date="created_at",
        columns=columns(id=TEXT)
        + DATES
        + columns(
            name=TEXT,
            processed_at=(TIMESTAMP, "processedAt"),
            cancelled_at=(TIMESTAMP, "cancelledAt"),
            cancel_reason=(TEXT, "cancelReason"),
            closed_at=(TIMESTAMP, "closedAt"),
            test=BOOLEAN,
            display_financial_status=(TEXT, "displayFinancialStatus"),
            display_fulfillment_status=(TEXT, "displayFulfillmentStatus"),
            currency_code=(TEXT, "currencyCode"),
            taxes_included=(BOOLEAN, "taxesIncluded"),
            customer_id=(TEXT, "customer.id"),
            email=TEXT,
            phone=TEXT,
            billing_first_name=(TEXT, "billingAddress.firstName"),
            billing_last_name=(TEXT, "billingAddress.lastName"),
            billing_company=(TEXT, "billingAddress.company"),
            billing_zip=(TEXT, "billingAddress.zip"),
            shipping_city=(TEXT, "shippingAddress.city"),
            shipping_zip=(TEXT, "shippingAddress.zip"),
            company_id=(TEXT, "purchasingEntity.company.id"),
            company_name=(TEXT, "purchasingEntity.company.name"),
            po_number=(TEXT, "poNumber"),
            source_name=(TEXT, "sourceName"),
            discount_codes=(JSON, "discountCodes"),
            tags=JSON,
            note=TEXT,
        )
        + money(
            subtotal_price="subtotalPriceSet",
            total_discounts="totalDiscountsSet",
            total_shipping_price="totalShippingPriceSet",
            total_tax="totalTaxSet",
            total_price="totalPriceSet",
            total_refunded="totalRefundedSet",
        ),
        description="The store's orders of all states. `company_id` is set where a company bought (B2B).",
    ),
    of_order(
        "order_lines",
        "lineItems",
        "Lines of orders. What a line cost is `original_total` less the sum of `discount_allocations`: its own "
        "discounts and its shares of the order's; with tax where the order's prices include it.",
        columns(
            id=TEXT,
            sku=TEXT,
            title=TEXT,
            variant_title=(TEXT, "variantTitle"),
            product_id=(TEXT, "product.id"),
            variant_id=(TEXT, "variant.id"),
            quantity=DECIMAL,
            current_quantity=(DECIMAL, "currentQuantity"),
            taxable=BOOLEAN,
            is_gift_card=(BOOLEAN, "isGiftCard"),
            tax_lines=(JSON, "taxLines"),
            discount_allocations=(JSON, "discountAllocations"),
        )
        + money(original_unit_price="originalUnitPriceSet", original_total="originalTotalSet"),
    ),
    of_order(
        "fulfillments",
        "fulfillments",
        "Parcels of orders; an order may have several, and none yet.",
        columns(id=TEXT)
        + DATES
        + columns(
            name=TEXT,
            status=TEXT,
            display_status=(TEXT, "displayStatus"),
            delivered_at=(TIMESTAMP, "deliveredAt"),
            location_id=(TEXT, "location.id"),
            tracking=(JSON, "trackingInfo"),
        ),
    ),
    of_order(
        "refunds",
        "refunds",
        "Refunds of orders; what is refunded without naming lines is in `total_refunded` alone.",
        columns(id=TEXT) + DATES + columns(note=TEXT) + money(total_refunded="totalRefundedSet"),
    ),
    of_order(
        "refund_lines",
        "refundLineItems",
        "Lines of all refunds of an order; `subtotal` includes tax where the order's prices do.",
        columns(
            id=TEXT,
            refund_id=(TEXT, "refund.id"),
            line_item_id=(TEXT, "lineItem.id"),
            quantity=DECIMAL,
            restock_type=(TEXT, "restockType"),
        )
        + money(subtotal="subtotalSet", total_tax="totalTaxSet"),
    ),
    Stream(
        "customers",
        resource="customers",
        modified="updated_at",
        business_date="created_at",
        columns=columns(id=TEXT)
        + DATES
        + columns(
            legacy_resource_id=(TEXT, "legacyResourceId"),
            first_name=(TEXT, "firstName"),
            last_name=(TEXT, "lastName"),
            email=(TEXT, "defaultEmailAddress.emailAddress"),
            email_marketing_state=(TEXT, "defaultEmailAddress.marketingState"),
            phone=(TEXT, "defaultPhoneNumber.phoneNumber"),
            state=TEXT,
            tax_exempt=(BOOLEAN, "taxExempt"),
            number_of_orders=(INTEGER, "numberOfOrders"),
            amount_spent=(DECIMAL, "amountSpent.amount"),
            company=(TEXT, "defaultAddress.company"),
            address1=(TEXT, "defaultAddress.address1"),
            city=(TEXT, "defaultAddress.city"),
            province_code=(TEXT, "defaultAddress.provinceCode"),
            zip=(TEXT, "defaultAddress.zip"),
            country_code=(TEXT, "defaultAddress.countryCodeV2"),
            tags=JSON,
            note=TEXT,
        ),
        description="The store's customers; the numeric id is what HubSpot keeps as `shopify_customer_id`.",
    ),
    Stream(
        "products",
        resource="products",
        modified="updated_at",
        columns=columns(id=TEXT)
        + DATES
        + columns(
            title=TEXT,
            handle=TEXT,
            vendor=TEXT,
            product_type=(TEXT, "productType"),
            status=TEXT,
            published_at=(TIMESTAMP, "publishedAt"),
            tags=JSON,
        ),
        description="What the store sells; price and SKU are the variants'.",
    ),
    Stream(
        "product_variants",
        resource="",
        key=("product_id", "id"),
        parent="products",
        parent_key="product_id",
        items="variants",
        columns=(
            Column("product_id", TEXT, ""),
            *columns(id=TEXT),
            *DATES,
            *columns(
                title=TEXT,
                sku=TEXT,
                barcode=TEXT,
                position=INTEGER,
                price=DECIMAL,
                compare_at_price=(DECIMAL, "compareAtPrice"),
                taxable=BOOLEAN,
                inventory_policy=(TEXT, "inventoryPolicy"),
                inventory_item_id=(TEXT, "inventoryItem.id"),
            ),
        ),
        description="Variants of products; a product without options has one.",
    ),
    Stream(
        "locations",
        resource="locations",
        mode=Mode.FULL,
        modified="updated_at",
        columns=columns(id=TEXT)
        + DATES
        + columns(name=TEXT, is_active=(BOOLEAN, "isActive"), fulfills_online_orders=(BOOLEAN, "fulfillsOnlineOrders")),
        description="Where the store keeps stock.",
    ),
    Stream(
        "inventory_levels",
        resource="inventory_levels",
        mode=Mode.SNAPSHOT,
        key=("snapshot_date", "inventory_item_id", "location_id"),
        modified="updated_at",
        columns=(
            Column("snapshot_date", Type.DATE, ""),
            *columns(
                inventory_item_id=(TEXT, "item.id"),
                location_id=(TEXT, "location.id"),
                location_name=(TEXT, "location.name"),
                sku=(TEXT, "item.sku"),
                tracked=(BOOLEAN, "item.tracked"),
                unit_cost=(DECIMAL, "item.unitCost.amount"),
                available=(DECIMAL, "quantities.available"),
                on_hand=(DECIMAL, "quantities.on_hand"),
                committed=(DECIMAL, "quantities.committed"),
                incoming=(DECIMAL, "quantities.incoming"),
                updated_at=(TIMESTAMP, "updatedAt"),
            ),
        ),
        description="What the store believes to have, per item and location, kept once per day; the stock itself is "
        "in Unleashed.",
    ),
    Stream(
        "abandoned_checkouts",
        resource="abandoned_checkouts",
        modified="updated_at",
        business_date="created_at",
        columns=columns(id=TEXT)
        + DATES
        + columns(
            name=TEXT,
            completed_at=(TIMESTAMP, "completedAt"),
            customer_id=(TEXT, "customer.id"),
            email=(TEXT, "customer.defaultEmailAddress.emailAddress"),
            taxes_included=(BOOLEAN, "taxesIncluded"),
            line_items=(JSON, "lineItems"),
        )
        + money(
            subtotal_price="subtotalPriceSet",
            total_discount="totalDiscountSet",
            total_tax="totalTaxSet",
            total_price="totalPriceSet",
        ),
        description="Checkouts that were begun and not, or only later, completed.",
    ),
)
