"""Makes the rows that tests need, with everything that they don't care about filled in."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import count

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg.types.json import Json

LONG_AGO = datetime(2025, 7, 1, tzinfo=UTC)

STAGING = {
    "stg_unleashed__customers": """
        account text, business_key text, unleashed_id text, customer_code text, abn text, customer_name text,
        customer_type text, first_name text, last_name text, email text, phone text, payment_terms text,
        is_credit_stopped boolean, is_obsolete boolean, addresses json, created_at timestamptz, modified_at timestamptz
    """,
    "stg_unleashed__sales_orders": """
        account text, business_key text, unleashed_id text, customer_unleashed_id text, customer_code text,
        customer_name text, ordered_at timestamptz
    """,
    "stg_unleashed__invoices": """
        account text, business_key text, customer_unleashed_id text, customer_code text, customer_name text,
        invoiced_at timestamptz
    """,
    "stg_unleashed__products": """
        account text, business_key text, unleashed_id text, sku text, product_name text, product_group text,
        barcode text, unit_of_measure text, is_sellable boolean, is_obsolete boolean, created_at timestamptz,
        modified_at timestamptz
    """,
    "stg_unleashed__sales_order_lines": """
        account text, business_key text, unleashed_id text, order_unleashed_id text, product_unleashed_id text,
        sku text, product_name text
    """,
    "stg_woocommerce__customers": """
        account text, business_key text, woocommerce_id bigint, email text, first_name text, last_name text,
        company_name text, phone text, address text, city text, state text, postcode text, country text,
        created_at timestamptz, modified_at timestamptz
    """,
    "stg_woocommerce__orders": """
        account text, business_key text, woocommerce_id bigint, customer_woocommerce_id bigint,
        customer_external_id text, email text, first_name text, last_name text, company_name text, phone text,
        billing_postcode text, ordered_at timestamptz
    """,
    "stg_woocommerce__products": """
        account text, business_key text, woocommerce_id bigint, sku text, product_name text, product_status text,
        created_at timestamptz, modified_at timestamptz
    """,
    "stg_woocommerce__product_variations": """
        account text, business_key text, woocommerce_id bigint, product_woocommerce_id bigint, sku text,
        variation_status text, created_at timestamptz, modified_at timestamptz
    """,
    "stg_woocommerce__order_lines": """
        account text, business_key text, woocommerce_id bigint, order_woocommerce_id bigint,
        product_woocommerce_id bigint, variation_woocommerce_id bigint, sku text, product_name text
    """,
    "stg_shopify__customers": """
        account text, business_key text, shopify_id text, legacy_id text, email text, first_name text, last_name text,
        company_name text, phone text, address text, city text, state text, postcode text, country text,
        created_at timestamptz, modified_at timestamptz
    """,
    "stg_shopify__orders": """
        account text, business_key text, shopify_id text, order_number text, customer_shopify_id text,
        customer_external_id text, company_shopify_id text, email text, first_name text, last_name text,
        billing_company_name text, phone text, billing_postcode text, ordered_at timestamptz, deleted_at timestamptz
    """,
    "stg_shopify__products": """
        account text, business_key text, shopify_id text, product_name text, product_group text, product_status text,
        created_at timestamptz, modified_at timestamptz
    """,
    "stg_shopify__product_variants": """
        account text, business_key text, shopify_id text, product_shopify_id text, sku text, barcode text,
        created_at timestamptz, modified_at timestamptz
    """,
    "stg_shopify__order_lines": """
        account text, business_key text, shopify_id text, order_shopify_id text, variant_shopify_id text, sku text,
        product_name text
    """,
    "stg_bigcommerce__customers": """
        account text, business_key text, bigcommerce_id bigint, email text, first_name text, last_name text,
        company_name text, phone text, address text, city text, state text, postcode text, country text,
        created_at timestamptz, modified_at timestamptz
    """,
    "stg_bigcommerce__orders": """
        account text, business_key text, bigcommerce_id bigint, customer_bigcommerce_id bigint,
        customer_external_id text, email text, first_name text, last_name text, company_name text, phone text,
        billing_postcode text, ordered_at timestamptz
    """,
    "stg_bigcommerce__products": """
        account text, business_key text, bigcommerce_id bigint, base_variant_bigcommerce_id bigint, sku text,
        product_name text, is_visible boolean, created_at timestamptz, modified_at timestamptz
    """,
    "stg_bigcommerce__product_variants": """
        account text, business_key text, bigcommerce_id bigint, product_bigcommerce_id bigint, sku text,
        is_purchasable boolean
    """,
    "stg_bigcommerce__order_products": """
        account text, business_key text, bigcommerce_id bigint, order_bigcommerce_id bigint,
        variant_bigcommerce_id bigint, sku text, product_name text
    """,
    "stg_hubspot__contacts": """
        account text, hubspot_id text, email text, additional_emails text[], merged_hubspot_ids text[],
        source_business text, unleashed_customer_code text, shopify_customer_id text, contact_type text,
        first_name text, last_name text, phone text, address text, city text, state text, postcode text, country text,
        is_archived boolean, deleted_at timestamptz, created_at timestamptz, updated_at timestamptz
    """,
    "stg_hubspot__companies": """
        account text, hubspot_id text, unleashed_customer_code text, merged_hubspot_ids text[], abn text,
        source_business text, company_name text, domain text, phone text, address text, city text, state text,
        postcode text, country text, company_type text, account_status text, wholesale_discount_tier text,
        payment_terms text, minimum_order_value numeric, is_archived boolean, deleted_at timestamptz,
        created_at timestamptz, updated_at timestamptz
    """,
    "stg_hubspot__products": """
        account text, hubspot_id text, sku text, product_name text, created_at timestamptz, updated_at timestamptz
    """,
}
"""The columns of dbt's staging views that identity reads."""


