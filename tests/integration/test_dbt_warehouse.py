"""From raw rows to KPIs, on a real PostgreSQL: a few orders whose figures can be added up by hand.

Business time is Tuesday, 31 March 2026, noon in Melbourne; February has 28 days.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from click.testing import Result
from psycopg import sql
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster import settings as settings_module
from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, account
from masterops_dagster.cli.main import app
from masterops_dagster.database import connection, dbt
from masterops_dagster.reporting.kpis import Kpi, read_ages, read_definitions, read_kpis
from masterops_dagster.sources import raw_tables
from masterops_dagster.sources.catalogue import streams_of
from tests.dbt_in_process import Dbt

MELBOURNE = ZoneInfo("Australia/Melbourne")
STORE, TRADE_STORE, GROCERIES = "shopify_teelixir", "shopify_elevate_wholesale", "bigcommerce_buy_organics_online"
TEELIXIR, ELEVATE, FRESH = "unleashed_teelixir", "unleashed_elevate_wholesale", "woocommerce_red_hill_fresh"
NOW = datetime(2026, 3, 31, 12, tzinfo=MELBOURNE)
ANNA = uuid.UUID(int=1)
"""Buys at Teelixir, at Elevate Wholesale and at Red Hill Fresh."""
BEN = uuid.UUID(int=2)
"""Buys at Red Hill Fresh, without an account."""
SISTER, CAFE, DORA = (uuid.UUID(int=n) for n in (3, 4, 5))
"""Elevate Wholesale as Teelixir's customer; a company in Elevate's store; a customer of Buy Organics Online."""


Line = tuple[int, str, str | None]
"""Quantity, total ex GST, cost: of one unit at Unleashed, of the line at WooCommerce, None where unknown."""


def at(month: int, day: int, hour: int = 10, minute: int = 0, *, year: int = 2026) -> datetime:
    """A moment by Melbourne's clocks."""
    return datetime(year, month, day, hour, minute, tzinfo=MELBOURNE)


