"""BigCommerce's connector keeps the contract in both versions of the API, and reads orders whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Unpack

import pytest

from masterops_dagster.connectors.base import Options, Record
from masterops_dagster.connectors.bigcommerce import BigCommerce, Customer
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import (
    Conflict,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
)
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import HASTE, SECRET, ConnectorContract

STORE = "abc123"
ORDERED = "Sun, 01 Mar 2026 12:30:00 +0000"
NOTHING = Answer(204)


class BigCommerceApi:
    """The API over lists: `rows` are what the suite fills; `orders` or one of v3's resources, by `resource`."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.rows: list[dict[str, Any]] = []
        self.lines: dict[int, list[dict[str, Any]]] = {}
        self.shipments: dict[int, list[dict[str, Any]]] = {}
        self.variants: list[dict[str, Any]] = []
        self.inventory: list[dict[str, Any]] = []
        self.accepts_credentials = True
        self.lines_in_orders = True

    def __call__(self, request: Request) -> Answer:
        prefix = f"/stores/{STORE}"
        assert request.path.startswith(prefix)
        path = request.path.removeprefix(prefix)
        if not self.accepts_credentials or request.headers.get("x-auth-token") != SECRET:
            return as_json([{"status": 401, "message": "Unauthorized"}], 401)
        if path == "/v2/store":
            return as_json({"id": STORE, "name": "Test"})
        if path.startswith("/v2/orders"):
            return self.v2(request, path.removeprefix("/v2/orders").strip("/").split("/"))
        if request.method in {"POST", "PUT"}:
            return self.written(request)
        lists = {
            "/v3/customers": self.rows,
            "/v3/catalog/products": self.rows,
            "/v3/orders/payment_actions/refunds": self.rows,
            "/v3/catalog/variants": self.variants,
            "/v3/inventory/items": self.inventory,
        }
        return self.v3(request, lists[path])

    def v2(self, request: Request, parts: list[str]) -> Answer:
        params = request.params
        if parts == ["count"]:
            return as_json({"count": len(self.rows), "statuses": []})
        if len(parts) == 2:
            found = (self.lines if parts[1] == "products" else self.shipments).get(int(parts[0]), [])
            start = (int(params["page"]) - 1) * int(params["limit"])
            found = found[start : start + int(params["limit"])]
            return as_json(found) if found else NOTHING
        assert params["sort"] == "id:asc"
        behind = [
            row for row in sorted(self.rows, key=lambda row: row["id"]) if row["id"] >= int(params.get("min_id", 0))
        ]
        found = behind[: int(params["limit"])]
        if params.get("include") == "consignments.line_items" and self.lines_in_orders:
            assert params["consignment_structure"] == "object"
            found = [{**row, "consignments": self.consignments(row["id"])} for row in found]
        return as_json(found) if found else NOTHING

    def consignments(self, order: int) -> dict[str, Any]:
        lines = self.lines.get(order, [])
        goods = [line for line in lines if line["type"] == "physical"]
        files = [line for line in lines if line["type"] == "digital"]
        return {
            "pickups": [],
            "shipping": [{"id": 1, "city": "Richmond", "line_items": goods}] if goods else [],
            "downloads": [{"recipient_email": "a@example.com", "line_items": files}] if files else [],
            "email": {"gift_certificates": []},
        }

    def v3(self, request: Request, rows: list[dict[str, Any]]) -> Answer:
        params = request.params
        if "id:in" in params:
            rows = [row for row in rows if str(row["id"]) in params["id:in"].split(",")]
        if "email:in" in params:
            rows = [row for row in rows if row.get("email") == params["email:in"]]
        number, size = int(params.get("page", "1")), int(params.get("limit", "50"))
        found = rows[(number - 1) * size : number * size]
        pagination = {"total": len(rows), "total_pages": max(1, -(-len(rows) // size)), "current_page": number}
        return as_json({"data": found, "meta": {"pagination": pagination}})

    def written(self, request: Request) -> Answer:
        given = json.loads(request.body)
        if len(given) > 10:
            return as_json({"status": 413, "title": "too large"}, 413)
        made = []
        for one in given:
            if request.method == "POST":
                if any(row.get("email") == one["email"] for row in self.rows):
                    errors = {".customer_create": f"the email address {one['email']} is already in use"}
                    return as_json({"status": 422, "title": "Create customers failed.", "errors": errors}, 422)
                self.rows.append({"id": len(self.rows) + 1, **one})
                made.append(self.rows[-1])
            else:
                row = next(row for row in self.rows if row["id"] == one["id"])
                row.update(one)
                made.append(row)
        return as_json({"data": made, "meta": {}})


class BigCommerceContract(ConnectorContract):
    page_size = 20
    number_field = "weight"

    def make_api(self) -> BigCommerceApi:
        return BigCommerceApi(self.resource)

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> BigCommerce:
        return BigCommerce(
            url, "bigcommerce_test", STORE, SECRET, window=Window("30s", *limit), page_size=self.page_size, **options
        )

    def key(self, record: Record) -> object:
        return record["id"]


class TestOrders(BigCommerceContract):
    """v2."""

    resource = "orders"
    text_field = "staff_notes"

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        return {
            "id": number,
            "date_created": ORDERED,
            "items_total": 0,
            "items_shipped": 0,
            "total": "1.5000",
            **fields,
        }

    def error(self, status: int) -> Answer:
        return as_json([{"status": status, "message": self.error_message}], status)

    def test_dates_become_iso_in_utc_and_empty_ones_null(self, api: BigCommerceApi, connector: BigCommerce) -> None:
        api.rows[:] = [
            self.row(1, date_created="Mon, 02 Mar 2026 00:30:00 +1100", date_shipped="", date_modified="not a date")
        ]
        (order,) = self.read(connector)
        assert order["date_created"] == "2026-03-01T13:30:00Z"
        assert order["date_shipped"] is None
        assert order["date_modified"] == "not a date"

    def test_lines_of_all_kinds_come_with_their_order_and_cost_no_request(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        api.rows[:] = [self.row(1, items_total=3), self.row(2)]
        api.lines[1] = [
            {"id": 10, "type": "physical", "quantity": 2, "total_ex_tax": "3.0000"},
            {"id": 11, "type": "digital", "quantity": 1},
        ]
        first, second = self.read(connector)
        assert first["products"] == api.lines[1]
        assert second["products"] == []
        consignments: Any = first["consignments"]
        assert consignments["shipping"] == [{"id": 1, "city": "Richmond"}]
        assert len(server.seen) == 1

    def test_lines_are_asked_for_where_the_order_has_none_with_it(
        self, api: BigCommerceApi, connector: BigCommerce
    ) -> None:
        api.lines_in_orders = False
        api.rows[:] = [self.row(1, items_total=300)]
        api.lines[1] = [{"id": n, "type": "physical", "quantity": 1} for n in range(300)]
        (order,) = self.read(connector)
        assert order["products"] == api.lines[1]

    def test_shipments_are_asked_for_only_where_something_was_shipped(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        api.rows[:] = [self.row(1), self.row(2, items_shipped=1), self.row(3, items_shipped=2)]
        api.shipments[2] = [{"id": 7, "date_created": ORDERED, "items": [{"order_product_id": 1, "quantity": 1}]}]
        shipments: list[Any] = [order["shipments"] for order in self.read(connector)]
        assert [len(found) for found in shipments] == [0, 1, 0]
        assert shipments[1][0]["date_created"] == "2026-03-01T12:30:00Z"
        assert sorted(r.path for r in server.seen if "shipments" in r.path) == [
            f"/stores/{STORE}/v2/orders/{n}/shipments" for n in (2, 3)
        ]

    def test_a_window_is_asked_for_and_its_end_left_out(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
        api.rows[:] = [self.row(n, date_created=format_datetime(day)) for n, day in enumerate(days, 1)]
        pages = list(connector.read("orders", created_from=days[1], created_to=days[2]))
        assert [item["id"] for page in pages for item in page.items] == [2]
        params = server.seen[0].params
        assert (params["min_date_created"], params["max_date_created"]) == (
            "2026-03-02T00:00:00Z",
            "2026-03-03T00:00:00Z",
        )

    def test_a_live_read_asks_for_what_changed(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        since = datetime(2026, 3, 1, 12, 30, 0, 400_000, tzinfo=UTC)
        api.rows[:] = [self.row(1, date_modified=ORDERED), self.row(2, date_modified="Sat, 28 Feb 2026 00:00:00 +0000")]
        pages = list(connector.read("orders", modified_since=since))
        assert [item["id"] for page in pages for item in page.items] == [1]
        assert server.seen[0].params["min_date_modified"] == "2026-03-01T12:30:00Z"

    def test_an_api_that_does_not_read_on_from_an_id_is_malformed(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        page = [self.row(number) for number in range(1, self.page_size + 1)]
        server.api = lambda request: as_json(page)
        with pytest.raises(MalformedResponse, match="from id 21 on"):
            self.read(connector)


class TestCustomers(BigCommerceContract):
    """v3."""

    resource = "customers"
    text_field = "notes"

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        return {"id": number, "email": f"{number}@example.com", "date_modified": "2026-03-01T12:30:00Z", **fields}

    def error(self, status: int) -> Answer:
        return as_json({"status": status, "title": self.error_message, "type": "…", "errors": {}}, status)

    def test_errors_by_field_are_named(self, server: ScriptedServer, connector: BigCommerce) -> None:
        server.api = lambda request: as_json(
            {"status": 422, "title": "Bad filter", "errors": {"date_modified:min": "no date"}}, 422
        )
        with pytest.raises(Rejected, match="Bad filter: date_modified:min: no date"):
            self.read(connector)

    def test_a_scope_that_is_missing_is_a_matter_of_permission(
        self, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        server.api = lambda request: as_json({"status": 403, "title": "You don't have a required scope"}, 403)
        with pytest.raises(PermissionDenied, match="required scope"):
            self.read(connector)

    def test_customers_are_asked_for_a_second_earlier_because_the_filter_means_after(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        api.rows[:] = [self.row(1), self.row(2, date_modified="2026-03-01T12:29:59Z")]
        since = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
        pages = list(connector.read("customers", modified_since=since))
        assert [item["id"] for page in pages for item in page.items] == [1]
        assert server.seen[0].params["date_modified:min"] == "2026-03-01T12:29:59Z"
        assert server.seen[0].params["include"] == "addresses"

    # ---- limits

    def limited(
        self, api: BigCommerceApi, left: int, quota: int = 10, window: int = 30_000, reset: int = 400
    ) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            given = api(request)
            headers = {
                "X-Rate-Limit-Requests-Left": str(left),
                "X-Rate-Limit-Requests-Quota": str(quota),
                "X-Rate-Limit-Time-Window-Ms": str(window),
                "X-Rate-Limit-Time-Reset-Ms": str(reset),
            }
            return Answer(given.status, given.body, {**given.headers, **headers})

        return answer

    def test_what_other_apps_used_up_is_waited_for(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        self.fill(api, self.page_size)
        server.api = self.limited(api, left=0, window=1000)
        self.read(connector)
        self.read(connector)
        assert server.seen[1].at - server.seen[0].at >= 0.4

    def test_the_plans_own_quota_is_believed(self, api: BigCommerceApi, server: ScriptedServer) -> None:
        self.fill(api, self.page_size * 5)
        server.api = self.limited(api, left=900, quota=1000, window=15_000)
        with self.connect(server.url, limit=(2, 60.0), budget=InMemoryBudget(), patience=HASTE) as connector:
            assert len(self.read(connector)) == self.page_size * 5

    def test_a_429_is_waited_for_until_the_quota_is_refreshed(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        self.fill(api, 1)
        refusal = self.error(429)
        server.script(Answer(429, refusal.body, {**refusal.headers, "X-Rate-Limit-Time-Reset-Ms": "600"}))
        self.read(connector)
        assert 0.6 <= server.seen[1].at - server.seen[0].at < 1.5

    def test_a_429_names_its_window(self, server: ScriptedServer) -> None:
        refusal = self.error(429)
        server.api = lambda request: Answer(
            429, refusal.body, {**refusal.headers, "X-Rate-Limit-Time-Reset-Ms": "900000"}
        )
        with self.connect(server.url, patience=HASTE) as connector, pytest.raises(RateLimited) as caught:
            self.read(connector)
        assert (caught.value.scope, caught.value.retry_after) == ("30s", 900.0)

    # ---- what is beside lists

    def test_the_stores_own_id_tells_whose_account_it_is(self, connector: BigCommerce) -> None:
        assert connector.identity() == f"BigCommerce store {STORE}"

    def test_stock_is_a_row_for_each_variant_and_place_with_the_variants_cost(
        self, api: BigCommerceApi, connector: BigCommerce
    ) -> None:
        def place(number: int, pieces: int) -> dict[str, Any]:
            return {"location_id": number, "available_to_sell": pieces - 1, "total_inventory_onhand": pieces}

        api.variants[:] = [{"id": 5, "product_id": 1, "cost_price": 2.5}]
        api.inventory[:] = [
            {"identity": {"variant_id": 5, "product_id": 1, "sku": "A"}, "locations": [place(1, 4), place(2, 9)]},
            {"identity": {"variant_id": 6, "product_id": 2, "sku": ""}, "locations": [place(1, 1)]},
        ]
        rows = [row for page in connector.read("stock_levels") for row in page.items]
        assert [(r["variant_id"], r["location_id"], r["total_inventory_onhand"]) for r in rows] == [
            (5, 1, 4),
            (5, 2, 9),
            (6, 1, 1),
        ]
        assert [str(row["cost_price"]) for row in rows] == ["2.5", "2.5", "None"]
        assert [key for page in connector.keys("stock_levels") for key in page] == [(5, 1), (5, 2), (6, 1)]
        assert connector.count("stock_levels") is None

    def test_an_unknown_resource_is_named(self, connector: BigCommerce) -> None:
        with pytest.raises(ValueError, match="'carts'"):
            list(connector.read("carts"))
        with pytest.raises(ValueError, match="'products'"):
            list(connector.read_children("products", [1]))

    def test_nothing_is_archived(self, api: BigCommerceApi, connector: BigCommerce) -> None:
        self.fill(api, 3)
        assert list(connector.read("customers", archived=True)) == []

    # ---- writing

    def test_customers_are_created_ten_at_a_time(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        new = (Customer(email=f"{n}@example.com", first_name="Zoë", last_name="健康") for n in range(23))
        made = connector.create_customers(new)
        assert [one.id for one in made] == list(range(1, 24))
        assert [len(json.loads(request.body)) for request in server.seen] == [10, 10, 3]
        assert api.rows[22]["last_name"] == "健康"

    def test_a_create_whose_answer_was_lost_is_not_repeated(
        self, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        server.script(self.error(502))
        with pytest.raises(Unavailable):
            connector.create_customers([Customer(email="a@example.com", first_name="A", last_name="B")])
        assert len(server.seen) == 1

    def test_an_email_that_is_taken_is_a_conflict(self, api: BigCommerceApi, connector: BigCommerce) -> None:
        self.fill(api, 1)
        with pytest.raises(Conflict, match="already in use"):
            connector.create_customers([Customer(email="1@example.com", first_name="A", last_name="B")])

    def test_an_update_sends_only_what_was_set(
        self, api: BigCommerceApi, server: ScriptedServer, connector: BigCommerce
    ) -> None:
        self.fill(api, 2)
        (changed,) = connector.update_customers([Customer(id=2, accepts_product_review_abandoned_cart_emails=True)])
        assert changed.email == "2@example.com"
        assert json.loads(server.seen[0].body) == [{"id": 2, "accepts_product_review_abandoned_cart_emails": True}]
        with pytest.raises(ValueError, match="without its id"):
            connector.update_customers([Customer(notes="whose?")])

    def test_a_customer_is_found_by_id_and_by_email(self, api: BigCommerceApi, connector: BigCommerce) -> None:
        self.fill(api, 3)
        assert connector.get_customer(2).email == "2@example.com"
        found = connector.find_customer("3@example.com")
        assert found is not None
        assert found.id == 3
        assert connector.find_customer("nobody@example.com") is None
        with pytest.raises(NotFound):
            connector.get_customer(99)


@pytest.mark.parametrize("resource", ["products", "refunds"])
def test_the_other_resources_of_v3_are_read_alike(resource: str) -> None:
    api = BigCommerceApi(resource)
    api.rows[:] = [
        {"id": number, "created": f"2026-03-0{number}T00:00:00Z", "date_modified": f"2026-03-0{number}T00:00:00Z"}
        for number in (1, 2, 3)
    ]
    with ScriptedServer(api) as server, BigCommerce(server.url, "test", STORE, SECRET) as connector:
        assert connector.count(resource) == 3
        assert list(connector.keys(resource)) == [[1, 2, 3]]
        since = datetime(2026, 3, 2, tzinfo=UTC)
        assert [item["id"] for page in connector.read(resource, modified_since=since) for item in page.items] == [2, 3]
        if resource == "refunds":
            window = connector.read(resource, created_from=since, created_to=datetime(2026, 3, 3, tzinfo=UTC))
            assert [item["id"] for page in window for item in page.items] == [2]
