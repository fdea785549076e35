"""BigCommerce's stand-in: both versions' shapes and errors, windows, limits by headers; our connector against it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.bigcommerce import BigCommerce, Customer
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import AuthenticationError, Conflict, Rejected
from masterops_dagster.connectors.telemetry import InMemorySink
from masterops_dagster.sources.catalogue import STREAMS
from tests.stand_ins import StandIns

ACCOUNT = "bigcommerce_buy_organics_online"
HASTE = Patience(timeout=5.0, deadline=30.0, attempts=10, pause=0.01, pause_max=0.05)
Json = dict[str, Any]


class Store:
    """A client with the store's token."""

    def __init__(self, endpoint: dict[str, str]) -> None:
        self.root = f"{endpoint['base_url']}/stores/{endpoint['store_hash']}"
        self.http = httpx.Client(timeout=10, headers={"X-Auth-Token": endpoint["access_token"]})

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(self.root + path, params={name.replace("__", ":"): query[name] for name in query})

    def orders(self, **query: Any) -> list[Json]:
        """All pages of v2's orders, by id."""
        found: list[Json] = []
        while True:
            lowest = found[-1]["id"] + 1 if found else 0
            answer = self.get("/v2/orders", sort="id:asc", limit=250, min_id=lowest, **query).raise_for_status()
            if answer.status_code == 204:
                return found
            found += answer.json()

    def rows(self, path: str, limit: int = 250, **query: Any) -> list[Json]:
        """All pages of a list of v3."""
        found: list[Json] = []
        number = 1
        while True:
            body = self.get(path, limit=limit, page=number, **query).raise_for_status().json()
            found += body["data"]
            page = body["meta"]["pagination"]
            assert page["count"] == len(body["data"])
            if number >= page["total_pages"]:
                assert page["total"] == len(found)
                return found
            number += 1


@pytest.fixture
def store(stand_ins: StandIns) -> Store:
    return Store(stand_ins.endpoint(ACCOUNT))


def connect(stand_ins: StandIns, window: Window | None = None, **instead: str) -> BigCommerce:
    access = {**stand_ins.endpoint(ACCOUNT), **instead}
    return BigCommerce(
        access["base_url"],
        ACCOUNT,
        access["store_hash"],
        access["access_token"],
        window=window or Window("30s", 100_000, 30.0),
        budget=InMemoryBudget(),
        sink=InMemorySink(),
        patience=HASTE,
    )


@pytest.fixture
def connector(stand_ins: StandIns) -> Iterator[BigCommerce]:
    with connect(stand_ins) as connector:
        yield connector


def read(connector: BigCommerce, resource: str, **how: Any) -> list[Json]:
    return [item for page in connector.read(resource, **how) for item in page.items]


# ---- who may call, and how often


def test_a_wrong_token_is_refused_in_each_versions_words(store: Store) -> None:
    for path, shape in (("/v2/orders", list), ("/v3/customers", dict)):
        refused = httpx.get(store.root + path, headers={"X-Auth-Token": "wrong"})
        assert refused.status_code == 401
        assert isinstance(refused.json(), shape)
    assert httpx.get(store.root + "/v2/store").status_code == 401


def test_another_stores_hash_is_refused(store: Store) -> None:
    elsewhere = store.root.rpartition("/")[0] + "/other/v2/store"
    assert store.http.get(elsewhere).status_code == 401


def test_each_answer_says_what_is_left_of_the_quota(stand_ins: StandIns, store: Store) -> None:
    stand_ins.allow("bigcommerce", 2, lambda: store.get("/v2/store"))
    last = [store.get("/v3/customers", limit=1) for _ in range(2)][-1]
    assert last.headers["x-rate-limit-requests-left"] == "0"
    assert last.headers["x-rate-limit-requests-quota"] == "3"
    assert last.headers["x-rate-limit-time-window-ms"] == "60000"
    refused = store.get("/v2/orders")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["x-rate-limit-time-reset-ms"]) <= 60_000


# ---- v2