@dataclass
class Warehouse:
    """A database with raw rows, and dbt on it."""

    url: str
    dbt: Dbt
    connection: psycopg.Connection[TupleRow]
    results: dict[str, str] = field(default_factory=dict)
    made: dict[str, int | None] = field(default_factory=dict)
    """How many rows the last build wrote, per model."""

    def put(self, account_key: str, stream: str, **row: object) -> None:
        """A raw row as ingest would leave it."""
        row = {"_loaded_at": NOW, "_load_id": 1} | row
        names = [sql.Identifier(name) for name in row]
        self.connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(account(account_key).schema, stream),
                sql.SQL(", ").join(names),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )

    def order(
        self, account_key: str, guid: str, when: datetime, *lines: tuple[int, str, str | None], **own: object
    ) -> None:
        """An Unleashed order of (quantity, line total, landed price of one) lines, 10 % GST, changed when placed."""
        revenue = sum((Decimal(total) for _, total, _ in lines), Decimal(0))
        order = {
            "order_number": f"SO-{guid}",
            "order_status": "Completed",
            "order_date": when,
            "customer_guid": "anna",
            "sub_total": revenue,
            "tax_total": revenue / 10,
            "total": revenue * 11 / 10,
            "last_modified_on": when,
        }
        self.put(account_key, "sales_orders", guid=guid, **(order | own))
        for number, (quantity, total, cost) in enumerate(lines, 1):
            self.put(
                account_key,
                "sales_order_lines",
                parent_guid=guid,
                guid=f"{guid}-{number}",
                line_number=number,
                product_guid="lions-mane",
                product_code=" lm-100 ",
                order_quantity=quantity,
                line_total=Decimal(total),
                line_tax=Decimal(total) / 10,
                average_landed_price=cost,
                _parent_version=own.get("last_modified_on", when),
            )

    def shop_order(self, id: int, when: datetime, *lines: Line, **own: object) -> None:
        """A WooCommerce order of (quantity, total, cost) lines, 10 % GST, with 11.00 shipping including GST."""
        goods = sum((Decimal(total) for _, total, _ in lines), Decimal(0))
        tax = goods / 10 + 1
        order = {
            "number": str(id),
            "status": "completed",
            "customer_id": 7,
            "date_created_at": when,
            "date_modified_at": when,
            "discount_total": 0,
            "shipping_total": 10,
            "total_tax": tax,
            "total": goods + 10 + tax,
        }
        self.put(FRESH, "orders", id=id, **(order | own))
        for number, (quantity, total, cost) in enumerate(lines, 1):
            self.put(
                FRESH,
                "order_lines",
                order_id=id,
                id=id * 10 + number,
                product_id=5,
                variation_id=0,
                quantity=quantity,
                total=Decimal(total),
                total_tax=Decimal(total) / 10,
                cost=cost,
                _parent_version=own.get("date_modified_at", when),
            )

    def store_order(
        self, account_key: str, name: str, when: datetime, *lines: tuple[int, str, str], **own: object
    ) -> None:
        """A Shopify order of (quantity, total, GST) lines, the GST included in it unless it is said otherwise."""
        goods, tax = (sum((Decimal(line[place]) for line in lines), Decimal(0)) for place in (1, 2))
        included = own.get("taxes_included", True)
        order = {
            "name": f"#{name}",
            "created_at": when,
            "updated_at": when,
            "taxes_included": included,
            "customer_id": "anna",
            "display_fulfillment_status": "UNFULFILLED",
            "total_shipping_price": 0,
            "total_tax": tax,
            "total_price": goods if included else goods + tax,
        }
        self.put(account_key, "orders", id=name, **(order | own))
        for number, (quantity, total, line_tax) in enumerate(lines, 1):
            taxes = [{"priceSet": {"shopMoney": {"amount": part}}} for part in (line_tax, "0.00")]
            discounts = [{"allocatedAmountSet": {"shopMoney": {"amount": part}}} for part in ("0.40", "0.60")]
            line = {"tax_lines": json.dumps(taxes), "discount_allocations": json.dumps(discounts)}
            goods_of_line = {"sku": "lm-100", "quantity": quantity, "original_total": Decimal(total) + 1}
            self.store_line(account_key, name, f"{name}-{number}", when, **line, **goods_of_line)

    def store_line(self, account_key: str, order: str, id: str, when: datetime, **line: object) -> None:
        """A line of a Shopify order."""
        self.put(account_key, "order_lines", order_id=order, id=id, _parent_version=when, **line)

    def knows(self, entity: str, account_key: str, external_id: str, id: uuid.UUID) -> None:
        """An identity that was resolved."""
        system = account(account_key).system
        self.connection.execute(
            "insert into core.identities (entity, system, account, external_id, own_id, entity_id, rule)"
            " values (%s, %s, %s, %s, gen_random_uuid(), %s, 'alone')",
            [entity, system, account_key, external_id, id],
        )

    def read_all(self, until: datetime) -> None:
        """Every stream was read live up to then."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "insert into ops.loads (account, stream, kind, status, business_at, finished_at, simulated)"
                " values (%s, %s, 'live', 'succeeded', %s, clock_timestamp(), true)",
                [(known.key, stream.name, until) for known in ACCOUNTS for stream in streams_of(known)],
            )

    def build(self, *arguments: str, command: str = "build") -> None:
        """`dbt build` or another command that builds; fails with dbt's own words."""
        results = self.dbt(command, *arguments).results
        self.results = {result.node.unique_id.split(".")[2]: str(result.status) for result in results}
        self.made = {
            result.node.unique_id.split(".")[2]: result.adapter_response.get("rows_affected") for result in results
        }

    def figure(self, business: str, kpi: str, grain: str, start: date | None = None) -> Kpi | None:
        """One figure, None if there is no row."""
        found = [row for row in read_kpis(self.connection, business, grain) if row.kpi == kpi]
        return next((row for row in found if start is None or row.period_start == start), None)

    def value(self, business: str, kpi: str, grain: str, start: date | None = None) -> Decimal | None:
        """One value, None if there is no row."""
        figure = self.figure(business, kpi, grain, start)
        return None if figure is None else figure.rounded().value


OCTOBER, FEBRUARY, MARCH = date(2025, 10, 1), date(2026, 2, 1), date(2026, 3, 1)


