"""WooCommerce's connector keeps the contract, over plain http and over TLS, and knows PHP's habits."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Unpack
from urllib.parse import parse_qsl

import pytest
import trustme
from woocommerce.oauth import OAuth

from masterops_dagster.connectors.base import Options, Record
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import (
    Conflict,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.telemetry import InMemorySink
from masterops_dagster.connectors.woocommerce import (
    CostOfGoods,
    Customer,
    LineItem,
    Order,
    Product,
    Variation,
    WooCommerce,
)
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import HASTE, SECRET, ConnectorContract

KEY = "ck_0123456789"
PREFIX = "/wp-json/wc/v3"


class WooApi:
    """The shop's dialect over lists of rows; OAuth 1.0a over http, Basic over https, as the server asks for."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.variations: dict[int, list[dict[str, Any]]] = {}
        self.accepts_credentials = True
        self.origin: str | None = None
        """Where the shop is, to check OAuth's signature; None asks for Basic."""

    def __call__(self, request: Request) -> Answer:
        if not (self.accepts_credentials and self.signed(request)):
            message = "Invalid signature - provided signature does not match."
            return as_json({"code": "woocommerce_rest_authentication_error", "message": message, "data": {}}, 401)
        assert request.path.startswith(PREFIX)
        parts = request.path.removeprefix(PREFIX).strip("/").split("/")
        rows = self.rows
        if parts[-1] == "variations":
            rows = self.variations.get(int(parts[1]), [])
        elif len(parts) == 2 or request.method == "POST":
            return self.entity(request, parts)
        params = request.params
        assert params.get("orderby") == "id" or params["per_page"] == "1"
        number, size = int(params["page"]), int(params["per_page"])
        found = rows[(number - 1) * size : number * size]
        if "_fields" in params:
            found = [{name: row[name] for name in params["_fields"].split(",") if name in row} for row in found]
        return as_json(found, x_wp_total=str(len(rows)), x_wp_totalpages=str(-(-len(rows) // size)))

    def entity(self, request: Request, parts: list[str]) -> Answer:
        if request.method == "POST":
            self.rows.append({"id": len(self.rows) + 1, **json.loads(request.body)})
            return as_json(self.rows[-1], 201)
        found = next((row for row in self.rows if str(row["id"]) == parts[1]), None)
        if found is None:
            return as_json({"code": "rest_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}, 404)
        if request.method == "PUT":
            found.update(json.loads(request.body))
        return as_json(found)

    def signed(self, request: Request) -> bool:
        if self.origin is None:
            expected = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
            return request.headers.get("authorization") == f"Basic {expected}"
        params = dict(parse_qsl(request.query, keep_blank_values=True))
        signature = params.pop("oauth_signature", "")
        published = OAuth(self.origin + request.path, KEY, SECRET, version="wc/v3", method=request.method)
        return signature == published.generate_oauth_signature(params, self.origin + request.path)


class TestWooCommerce(ConnectorContract):
    resource = "orders"
    page_size = 100
    text_field = "customer_note"
    number_field = "weight"

    def make_api(self) -> WooApi:
        return WooApi()

    @pytest.fixture
    def server(self, api: WooApi) -> Iterator[ScriptedServer]:
        with ScriptedServer(api) as server:
            api.origin = server.url
            yield server

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> WooCommerce:
        return WooCommerce(url, "woocommerce_test", KEY, SECRET, window=Window("1s", *limit), **options)

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        return {"id": number, "date_created_gmt": "2026-03-01T12:30:00", "total": "12.50", **fields}

    def key(self, record: Record) -> object:
        return record["id"]

    def error(self, status: int) -> Answer:
        return as_json(
            {"code": "woocommerce_rest_x", "message": self.error_message, "data": {"status": status}}, status
        )

    # ---- PHP

    WARNING = (
        b'<br />\n<b>Warning</b>:  Undefined array key "x[0]" in <b>/srv/shop/{theme}/functions.php</b> on line <b>12'
        b"</b><br />\n"
    )

    def test_php_warnings_before_the_json_are_cut_off_and_show_in_telemetry(
        self, api: WooApi, server: ScriptedServer, connector: WooCommerce, sink: InMemorySink
    ) -> None:
        keys = self.fill(api, 2)

        def warning(request: Request) -> Answer:
            answer = api(request)
            return Answer(answer.status, self.WARNING * 2 + answer.body, answer.headers)

        server.script(warning)
        records = self.read(connector)
        assert [self.key(item) for item in records] == keys
        assert records[0]["date_created_gmt"] == "2026-03-01T12:30:00Z"
        assert sink.events[0].outcome == "repaired"

    def test_an_error_behind_php_warnings_keeps_its_words(self, server: ScriptedServer, connector: WooCommerce) -> None:
        error = self.error(400)
        server.script(Answer(400, self.WARNING + error.body, error.headers))
        with pytest.raises(Rejected, match=self.error_message):
            self.read(connector)

    def test_warnings_with_no_json_behind_are_malformed(self, server: ScriptedServer, connector: WooCommerce) -> None:
        server.script(Answer(200, self.WARNING, {"Content-Type": "text/html"}))
        assert self.read(connector) == []
        assert len(server.seen) == 2

    def test_a_byte_order_mark_does_no_harm(self, api: WooApi, server: ScriptedServer, connector: WooCommerce) -> None:
        self.fill(api, 1)
        server.script(lambda request: Answer(200, b"\xef\xbb\xbf" + api(request).body))
        assert len(self.read(connector)) == 1

    def test_hosts_that_drop_the_totals_are_read_to_the_end(
        self, api: WooApi, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        keys = self.fill(api, self.page_size * 2)
        server.api = lambda request: Answer(200, api(request).body)
        assert [self.key(item) for item in self.read(connector)] == keys

    # ---- windows

    def test_a_live_read_asks_for_what_was_modified_in_utc(
        self, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        list(connector.read("orders", modified_since=datetime(2026, 3, 1, 12, 30, 15, 500, tzinfo=UTC)))
        assert server.seen[0].params["modified_after"] == "2026-03-01T12:30:14"
        assert server.seen[0].params["dates_are_gmt"] == "true"

    def test_a_backfill_asks_by_creation_and_keeps_the_window_half_open(
        self, api: WooApi, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        moments = ["2026-02-28T23:59:59", "2026-03-01T00:00:00", "2026-03-01T23:59:59", "2026-03-02T00:00:00"]
        api.rows = [self.row(n, date_created_gmt=moment) for n, moment in enumerate(moments)]
        window = {"created_from": datetime(2026, 3, 1, tzinfo=UTC), "created_to": datetime(2026, 3, 2, tzinfo=UTC)}
        pages = list(connector.read("orders", **window))
        assert [item["id"] for page in pages for item in page.items] == [1, 2]
        assert server.seen[0].params["after"] == "2026-02-28T23:59:59"
        assert server.seen[0].params["before"] == "2026-03-02T00:00:01"

    def test_refunds_are_read_live_by_their_creation(self, server: ScriptedServer, connector: WooCommerce) -> None:
        list(connector.read("refunds", modified_since=datetime(2026, 3, 1, tzinfo=UTC)))
        assert server.seen[0].path == PREFIX + "/refunds"
        assert server.seen[0].params["after"] == "2026-02-28T23:59:59"

    def test_customers_have_no_filter_and_are_filtered_here(
        self, api: WooApi, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        moments = ["2026-03-01T00:00:00", "2026-03-02T00:00:00"]
        api.rows = [self.row(n, date_modified_gmt=moment) for n, moment in enumerate(moments)]
        pages = list(connector.read("customers", modified_since=datetime(2026, 3, 2, tzinfo=UTC)))
        assert [item["id"] for page in pages for item in page.items] == [1]
        assert "modified_after" not in server.seen[0].params
        assert server.seen[0].params["role"] == "all"

    def test_keys_are_asked_for_alone(self, api: WooApi, server: ScriptedServer, connector: WooCommerce) -> None:
        self.fill(api, 3)
        assert list(connector.keys("orders")) == [[1, 2, 3]]
        assert server.seen[0].params["_fields"] == "id"

    # ---- variations and stock

    def products(self, api: WooApi) -> None:
        stock = {"sku": "A", "stock_quantity": 5, "manage_stock": True, "status": "publish", "type": "simple"}
        api.rows = [
            {"id": 1, "name": "Apples", "variations": [], **stock},
            {"id": 2, "name": "Box", "variations": [21, 22], **stock, "type": "variable"},
            {"id": 3, "name": "Gone", "variations": [31], **stock, "type": "variable"},
        ]
        api.variations = {
            2: [
                {"id": 21, "sku": "B-S", "stock_quantity": 1, "manage_stock": True},
                {"id": 22, "sku": "B-L", "stock_quantity": None, "manage_stock": "parent"},
            ]
        }

    def test_variations_come_with_their_product_and_those_known_to_have_none_are_not_asked(
        self, api: WooApi, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        self.products(api)
        list(connector.read("products"))
        server.seen.clear()
        pages = list(connector.read_children("products/variations", [1, 2, 3]))
        found = [item for page in pages for item in page.items]
        assert [(item["product_id"], item["id"], item["manage_stock"]) for item in found] == [
            (2, 21, True),
            (2, 22, False),
        ]
        assert sorted(request.path for request in server.seen) == [
            PREFIX + "/products/2/variations",
            PREFIX + "/products/3/variations",
        ]

    def test_a_product_that_went_has_no_variations(self, server: ScriptedServer, connector: WooCommerce) -> None:
        server.script(self.error(404))
        assert list(connector.read_children("products/variations", [9])) == []

    def test_stock_levels_have_a_row_per_product_and_variation(self, api: WooApi, connector: WooCommerce) -> None:
        self.products(api)
        (page,) = connector.read("stock_levels")
        rows = {(row["product_id"], row["variation_id"]): row for row in page.items}
        assert list(rows) == [(1, 0), (2, 0), (3, 0), (2, 21), (2, 22)]
        assert rows[2, 22]["name"] == "Box"
        assert rows[2, 22]["manage_stock"] is False
        assert rows[1, 0]["stock_quantity"] == 5

    def test_keys_of_variations_cost_no_request_of_their_own(self, api: WooApi, connector: WooCommerce) -> None:
        self.products(api)
        assert list(connector.keys("products/variations")) == [[(2, 21), (2, 22), (3, 31)]]
        assert list(connector.keys("stock_levels")) == [[(1, 0), (2, 0), (3, 0), (2, 21), (2, 22), (3, 31)]]
        assert connector.requests == 2
        assert connector.count("stock_levels") is None

    # ---- single objects

    def test_an_order_can_be_created_read_and_updated(self, api: WooApi, connector: WooCommerce) -> None:
        line = LineItem(product_id=7, quantity=Decimal(2), total=Decimal("3.50"))
        created = connector.create(Order(customer_note="naïve", line_items=[line]))
        assert created.id == 1
        assert api.rows[0]["line_items"][0]["total"] == "3.50"
        api.rows[0].update(
            date_created_gmt="2026-03-01T12:30:00",
            line_items=[{"id": 1, "total": "", "cost_of_goods_sold": {"value": 1.1}}],
        )
        read = connector.get(Order, 1)
        assert read.date_created_gmt == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
        assert read.line_items[0].total is None
        assert read.line_items[0].cost_of_goods_sold == CostOfGoods(value=Decimal("1.1"))
        connector.update(Order(status="completed"), 1)
        assert api.rows[0]["status"] == "completed"
        assert api.rows[0]["customer_note"] == "naïve"

    def test_a_variation_is_under_its_product(self, server: ScriptedServer, connector: WooCommerce) -> None:
        server.script(as_json({"id": 5, "manage_stock": "parent", "price": ""}))
        assert connector.get(Variation, 5, product_id=3).id == 5
        assert server.seen[0].path == PREFIX + "/products/3/variations/5"

    def test_a_create_that_may_have_happened_is_not_repeated(
        self, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        server.script(self.error(503))
        with pytest.raises(Unavailable):
            connector.create(Product(name="Once"))
        assert len(server.seen) == 1

    def test_a_create_that_was_refused_by_a_429_is_repeated(
        self, api: WooApi, server: ScriptedServer, connector: WooCommerce
    ) -> None:
        server.script(self.error(429))
        assert connector.create(Product(name="Once")).name == "Once"
        assert len(api.rows) == 1

    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (401, "woocommerce_rest_cannot_view", PermissionDenied),
            (403, "woocommerce_rest_cannot_create", PermissionDenied),
            (400, "registration-error-email-exists", Conflict),
            (404, "woocommerce_rest_shop_order_invalid_id", NotFound),
        ],
    )
    def test_error_codes_mean_what_they_say(
        self, server: ScriptedServer, connector: WooCommerce, status: int, code: str, error: type[Exception]
    ) -> None:
        server.script(as_json({"code": code, "message": "Sorry.", "data": {"params": {"email": "taken"}}}, status))
        with pytest.raises(error, match="email: taken"):
            connector.create(Customer(email="someone@example.com"))

    def test_errors_in_other_forms_keep_their_words(self, server: ScriptedServer, connector: WooCommerce) -> None:
        server.script(as_json({"code": "rest_no_route", "message": "No route was found."}, 404))
        with pytest.raises(NotFound, match="Check the base URL"):
            connector.count("orders")
        server.script(as_json(["odd one"], 400))
        with pytest.raises(Rejected, match="odd one"):
            connector.count("orders")

    def test_a_bad_object_is_malformed(self, server: ScriptedServer, connector: WooCommerce) -> None:
        server.script(as_json({"id": "seven"}))
        with pytest.raises(MalformedResponse, match="id"):
            connector.get(Order, 7)

    def test_what_does_not_exist_is_named(self, server: ScriptedServer, connector: WooCommerce) -> None:
        assert list(connector.read("orders", archived=True)) == []
        with pytest.raises(ValueError, match="stock_levels"):
            list(connector.read("coupons"))
        with pytest.raises(ValueError, match="variations"):
            list(connector.read_children("notes", [1]))
        with pytest.raises(ValueError, match="timezone"):
            list(connector.read("orders", modified_since=datetime(2026, 3, 1)))  # noqa: DTZ001
        assert server.seen == []

    def test_dates_that_cannot_be_read_are_left_to_ingest(self, api: WooApi, connector: WooCommerce) -> None:
        api.rows = [self.row(1, date_created_gmt="0000-00-00"), self.row(2, date_created_gmt=None)]
        pages = connector.read("orders", created_from=datetime(2026, 3, 1, tzinfo=UTC))
        assert [item["id"] for page in pages for item in page.items] == [1]

    def test_a_base_url_may_name_the_api_or_the_site(self, server: ScriptedServer) -> None:
        for url in (server.url, server.url + "/", server.url + PREFIX, server.url + PREFIX + "/"):
            with self.connect(url, patience=HASTE) as connector:
                assert connector.count("orders") == 0


class TestWooCommerceOverTls:
    """Basic auth, as a real shop wants it, over a real TLS listener."""

    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def api(self) -> WooApi:
        return WooApi()

    @pytest.fixture
    def server(self, api: WooApi, authority: trustme.CA) -> Iterator[ScriptedServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with ScriptedServer(api, tls=context) as server:
            yield server

    def test_basic_auth_goes_over_https(self, api: WooApi, server: ScriptedServer, authority: trustme.CA) -> None:
        api.rows = [{"id": number} for number in range(250)]
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with WooCommerce(server.url, "woocommerce_test", KEY, SECRET, verify=context, patience=HASTE) as shop:
            assert sum(len(page.items) for page in shop.read("orders")) == 250
        assert all("oauth_" not in request.query for request in server.seen)

    def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(self, server: ScriptedServer) -> None:
        with (
            WooCommerce(server.url, "woocommerce_test", KEY, SECRET, patience=HASTE) as shop,
            pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED") as caught,
        ):
            shop.count("orders")
        assert not caught.value.retryable
        assert caught.value.attempts == 1
        assert server.seen == []