def test_orders_name_their_parts_by_url_and_bring_lines_where_asked(store: Store) -> None:
    order = store.get("/v2/orders", limit=1, sort="id:asc").json()[0]
    assert order["products"]["resource"] == f"/orders/{order['id']}/products"
    assert "shipments" not in order
    parsedate_to_datetime(order["date_created"])
    assert all(order[name].rpartition(".")[2].__len__() == 4 for name in ("total_ex_tax", "total_tax", "total_inc_tax"))
    legacy = store.get(f"/v2/orders/{order['id']}", include="consignments.line_items").json()["consignments"]
    modern = store.get(
        f"/v2/orders/{order['id']}", include="consignments.line_items", consignment_structure="object"
    ).json()["consignments"]
    assert legacy == [modern]
    lines = store.get(f"/v2/orders/{order['id']}/products").json()
    assert modern["shipping"][0]["line_items"] == lines != []


def test_what_is_not_there_is_204_in_lists_and_404_by_id(store: Store) -> None:
    nothing = store.get("/v2/orders", min_date_created="2090-01-01T00:00:00Z")
    assert (nothing.status_code, nothing.content) == (204, b"")
    gone = store.get("/v2/orders/1")
    assert (gone.status_code, gone.json()[0]["status"]) == (404, 404)
    assert store.get("/v2/orders", limit=251).status_code == 400
    assert store.get("/v2/orders", min_date_created="yesterday").json()[0]["status"] == 400


