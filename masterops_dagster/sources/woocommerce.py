"""WooCommerce's streams. Money arrives as strings; `*_gmt` fields are UTC without a zone."""

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

DATES = columns(
    id=INTEGER, date_created_at=(TIMESTAMP, "date_created_gmt"), date_modified_at=(TIMESTAMP, "date_modified_gmt")
)
LINE = columns(
    id=INTEGER,
    name=TEXT,
    product_id=INTEGER,
    variation_id=INTEGER,
    sku=TEXT,
    quantity=DECIMAL,
    subtotal=DECIMAL,
    total=DECIMAL,
    total_tax=DECIMAL,
    price=DECIMAL,
)
STOCK = columns(sku=TEXT, stock_quantity=DECIMAL, stock_status=TEXT, manage_stock=BOOLEAN, status=TEXT)
COST = columns(cost=(DECIMAL, "cost_of_goods_sold.total_value"))

STREAMS = (
    Stream(
        "orders",
        resource="orders",
        modified="date_modified_at",
        business_date="date_created_at",
        columns=DATES
        + columns(
            number=TEXT,
            status=TEXT,
            currency=TEXT,
            prices_include_tax=BOOLEAN,
            customer_id=INTEGER,
            billing_email=(TEXT, "billing.email"),
            billing_first_name=(TEXT, "billing.first_name"),
            billing_last_name=(TEXT, "billing.last_name"),
            billing_company=(TEXT, "billing.company"),
            billing_phone=(TEXT, "billing.phone"),
            billing_postcode=(TEXT, "billing.postcode"),
            shipping_postcode=(TEXT, "shipping.postcode"),
            payment_method=TEXT,
            customer_note=TEXT,
            discount_total=DECIMAL,
            discount_tax=DECIMAL,
            shipping_total=DECIMAL,
            shipping_tax=DECIMAL,
            cart_tax=DECIMAL,
            total=DECIMAL,
            total_tax=DECIMAL,
            date_paid_at=(TIMESTAMP, "date_paid_gmt"),
            date_completed_at=(TIMESTAMP, "date_completed_gmt"),
        ),
        description="The shop's orders of all states.",
    ),
    Stream(
        "order_lines",
        resource="",
        key=("order_id", "id"),
        parent="orders",
        parent_key="order_id",
        items="line_items",
        columns=(
            Column("order_id", INTEGER, ""),
            *LINE,
            *columns(cost=(DECIMAL, "cost_of_goods_sold.value"), meta_data=JSON),
        ),
        description="Lines of orders.",
    ),
    Stream(
        "refunds",
        resource="refunds",
        modified="date_created_at",
        business_date="date_created_at",
        columns=columns(
            id=INTEGER,
            date_created_at=(TIMESTAMP, "date_created_gmt"),
            order_id=(INTEGER, "parent_id"),
            amount=DECIMAL,
            reason=TEXT,
        ),
        description="Refunds; a refund never changes once made. Read by creation, since that is its only date.",
    ),
    Stream(
        "refund_lines",
        resource="",
        key=("refund_id", "id"),
        parent="refunds",
        parent_key="refund_id",
        items="line_items",
        columns=(Column("refund_id", INTEGER, ""), *LINE),
        description="Lines of refunds; quantities and totals are negative.",
    ),
    Stream(
        "customers",
        resource="customers",
        mode=Mode.FULL,
        modified="date_modified_at",
        columns=DATES
        + columns(
            email=TEXT,
            first_name=TEXT,
            last_name=TEXT,
            username=TEXT,
            role=TEXT,
            is_paying_customer=BOOLEAN,
            billing_company=(TEXT, "billing.company"),
            billing_phone=(TEXT, "billing.phone"),
            billing_address_1=(TEXT, "billing.address_1"),
            billing_city=(TEXT, "billing.city"),
            billing_state=(TEXT, "billing.state"),
            billing_postcode=(TEXT, "billing.postcode"),
            billing_country=(TEXT, "billing.country"),
        ),
        description="Registered customers; the API has no filter by modification for them, so they are read whole.",
    ),
    Stream(
        "products",
        resource="products",
        modified="date_modified_at",
        columns=DATES
        + columns(name=TEXT, slug=TEXT, type=TEXT)
        + STOCK
        + COST
        + columns(
            price=DECIMAL, regular_price=DECIMAL, tax_status=TEXT, tax_class=TEXT, categories=JSON, variations=JSON
        ),
        description="What the shop sells.",
    ),
    Stream(
        "product_variations",
        resource="products/variations",
        asked_if="variations",
        key=("product_id", "id"),
        parent="products",
        parent_key="product_id",
        columns=(
            Column("product_id", INTEGER, ""),
            *DATES,
            *STOCK,
            *COST,
            *columns(price=DECIMAL, regular_price=DECIMAL, attributes=JSON),
        ),
        description="Variations of variable products, asked for product by product.",
    ),
    Stream(
        "stock_levels",
        resource="stock_levels",
        mode=Mode.SNAPSHOT,
        key=("snapshot_date", "product_id", "variation_id"),
        modified="date_modified_at",
        columns=(
            Column("snapshot_date", Type.DATE, ""),
            *columns(product_id=INTEGER, variation_id=INTEGER, name=TEXT),
            *STOCK,
            *COST,
            *columns(date_modified_at=(TIMESTAMP, "date_modified_gmt")),
        ),
        description="Stock and cost per product and variation (0 where there is none), kept once per day.",
    ),
)
