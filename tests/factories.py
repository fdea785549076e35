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
