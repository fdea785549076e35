"""Buy Organics Online's store: its figures add up, it has all the untidy cases, and its buyers are the CRM's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from masterops_dagster.businesses import ACCOUNTS, MELBOURNE
from masterops_dagster.simulator.world import bigcommerce
from masterops_dagster.simulator.world.books.bigcommerce import books
from masterops_dagster.simulator.world.books.common import Books, plain_email
from masterops_dagster.simulator.world.books.reading import Reading
from masterops_dagster.simulator.world.catalogue import SUPPLIERS, articles
from masterops_dagster.simulator.world.records import Version
from masterops_dagster.simulator.world.rhythm import Plan
from masterops_dagster.simulator.world.store import World

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PLAN = Plan(seed=1, scale=0.5, start=date(2026, 11, 24))
STORE = next(account for account in ACCOUNTS if account.key == bigcommerce.ACCOUNT)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def history() -> dict[str, list[Version]]:
    """All versions of fifteen months, by resource."""
    found: dict[str, list[Version]] = defaultdict(list)
    for version in bigcommerce.base(PLAN):
        found[version.resource].append(version)
    for index in range(470):
        for version in bigcommerce.day(PLAN, PLAN.first + timedelta(days=index)):
            found[version.resource].append(version)
    return found


@pytest.fixture(scope="module")
def orders(history: dict[str, list[Version]]) -> list[Json]:
    """Every state of every order."""
    return [version.body for version in history["orders"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("organics") / "world"
    World.open(directory, scale=0.1, now=lambda: NOW).close()
    opened = World(directory, lambda: NOW, exact=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def own(world: World) -> Books:
    return books(Reading(world), STORE)


def net(line: Json) -> Decimal:
    return Decimal(line["total_ex_tax"]) - sum(
        (Decimal(one["amount"]) for one in line["applied_discounts"]), Decimal(0)
    )


def moment(text: str) -> datetime:
    return parsedate_to_datetime(text)


# ---- the figures


def test_lines_less_discounts_and_shipping_make_the_total(orders: list[Json]) -> None:
    for order in orders:
        goods = sum((net(line) for line in order["products"]), Decimal(0))
        assert Decimal(order["total_ex_tax"]) == goods + Decimal(order["shipping_cost_ex_tax"])
        assert Decimal(order["total_inc_tax"]) == Decimal(order["total_ex_tax"]) + Decimal(order["total_tax"])
        before = Decimal(order["discount_amount"]) + Decimal(order["coupon_discount"])
        assert Decimal(order["subtotal_ex_tax"]) - before == goods
        assert order["items_total"] == sum(line["quantity"] for line in order["products"])
        assert order["items_shipped"] == sum(line["quantity_shipped"] for line in order["products"])


def test_what_is_shipped_is_in_parcels(orders: list[Json]) -> None:
    for order in orders:
        sent: Counter[int] = Counter()
        for parcel in order["shipments"]:
            sent.update({item["order_product_id"]: item["quantity"] for item in parcel["items"]})
        assert sent == Counter({line["id"]: line["quantity_shipped"] for line in order["products"]}) - Counter()


def test_a_refund_never_gives_back_more_than_was_paid(history: dict[str, list[Version]]) -> None:
    latest = {version.id: version.body for version in history["orders"]}
    for version in history["refunds"]:
        refund, order = version.body, latest[version.parent]
        requested = sum((item["requested_amount"] for item in refund["items"]), Decimal(0))
        assert refund["total_amount"] == requested + refund["total_tax"]
        assert refund["total_amount"] <= Decimal(order["total_inc_tax"]) + Decimal("0.05")
        lines = {line["id"]: line for line in order["products"]}
        for item in refund["items"]:
            if item["item_type"] == "PRODUCT":
                assert item["quantity"] <= lines[item["item_id"]]["quantity_refunded"]


def test_the_books_take_goods_only(world: World, own: Books) -> None:
    counting = {
        record.body["id"]: record.body
        for record in world.scan(STORE.key, "orders")
        if record.body["status"] not in ("Incomplete", "Cancelled", "Declined")
    }
    assert len(own.sales) == len(counting) > 100
    assert sum(sale.revenue for sale in own.sales) == sum(
        Decimal(order["total_ex_tax"]) - Decimal(order["shipping_cost_ex_tax"]) for order in counting.values()
    )
    back = [
        item["requested_amount"]
        for record in world.scan(STORE.key, "refunds")
        if record.body["order_id"] in counting
        for item in record.body["items"]
        if item["item_type"] in ("PRODUCT", "ORDER")
    ]
    assert sum(refund.amount for refund in own.refunds) == sum(map(Decimal, back)) > 0


def test_the_books_count_days_in_melbourne(world: World, own: Books) -> None:
    days = Counter(
        moment(record.body["date_created"]).astimezone(MELBOURNE).date()
        for record in world.scan(STORE.key, "orders")
        if record.body["status_id"] not in (0, 5, 6)
    )
    assert Counter(sale.day for sale in own.sales) == days
    shipped = [sale for sale in own.sales if sale.completed_day is not None]
    assert len(shipped) > len(own.sales) / 2
    assert all(0 < sale.days_to_complete < 15 for sale in shipped)


def test_stock_is_the_same_all_day_and_worth_its_costs(world: World, own: Books) -> None:
    later = world.seen_at(NOW + timedelta(hours=9))
    items = {record.id: record.body for record in world.scan(STORE.key, "inventory")}
    assert {record.id: record.body for record in later.scan(STORE.key, "inventory")} == items
    tomorrow = world.seen_at(NOW + timedelta(days=1))
    assert {record.id: record.body for record in tomorrow.scan(STORE.key, "inventory")} != items
    for seen in (later, tomorrow):
        seen.close()
    assert own.stock_outs is not None
    assert 0 < own.stock_outs < len(items) / 3
    assert own.on_hand == sum(place["total_inventory_onhand"] for item in items.values() for place in item["locations"])
    assert 0 < own.stock_value < own.on_hand * 100


# ---- the cases


def test_orders_meet_all_fates(history: dict[str, list[Version]], orders: list[Json]) -> None:
    assert {order["status"] for order in orders} == set(bigcommerce.STATUSES.values())
    archived = [version for version in history["orders"] if version.archived]
    assert archived
    assert all(version.body["is_deleted"] for version in archived)
    assert any(len(order["shipments"]) == 2 for order in orders)
    edited = defaultdict(set)
    for order in orders:
        edited[order["id"]].add(order["items_total"])
    assert any(len(totals) > 1 for totals in edited.values())


def test_there_are_guests_coupons_and_orders_free_of_charge(orders: list[Json]) -> None:
    assert 0.2 < sum(order["customer_id"] == 0 for order in orders) / len(orders) < 0.45
    assert any(not order["billing_address"]["email"] and order["customer_id"] == 0 for order in orders)
    targets = {one["target"] for order in orders for line in order["products"] for one in line["applied_discounts"]}
    assert targets == {"order", "product"}
    assert any(Decimal(order["total_ex_tax"]) == 0 for order in orders)


def test_lines_may_have_no_product_no_sku_no_cost_and_no_tax(orders: list[Json]) -> None:
    lines = [line for order in orders for line in order["products"]]
    assert any(line["product_id"] == 0 for line in lines)
    assert any(not line["sku"] for line in lines)
    assert any(line["cost_price_ex_tax"] == "0.0000" for line in lines)
    assert 0.3 < sum(line["total_tax"] == "0.0000" for line in lines) / len(lines) < 0.8
    assert any(line["product_options"] for line in lines)


def test_refunds_are_of_pieces_shipping_and_the_order_as_such(history: dict[str, list[Version]]) -> None:
    kinds = Counter(item["item_type"] for version in history["refunds"] for item in version.body["items"])
    assert set(kinds) == {"PRODUCT", "SHIPPING", "ORDER"}
    latest = {version.id: version.body for version in history["orders"]}
    assert any(latest[version.parent]["status"] == "Cancelled" for version in history["refunds"])


def test_moments_are_whole_seconds_and_say_what_the_versions_say(history: dict[str, list[Version]]) -> None:
    for version in history["orders"]:
        assert moment(version.body["date_created"]).timestamp() * 1000 == version.business_at
        assert moment(version.body["date_modified"]).timestamp() * 1000 == version.modified_at
    for version in (*history["customers"], *history["products"]):
        assert datetime.fromisoformat(version.body["date_modified"]).timestamp() * 1000 == version.modified_at


def test_four_suppliers_bring_ten_thousand_products() -> None:
    full = articles(Plan(seed=1, scale=1.0, start=PLAN.start), bigcommerce.BUSINESS)
    assert len(full) == 10_000
    assert len({article.sku for article in full}) == len({article.name for article in full}) == 10_000
    assert Counter(article.group for article in full) == dict.fromkeys(SUPPLIERS, 2_500)
    assert len(articles(Plan(seed=1, scale=9.0, start=PLAN.start), bigcommerce.BUSINESS)) == 10_000


# ---- the buyers


def test_most_buyers_are_known_to_the_crm_and_some_to_teelixir(world: World) -> None:
    def emails(account: str, resource: str, *path: str) -> set[str | None]:
        found = set()
        for record in world.scan(account, resource):
            value: Any = record.body
            for name in path:
                value = (value or {}).get(name)
            found.add(plain_email(value))
        return found - {None}

    buyers = emails(STORE.key, "orders", "billing_address", "email")
    contacts = emails("hubspot", "contacts", "properties", "email")
    assert len(buyers & contacts) > 0.7 * len(buyers)
    assert buyers & emails("unleashed_teelixir", "Customers", "Email")


def test_a_buyer_of_two_shops_is_one_customer(world: World, own: Books) -> None:
    reading = Reading(world)
    by_email = {plain_email(record.body["email"]): record.body["id"] for record in world.scan(STORE.key, "customers")}
    shared = [
        (record.id, by_email[email])
        for record in world.scan("unleashed_teelixir", "Customers")
        if (email := plain_email(record.body["Email"])) in by_email
    ]
    assert shared
    for guid, number in shared:
        assert reading.customers.of(f"unleashed:teelixir:{guid}") == reading.customers.of(f"bigcommerce:{number}")


def test_the_store_is_always_the_same(tmp_path: Path) -> None:
    plan = Plan(seed=3, scale=0.05, start=date(2026, 11, 24))
    once, again = (list(bigcommerce.day(plan, plan.first + timedelta(days=30))) for _ in range(2))
    assert once == again != []