def test_dates_are_read_in_both_forms_and_bounds_are_included(store: Store) -> None:
    every = store.orders()
    dates = sorted(order["date_created"] for order in every)
    some = every[len(every) // 2]["date_created"]
    same = [order["id"] for order in every if order["date_created"] == some]
    at: datetime = parsedate_to_datetime(str(some))
    for form in (some, at.isoformat(), f"{at:%Y-%m-%dT%H:%M:%SZ}"):
        assert [o["id"] for o in store.orders(min_date_created=form, max_date_created=form)] == same
    assert len(dates) == store.get("/v2/orders/count").json()["count"]


def test_counts_by_status_add_up(store: Store) -> None:
    counted = store.get("/v2/orders/count").json()
    statuses = Counter(order["status_id"] for order in store.orders())
    assert {one["id"]: one["count"] for one in counted["statuses"]} == statuses
    assert store.get("/v2/orders/count", status_id=11).json()["count"] == statuses[11]


def test_archived_orders_are_listed_only_where_asked_for(store: Store) -> None:
    archived = store.orders(is_deleted="true")
    assert archived
    assert all(order["is_deleted"] for order in archived)
    assert not {order["id"] for order in archived} & {order["id"] for order in store.orders()}
    assert store.get(f"/v2/orders/{archived[0]['id']}").json()["is_deleted"]


# ---- v3


def test_lists_of_v3_are_paged_with_totals(store: Store) -> None:
    customers = store.rows("/v3/customers", limit=20)
    assert len({customer["id"] for customer in customers}) == len(customers)
    assert "addresses" not in customers[0]
    assert store.rows("/v3/customers", include="addresses")[0]["addresses"]
    chosen = [customer["id"] for customer in customers[:3]]
    assert {one["id"] for one in store.rows("/v3/customers", id__in=",".join(map(str, chosen)))} == set(chosen)
    assert store.get("/v3/customers", page=999).json()["data"] == []


def test_products_bring_variants_and_only_the_fields_that_are_asked_for(store: Store) -> None:
    products = store.rows("/v3/catalog/products", include="variants", include_fields="name,price")
    assert set(products[0]) == {"id", "name", "price", "variants"}
    variants = store.rows("/v3/catalog/variants", include_fields="cost_price")
    assert {one["id"] for one in variants} == {one["id"] for product in products for one in product["variants"]}
    assert set(variants[0]) == {"id", "cost_price"}
    assert max(len(product["variants"]) for product in products) > 1


def test_inventory_has_a_thousand_items_a_page_and_agrees_with_the_variants(store: Store) -> None:
    items = store.rows("/v3/inventory/items", limit=1000)
    levels = {
        variant["id"]: variant["inventory_level"]
        for product in store.rows("/v3/catalog/products", include="variants")
        if product["inventory_tracking"] != "none"
        for variant in product["variants"]
    }
    assert {
        item["identity"]["variant_id"]: sum(place["total_inventory_onhand"] for place in item["locations"])
        for item in items
    } == levels
    one = items[5]["identity"]["product_id"]
    assert {i["identity"]["product_id"] for i in store.rows("/v3/inventory/items", product_id__in=str(one))} == {one}


def test_refunds_are_ordered_by_id_and_found_by_order(store: Store) -> None:
    refunds = store.rows("/v3/orders/payment_actions/refunds")
    assert [refund["id"] for refund in refunds] == sorted(refund["id"] for refund in refunds)
    one = refunds[0]
    assert one in store.rows("/v3/orders/payment_actions/refunds", order_id__in=str(one["order_id"]))
    assert {item["item_type"] for refund in refunds for item in refund["items"]} == {"PRODUCT", "SHIPPING", "ORDER"}
    same = store.rows("/v3/orders/payment_actions/refunds", created__min=one["created"], created__max=one["created"])
    assert one in same


def test_a_filter_that_is_no_date_is_refused_by_name(store: Store) -> None:
    refused = store.get("/v3/customers", date_modified__min="soon")
    assert refused.status_code == 422
    assert "date_modified:min" in refused.json()["errors"]


# ---- the connector


@pytest.mark.parametrize("resource", ["orders", "refunds", "customers", "products"])
def test_rows_keys_and_count_agree(connector: BigCommerce, resource: str) -> None:
    first = connector.count(resource)
    found = [row["id"] for row in read(connector, resource)]
    keys = [key for page in connector.keys(resource) for key in page]
    assert first is not None
    assert 0 < first <= len(set(found)) == len(found) <= len(keys) <= (connector.count(resource) or 0) <= first + 5


def test_stock_levels_agree_with_their_keys(connector: BigCommerce) -> None:
    rows = read(connector, "stock_levels")
    keys = [key for page in connector.keys("stock_levels") for key in page]
    assert [(row["variant_id"], row["location_id"]) for row in rows] == keys
    assert len({row["location_id"] for row in rows}) == 2
    assert all(isinstance(row["cost_price"], int | Decimal) for row in rows)


def test_orders_are_read_with_a_request_a_page_and_one_for_each_that_was_shipped(
    stand_ins: StandIns, store: Store
) -> None:
    with connect(stand_ins) as connector:
        orders = read(connector, "orders")
        shipped = sum(order["items_shipped"] > 0 for order in orders)
        assert connector.requests <= shipped + len(orders) // 250 + 2
    some = next(order for order in orders if len(order["shipments"]) > 1)
    assert some["products"] == store.get(f"/v2/orders/{some['id']}/products").json()
    assert [one["id"] for one in some["shipments"]] == [
        one["id"] for one in store.get(f"/v2/orders/{some['id']}/shipments").json()
    ]
    assert all(order["products"] for order in orders)


@pytest.mark.parametrize(
    ("resource", "field"), [("orders", "date_created"), ("refunds", "created"), ("customers", "date_created")]
)
def test_a_window_holds_exactly_what_its_dates_say(connector: BigCommerce, resource: str, field: str) -> None:
    every = read(connector, resource)
    dates = sorted(datetime.fromisoformat(row[field]) for row in every)
    start, end = dates[len(dates) // 3], dates[2 * len(dates) // 3]
    found = read(connector, resource, created_from=start, created_to=end)
    expected = {row["id"] for row in every if start <= datetime.fromisoformat(row[field]) < end}
    assert {row["id"] for row in found} == expected != set()


@pytest.mark.parametrize(
    ("resource", "field"),
    [
        ("orders", "date_modified"),
        ("refunds", "created"),
        ("customers", "date_modified"),
        ("products", "date_modified"),
    ],
)
def test_what_was_modified_since_includes_its_own_moment(connector: BigCommerce, resource: str, field: str) -> None:
    every = read(connector, resource)
    dates = sorted(datetime.fromisoformat(row[field]) for row in every)
    since = dates[2 * len(dates) // 3]
    found = {row["id"] for row in read(connector, resource, modified_since=since)}
    assert found >= {row["id"] for row in every if datetime.fromisoformat(row[field]) >= since}
    assert len(found) < len(every)


def test_every_column_of_the_streams_is_in_the_records(connector: BigCommerce) -> None:
    for stream in STREAMS["bigcommerce"]:
        if stream.parent:
            parents = read(connector, str(stream.parent))
            items: list[Json] = [item for parent in parents for item in parent[str(stream.items)]]
        else:
            items = read(connector, stream.resource)
        for column in stream.columns:
            if column.path:
                assert any(_has(item, column.path) for item in items), f"{stream.name}.{column.name}"


def _has(item: Json, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(item, dict) or part not in item:
            return False
        item = item[part]
    return True


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("rate_limit", {"rate": 0.1, "seconds": 0.1}),
        ("server_error", {"rate": 0.2}),
        ("reset", {"rate": 0.1}),
        ("malformed", {"rate": 0.2}),
        ("html", {"rate": 0.2}),
    ],
)
@pytest.mark.parametrize("resource", ["orders", "products"])
def test_a_store_that_misbehaves_is_read_whole_all_the_same(
    stand_ins: StandIns, connector: BigCommerce, resource: str, kind: str, how: dict[str, float]
) -> None:
    recently = datetime.now(UTC) - timedelta(days=60)
    window = {"created_from": recently, "created_to": datetime.now(UTC)} if resource == "orders" else {}
    before = {row["id"] for row in read(connector, resource, **window)}
    stand_ins.misbehave("bigcommerce", kind, seed=3, **how)
    assert {row["id"] for row in read(connector, resource, **window)} >= before


def test_a_load_at_the_limit_draws_no_429(stand_ins: StandIns) -> None:
    stand_ins.limit({"bigcommerce": {"burst": {"requests": 6, "seconds": 0.5}}})
    time.sleep(0.5)  # what was asked before counts as well
    with connect(stand_ins, Window("30s", 6, 0.5)) as connector:
        for resource in ("customers", "products", "refunds"):
            assert read(connector, resource)
        sink = connector._sink
        assert isinstance(sink, InMemorySink)
        assert {event.outcome for event in sink.events} == {"ok"}
        assert len(sink.events) > 6


def test_a_wrong_token_is_named_as_such(stand_ins: StandIns) -> None:
    with connect(stand_ins, access_token="wrong") as connector, pytest.raises(AuthenticationError):
        connector.count("orders")


def test_the_store_says_who_it_is(stand_ins: StandIns, connector: BigCommerce) -> None:
    assert connector.identity() == f"BigCommerce store {stand_ins.endpoint(ACCOUNT)['store_hash']}"


def test_customers_are_created_changed_and_read_back(connector: BigCommerce) -> None:
    (made,) = connector.create_customers(
        [Customer(email="zoe.new@example.com", first_name="Zoë", last_name="健康", notes="🌱")]
    )
    assert made.id is not None
    before = datetime.now(UTC) - timedelta(minutes=5)
    (changed,) = connector.update_customers([Customer(id=made.id, company="Wholefoods Pty Ltd")])
    assert (changed.company, changed.first_name) == ("Wholefoods Pty Ltd", "Zoë")
    found = connector.find_customer("ZOE.new@example.com")
    assert found is not None
    assert found.id == made.id
    assert made.id in {row["id"] for row in read(connector, "customers", modified_since=before)}
    with pytest.raises(Conflict):
        connector.create_customers([Customer(email="zoe.new@example.com", first_name="A", last_name="B")])
    with pytest.raises(Rejected, match="last_name is required"):
        connector.create_customers([Customer(email="b@example.com", first_name="A")])
    with pytest.raises(Rejected, match="does not exist"):
        connector.update_customers([Customer(id=1, notes="whose?")])
