"""Shopify's connector keeps the contract, and knows errors inside answers, points, and bulk operations."""

from __future__ import annotations

import json
import re
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

import pytest
from structlog.testing import capture_logs

from masterops_dagster.connectors.base import Options, Record
from masterops_dagster.connectors.budget import Bucket, InMemoryBudget
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    DeadlineExceeded,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.shopify import (
    BulkPatience,
    InventoryQuantity,
    Shopify,
    TooCostly,
    access_token,
    client_credentials,
)
from masterops_dagster.connectors.telemetry import InMemorySink
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import HASTE, SECRET, ConnectorContract

PATH = "/admin/api/2026-10/graphql.json"
BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
SOON = BulkPatience(first_look=0.01, longest_pause=0.02, whole=5.0)

Variables = dict[str, Any]


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def error(message: str, code: str | None = None, **extensions: object) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {**({"code": code} if code else {}), **extensions}}]}


DENIED = error("Access denied for this field.", "ACCESS_DENIED")


class ShopifyApi:
    """The Admin API over a list of customers; other documents have `answers` of their own, by operation name.

    `points` are what the bucket holds and gets back a second, and `cost` what a page costs; None: nothing is counted.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.accepts_credentials = True
        self.tokens = {SECRET}
        self.answers: dict[str, Callable[[Variables], dict[str, Any]]] = {
            "AccessScopes": lambda variables: _scopes("read_orders", "read_all_orders")
        }
        self.sent: list[tuple[str, Variables]] = []
        self.points: tuple[float, float] | None = None
        self.cost = 1
        self.throttled = 0
        self.largest_page = 250
        self._full_at = 0.0

    def __call__(self, request: Request) -> Answer:
        assert (request.method, request.path) == ("POST", PATH)
        if not self.accepts_credentials or request.headers.get("x-shopify-access-token") not in self.tokens:
            return as_json({"errors": "[API] Invalid API key or access token"}, 401)
        body = json.loads(request.body)
        (name,) = re.findall(r"^(?:query|mutation) (\w+)", body["query"], re.MULTILINE)
        variables = body["variables"]
        self.sent.append((name, variables))
        if variables.get("first", 0) > self.largest_page:
            return as_json(error("Query cost is 1543, which exceeds the limit (1000)", "MAX_COST_EXCEEDED"))
        now = time.monotonic()
        if self.points is not None:
            limit, rate = self.points
            if limit - max(0.0, self._full_at - now) * rate < self.cost:
                self.throttled += 1
                return as_json({**error("Throttled", "THROTTLED"), **self._extensions(now, actual=None)})
            self._full_at = max(now, self._full_at) + self.cost / rate
        answer = self.answers[name](variables) if name in self.answers else self._customers(name, variables)
        return as_json({**answer, **self._extensions(now, self.cost)})

    def _extensions(self, now: float, actual: int | None) -> dict[str, Any]:
        cost: dict[str, Any] = {"requestedQueryCost": self.cost, "actualQueryCost": actual}
        if self.points is not None:
            limit, rate = self.points
            left = int(limit - max(0.0, self._full_at - now) * rate)
            cost["throttleStatus"] = {"maximumAvailable": limit, "currentlyAvailable": left, "restoreRate": rate}
        return {"extensions": {"cost": cost}}

    def _customers(self, name: str, variables: Variables) -> dict[str, Any]:
        search = variables.get("filter")
        found = [row for row in self.rows if _matches(row, search)] if search else self.rows
        if name == "CustomerCount":
            return {"data": {"customersCount": {"count": len(found), "precision": "EXACT"}}}
        assert name in {"Customers", "CustomerKeys"}
        field = {"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt", "ID": "id"}[variables["sort"]]
        # ids are of one length: they sort as their numbers do
        placed = sorted(found, key=lambda row: (row[field], row["id"]))
        if variables["after"]:
            place = bisect_right(placed, tuple(json.loads(variables["after"])), key=lambda row: (row[field], row["id"]))
            placed = placed[place:]
        page = placed[: variables["first"]]
        cursor = json.dumps([page[-1][field], page[-1]["id"]]) if page else None
        info = {"hasNextPage": len(placed) > len(page), "endCursor": cursor}
        nodes = page if name == "Customers" else [{"id": row["id"]} for row in page]
        return {"data": {"customers": {"nodes": nodes, "pageInfo": info}}}


def _scopes(*handles: str) -> dict[str, Any]:
    granted = [{"handle": handle} for handle in handles]
    return {"data": {"currentAppInstallation": {"accessScopes": granted}}}


def _number(row: dict[str, Any]) -> int:
    return int(row["id"].rpartition("/")[2])


def _matches(row: dict[str, Any], search: str) -> bool:
    fields = {"updated_at": row["updatedAt"], "customer_date": row["createdAt"], "id": _number(row)}
    for field, comparator, moment, number in re.findall(r"(\w+):(>=|<)(?:'([^']*)'|(\d+))", search):
        wanted = moment or int(number)
        if not (fields[field] >= wanted if comparator == ">=" else fields[field] < wanted):
            return False
    return True


class TestShopify(ConnectorContract):
    resource = "customers"
    page_size = 10
    text_field = "note"
    number_field = "score"

    def make_api(self) -> ShopifyApi:
        return ShopifyApi()

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> Shopify:
        bucket = Bucket("points", limit[0], limit[0] / limit[1])
        return Shopify(
            url,
            "shopify_test",
            access_token(SECRET),
            bucket=bucket,
            page_size=self.page_size,
            bulk_from=1_000_000,
            bulk_patience=SOON,
            **options,
        )

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        created = stamp(BEGINNING + timedelta(seconds=number))
        id = f"gid://shopify/Customer/{1_000_000_000 + number}"
        return {"id": id, "createdAt": created, "updatedAt": created, "note": None, **fields}

    def key(self, record: Record) -> object:
        return record["id"]

    def error(self, status: int) -> Answer:
        return as_json({"errors": self.error_message}, status)

    def enforce(self, server: ScriptedServer, limit: tuple[int, float]) -> None:
        """A bucket, as Shopify has one."""
        assert isinstance(server.api, ShopifyApi)
        server.api.points = (limit[0], limit[0] / limit[1])

    def refused(self, server: ScriptedServer) -> int:
        assert isinstance(server.api, ShopifyApi)
        return server.api.throttled

    def least_seconds(self, requests: int, limit: tuple[int, float]) -> float:
        """A full bucket at first, then as fast as it flows back."""
        return (requests - limit[0]) / limit[0] * limit[1]

    # ---- errors inside answers

    def test_throttled_inside_200_is_waited_for_as_long_as_points_need(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify, sink: InMemorySink
    ) -> None:
        keys = self.fill(api, 1)
        status = {"maximumAvailable": 1000, "currentlyAvailable": 10, "restoreRate": 100}
        cost = {"requestedQueryCost": 60, "actualQueryCost": None, "throttleStatus": status}
        server.script(as_json({**error("Throttled", "THROTTLED"), "extensions": {"cost": cost}}))
        assert [self.key(item) for item in self.read(connector)] == keys
        first, second = server.seen
        assert 0.5 <= second.at - first.at < 1.0
        assert [event.outcome for event in sink.events] == ["rate_limited", "ok"]

    def test_throttled_for_longer_than_the_deadline_ends_at_once(self, server: ScriptedServer) -> None:
        status = {"maximumAvailable": 1000, "currentlyAvailable": 0, "restoreRate": 1}
        cost = {"requestedQueryCost": 900, "actualQueryCost": None, "throttleStatus": status}
        server.api = lambda request: as_json({**error("Throttled", "THROTTLED"), "extensions": {"cost": cost}})
        with self.connect(server.url, patience=HASTE) as connector, pytest.raises(RateLimited) as caught:
            self.read(connector)
        assert caught.value.retry_after == 900
        assert caught.value.scope == "points"
        assert len(server.seen) == 1

    def test_throttled_without_a_word_on_points_is_tried_again(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify
    ) -> None:
        keys = self.fill(api, 1)
        server.script(as_json(error("Throttled", "THROTTLED")))
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_a_mutation_that_was_throttled_is_sent_again(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify
    ) -> None:
        api.answers["AddTags"] = lambda variables: {"data": {"tagsAdd": {"node": None, "userErrors": []}}}
        server.script(as_json(error("Throttled", "THROTTLED")))
        connector.add_tags("gid://shopify/Order/1", ["checked"])
        assert [name for name, _ in api.sent] == ["AddTags"]

    def test_access_that_is_missing_names_the_scope(self, server: ScriptedServer, connector: Shopify) -> None:
        message = "Access denied for customers field."
        denied = error(message, "ACCESS_DENIED", requiredAccess="`read_customers` access scope.")
        server.api = lambda request: as_json({**denied, "data": {"customers": None}})
        with pytest.raises(PermissionDenied, match=r"Access denied .* `read_customers` access scope"):
            self.read(connector)
        assert len(server.seen) == 1

    def test_an_internal_error_beside_data_is_tried_again_and_no_part_is_taken_for_the_whole(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify
    ) -> None:
        keys = self.fill(api, 3)

        def partial(request: Request) -> Answer:
            body = json.loads(api(request).body)
            body["data"]["customers"]["nodes"].pop()
            return as_json({**body, **error("Internal error.", "INTERNAL_SERVER_ERROR", requestId="req-7")})

        server.script(partial)
        assert [self.key(item) for item in self.read(connector)] == keys
        server.api = partial
        with pytest.raises(Unavailable, match="Internal error") as caught:
            self.read(connector)
        assert caught.value.correlation_id == "req-7"

    def test_a_field_that_the_version_lacks_points_to_the_version(
        self, server: ScriptedServer, connector: Shopify
    ) -> None:
        message = "Field 'fax' doesn't exist on type 'Customer'"
        server.api = lambda request: as_json(error(message, "undefinedField"))
        with pytest.raises(Rejected, match=r"Field 'fax' .* Check the API version"):
            self.read(connector)
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"errors": [{"message": "Something is wrong"}]}, "Something is wrong"),
            ({"errors": "Not a list"}, "Not a list"),
            ({"errors": [{"message": "closed", "extensions": {"code": "SHOP_INACTIVE"}}]}, "closed or frozen"),
        ],
    )
    def test_errors_without_a_known_code_keep_their_words(
        self, server: ScriptedServer, connector: Shopify, body: object, words: str
    ) -> None:
        server.api = lambda request: as_json(body)
        with pytest.raises((Rejected, PermissionDenied), match=words):
            self.read(connector)

    @pytest.mark.parametrize(
        "body", [{}, {"data": None}, {"data": {"customers": None}}, {"data": {"customers": {}}}, []]
    )
    def test_an_answer_of_another_shape_is_malformed(
        self, server: ScriptedServer, connector: Shopify, body: object
    ) -> None:
        server.api = lambda request: as_json(body)
        with pytest.raises(MalformedResponse):
            self.read(connector)

    @pytest.mark.parametrize("broken", [{"hasNextPage": True, "endCursor": None}, None])
    def test_a_page_that_does_not_say_where_the_next_begins_is_malformed(
        self, server: ScriptedServer, connector: Shopify, broken: object
    ) -> None:
        page = {"nodes": [self.row(1)], "pageInfo": broken}
        server.api = lambda request: as_json({"data": {"customers": page}})
        with pytest.raises(MalformedResponse, match="customers has"):
            self.read(connector)

    @pytest.mark.parametrize(
        ("status", "kind"), [(402, PermissionDenied), (403, AuthenticationError), (423, PermissionDenied)]
    )
    def test_a_store_that_is_shut_says_so(
        self, server: ScriptedServer, connector: Shopify, status: int, kind: type[Exception]
    ) -> None:
        server.script(as_json({"errors": {"shop": "Unavailable Shop"}}, status))
        with pytest.raises(kind, match="shop: Unavailable Shop"):
            self.read(connector)
        server.script(as_json({"errors": [{"message": "Unavailable Shop"}, "for now"]}, status))
        with pytest.raises(kind, match="Unavailable Shop; for now"):
            self.read(connector)

    # ---- points

    def test_a_page_that_costs_too_much_is_made_smaller_once(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify
    ) -> None:
        keys = self.fill(api, 25)
        api.largest_page = 7
        for _ in range(2):
            assert [self.key(item) for item in self.read(connector)] == keys
        sizes = [variables["first"] for _, variables in api.sent]
        assert sizes == [10, *[5] * 5, *[5] * 5]

    def test_a_document_that_costs_too_much_for_one_object_is_refused(
        self, api: ShopifyApi, connector: Shopify
    ) -> None:
        api.largest_page = 0
        with pytest.raises(TooCostly, match="Query cost is 1543"):
            self.read(connector)

    def test_what_a_document_costs_is_learned_and_what_it_did_not_cost_comes_back(
        self, api: ShopifyApi, server: ScriptedServer
    ) -> None:
        self.fill(api, self.page_size * 8)
        api.points, api.cost = (200.0, 400.0), 50
        with self.connect(server.url, limit=(200, 0.5), patience=HASTE, budget=InMemoryBudget()) as connector:
            begun = time.monotonic()
            assert len(self.read(connector)) == self.page_size * 8
            assert 0.45 <= time.monotonic() - begun < 1.2  # 400 points: 200 at once, 200 in half a second
        assert api.throttled == 0

    def test_a_plan_with_more_points_is_used_to_the_full(self, api: ShopifyApi, server: ScriptedServer) -> None:
        self.fill(api, self.page_size * 10)
        api.points, api.cost = (2_000.0, 1_000.0), 40
        with self.connect(server.url, limit=(50, 1.0), patience=HASTE, budget=InMemoryBudget()) as connector:
            begun = time.monotonic()
            assert len(self.read(connector)) == self.page_size * 10
            assert time.monotonic() - begun < 1.0

    # ---- order, windows

    def test_a_live_read_goes_by_modification_in_utc(self, api: ShopifyApi, connector: Shopify) -> None:
        api.rows = [self.row(n, updatedAt=stamp(BEGINNING + timedelta(days=n))) for n in range(3)]
        since = BEGINNING + timedelta(days=1, microseconds=500)
        pages = list(connector.read("customers", modified_since=since))
        assert [item["id"] for page in pages for item in page.items] == [row["id"] for row in api.rows[1:]]
        ((_, variables),) = api.sent
        assert (variables["filter"], variables["sort"]) == ("updated_at:>='2026-03-02T00:00:00Z'", "UPDATED_AT")

    def test_a_backfill_goes_by_creation_and_its_window_is_half_open(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify
    ) -> None:
        api.rows = [self.row(n, createdAt=stamp(BEGINNING + timedelta(hours=12 * n))) for n in range(5)]
        window = {"created_from": BEGINNING + timedelta(days=0.5), "created_to": BEGINNING + timedelta(days=1.5)}
        pages = list(connector.read("customers", **window))
        assert [item["id"] for page in pages for item in page.items] == [row["id"] for row in api.rows[1:3]]
        ((_, variables),) = api.sent
        expected = "customer_date:>='2026-03-01T12:00:00Z' customer_date:<'2026-03-02T12:00:00Z'"
        assert (variables["filter"], variables["sort"]) == (expected, "CREATED_AT")

    def test_a_list_longer_than_may_be_paged_is_taken_up_where_it_ended(
        self, api: ShopifyApi, server: ScriptedServer
    ) -> None:
        keys = self.fill(api, 200)
        with Shopify(server.url, "x", access_token(SECRET), page_size=20, paging_limit=60, patience=HASTE) as connector:
            found = [self.key(item) for item in self.read(connector)]
            assert list(dict.fromkeys(found)) == keys
            assert len(found) < 210  # those at a seam come twice
            assert [key for page in connector.keys("customers") for key in dict.fromkeys(page)][:3] == keys[:3]
        searched = [variables["filter"] for name, variables in api.sent if name == "Customers"]
        assert searched[:3] == [None] * 3
        assert searched[3] == "customer_date:>='2026-03-01T00:01:00Z'"

    def test_a_list_whose_objects_share_one_moment_ends_with_an_error_and_not_without_end(
        self, api: ShopifyApi, server: ScriptedServer
    ) -> None:
        api.rows = [self.row(n, createdAt=stamp(BEGINNING)) for n in range(200)]
        connector = Shopify(server.url, "x", access_token(SECRET), page_size=20, paging_limit=60, patience=HASTE)
        with connector, pytest.raises(Rejected, match="share one place in the order customer_date"):
            self.read(connector)

    def test_a_count_that_is_not_exact_is_none(self, api: ShopifyApi, connector: Shopify) -> None:
        about = {"data": {"customersCount": {"count": 10_000, "precision": "AT_LEAST"}}}
        api.answers["CustomerCount"] = lambda variables: about
        assert connector.count("customers") is None
        api.answers["CustomerCount"] = lambda variables: {"data": {"customersCount": None}}
        with pytest.raises(MalformedResponse, match="no count"):
            connector.count("customers")

    def test_what_does_not_exist_is_named(self, server: ScriptedServer, connector: Shopify) -> None:
        assert list(connector.read("orders", archived=True)) == []
        assert connector.count("locations") is None
        with pytest.raises(ValueError, match="abandoned_checkouts"):
            list(connector.read("coupons"))
        with pytest.raises(ValueError, match="with their parents"):
            connector.read_children("variants", [1])
        with pytest.raises(ValueError, match="timezone"):
            list(connector.read("orders", modified_since=datetime(2026, 3, 1)))  # noqa: DTZ001
        for resource in ("locations", "inventory_levels"):
            with pytest.raises(ValueError, match="read whole"):
                list(connector.read(resource, modified_since=BEGINNING))
            with pytest.raises(ValueError, match="read whole"):
                list(connector.read(resource, created_from=BEGINNING))
        with pytest.raises(ValueError, match="either"):
            list(connector.read("orders", modified_since=BEGINNING, created_from=BEGINNING))
        assert server.seen == []

    # ---- orders that Shopify hides

    @pytest.mark.parametrize("window", [{}, {"created_from": BEGINNING}, {"created_to": BEGINNING}])
    def test_old_orders_without_their_scope_are_warned_of_once(
        self, api: ShopifyApi, connector: Shopify, window: dict[str, datetime]
    ) -> None:
        api.answers["AccessScopes"] = lambda variables: _scopes("read_orders")
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection([])}}
        with capture_logs() as logged:
            for _ in range(2):
                assert list(connector.read("orders", **window)) == []  # type: ignore[arg-type]
        (warning,) = logged
        assert warning["log_level"] == "warning"
        assert warning["missing_scope"] == "read_all_orders"
        assert "read_all_orders" in warning["event"]
        assert warning["account"] == "shopify_test"
        assert [name for name, _ in api.sent].count("AccessScopes") == 1

    def test_scopes_are_asked_for_only_where_they_matter(self, api: ShopifyApi, connector: Shopify) -> None:
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection([])}}
        with capture_logs() as logged:
            list(connector.read("orders", modified_since=BEGINNING))
            list(connector.read("orders", created_from=datetime.now(UTC) - timedelta(days=59)))
            list(connector.read("customers"))
            assert "AccessScopes" not in [name for name, _ in api.sent]
            list(connector.read("orders"))
        assert logged == []
        assert "AccessScopes" in [name for name, _ in api.sent]

    def test_hidden_orders_are_not_taken_for_deleted(self, api: ShopifyApi, connector: Shopify) -> None:
        api.answers["OrderKeys"] = lambda variables: {
            "data": {"orders": _connection([{"id": "gid://shopify/Order/1"}])}
        }
        assert list(connector.keys("orders")) == [["gid://shopify/Order/1"]]
        with self.connect(connector.base_url) as without:
            api.answers["AccessScopes"] = lambda variables: _scopes("read_orders")
            with pytest.raises(PermissionDenied, match="read_all_orders") as caught:
                list(without.keys("orders"))
        assert "Grant" in caught.value.advice

    @pytest.mark.parametrize("answer", [DENIED, {"data": {"currentAppInstallation": None}}])
    def test_a_store_that_does_not_tell_the_scopes_is_read_all_the_same(
        self, api: ShopifyApi, connector: Shopify, answer: dict[str, Any]
    ) -> None:
        api.answers["AccessScopes"] = lambda variables: answer
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection([_order(1, [])])}}
        with capture_logs() as logged:
            (page,) = connector.read("orders")
        assert len(page.items) == 1
        assert [entry["event"] for entry in logged] == ["Shopify doesn't tell the app's scopes"]

    # ---- what is nested

    def test_what_is_nested_is_read_to_its_end(self, api: ShopifyApi, connector: Shopify) -> None:
        lines = [{"id": f"gid://shopify/LineItem/{n}"} for n in range(130)]
        api.answers["Orders"] = lambda variables: {
            "data": {"orders": _connection([_order(1, lines), _order(2, lines[:3])])}
        }

        def more(variables: Variables) -> dict[str, Any]:
            start = int(variables["after"])
            return {"data": {"node": {"lineItems": _connection(lines[start:], variables["first"], start)}}}

        api.answers["OrderLines"] = more
        (page,) = connector.read("orders")
        assert [[line["id"] for line in order["lineItems"]] for order in page.items] == [
            [line["id"] for line in lines],
            [line["id"] for line in lines[:3]],
        ]

    def test_an_order_that_goes_while_its_lines_are_read_is_left_out(self, api: ShopifyApi, connector: Shopify) -> None:
        lines = [{"id": f"gid://shopify/LineItem/{n}"} for n in range(130)]
        orders = [_order(1, lines), _order(2, lines[:3])]
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection(orders)}}
        api.answers["OrderLines"] = lambda variables: {"data": {"node": None}}
        (page,) = connector.read("orders")
        assert [order["id"] for order in page.items] == ["gid://shopify/Order/2"]

    def test_all_refunds_lines_stand_in_their_order_with_their_refunds_id(
        self, api: ShopifyApi, connector: Shopify
    ) -> None:
        refunds = [{"id": f"gid://shopify/Refund/{n}"} for n in range(3)]
        many = [{"id": f"gid://shopify/RefundLineItem/{n}", "lineItem": {"id": "l"}} for n in range(70)]
        nameless = [{"id": None, "lineItem": {"id": "gid://shopify/LineItem/9"}}]
        of_refund = dict(zip((refund["id"] for refund in refunds), (many, nameless, []), strict=True))
        orders = [
            _order(1, [], refunds=refunds),
            _order(2, [], refunds=[{"id": "gid://shopify/Refund/77"}]),
            _order(3, []),
        ]
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection(orders)}}

        def lines(variables: Variables) -> dict[str, Any]:
            assert variables["ids"] == ["gid://shopify/Order/1", "gid://shopify/Order/2"]
            found = [{"id": id, "refundLineItems": _connection(items)} for id, items in of_refund.items()]
            return {"data": {"nodes": [{"id": "gid://shopify/Order/1", "refunds": found}, None]}}

        def more(variables: Variables) -> dict[str, Any]:
            start = int(variables["after"])
            found = _connection(of_refund[variables["id"]][start:], variables["first"], start)
            return {"data": {"node": {"refundLineItems": found}}}

        api.answers |= {"RefundLines": lines, "MoreRefundLines": more}
        (page,) = connector.read("orders")
        assert [order["id"] for order in page.items] == ["gid://shopify/Order/1", "gid://shopify/Order/3"]
        first, last = page.items
        assert last["refundLineItems"] == []
        found = [(line["refund"]["id"], line["id"]) for line in first["refundLineItems"]]
        assert found[:70] == [("gid://shopify/Refund/0", line["id"]) for line in many]
        assert found[70:] == [("gid://shopify/Refund/1", "gid://shopify/Refund/1?line=gid://shopify/LineItem/9")]

    def test_refunds_lines_that_cost_too_much_at_once_are_asked_for_in_parts(
        self, api: ShopifyApi, server: ScriptedServer, connector: Shopify
    ) -> None:
        orders = [_order(n, [], refunds=[{"id": f"gid://shopify/Refund/{n}"}]) for n in range(5)]
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection(orders)}}

        def lines(variables: Variables) -> dict[str, Any]:
            if len(variables["ids"]) > 2:
                return error("too much", "MAX_COST_EXCEEDED")
            return {"data": {"nodes": [{"id": id, "refunds": []} for id in variables["ids"]]}}

        api.answers["RefundLines"] = lines
        (page,) = connector.read("orders")
        assert len(page.items) == 5

    def test_a_level_has_its_item_and_its_quantities_by_name(self, api: ShopifyApi, connector: Shopify) -> None:
        level = {
            "id": "level",
            "location": {"id": "L", "name": "Shed"},
            "quantities": [{"name": "available", "quantity": 3}],
        }
        item = {"id": "I", "sku": "A", "tracked": True, "inventoryLevels": _connection([level])}
        api.answers["InventoryLevels"] = lambda variables: {"data": {"inventoryItems": _connection([item])}}
        (page,) = connector.read("inventory_levels")
        assert page.items == [
            {
                "location": level["location"],
                "quantities": {"available": 3},
                "item": {"id": "I", "sku": "A", "tracked": True},
            }
        ]
        assert list(connector.keys("inventory_levels")) == [[("I", "L")]]

    # ---- typed operations

    def test_an_order_is_found_by_id_and_by_name(self, api: ShopifyApi, connector: Shopify) -> None:
        lines = [_line(n) for n in range(60)]
        api.answers["Order"] = lambda variables: {"data": {"order": _whole_order(1, lines)}}
        found = [_whole_order(2, [], name="#TX10"), _whole_order(1, lines, name="#TX1")]
        api.answers["Orders"] = lambda variables: {"data": {"orders": _connection(found)}}

        def more(variables: Variables) -> dict[str, Any]:
            start = int(variables["after"])
            return {"data": {"node": {"lineItems": _connection(lines[start:], variables["first"], start)}}}

        api.answers["OrderLines"] = more
        order = connector.order("gid://shopify/Order/1")
        assert len(order.line_items) == 60
        assert str(order.total_price) == "12.50"
        assert [str(part) for part in order.line_items[59].discounts] == ["0.1", "0.25"]
        assert str(order.line_items[59].total) == "0.65"
        assert order.company_id == "gid://shopify/Company/5"
        assert connector.order_named("#TX1").id == order.id
        assert api.sent[-1][0] == "OrderLines"
        with pytest.raises(NotFound, match="#TX2"):
            connector.order_named("#TX2")
        api.answers["OrderLines"] = lambda variables: {"data": {"node": None}}
        with pytest.raises(NotFound):
            connector.order("gid://shopify/Order/1")
        api.answers["Order"] = lambda variables: {"data": {"order": None}}
        with pytest.raises(NotFound, match="Order/9"):
            connector.order("gid://shopify/Order/9")
        api.answers["Order"] = lambda variables: {"data": {"order": {**_whole_order(1, []), "createdAt": "soon"}}}
        with pytest.raises(MalformedResponse, match="createdAt"):
            connector.order("gid://shopify/Order/1")

    def test_a_quantity_is_set_with_what_it_is_believed_to_be_and_a_key(
        self, api: ShopifyApi, connector: Shopify
    ) -> None:
        change = {"name": "available", "delta": -2, "quantityAfterChange": 5, "item": {"id": "I"}, "location": None}

        def done(variables: Variables) -> dict[str, Any]:
            group = {"id": "G", "changes": [change]}
            return {"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": group, "userErrors": []}}}

        api.answers["SetInventory"] = done
        wanted = InventoryQuantity(inventory_item_id="I", location_id="L", quantity=5, change_from_quantity=None)
        (changed,) = connector.set_inventory([wanted], key="k-1", reference="gid://masterops/Count/1")
        assert (changed.delta, changed.inventory_item_id) == (-2, "I")
        ((_, variables),) = api.sent
        assert variables["key"] == "k-1"
        assert variables["input"]["quantities"] == [
            {"inventoryItemId": "I", "locationId": "L", "quantity": 5, "changeFromQuantity": None}
        ]
        with pytest.raises(ValueError, match="250"):
            connector.set_inventory([wanted] * 251, key="k-2")

    @pytest.mark.parametrize(
        ("code", "kind"), [("CHANGE_FROM_QUANTITY_STALE", Conflict), ("INVALID_LOCATION", Rejected)]
    )
    def test_what_a_mutation_refuses_names_the_field(
        self, api: ShopifyApi, connector: Shopify, code: str, kind: type[Exception]
    ) -> None:
        refused = {"field": ["input", "quantities", "0"], "message": "is off", "code": code}
        answer = {"inventoryAdjustmentGroup": None, "userErrors": [refused]}
        api.answers["SetInventory"] = lambda variables: {"data": {"inventorySetQuantities": answer}}
        wanted = InventoryQuantity(inventory_item_id="I", location_id="L", quantity=5, change_from_quantity=7)
        with pytest.raises(kind, match=r"input\.quantities\.0: is off"):
            connector.set_inventory([wanted], key="k")
        answer = {"node": None, "userErrors": [{"field": None, "message": "no such order"}]}
        api.answers["AddTags"] = lambda variables: {"data": {"tagsAdd": answer}}
        with pytest.raises(Rejected, match="no such order"):
            connector.add_tags("gid://shopify/Order/1", ["x"])

    def test_the_store_has_a_name_that_stays(self, api: ShopifyApi, connector: Shopify) -> None:
        shop = {"id": "gid://shopify/Shop/77", "name": "T", "myshopifyDomain": "t.myshopify.com"}
        api.answers["Shop"] = lambda variables: {"data": {"shop": shop}}
        assert connector.identity() == "Shopify store 77 (t.myshopify.com)"


def _connection(items: list[dict[str, Any]], first: int = 50, start: int = 0) -> dict[str, Any]:
    more = len(items) > first
    info = {"hasNextPage": more, "endCursor": str(start + first) if more else None}
    return {"nodes": items[:first], "pageInfo": info}


def _order(number: int, lines: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Order/{number}",
        "createdAt": stamp(BEGINNING),
        "refunds": [],
        "lineItems": _connection(lines),
        **fields,
    }


def _bag(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": "AUD"}}


def _line(number: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "title": "Reishi",
        "quantity": 1,
        "currentQuantity": 1,
        "taxable": True,
        "isGiftCard": False,
        "product": None,
        "variant": {"id": "V"},
        "originalTotalSet": _bag("1.0"),
        "discountAllocations": [{"allocatedAmountSet": _bag("0.1")}, {"allocatedAmountSet": _bag("0.25")}],
    }


def _whole_order(number: int, lines: list[dict[str, Any]], name: str = "#TX1") -> dict[str, Any]:
    named = {
        "name": name,
        "updatedAt": stamp(BEGINNING),
        "test": False,
        "displayFulfillmentStatus": "FULFILLED",
        "currencyCode": "AUD",
        "taxesIncluded": True,
        "customer": None,
        "purchasingEntity": {"company": {"id": "gid://shopify/Company/5", "name": "C"}},
        "totalPriceSet": _bag("12.50"),
        "totalRefundedSet": _bag("0.0"),
    }
    return _order(number, lines, **named)


class TestBulkOperations:
    """What is much is read by a bulk operation, whatever becomes of it."""

    ROWS = 60

    @pytest.fixture
    def store(self) -> Iterator[BulkStore]:
        store = BulkStore(self.ROWS)
        with ScriptedServer(store) as server:
            store.origin = server.url
            yield store

    def connect(self, store: BulkStore, **options: Any) -> Shopify:
        patience = options.pop("bulk_patience", SOON)
        token = access_token(SECRET)
        return Shopify(
            store.origin, "x", token, page_size=10, bulk_from=20, bulk_patience=patience, patience=HASTE, **options
        )

    def products(self, connector: Shopify) -> list[Record]:
        return [item for page in connector.read("products") for item in page.items]

    def test_the_rest_of_a_long_list_comes_from_a_file_put_together_whatever_its_order(self, store: BulkStore) -> None:
        with self.connect(store) as connector:
            found = self.products(connector)
        whole = {item["id"]: item for item in found}
        assert list(whole) == [product["id"] for product in store.products]
        for product in store.products:
            assert [variant["id"] for variant in whole[product["id"]]["variants"]] == product["variants"]
        assert store.names[:4] == ["Products", "Products", "ProductCount", "BulkStart"]
        assert "created_at:>='2026-03-01T00:00:19Z'" in store.bulk_query
        assert "$" not in store.bulk_query.replace("$filter", "!")
        assert store.file_headers
        assert "x-shopify-access-token" not in store.file_headers[0]

    def test_a_file_that_breaks_off_is_read_on(self, store: BulkStore) -> None:
        store.breaks = 2
        with self.connect(store) as connector:
            assert len({item["id"] for item in self.products(connector)}) == self.ROWS
        assert [headers.get("range") is None for headers in store.file_headers] == [True, False, False]

    def test_a_file_server_that_cannot_read_on_begins_again(self, store: BulkStore) -> None:
        store.breaks, store.ranges = 1, False
        with self.connect(store) as connector:
            assert len({item["id"] for item in self.products(connector)}) == self.ROWS

    def test_a_file_that_is_shorter_than_said_is_not_taken_for_whole(self, store: BulkStore) -> None:
        store.file_size = 7
        with self.connect(store) as connector, pytest.raises(MalformedResponse, match="of 7"):
            self.products(connector)

    def test_a_line_that_cannot_be_read_is_not_left_out(self, store: BulkStore) -> None:
        store.lines.append(b"{broken\n")
        with self.connect(store) as connector, pytest.raises(MalformedResponse, match="a line of the bulk result"):
            self.products(connector)

    def test_what_is_little_is_paged_to_its_end(self, store: BulkStore) -> None:
        store.count = 19
        with self.connect(store) as connector:
            assert len(self.products(connector)) == self.ROWS
        assert "BulkStart" not in store.names

    def test_an_operation_that_matches_nothing_has_no_file(self, store: BulkStore) -> None:
        store.url = None
        with self.connect(store) as connector:
            assert len(self.products(connector)) == 20

    @pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "TIMEOUT"])
    def test_an_operation_that_shopify_gives_up_is_made_good_by_pages(self, store: BulkStore, code: str) -> None:
        store.status, store.error_code = ["RUNNING", "FAILED"], code
        with self.connect(store) as connector:
            assert len(self.products(connector)) == self.ROWS
        assert store.names.count("BulkStart") == 1

    def test_an_operation_without_access_says_so(self, store: BulkStore) -> None:
        store.status, store.error_code = ["FAILED"], "ACCESS_DENIED"
        with self.connect(store) as connector, pytest.raises(PermissionDenied, match="bulk operation gid"):
            self.products(connector)

    @pytest.mark.parametrize("status", ["CANCELED", "EXPIRED"])
    def test_an_operation_that_somebody_ended_is_an_error(self, store: BulkStore, status: str) -> None:
        store.status = ["RUNNING", status]
        with self.connect(store) as connector, pytest.raises(Unavailable, match=status):
            self.products(connector)

    @pytest.mark.parametrize("code", ["LIMIT_REACHED", "OPERATION_IN_PROGRESS"])
    def test_an_operation_waits_for_others_to_end(self, store: BulkStore, code: str) -> None:
        store.refusals = [{"field": None, "message": "busy", "code": code}] * 3
        with self.connect(store) as connector:
            assert len({item["id"] for item in self.products(connector)}) == self.ROWS
        assert store.names.count("BulkStart") == 4

    def test_waiting_for_others_has_an_end(self, store: BulkStore) -> None:
        store.refusals = [{"field": None, "message": "busy", "code": "LIMIT_REACHED"}] * 1_000
        patience = BulkPatience(first_look=0.01, longest_pause=0.05, whole=0.2)
        with self.connect(store, bulk_patience=patience) as connector, pytest.raises(DeadlineExceeded, match="busy"):
            self.products(connector)

    def test_a_query_that_is_refused_says_why(self, store: BulkStore) -> None:
        store.refusals = [{"field": ["query"], "message": "Bulk queries can't do that", "code": "INVALID"}]
        with self.connect(store) as connector, pytest.raises(Rejected, match="can't do that"):
            self.products(connector)

    def test_an_operation_that_takes_too_long_is_cancelled(self, store: BulkStore) -> None:
        store.status = ["RUNNING"] * 1_000
        patience = BulkPatience(first_look=0.01, longest_pause=0.05, whole=0.2)
        with (
            self.connect(store, bulk_patience=patience) as connector,
            pytest.raises(DeadlineExceeded, match="cancelled"),
        ):
            self.products(connector)
        assert store.names[-1] == "BulkCancel"


class BulkStore:
    """Products with variants, whose bulk result has all children behind all parents, the last child first."""

    def __init__(self, rows: int) -> None:
        self.origin = ""
        self.products = [
            {"id": f"gid://shopify/Product/{n}", "createdAt": stamp(BEGINNING + timedelta(seconds=n)), "variants": []}
            for n in range(rows)
        ]
        for n, product in enumerate(self.products):
            product["variants"] = [f"gid://shopify/ProductVariant/{n * 10 + place}" for place in range(n % 4)]
        rest = self.products[19:]
        self.lines = [json.dumps({"id": product["id"]}).encode() + b"\n" for product in rest]
        children = [(variant, product["id"]) for product in rest for variant in product["variants"]]
        children.sort(key=lambda pair: (pair[0][-1], pair[1]))
        self.lines += [json.dumps({"id": id, "__parentId": parent}).encode() + b"\n" for id, parent in children]
        self.names: list[str] = []
        self.bulk_query = ""
        self.file_headers: list[dict[str, str]] = []
        self.breaks = 0
        self.ranges = True
        self.count = rows
        self.file_size: int | None = None
        self.url: str | None = "/file.jsonl?signature=1"
        self.status = ["CREATED", "RUNNING", "COMPLETED"]
        self.error_code: str | None = None
        self.refusals: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Answer:
        if request.method == "GET":
            return self._file(request)
        body = json.loads(request.body)
        (name,) = re.findall(r"^(?:query|mutation) (\w+)", body["query"], re.MULTILINE)
        self.names.append(name)
        return as_json({"data": getattr(self, f"_{name}")(body["variables"])})

    def _file(self, request: Request) -> Answer:
        self.file_headers.append(request.headers)
        content = b"".join(self.lines)
        asked = request.headers.get("range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        status = 206 if start else 200
        if self.breaks:
            self.breaks -= 1
            return Answer(status, content[start:], cut_after=(len(content) - start) // 3)
        return Answer(status, content[start:])

    def _Products(self, variables: Variables) -> dict[str, Any]:
        start = int(variables["after"] or 0)
        shown = [
            {**product, "variants": _connection([{"id": id} for id in product["variants"]])}
            for product in self.products
        ]
        return {"products": _connection(shown[start:], variables["first"], start)}

    def _ProductCount(self, variables: Variables) -> dict[str, Any]:
        return {"productsCount": {"count": self.count, "precision": "EXACT"}}

    def _BulkStart(self, variables: Variables) -> dict[str, Any]:
        self.bulk_query = variables["query"]
        if self.refusals:
            return {"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": [self.refusals.pop()]}}
        return {"bulkOperationRunQuery": {"bulkOperation": self._operation("CREATED"), "userErrors": []}}

    def _BulkStatus(self, variables: Variables) -> dict[str, Any]:
        return {"bulkOperation": self._operation(self.status.pop(0))}

    def _BulkCancel(self, variables: Variables) -> dict[str, Any]:
        return {"bulkOperationCancel": {"bulkOperation": self._operation("CANCELING"), "userErrors": []}}

    def _operation(self, status: str) -> dict[str, Any]:
        done = status == "COMPLETED"
        size = self.file_size or sum(map(len, self.lines))
        return {
            "id": "gid://shopify/BulkOperation/1",
            "status": status,
            "errorCode": self.error_code if status == "FAILED" else None,
            "objectCount": str(len(self.lines)),
            "fileSize": str(size) if done else None,
            "url": self.origin + self.url if done and self.url else None,
        }


class TestClientCredentials:
    """An app's own credentials get tokens that last for a while."""

    def test_a_token_is_fetched_once_for_all_threads_and_again_before_it_ends(self) -> None:
        api, asked = ShopifyApi(), list[str]()

        def answer(request: Request) -> Answer:
            if request.path != "/admin/oauth/access_token":
                return api(request)
            asked.append(request.body.decode())
            api.tokens = {f"token-{len(asked)}"}
            return as_json({"access_token": f"token-{len(asked)}", "scope": "read_orders", "expires_in": 61})

        with ScriptedServer(answer) as server:
            auth = client_credentials(server.url, "app", SECRET)
            with Shopify(server.url, "x", auth, patience=HASTE) as connector:
                threads = [threading.Thread(target=connector.count, args=("customers",)) for _ in range(5)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert asked == [f"grant_type=client_credentials&client_id=app&client_secret={SECRET}"]
                time.sleep(1.05)
                assert connector.count("customers") == 0
                assert len(asked) == 2
                api.tokens = set()  # revoked: one new one is tried
                assert connector.count("customers") == 0
                assert len(asked) == 3

    def test_credentials_that_are_refused_are_named_as_such(self) -> None:
        refusal = as_json({"error": "invalid_client", "error_description": "Client authentication failed"}, 400)
        with (
            ScriptedServer(lambda request: refusal) as server,
            Shopify(server.url, "x", client_credentials(server.url, "app", SECRET), patience=HASTE) as connector,
            pytest.raises(AuthenticationError, match="Client authentication failed"),
        ):
            connector.count("customers")