class Staging:
    """The staging layer as tables, and records in it. Each method returns the record's id in its system."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection
        self._numbers: dict[str, count[int]] = defaultdict(lambda: count(1))
        connection.execute("create schema staging")
        for view, columns in STAGING.items():
            connection.execute(f"create table staging.{view} ({columns})".encode())

    def unleashed_customer(self, business: str = "teelixir", **fields: object) -> str:
        id = self._id("unleashed", fields.pop("id", None), "guid-{}")
        self._insert(
            "stg_unleashed__customers",
            {
                "account": f"unleashed_{business}",
                "business_key": business,
                "unleashed_id": id,
                "customer_code": f"CODE-{id}".upper(),
                "customer_type": "Retailer",
                "is_credit_stopped": False,
                "is_obsolete": False,
                "created_at": LONG_AGO,
                "modified_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def unleashed_order(self, customer: str, business: str = "teelixir", **fields: object) -> str:
        id = self._id("order", None, "order-{}")
        self._insert(
            "stg_unleashed__sales_orders",
            {
                "account": f"unleashed_{business}",
                "business_key": business,
                "unleashed_id": id,
                "customer_unleashed_id": customer,
                "ordered_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def unleashed_line(self, order: str, product: str, business: str = "teelixir", **fields: object) -> None:
        self._insert(
            "stg_unleashed__sales_order_lines",
            {
                "account": f"unleashed_{business}",
                "business_key": business,
                "unleashed_id": self._id("line", None, "line-{}"),
                "order_unleashed_id": order,
                "product_unleashed_id": product,
            }
            | fields,
        )

    def unleashed_product(self, sku: str | None, business: str = "teelixir", **fields: object) -> str:
        id = self._id("product", fields.pop("id", None), "product-{}")
        self._insert(
            "stg_unleashed__products",
            {
                "account": f"unleashed_{business}",
                "business_key": business,
                "unleashed_id": id,
                "sku": sku,
                "product_name": f"Product {sku}",
                "is_sellable": True,
                "is_obsolete": False,
                "created_at": LONG_AGO,
                "modified_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def shop_customer(self, email: str | None, **fields: object) -> str:
        id = self._id("woocommerce", None, "{}")
        self._insert(
            "stg_woocommerce__customers",
            {
                "account": "woocommerce_red_hill_fresh",
                "business_key": "red_hill_fresh",
                "woocommerce_id": int(id),
                "email": email,
                "created_at": LONG_AGO,
                "modified_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def shop_order(self, email: str | None, customer: str | None = None, **fields: object) -> str:
        """An order by a guest, or by a customer; returns the buyer's external id."""
        id = self._id("shop order", None, "{}")
        buyer = customer or (f"guest:{email}" if email else f"order:{id}")
        self._insert(
            "stg_woocommerce__orders",
            {
                "account": "woocommerce_red_hill_fresh",
                "business_key": "red_hill_fresh",
                "woocommerce_id": int(id),
                "customer_woocommerce_id": None if customer is None else int(customer),
                "customer_external_id": buyer,
                "email": email,
                "ordered_at": LONG_AGO,
            }
            | fields,
        )
        return buyer

    def shop_product(self, sku: str | None, **fields: object) -> str:
        id = self._id("shop product", None, "{}")
        self._insert(
            "stg_woocommerce__products",
            {
                "account": "woocommerce_red_hill_fresh",
                "business_key": "red_hill_fresh",
                "woocommerce_id": int(id),
                "sku": sku,
                "product_name": f"Product {sku}",
                "product_status": "publish",
                "created_at": LONG_AGO,
                "modified_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def store_customer(self, email: str | None, business: str = "teelixir", **fields: object) -> str:
        """A customer of a Shopify store."""
        number = self._id("shopify", fields.pop("number", None), "70{:02}")
        id = f"gid://shopify/Customer/{number}"
        self._insert(
            "stg_shopify__customers",
            {
                "account": f"shopify_{business}",
                "business_key": business,
                "shopify_id": id,
                "legacy_id": number,
                "email": email,
                "created_at": LONG_AGO,
                "modified_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def store_order(self, email: str | None, customer: str | None = None, **fields: object) -> str:
        """An order in a Shopify store by a guest, or by a customer; returns the buyer's external id."""
        business = fields.pop("business", "teelixir")
        id = self._id("store order", None, "gid://shopify/Order/{}")
        buyer = customer or (f"guest:{email}" if email else f"order:{id}")
        self._insert(
            "stg_shopify__orders",
            {
                "account": f"shopify_{business}",
                "business_key": business,
                "shopify_id": id,
                "order_number": f"#{id}",
                "customer_shopify_id": customer,
                "customer_external_id": buyer,
                "email": email,
                "ordered_at": LONG_AGO,
            }
            | fields,
        )
        return buyer

    def store_variant(self, sku: str | None, business: str = "teelixir", **fields: object) -> str:
        """A product of a Shopify store with one variant; returns the variant's id."""
        id = self._id("store product", None, "{}")
        of_both = {"account": f"shopify_{business}", "business_key": business, "created_at": LONG_AGO}
        product = {"shopify_id": f"product-{id}", "product_name": f"Product {sku}", "product_status": "active"}
        self._insert("stg_shopify__products", of_both | {"modified_at": LONG_AGO} | product | fields)
        variant = {"shopify_id": f"variant-{id}", "product_shopify_id": f"product-{id}", "sku": sku}
        self._insert("stg_shopify__product_variants", of_both | variant)
        return f"variant-{id}"

    def grocery_customer(self, email: str | None, **fields: object) -> str:
        """A customer of the BigCommerce store."""
        id = self._id("bigcommerce", None, "{}")
        self._insert(
            "stg_bigcommerce__customers",
            {
                "account": "bigcommerce_buy_organics_online",
                "business_key": "buy_organics_online",
                "bigcommerce_id": int(id),
                "email": email,
                "created_at": LONG_AGO,
                "modified_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def grocery_order(self, email: str | None, customer: str | None = None, **fields: object) -> str:
        """An order in the BigCommerce store by a guest, or by a customer; returns the buyer's external id."""
        id = self._id("grocery order", None, "{}")
        buyer = customer or (f"guest:{email}" if email else f"order:{id}")
        self._insert(
            "stg_bigcommerce__orders",
            {
                "account": "bigcommerce_buy_organics_online",
                "business_key": "buy_organics_online",
                "bigcommerce_id": int(id),
                "customer_bigcommerce_id": None if customer is None else int(customer),
                "customer_external_id": buyer,
                "email": email,
                "ordered_at": LONG_AGO,
            }
            | fields,
        )
        return buyer

    def grocery_variant(self, sku: str | None, **fields: object) -> str:
        """A product of the BigCommerce store with its base variant; returns the variant's id."""
        id = self._id("grocery product", None, "{}")
        of_both = {"account": "bigcommerce_buy_organics_online", "business_key": "buy_organics_online", "sku": sku}
        product = {"bigcommerce_id": int(id) + 1000, "product_name": f"Product {sku}", "is_visible": True}
        dates = {"created_at": LONG_AGO, "modified_at": LONG_AGO}
        base = {"base_variant_bigcommerce_id": int(id)}
        self._insert("stg_bigcommerce__products", of_both | product | dates | base | fields)
        variant = {"bigcommerce_id": int(id), "product_bigcommerce_id": int(id) + 1000, "is_purchasable": True}
        self._insert("stg_bigcommerce__product_variants", of_both | variant)
        return id

    def contact(self, email: str | None = None, **fields: object) -> str:
        id = self._id("contact", fields.pop("id", None), "9{:03}")
        self._insert(
            "stg_hubspot__contacts",
            {
                "account": "hubspot",
                "hubspot_id": id,
                "email": email,
                "additional_emails": [],
                "merged_hubspot_ids": [],
                "is_archived": False,
                "created_at": LONG_AGO,
                "updated_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def company(self, **fields: object) -> str:
        id = self._id("company", fields.pop("id", None), "7{:03}")
        self._insert(
            "stg_hubspot__companies",
            {
                "account": "hubspot",
                "hubspot_id": id,
                "merged_hubspot_ids": [],
                "is_archived": False,
                "created_at": LONG_AGO,
                "updated_at": LONG_AGO,
            }
            | fields,
        )
        return id

    def hubspot_product(self, sku: str, **fields: object) -> str:
        id = self._id("hubspot product", None, "5{:03}")
        self._insert("stg_hubspot__products", {"account": "hubspot", "hubspot_id": id, "sku": sku} | fields)
        return id

    def change(self, view: str, id_column: str, id: str, **fields: object) -> None:
        """Changes a record, as its system would."""
        statement = sql.SQL("update staging.{} set {} where {}::text = %s").format(
            sql.Identifier(view),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in fields),
            sql.Identifier(id_column),
        )
        self._connection.execute(statement, [*map(_value, fields.values()), id])

    def remove(self, view: str, id_column: str, id: str) -> None:
        """Takes a record away, as its system would."""
        statement = sql.SQL("delete from staging.{} where {}::text = %s")
        self._connection.execute(statement.format(sql.Identifier(view), sql.Identifier(id_column)), [id])

    def _id(self, kind: str, given: object, form: str) -> str:
        return str(given) if given is not None else form.format(next(self._numbers[kind]))

    def _insert(self, view: str, fields: dict[str, object]) -> None:
        statement = sql.SQL("insert into staging.{} ({}) values ({})").format(
            sql.Identifier(view),
            sql.SQL(", ").join(map(sql.Identifier, fields)),
            sql.SQL(", ").join(sql.Placeholder() * len(fields)),
        )
        self._connection.execute(statement, [_value(value) for value in fields.values()])


def _value(value: object) -> object:
    return Json(value) if isinstance(value, list) and value and isinstance(value[0], dict) else value
