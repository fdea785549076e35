"""`dbt run` after one new day of sales against `--full-refresh`, over as many order lines as a year or more brings.

Start-up is subtracted from both: what dbt takes until its first model, as a run of one small model takes it. Rows are
made in PostgreSQL, in the raw tables that loads fill: an eighth of the orders at each Unleashed account (half of them
copies), the others in the shops; a line has one of 2,000 products, an order one of 50,000 buyers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from benchmarks.measure import Result, database, run, seconds
from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.database.connection import connect
from masterops_dagster.database.dbt import PROJECT_DIR, dbt_env
from masterops_dagster.identity import resolve
from masterops_dagster.sources import raw_tables
from masterops_dagster.sources.catalogue import streams_of

LINES = 1_000_000
LINES_OF_AN_ORDER = 4
DAYS = 730

Connection = psycopg.Connection[TupleRow]


def measure(lines: int = LINES) -> list[Result]:
    """All history at first, then one day more."""
    today = clock.today()
    orders = lines // LINES_OF_AN_ORDER
    with database() as url, connect(url) as connection:
        for account in ACCOUNTS:
            raw_tables.prepare(connection, account)
        sell(connection, 0, orders, today - timedelta(days=DAYS), DAYS)
        dbt(url, "run", "--select", "staging")
        resolve(connection)
        dbt(url, "run", "--full-refresh")
        start_up = min(seconds(lambda: dbt(url, "run", "--select", "dim_businesses")) for _ in range(2))
        full = seconds(lambda: dbt(url, "run", "--full-refresh")) - start_up
        sell(connection, orders, orders // DAYS, today, 1)
        resolve(connection)
        one_day = seconds(lambda: dbt(url, "run")) - start_up
    return [
        Result(
            f"dbt run after one new day at {lines:,} order lines against --full-refresh",
            f"{one_day:.1f} s",
            f"{full:.1f} s (both less {start_up:.1f} s of start-up)",
            one_day / full,
            "≤",
            0.15,
        )
    ]


def dbt(url: str, *arguments: str) -> None:
    """One command in a process of its own; what it says is shown where it fails."""
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    outputs = [f"--{name}-path={Path(os.environ['MASTEROPS_STATE_DIR']) / 'dbt'}" for name in ("target", "log")]
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *arguments, *folders, *outputs],
        env={**os.environ, **dbt_env(url)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def sell(connection: Connection, first: int, orders: int, since: date, days: int) -> None:
    """Loads orders number `first` on into all systems, over so many days, as one load of each stream."""
    sales = {"first": first, "last": first + orders - 1, "orders": orders, "since": since, "days": days}
    for account in ACCOUNTS:
        for stream in streams_of(account):
            begun = connection.execute(
                "insert into ops.loads (account, stream, kind, status, business_at, simulated)"
                " values (%s, %s, 'live', 'running', ops.now(), true) returning load_id",
                [account.key, stream.name],
            ).fetchone()
            assert begun is not None
            statement = SALES.get(f"{account.key}.{stream.name}")
            if statement:
                connection.execute(statement.encode(), sales | {"load": begun[0]})
                connection.execute(f"analyze {account.schema}.{stream.name}".encode())
            connection.execute(
                "update ops.loads set status = 'succeeded', finished_at = clock_timestamp() where load_id = %s", begun
            )


OF_WHOM = {
    "unleashed_elevate_wholesale": "n % 8 = 0",
    "unleashed_teelixir": "n % 8 in (1, 2)",
    "shopify_teelixir": "n % 8 in (2, 3, 4)",
    "bigcommerce_buy_organics_online": "n % 8 = 5",
    "woocommerce_red_hill_fresh": "n % 8 in (6, 7)",
}
"""Whose order number n is; two accounts have those with a rest of 2, Unleashed as copies."""

ORDERS = """
with orders as (
    select
        n,
        n * 7919 % 50000 as buyer,
        %(since)s::date + interval '1 day' * ((n - %(first)s) * %(days)s / %(orders)s)
            + interval '1 minute' * (n % 600) as at
    from generate_series(%(first)s::bigint, %(last)s::bigint) as n
    where {of_whom}
)
"""
AND_LINES = """, lines as (
    select orders.*, line, (n * 31 + line * 977) % 2000 as product, 1 + (n + line) % 3 as quantity,
        10 + (n * 13 + line) % 40 as price
    from orders cross join generate_series(1, 4) as line
)
"""

_SALES = {
    "unleashed.sales_orders": ORDERS
    + """
insert into {table} (
    guid, order_number, order_status, order_date, completed_date, customer_guid, customer_code, customer_ref,
    sub_total, tax_total, total, currency, last_modified_on, _load_id, _loaded_at
)
select
    'guid-' || n, 'SO-' || n, 'Completed', at, at + interval '2 days', 'customer-' || buyer, 'C' || buyer,
    case when n % 8 = 2 then '#TX' || n end, 100, 10, 110, 'AUD', at, %(load)s, ops.now()
from orders
""",
    "unleashed.sales_order_lines": ORDERS
    + AND_LINES
    + """