def fill(warehouse: Warehouse) -> None:
    """The rows of the first build."""
    put = warehouse.put
    put(TEELIXIR, "customers", guid="anna", customer_code="anna01", email=" Anna@Example.com ", last_modified_on=NOW)
    put(TEELIXIR, "products", guid="lions-mane", product_code="lm-100", is_sellable=True, last_modified_on=NOW)
    put(TEELIXIR, "products", guid="retired", product_code="old-1", is_sellable=True, is_obsolete=True)
    warehouse.order(TEELIXIR, "last-year", at(3, 10, year=2025), (1, "40.00", None))
    warehouse.order(TEELIXIR, "plain", at(3, 2), (2, "100.00", "20.0050"), (1, "11.10", None), completed_date=at(3, 4))
    warehouse.order(TEELIXIR, "copy", at(3, 2), (9, "999.00", "1"), customer_ref="#TX10001")
    put(STORE, "orders", id="called-off", name="#TX10001", created_at=at(3, 2), cancelled_at=at(3, 3))
    warehouse.order(TEELIXIR, "parked", at(3, 3), (9, "888.00", "1"), order_status="Parked")
    warehouse.order(TEELIXIR, "waiting", at(3, 31, 9), (3, "30.00", "5"), order_status="Backordered", _load_id=5)
    warehouse.order(TEELIXIR, "gone", at(3, 5), (9, "777.00", "1"), _deleted_at=NOW)
    warehouse.order(ELEVATE, "plain", at(3, 5), (4, "200.00", "10"), order_status="Placed")
    for guid in ("plain", "copy"):
        invoice = {"guid": f"of-{guid}", "invoice_number": f"INV-{guid}", "order_number": f"SO-{guid}"}
        state = {"invoice_status": "Completed", "invoice_date": at(3, 4), "due_date": at(4, 30)}
        put(TEELIXIR, "invoices", total=Decimal("122.21"), **invoice, **state)
        note = {"guid": f"note-{guid}", "status": "Completed", "credit_date": at(3, 20), "last_modified_on": at(3, 20)}
        put(TEELIXIR, "credit_notes", invoice_number=f"INV-{guid}", **note)
        line = {"parent_guid": f"note-{guid}", "guid": "1", "line_total": 30, "_parent_version": at(3, 20)}
        put(TEELIXIR, "credit_note_lines", **line)
    fill_stores(warehouse)
    for day in (30, 31):
        stock = {"snapshot_date": date(2026, 3, day), "warehouse_code": "MEL", "available_qty": 0}
        put(TEELIXIR, "stock_on_hand", product_guid="lions-mane", qty_on_hand=day, avg_cost=2, **stock)
        put(TEELIXIR, "stock_on_hand", product_guid="retired", qty_on_hand=1, **stock)
    warehouse.shop_order(1, at(2, 10), (1, "50.00", "20.00"))
    warehouse.shop_order(2, at(3, 3, 23, 30), (1, "60.00", None), date_completed_at=at(3, 5, 11, 30))
    warehouse.shop_order(3, at(3, 6), (2, "70.00", "30.00"), customer_id=0, billing_email="BEN@example.com")
    warehouse.shop_order(4, at(3, 7), (1, "80.00", "30.00"), customer_id=0, billing_email="ben@example.com")
    warehouse.shop_order(5, at(3, 7), (1, "90.00", "30.00"), status="cancelled", _load_id=5)
    put(FRESH, "refunds", id=91, order_id=1, date_created_at=at(3, 25), amount=Decimal("11.00"))
    for id, won, archived in (("1", True, False), ("2", False, False), ("3", True, False), ("4", True, True)):
        deal = {"source_business": "elevate_wholesale", "hs_is_closed": True, "hs_is_closed_won": won}
        put("hubspot", "deals", id=id, archived=archived, closedate=at(3, 9), updated_at=NOW, **deal)
    warehouse.knows("customer", TEELIXIR, "anna", ANNA)
    warehouse.knows("customer", ELEVATE, "anna", ANNA)
    warehouse.knows("customer", FRESH, "7", ANNA)
    warehouse.knows("customer", FRESH, "guest:ben@example.com", BEN)
    warehouse.knows("customer", STORE, "anna", ANNA)
    warehouse.knows("customer", TEELIXIR, "sister", SISTER)
    warehouse.knows("customer", TRADE_STORE, "cafe", CAFE)
    warehouse.knows("customer", GROCERIES, "9", DORA)
    for customer in (ANNA, BEN, SISTER, CAFE, DORA):
        warehouse.connection.execute("insert into core.customers (customer_id) values (%s)", [customer])


