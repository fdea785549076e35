"""Unleashed's and WooCommerce's connectors understand their stand-ins, with which they share no code, over real HTTP.

The world trades while these tests run: rows may come between two requests.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from masterops_dagster.connectors.base import Patience, StreamReader
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import AuthenticationError, NotFound
from masterops_dagster.connectors.telemetry import InMemorySink
from masterops_dagster.connectors.unleashed import (
    RESOURCES,
    Customer,
    CustomerReference,
    ProductReference,
    SalesOrder,
    SalesOrderLine,
    Unleashed,
)
from masterops_dagster.connectors.woocommerce import Order, WooCommerce
from tests.stand_ins import StandIns

HASTE = Patience(timeout=5.0, deadline=30.0, attempts=10, pause=0.01, pause_max=0.05)
WIDE = Window("w", 100_000, 1.0)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def open_unleashed(stand_ins: StandIns, window: Window = WIDE, **instead: str) -> Unleashed:
    access = {**stand_ins.endpoint("unleashed_teelixir"), **instead}
    return Unleashed(
        access["base_url"],
        "unleashed_teelixir",
        access["api_id"],
        access["api_key"],
        page_size=20,
        window=window,
        budget=InMemoryBudget(),
        sink=InMemorySink(),
        patience=HASTE,
    )


def open_shop(stand_ins: StandIns, verify: ssl.SSLContext | bool = True, **instead: str) -> WooCommerce:
    access = {**stand_ins.endpoint("woocommerce_red_hill_fresh"), **instead}
    return WooCommerce(
        access["base_url"],
        "woocommerce_red_hill_fresh",
        access["consumer_key"],
        access["consumer_secret"],
        window=WIDE,
        budget=InMemoryBudget(),
        patience=HASTE,
        verify=verify,
    )


@pytest.fixture
def unleashed(stand_ins: StandIns) -> Iterator[Unleashed]:
    with open_unleashed(stand_ins) as connector:
        yield connector


@pytest.fixture
def shop(stand_ins: StandIns) -> Iterator[WooCommerce]:
    with open_shop(stand_ins) as connector:
        yield connector


def rows(reader: StreamReader, resource: str, **how: Any) -> list[dict[str, Any]]:
    return [item for page in reader.read(resource, **how) for item in page.items]


def keys(reader: StreamReader, resource: str) -> list[object]:
    return [key for page in reader.keys(resource) for key in page]


def moments(records: Sequence[dict[str, Any]], field: str) -> list[datetime]:
    return [datetime.fromisoformat(record[field]) for record in records]


@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_rows_keys_and_count_of_unleashed_agree(unleashed: Unleashed, resource: str) -> None:
    first = unleashed.count(resource)
    found = len(rows(unleashed, resource))
    assert first is not None
    assert 0 < first <= found <= len(keys(unleashed, resource)) <= (unleashed.count(resource) or 0) <= first + 5


@pytest.mark.parametrize("resource", ["orders", "refunds", "customers", "products"])
def test_rows_keys_and_count_of_the_shop_agree(shop: WooCommerce, resource: str) -> None:
    first = shop.count(resource)
    found = [row["id"] for row in rows(shop, resource)]
    assert found == sorted(set(found))
    assert first is not None
    assert 0 < first <= len(found) <= len(keys(shop, resource)) <= (shop.count(resource) or 0) <= first + 5


def test_variations_and_stock_levels_agree_with_their_keys(shop: WooCommerce) -> None:
    products = [row["id"] for row in rows(shop, "products")]
    variations = [item for page in shop.read_children("products/variations", products) for item in page.items]
    assert {(row["product_id"], row["id"]) for row in variations} == set(keys(shop, "products/variations")) != set()
    levels = {(row["product_id"], row["variation_id"]) for row in rows(shop, "stock_levels")}
    assert levels == set(keys(shop, "stock_levels"))
    assert len(levels) == len(products) + len(variations)


@pytest.mark.parametrize(
    ("resource", "field"),
    [
        ("SalesOrders", "OrderDate"),
        ("Invoices", "InvoiceDate"),
        ("CreditNotes", "CreditDate"),
        ("Customers", "CreatedOn"),
    ],
)
def test_a_window_of_unleashed_holds_exactly_what_its_dates_say(
    unleashed: Unleashed, resource: str, field: str
) -> None:
    every = rows(unleashed, resource)
    dates = sorted(moments(every, field))
    start, end = dates[len(dates) // 3], dates[2 * len(dates) // 3]
    found = rows(unleashed, resource, created_from=start, created_to=end)
    expected = {row["Guid"] for row in every if start <= datetime.fromisoformat(row[field]) < end}
    assert {row["Guid"] for row in found} == expected != set()


def test_a_window_of_the_shop_holds_exactly_what_its_dates_say(shop: WooCommerce) -> None:
    every = rows(shop, "orders")
    dates = sorted(moments(every, "date_created_gmt"))
    start, end = dates[len(dates) // 3], dates[2 * len(dates) // 3]
    found = rows(shop, "orders", created_from=start, created_to=end)
    expected = {row["id"] for row in every if start <= datetime.fromisoformat(row["date_created_gmt"]) < end}
    assert {row["id"] for row in found} == expected != set()


def test_what_was_modified_since_includes_its_own_moment(unleashed: Unleashed, shop: WooCommerce) -> None:
    for reader, resource, field in (
        (unleashed, "SalesOrders", "LastModifiedOn"),
        (shop, "orders", "date_modified_gmt"),
        (shop, "refunds", "date_created_gmt"),
    ):
        dates = sorted(moments(rows(reader, resource), field))
        since = dates[len(dates) // 2]
        found = moments(rows(reader, resource, modified_since=since), field)
        assert sorted(date for date in found if date <= dates[-1]) == [date for date in dates if date >= since]
        assert len(rows(reader, resource, modified_since=LONG_AGO)) >= len(dates)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("rate_limit", {"rate": 0.3}),
        ("rate_limit", {"rate": 0.1, "seconds": 0.2}),
        ("server_error", {"rate": 0.3}),
        ("reset", {"rate": 0.3}),
        ("malformed", {"rate": 0.3}),
        ("html", {"rate": 0.3}),
        ("latency", {"rate": 0.2, "seconds": 0.1}),
        ("clock_skew", {}),
    ],
)
@pytest.mark.parametrize("system", ["unleashed", "woocommerce"])
def test_a_system_that_misbehaves_is_read_whole_all_the_same(
    stand_ins: StandIns, unleashed: Unleashed, shop: WooCommerce, system: str, kind: str, how: dict[str, float]
) -> None:
    reader: StreamReader = unleashed if system == "unleashed" else shop
    resource = "SalesOrders" if system == "unleashed" else "orders"
    before = {str(key) for key in keys(reader, resource)}
    stand_ins.misbehave(system, kind, seed=7, **how)
    found = {str(row.get("Guid") or row["id"]) for row in rows(reader, resource)}
    assert found >= before


def test_php_warnings_do_not_stop_the_shop_from_being_read(stand_ins: StandIns, shop: WooCommerce) -> None:
    before = set(keys(shop, "orders"))
    stand_ins.misbehave("woocommerce", "php_warning")
    assert {row["id"] for row in rows(shop, "orders")} >= before


def test_a_load_at_unleasheds_limit_draws_no_429(stand_ins: StandIns) -> None:
    stand_ins.limit({"unleashed": {"burst": {"requests": 10, "seconds": 0.5}}})
    with open_unleashed(stand_ins, Window("w", 10, 0.5)) as connector:
        for resource in ("SalesOrders", "Customers", "Products"):
            assert rows(connector, resource)
        assert connector.requests > 10
        sink = connector._sink
        assert isinstance(sink, InMemorySink)
        assert {event.outcome for event in sink.events} == {"ok"}


def test_wrong_secrets_are_named_as_such(stand_ins: StandIns) -> None:
    with open_unleashed(stand_ins, api_key="wrong") as connector, pytest.raises(AuthenticationError):
        connector.count("Customers")
    with open_shop(stand_ins, consumer_secret="wrong") as connector, pytest.raises(AuthenticationError):
        connector.count("orders")


def test_the_shop_is_read_over_tls_with_basic_auth(stand_ins_over_tls: StandIns) -> None:
    context = ssl.create_default_context(cafile=str(stand_ins_over_tls.state / "authority.pem"))
    with open_shop(stand_ins_over_tls, verify=context) as connector:
        assert connector.base_url.startswith("https://")
        assert len(keys(connector, "products")) == connector.count("products") > 0


def test_documents_are_created_changed_and_read_back(unleashed: Unleashed) -> None:
    code = f"T-{uuid4()}"
    customer = unleashed.create(Customer(customer_code=code, customer_name="Zoë's 健康"))
    assert customer.guid is not None
    product = rows(unleashed, "Products")[0]
    order = unleashed.create(
        SalesOrder(
            order_status="Placed",
            order_date=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
            customer=CustomerReference(guid=customer.guid, customer_code=code),
            sub_total=Decimal("20.20"),
            tax_total=Decimal("2.02"),
            total=Decimal("22.22"),
            sales_order_lines=[
                SalesOrderLine(
                    guid=uuid4(),
                    line_number=1,
                    product=ProductReference(guid=product["Guid"], product_code=product["ProductCode"]),
                    order_quantity=Decimal(2),
                    unit_price=Decimal("10.10"),
                    line_total=Decimal("20.20"),
                    line_tax=Decimal("2.02"),
                )
            ],
        )
    )
    assert order.guid is not None
    assert unleashed.create(order.model_copy()).guid == order.guid
    unleashed.update(SalesOrder(guid=order.guid, comments="leave at the door"))
    read = unleashed.get(SalesOrder, order.guid)
    assert read.comments == "leave at the door"
    assert read.order_date == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert read.total == Decimal("22.22")
    fresh = rows(unleashed, "SalesOrders", modified_since=datetime.now(UTC) - timedelta(minutes=5))
    assert str(order.guid) in {row["Guid"] for row in fresh}
    with pytest.raises(NotFound):
        unleashed.get(SalesOrder, uuid4())


def test_an_order_of_the_shop_has_typed_amounts(shop: WooCommerce) -> None:
    identifier = int(str(keys(shop, "orders")[0]))
    order = shop.get(Order, identifier)
    assert order.id == identifier
    assert isinstance(order.total, Decimal)
    assert order.line_items
    with pytest.raises(NotFound):
        shop.get(Order, 999_999_999)