insert into {table} (
    parent_guid, guid, line_number, product_guid, product_code, product_description, order_quantity, unit_price,
    line_total, line_tax, average_landed_price, _parent_version, _load_id, _loaded_at
)
select
    'guid-' || n, 'line-' || n || '-' || line, line, 'product-' || product, 'SKU-' || product, 'Product ' || product,
    quantity, price, quantity * price, quantity * price / 10.0, price * 0.6, at, %(load)s, ops.now()
from lines
""",
    "unleashed.invoices": ORDERS
    + """
insert into {table} (
    guid, invoice_number, order_number, invoice_status, invoice_date, due_date, customer_guid, customer_code,
    sub_total, tax_total, total, last_modified_on, _load_id, _loaded_at
)
select
    'invoice-' || n, 'INV-' || n, 'SO-' || n, 'Completed', at, at + interval '30 days', 'customer-' || buyer,
    'C' || buyer, 100, 10, 110, at, %(load)s, ops.now()
from orders
""",
    "shopify.orders": ORDERS
    + """
insert into {table} (
    id, name, created_at, updated_at, test, display_financial_status, display_fulfillment_status, currency_code,
    taxes_included, customer_id, email, subtotal_price, total_discounts, total_shipping_price, total_tax, total_price,
    _load_id, _loaded_at
)
select
    'gid://shopify/Order/' || n, '#TX' || n, at, at, false, 'PAID', 'FULFILLED', 'AUD', true,
    'gid://shopify/Customer/' || buyer, 'buyer' || buyer || '@example.com', 110, 0, 0, 10, 110, %(load)s, ops.now()
from orders
""",
    "shopify.order_lines": ORDERS
    + AND_LINES
    + """
insert into {table} (
    order_id, id, sku, title, product_id, variant_id, quantity, taxable, is_gift_card, tax_lines, original_unit_price,
    original_total, _parent_version, _load_id, _loaded_at
)
select
    'gid://shopify/Order/' || n, 'gid://shopify/LineItem/' || n || '-' || line, 'SKU-' || product,
    'Product ' || product, 'gid://shopify/Product/' || product, 'gid://shopify/ProductVariant/' || product, quantity,
    true, false, json_build_array(json_build_object('priceSet', json_build_object('shopMoney',
    json_build_object('amount', (quantity * price / 11.0)::numeric(14, 2)::text)))), price, quantity * price,
    at, %(load)s, ops.now()
from lines
""",
    "shopify.fulfillments": ORDERS
    + """
insert into {table} (order_id, id, status, created_at, updated_at, _parent_version, _load_id, _loaded_at)
select
    'gid://shopify/Order/' || n, 'gid://shopify/Fulfillment/' || n, 'SUCCESS', at + interval '1 day', at, at,
    %(load)s, ops.now()
from orders
""",
    "bigcommerce.orders": ORDERS
    + """
insert into {table} (
    id, date_created, date_modified, date_shipped, status_id, status, is_deleted, customer_id, billing_email,
    shipping_cost_ex_tax, total_tax, total_ex_tax, total_inc_tax, _load_id, _loaded_at
)
select
    n, at, at, at + interval '1 day', 2, 'Shipped', false, buyer, 'buyer' || buyer || '@example.com',
    0, 10, 100, 110, %(load)s, ops.now()
from orders
""",
    "bigcommerce.order_products": ORDERS
    + AND_LINES
    + """
insert into {table} (
    order_id, id, product_id, variant_id, name, sku, quantity, price_ex_tax, total_ex_tax, total_tax,
    cost_price_ex_tax, applied_discounts, _parent_version, _load_id, _loaded_at
)
select
    n, n * 10 + line, product, product, 'Product ' || product, 'SKU-' || product, quantity, price, quantity * price,
    quantity * price / 10.0, price * 0.6, '[]', at, %(load)s, ops.now()
from lines
""",
    "woocommerce.orders": ORDERS
    + """
insert into {table} (
    id, number, status, customer_id, billing_email, date_created_at, date_modified_at, date_completed_at,
    discount_total, shipping_total, total_tax, total, _load_id, _loaded_at
)
select
    n, n::text, 'completed', buyer, 'buyer' || buyer || '@example.com', at, at, at + interval '1 day',
    0, 0, 10, 110, %(load)s, ops.now()
from orders
""",
    "woocommerce.order_lines": ORDERS
    + AND_LINES
    + """
insert into {table} (
    order_id, id, product_id, variation_id, name, sku, quantity, subtotal, total, total_tax, price, cost,
    _parent_version, _load_id, _loaded_at
)
select
    n, n * 10 + line, product, 0, 'Product ' || product, 'SKU-' || product, quantity, quantity * price,
    quantity * price, quantity * price / 10.0, price, quantity * price * 0.6, at, %(load)s, ops.now()
from lines
""",
}

SALES = {
    f"{account.key}.{stream.name}": _SALES[f"{account.system}.{stream.name}"]
    .format(table=f"{account.schema}.{stream.name}", of_whom=OF_WHOM[account.key])
    .replace("% ", "%% ")
    for account in ACCOUNTS
    if account.key in OF_WHOM
    for stream in streams_of(account)
    if f"{account.system}.{stream.name}" in _SALES
}
"""Per account and stream, what loads orders into its raw table."""


if __name__ == "__main__":
    run(measure, rows=LINES)