def fill_stores(warehouse: Warehouse) -> None:
    """October 2025: Shopify orders with copies, a copy that came first, sales within the group, and groceries."""
    put = warehouse.put
    day = at(10, 6, year=2025)
    store = {"display_fulfillment_status": "FULFILLED", "total_shipping_price": 11, "total_tax": 11, "total_price": 186}
    warehouse.store_order(STORE, "TX20001", day, (2, "110.00", "10.00"), (1, "15.00", "0.00"), **store)
    gift_card = {"sku": None, "quantity": 1, "original_total": 50, "is_gift_card": True}
    warehouse.store_line(STORE, "TX20001", "gift-card", day, **gift_card)
    for id, status, sent in (("a", "SUCCESS", 7), ("b", "SUCCESS", 8), ("c", "CANCELLED", 9)):
        parcel = {"order_id": "TX20001", "id": id, "status": status, "created_at": at(10, sent, year=2025)}
        put(STORE, "fulfillments", **parcel, _parent_version=day)
    refund = {"order_id": "TX20001", "id": "back", "created_at": at(10, 10, year=2025), "total_refunded": 55}
    put(STORE, "refunds", **refund, _parent_version=day)
    line = {"refund_id": "back", "line_item_id": "TX20001-1", "quantity": 1, "subtotal": 55, "total_tax": 5}
    put(STORE, "refund_lines", order_id="TX20001", id="1", **line, _parent_version=day)
    warehouse.order(TEELIXIR, "of-tx20001", day, (2, "100.00", "20.0050"), customer_ref="#TX20001")
    warehouse.store_order(STORE, "TX20003", at(10, 9, year=2025), (1, "33.00", "3.00"))
    warehouse.store_order(STORE, "TX20004", at(10, 9, year=2025), (1, "33.00", "3.00"), test=True)
    # its order in the store has not been read yet
    warehouse.order(TEELIXIR, "early", at(10, 9, year=2025), (1, "44.00", "11"), comments="Shopify #TX20002")
    sister = {"customer_guid": "sister", "customer_code": "elevate"}
    warehouse.order(TEELIXIR, "internal", at(10, 7, year=2025), (10, "300.00", "10"), **sister)
    company = {"customer_id": "cafe", "company_id": "company", "taxes_included": False}
    warehouse.store_order(TRADE_STORE, "EW1", day, (1, "80.00", "8.00"), **company)
    warehouse.order(ELEVATE, "of-ew1", day, (1, "80.00", "60"), customer_ref="#EW1")
    for account_key, order, total in (
        (ELEVATE, "of-ew1", 88),
        (TEELIXIR, "of-tx20001", 110),
        (TEELIXIR, "internal", 330),
    ):
        invoice = {"invoice_status": "Completed", "invoice_date": day, "due_date": at(11, 30, year=2025)}
        sister_code = {"customer_code": "ELEVATE"} if order == "internal" else {}
        number = {"guid": f"of-{order}", "invoice_number": f"INV-{order}", "order_number": f"SO-{order}"}
        put(account_key, "invoices", total=total, **invoice, **number, **sister_code)
    amounts = {"shipping_cost_ex_tax": 10, "total_tax": 3, "total_inc_tax": "31.50"}
    for id, status_id in ((700, 10), (701, 6)):
        order = {"id": id, "customer_id": 9, "status_id": status_id, "date_created": day, "date_modified": day}
        put(GROCERIES, "orders", **order, **amounts)
        discounts = json.dumps([{"amount": "1.0000"}, {"amount": "0.5000"}])
        costs = {"total_ex_tax": 20, "total_tax": 2, "cost_price_ex_tax": 0, "applied_discounts": discounts}
        put(GROCERIES, "order_products", order_id=id, id=id, quantity=2, **costs, _parent_version=day)
    refunded = at(10, 12, year=2025)
    put(GROCERIES, "refunds", id=70, order_id=700, created=refunded, total_amount=11, total_tax=1)
    for kind, amount in (("PRODUCT", 8), ("SHIPPING", 2)):
        item = {"refund_id": 70, "item_type": kind, "item_id": 700, "requested_amount": amount}
        put(GROCERIES, "refund_items", **item, _parent_version=refunded)
    begun, ended = at(3, 2, 9), at(3, 2, 9, 5)
    for number, (status, stopped, pruned) in enumerate(
        (
            ("success", ended, None),
            ("success", ended, NOW),
            ("error", ended, NOW),
            ("crashed", None, NOW),
            ("running", None, None),
            ("running", None, NOW),
        ),
        1,
    ):
        run = {"status": status, "started_at": begun, "stopped_at": stopped, "modified_at": stopped or begun}
        put("n8n", "executions", id=number, workflow_id="w", **run, _deleted_at=pruned)


@pytest.fixture(scope="module")
def warehouse(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The first build, with everything read up to half an hour ago, unit tests included."""
    with connection.connect(module_database_url) as opened, pytest.MonkeyPatch.context() as patch:
        for name, value in dbt.dbt_env(module_database_url).items():
            patch.setenv(name, value)
        opened.execute(
            "insert into ops.clock (offset_seconds) values (%s)", [(NOW - datetime.now(UTC)).total_seconds()]
        )
        for known in ACCOUNTS:
            raw_tables.prepare(opened, known)
        warehouse = Warehouse(module_database_url, Dbt(tmp_path_factory.mktemp("dbt"), tmp_path_factory), opened)
        fill(warehouse)
        warehouse.read_all(at(3, 31, 11, 30))
        warehouse.build()
        yield warehouse


def test_every_model_is_built_and_every_test_holds(warehouse: Warehouse) -> None:
    assert set(warehouse.results.values()) == {"success", "pass"}


def test_a_mirrored_order_counts_where_it_was_sold(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "orders", "month", MARCH) == 2
    assert warehouse.value("teelixir", "revenue", "day", date(2026, 3, 2)) == Decimal("111.10")
    assert warehouse.value("teelixir", "units", "month", MARCH) == 6


def test_a_refund_is_negative_revenue_on_its_own_day(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "revenue", "day", date(2026, 3, 20)) == Decimal("-30.00")
    assert warehouse.value("teelixir", "revenue", "month", MARCH) == Decimal("111.10")
    assert warehouse.value("red_hill_fresh", "revenue", "day", date(2026, 3, 25)) == Decimal("-10.00")
    assert warehouse.value("red_hill_fresh", "revenue", "month", FEBRUARY) == Decimal("50.00")
    assert warehouse.value("teelixir", "refund_rate", "month", MARCH) == Decimal("21.261517")


def test_a_day_without_sales_is_nought_and_a_ratio_without_events_is_absent(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "revenue", "day", date(2026, 3, 1)) == 0
    assert warehouse.value("teelixir", "average_order_value", "day", date(2026, 3, 1)) is None
    assert warehouse.figure("teelixir", "revenue", "day", date(2025, 3, 9)) is None
    assert warehouse.figure("buy_organics_online", "revenue", "day", date(2025, 10, 5)) is None


def test_a_store_is_the_sale_and_unleashed_knows_the_cost(warehouse: Warehouse) -> None:
    # 100.00 and 15.00 ex GST, 30.00, 300.00 within the group, 44.00 of a copy without its order; 50.00 came back
    assert warehouse.value("teelixir", "orders", "month", OCTOBER) == 4
    assert warehouse.value("teelixir", "revenue", "day", date(2025, 10, 6)) == Decimal("115.00")
    assert warehouse.value("teelixir", "revenue", "month", OCTOBER) == Decimal("439.00")
    assert warehouse.value("teelixir", "units", "day", date(2025, 10, 6)) == 3
    # three of one SKU, 20.005 each by the copy's line of it
    assert warehouse.value("teelixir", "gross_margin", "day", date(2025, 10, 6)) == Decimal("47.808696")
    assert warehouse.value("teelixir", "fulfilment_time", "day", date(2025, 10, 8)) == 2


def test_groceries_are_sold_after_discounts_and_refunded_without_shipping(warehouse: Warehouse) -> None:
    assert warehouse.value("buy_organics_online", "revenue", "day", date(2025, 10, 6)) == Decimal("18.50")
    assert warehouse.value("buy_organics_online", "refunds", "day", date(2025, 10, 12)) == Decimal("8.00")
    assert warehouse.value("buy_organics_online", "orders", "month", OCTOBER) == 1
    assert warehouse.value("buy_organics_online", "gross_margin", "month", OCTOBER) is None


def test_sales_within_the_group_are_none_of_the_groups(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "revenue", "day", date(2025, 10, 7)) == Decimal("300.00")
    assert warehouse.value("group", "revenue", "day", date(2025, 10, 7)) == 0
    # 439.00 - 300.00, 80.00 and 10.50
    assert warehouse.value("group", "revenue", "month", OCTOBER) == Decimal("229.50")
    assert warehouse.value("teelixir", "customers", "month", OCTOBER) == 2
    assert warehouse.value("group", "customers", "month", OCTOBER) == 3
    assert warehouse.value("teelixir", "debtors", "month", OCTOBER) == Decimal("330.00")
    assert warehouse.value("group", "debtors", "month", OCTOBER) == Decimal("88.00")


def test_what_a_company_buys_in_a_store_is_wholesale(warehouse: Warehouse) -> None:
    assert warehouse.value("elevate_wholesale", "debtors", "month", OCTOBER) == Decimal("88.00")
    # 88.00 owed, 80.00 sold in 90 days
    assert warehouse.value("elevate_wholesale", "days_sales_outstanding", "month", OCTOBER) == 99


def test_a_customer_of_three_businesses_is_one_customer_of_the_group(warehouse: Warehouse) -> None:
    assert [warehouse.value(key, "customers", "month", MARCH) for key in ("teelixir", "elevate_wholesale")] == [1, 1]
    assert warehouse.value("red_hill_fresh", "customers", "month", MARCH) == 2
    assert warehouse.value("group", "customers", "month", MARCH) == 2
    assert warehouse.value("elevate_wholesale", "new_customers", "month", MARCH) == 1
    assert warehouse.value("group", "new_customers", "month", MARCH) == 1
    assert warehouse.value("group", "returning_customers", "month", MARCH) == 1
    assert warehouse.value("red_hill_fresh", "repeat_rate", "month", MARCH) == 100


def test_margin_speaks_of_lines_with_a_known_cost_and_says_how_many(warehouse: Warehouse) -> None:
    # 100.00 - 2 x 20.005 and 30.00 - 3 x 5; the line of 11.10 has no cost
    assert warehouse.value("teelixir", "gross_margin", "month", MARCH) == Decimal("57.684615")
    assert warehouse.value("teelixir", "cost_coverage", "month", MARCH) == Decimal("92.133239")


def test_fulfilment_is_counted_on_the_day_of_completion(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "fulfilment_time", "day", date(2026, 3, 4)) == 2
    assert warehouse.value("red_hill_fresh", "fulfilment_time", "day", date(2026, 3, 5)) == Decimal("1.5")


def test_a_running_month_is_compared_with_as_many_days(warehouse: Warehouse) -> None:
    figure = warehouse.figure("teelixir", "revenue", "month", MARCH)
    assert figure
    assert (figure.prior_value, figure.last_year_value, figure.complete) == (0, 40, False)
    fresh = warehouse.figure("red_hill_fresh", "revenue", "month", MARCH)
    assert fresh
    assert (fresh.prior_value, fresh.last_year_value) == (50, None)
    week = warehouse.figure("teelixir", "orders", "week", date(2026, 3, 30))
    assert week
    assert (week.value, week.prior_value) == (1, 0)


def test_what_has_ended_and_was_read_past_its_end_is_complete(warehouse: Warehouse) -> None:
    yesterday, today = date(2026, 3, 30), date(2026, 3, 31)
    for business in ("teelixir", "group"):
        days = {row.period_start: row.complete for row in read_kpis(warehouse.connection, business, "day", yesterday)}
        assert days == {yesterday: True, today: False}


def test_stock_is_a_state_that_exists_from_its_first_snapshot_on(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "stock_value", "day", date(2026, 3, 30)) == Decimal("60.00")
    assert warehouse.value("teelixir", "stock_value", "month", MARCH) == Decimal("62.00")
    assert warehouse.value("teelixir", "stock_outs", "month", MARCH) == 1
    assert warehouse.value("teelixir", "stock_value", "day", date(2026, 3, 29)) is None
    assert warehouse.value("teelixir", "stock_value", "month", FEBRUARY) is None
    # 32 on hand, 6 units in the 90 days
    assert warehouse.value("teelixir", "stock_cover", "month", MARCH) == 480


def test_open_orders_are_known_from_the_first_build_on(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "back_order_rate", "month", MARCH) == 100
    assert warehouse.value("group", "back_order_rate", "month", MARCH) == 50
    assert warehouse.value("group", "back_order_rate", "day", date(2026, 3, 30)) is None


def test_what_is_owed_leaves_mirrored_orders_out(warehouse: Warehouse) -> None:
    assert warehouse.value("teelixir", "debtors", "day", date(2026, 3, 4)) == Decimal("122.21")
    assert warehouse.value("teelixir", "debtors", "month", MARCH) == Decimal("122.21")
    # 122.21 owed, 141.10 sold in 90 days
    assert warehouse.value("teelixir", "days_sales_outstanding", "month", MARCH) == Decimal("77.951099")


def test_archived_deals_are_neither_won_nor_lost(warehouse: Warehouse) -> None:
    assert warehouse.value("elevate_wholesale", "win_rate", "month", MARCH) == Decimal("66.666667")


def test_runs_that_n8n_pruned_after_they_ended_have_happened(warehouse: Warehouse) -> None:
    """Of the sixth nobody knows how it ended."""
    rows = warehouse.connection.execute(
        "select execution_n8n_id, is_failed, is_running, extract(epoch from stopped_at - started_at)::int"
        " from marts.fct_workflow_executions order by 1"
    ).fetchall()
    assert rows == [
        (1, False, False, 300),
        (2, False, False, 300),
        (3, True, False, 300),
        (4, True, False, None),
        (5, False, True, None),
    ]


def test_all_time_starts_with_the_first_sale(warehouse: Warehouse) -> None:
    figure = warehouse.figure("teelixir", "revenue", "all")
    assert figure
    assert (figure.period_start, figure.value, figure.prior_value) == (date(2025, 3, 10), Decimal("590.10"), None)


def test_every_kpi_is_defined(warehouse: Warehouse) -> None:
    definitions = read_definitions(warehouse.connection)
    assert set(definitions) == set(dbt.kpi_keys())
    assert {row.kpi for row in read_kpis(warehouse.connection)} == set(definitions)


def test_the_age_of_data_is_that_of_the_stream_furthest_behind(warehouse: Warehouse) -> None:
    assert [(age.account, age.read_until, age.simulated) for age in read_ages(warehouse.connection)] == [
        (key, at(3, 31, 11, 30), True) for key in sorted(known.key for known in ACCOUNTS if streams_of(known))
    ]


@pytest.fixture
def command(warehouse: Warehouse, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`masterops kpi …` on the warehouse, at its business time, on a terminal 100 columns wide."""
    monkeypatch.setenv("SUPABASE_DB_URL", warehouse.url)
    monkeypatch.setenv("COLUMNS", "100")
    (state_dir / "world").mkdir()
    offset = (NOW - datetime.now(UTC)).total_seconds()
    (state_dir / "world" / "clock.json").write_text(json.dumps({"offset_seconds": offset}))
    settings_module.settings.cache_clear()
    return lambda *arguments: CliRunner().invoke(app, ["kpi", *arguments])


def test_the_command_gives_rows_as_json(command: Callable[..., Result]) -> None:
    rows = json.loads(command("--business", "teelixir", "--grain", "month", "--from", "2026-03-01", "--json").stdout)
    assert {row["period_start"] for row in rows} == {"2026-03-01"}
    assert next(row for row in rows if row["kpi"] == "average_order_value") == {
        "business_key": "teelixir",
        "kpi": "average_order_value",
        "grain": "month",
        "period_start": "2026-03-01",
        "value": 55.55,
        "numerator": 111.1,
        "denominator": 2,
        "unit": "AUD",
        "prior_value": None,
        "last_year_value": 40.0,
        "complete": False,
    }


def test_json_without_a_grain_is_everything(command: Callable[..., Result]) -> None:
    rows = json.loads(command("--json").stdout)
    assert {row["grain"] for row in rows} == {"day", "week", "month", "fy", "all"}
    assert {row["business_key"] for row in rows} == {"group", *(business.key for business in BUSINESSES)}


def test_people_see_the_running_month_its_age_and_that_it_is_simulated(command: Callable[..., Result]) -> None:
    text = command().stdout
    assert "March 2026" in text
    assert "31 days" in text
    assert all(name in text for name in ("Group", "Teelixir", "Elevate Wholesale", "Red Hill Fresh"))
    assert re.search(r"Revenue +\$111\.10 +\$0\.00 +– +\$40\.00 +\+177\.8 %", text)
    assert "30 min ago" in text
    assert "simulated data" in text


def test_a_wide_terminal_puts_businesses_side_by_side(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = command("--grain", "fy").stdout
    assert re.search("Group +Teelixir +Elevate Wholesale +Buy Organics Online +Red Hill Fresh", text)
    assert "Financial year 2025/26" in text


def test_a_window_shows_each_of_its_periods(command: Callable[..., Result]) -> None:
    window = ("--grain", "day", "--from", "2026-03-04", "--to", "2026-03-05")
    text = command("--business", "teelixir", *window).stdout
    assert text.index("Wednesday, 4 March 2026") < text.index("Thursday, 5 March 2026")


def test_a_second_build_restates_what_changed_and_nothing_else(warehouse: Warehouse) -> None:
    """After the others: it changes what they look at. What came with load 1 is not built again, unless it has to be."""
    unleashed, shop = account(TEELIXIR).schema, account(FRESH).schema
    run = warehouse.connection.execute
    # a line edited away, an order cancelled, an order gone at the system
    run(f"update {unleashed}.sales_orders set last_modified_on = %s, total = 110, tax_total = 10, _load_id = 6"
        " where guid = 'plain'", [NOW])  # fmt: skip
    run(f"update {unleashed}.sales_order_lines set _parent_version = %s where guid = 'plain-1'", [NOW])
    run(f"update {unleashed}.sales_orders set order_status = 'Deleted', _load_id = 6 where guid = 'waiting'")
    run(f"update {unleashed}.sales_orders set _deleted_at = %s where guid = 'last-year'", [NOW])
    # an order whose last line was edited away, and a line that was a dead letter
    run(f"update {shop}.orders set date_modified_at = %s, total = 11, total_tax = 1, _load_id = 6 where id = 4", [NOW])
    line = {"order_id": 2, "id": 29, "quantity": 1, "total": 15, "total_tax": Decimal("1.5")}
    warehouse.put(FRESH, "order_lines", **line, _parent_version=at(3, 3, 23, 30), _load_id=7)
    letter = {"account": FRESH, "stream": "order_lines", "reason": "no number", "payload": '{"parent_key": 2}'}
    run(
        "insert into ops.dead_letters (account, stream, reason, payload, status, resolved_at)"
        " values (%(account)s, %(stream)s, %(reason)s, %(payload)s, 'replayed', clock_timestamp())",
        letter,
    )
    # the guest turns out to be Anna; the refunds of the last day have not been read
    run("update core.identities set entity_id = %s where external_id = 'guest:ben@example.com'", [ANNA])
    run("update ops.loads set business_at = %s where account = %s and stream = 'refunds'", [at(3, 30), FRESH])
    # what was taken for a copy is a sale
    run(f"update {unleashed}.sales_orders set customer_ref = null where guid = 'copy'")

    # the order of an early copy is read, and a copy of an order that was there before
    warehouse.store_order(STORE, "TX20002", at(10, 9, year=2025), (1, "46.20", "4.20"), _load_id=6)
    copy = {"customer_ref": "#TX20003", "_load_id": 6}
    warehouse.order(TEELIXIR, "of-tx20003", at(10, 9, year=2025), (1, "30.00", "12"), **copy)
    # a refund on an old day, and a buyer who bought before somewhere else
    put = warehouse.put
    put(FRESH, "refunds", id=92, order_id=1, date_created_at=at(2, 20), amount=Decimal("5.50"), _load_id=6)
    run("update core.identities set entity_id = %s where external_id = 'cafe'", [ANNA])

    warehouse.build("--exclude", "path:models/staging", "resource_type:unit_test")

    assert warehouse.made["fct_orders"] == 10  # of 25: what changed, and no more
    assert warehouse.value("teelixir", "orders", "month", OCTOBER) == 4
    # 115.00, 300.00, 42.00 and 30.00, less 50.00; the costs of both are known now
    assert warehouse.value("teelixir", "revenue", "month", OCTOBER) == Decimal("437.00")
    assert warehouse.value("teelixir", "gross_margin", "day", date(2025, 10, 9)) == Decimal("68.055556")
    assert warehouse.value("red_hill_fresh", "revenue", "day", date(2026, 2, 20)) == Decimal("-5.00")
    assert warehouse.value("group", "customers", "month", OCTOBER) == 2
    assert warehouse.value("teelixir", "revenue", "day", date(2026, 3, 2)) == Decimal("1099.00")
    assert warehouse.value("teelixir", "orders", "month", MARCH) == 2
    assert warehouse.value("teelixir", "back_order_rate", "month", MARCH) is None
    assert warehouse.figure("teelixir", "revenue", "month", date(2025, 3, 1)) is None
    assert warehouse.value("red_hill_fresh", "revenue", "day", date(2026, 3, 7)) == 0
    assert warehouse.value("red_hill_fresh", "orders", "day", date(2026, 3, 7)) == 1
    assert warehouse.value("red_hill_fresh", "revenue", "day", date(2026, 3, 3)) == Decimal("75.00")
    assert warehouse.value("group", "customers", "month", MARCH) == 1
    behind = warehouse.figure("red_hill_fresh", "revenue", "day", date(2026, 3, 29))
    in_time = warehouse.figure("red_hill_fresh", "orders", "day", date(2026, 3, 30))
    late = warehouse.figure("red_hill_fresh", "revenue", "day", date(2026, 3, 30))
    assert behind
    assert in_time
    assert late
    assert (behind.complete, in_time.complete, late.complete) == (True, True, False)


def test_builds_of_what_changed_leave_what_a_full_refresh_makes(warehouse: Warehouse) -> None:
    """A day later, in another month, on top of the second build: old days change, and what looks back on them."""
    run = warehouse.connection.execute
    unleashed, trade, shop = (account(key).schema for key in (TEELIXIR, ELEVATE, FRESH))
    views = "select c.oid::regclass::text, c.oid from pg_class c where relkind = 'v' order by 1"
    before = run(views.encode()).fetchall()
    run("update ops.clock set offset_seconds = offset_seconds + 86400")
    warehouse.read_all(at(4, 1, 11, 30))
    # another cost; an order on another day; one cancelled; a line and a refund that are gone; an invoice due sooner
    run(f"update {trade}.sales_order_lines set average_landed_price = 12 where parent_guid = 'plain'".encode())
    run(f"update {trade}.sales_orders set _load_id = 8 where guid = 'plain'".encode())
    run(f"update {unleashed}.sales_orders set order_date = %s, _load_id = 8 where guid = 'plain'".encode(), [at(2, 5)])
    run(f"update {shop}.orders set status = 'cancelled', _load_id = 8 where id = 3".encode())
    run(f"delete from {shop}.order_lines where id = 29".encode())
    run(f"update {shop}.orders set _load_id = 8 where id = 2".encode())
    run(f"delete from {shop}.refunds where id = 91".encode())
    run(f"update {unleashed}.invoices set due_date = %s where guid = 'of-plain'".encode(), [at(3, 20)])
    # one customer is two, one is renamed, one bought nothing; a product is known now, and renamed
    run("update core.identities set entity_id = %s where account = %s and external_id = '7'", [DORA, FRESH])
    run("update core.customers set first_name = 'Café' where customer_id = %s", [CAFE])
    run("insert into core.customers (customer_id) values (%s)", [uuid.UUID(int=6)])
    product = uuid.UUID(int=7)
    run("insert into core.products (product_id, business_key, sku) values (%s, 'teelixir', 'LM-100')", [product])
    warehouse.knows("product", TEELIXIR, "lions-mane", product)
    of_order = "where parent_guid = 'internal'"
    run(f"update {unleashed}.sales_order_lines set product_description = 'Mane' {of_order}".encode())
    run(f"update {unleashed}.sales_orders set _load_id = 8 where guid = 'internal'".encode())
    # what happened today
    warehouse.shop_order(6, at(4, 1, 9), (1, "40.00", "20.00"), _load_id=8)
    warehouse.order(TEELIXIR, "today", at(4, 1, 9), (1, "70.00", "30"), _load_id=8, customer_guid="unknown")
    deal = {"source_business": "elevate_wholesale", "hs_is_closed": True, "hs_is_closed_won": True}
    warehouse.put("hubspot", "deals", id="5", archived=False, closedate=at(3, 9), updated_at=NOW, **deal)

    warehouse.build("--exclude", "path:models/staging", command="run")

    assert run(views.encode()).fetchall() == before, "no view was made again"
    for table in ("kpi.kpis", "marts.fct_buying_days", "marts.dim_customers"):
        (rows,) = run(f"select count(*) from {table}".encode()).fetchone() or (0,)
        assert 0 < (warehouse.made[table.partition(".")[2]] or 0) < rows, f"some rows of {table} are made again"
    assert warehouse.value("elevate_wholesale", "gross_margin", "day", date(2026, 3, 5)) == 76
    assert warehouse.value("teelixir", "revenue", "day", date(2026, 4, 1)) == Decimal("70.00")

    incremental = everything(warehouse)
    warehouse.build("--full-refresh", "--exclude", "path:models/staging", command="run")
    assert everything(warehouse) == incremental


def everything(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """The rows of all tables above staging, less the moments at which rows were made."""
    tables = warehouse.connection.execute(
        "select format('%%I.%%I', schemaname, tablename) from pg_tables where schemaname = any(%s)",
        [["intermediate", "marts", "kpi"]],
    ).fetchall()
    return {
        name: warehouse.connection.execute(
            f"select (to_jsonb(t) - 'made_at')::text from {name} as t order by 1".encode()
        ).fetchall()
        for (name,) in tables
    }
