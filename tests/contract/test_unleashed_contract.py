"""Unleashed's connector keeps the contract, and knows Unleashed's signature, dates and documents."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Unpack
from uuid import UUID, uuid4

import pytest

from masterops_dagster.connectors.base import Options, Record
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import Conflict, MalformedResponse, NotFound, Rejected, Unavailable
from masterops_dagster.connectors.unleashed import (
    RESOURCES,
    Customer,
    CustomerReference,
    ProductReference,
    SalesOrder,
    SalesOrderLine,
    Unleashed,
)
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import SECRET, ConnectorContract

API_ID = "2f6c-api-id"


class UnleashedApi:
    """Unleashed's dialect over a list of rows, signature checked over the raw query."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.accepts_credentials = True

    def __call__(self, request: Request) -> Answer:
        expected = base64.b64encode(hmac.new(SECRET.encode(), request.query.encode(), hashlib.sha256).digest()).decode()
        known = request.headers.get("api-auth-id") == API_ID and request.headers["api-auth-signature"] == expected
        if not (known and self.accepts_credentials):
            return as_json({"Description": "Incorrect API signature"}, 403)
        assert request.headers["client-type"] == "masterops/masterops"
        assert request.headers["accept"] == request.headers["content-type"] == "application/json"
        _, _resource, name = request.path.split("/")
        if not name.isdecimal():
            return self.document(request, name)
        number, size = int(name), int(request.params["pageSize"])
        found = self.rows[(number - 1) * size : number * size]
        return as_json(
            {
                "Pagination": {
                    "NumberOfItems": len(self.rows),
                    "PageSize": size,
                    "PageNumber": number,
                    "NumberOfPages": -(-len(self.rows) // size),
                },
                "Items": found,
            }
        )

    def document(self, request: Request, guid: str) -> Answer:
        found = next((row for row in self.rows if row["Guid"] == guid), None)
        if request.method == "POST":
            if found is not None:
                return as_json({"Description": "Guid already exists"}, 400)
            self.rows.append(json.loads(request.body))
            return as_json(self.rows[-1], 201)
        if found is None:
            return as_json({"Description": "not found"}, 404)
        if request.method == "PUT":
            found.update(json.loads(request.body))
        return as_json(found)


class TestUnleashed(ConnectorContract):
    resource = "SalesOrders"
    page_size = 4
    text_field = "CustomerRef"
    number_field = "Total"

    def make_api(self) -> UnleashedApi:
        return UnleashedApi()

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> Unleashed:
        window = Window("5min", *limit)
        return Unleashed(url, "unleashed_test", API_ID, SECRET, page_size=self.page_size, window=window, **options)

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        return {
            "Guid": str(UUID(int=number)),
            "OrderNumber": f"SO-{number:08d}",
            "OrderDate": f"/Date({1_700_000_000_000 + number * 60_000})/",
            "Total": 12.5,
            "SalesOrderLines": [],
            **fields,
        }

    def key(self, record: Record) -> object:
        return record["Guid"]

    def error(self, status: int) -> Answer:
        return as_json({"Description": self.error_message, "DebugInformation": "line 1"}, status)

    # ---- dates

    @pytest.mark.parametrize(
        ("sent", "read"),
        [
            ("/Date(1700000000123)/", "2023-11-14T22:13:20.123Z"),
            ("/Date(1700000000000+1100)/", "2023-11-14T22:13:20.000Z"),
            ("/Date(1700000000000-0330)/", "2023-11-14T22:13:20.000Z"),
            ("/Date(-1)/", "1969-12-31T23:59:59.999Z"),
            ("2026-03-01T12:30:00.000Z", "2026-03-01T12:30:00.000Z"),
            ("2026-03-01T12:30:00.000", "2026-03-01T12:30:00.000Z"),
            ("/Date(999999999999999)/", "/Date(999999999999999)/"),
            ("/Date(soon)/", "/Date(soon)/"),
            (None, None),
        ],
    )
    def test_dates_become_iso_8601_in_utc(
        self, api: UnleashedApi, connector: Unleashed, sent: str | None, read: str | None
    ) -> None:
        api.rows = [self.row(1, OrderDate=sent)]
        (record,) = self.read(connector)
        assert record["OrderDate"] == read

    def test_escaped_slashes_in_dates_are_read(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        def escaped(request: Request) -> Answer:
            answer = api(request)
            return Answer(answer.status, answer.body.replace(b"/", b"\\/"), answer.headers)

        api.rows = [self.row(1, OrderDate="/Date(1700000000000)/")]
        server.api = escaped
        (record,) = self.read(connector)
        assert record["OrderDate"] == "2023-11-14T22:13:20.000Z"

    # ---- windows

    def test_a_live_read_asks_for_what_was_modified_with_bytes_that_need_no_encoding(
        self, server: ScriptedServer, connector: Unleashed
    ) -> None:
        list(connector.read("SalesOrders", modified_since=datetime(2026, 3, 1, 12, 30, tzinfo=UTC)))
        assert server.seen[0].query == "pageSize=4&modifiedSince=2026-03-01T12:29:59.999"

    def test_a_backfill_asks_by_business_date_and_keeps_the_window_half_open(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
        moments = [start.timestamp() - 0.001, start.timestamp(), end.timestamp() - 0.001, end.timestamp()]
        api.rows = [self.row(n, OrderDate=f"/Date({round(moment * 1000)})/") for n, moment in enumerate(moments)]
        pages = list(connector.read("SalesOrders", created_from=start, created_to=end))
        assert server.seen[0].params["startDate"] == "2026-03-01T00:00:00.000"
        assert server.seen[0].params["endDate"] == "2026-03-01T23:59:59.999"
        assert [item["Guid"] for page in pages for item in page.items] == [str(UUID(int=n)) for n in (1, 2)]

    def test_what_has_no_date_filter_is_filtered_here(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
        created = [start.timestamp() - 1, start.timestamp(), end.timestamp()]
        api.rows = [self.row(n, CreatedOn=f"/Date({round(moment * 1000)})/") for n, moment in enumerate(created)]
        pages = list(connector.read("Customers", created_from=start, created_to=end))
        assert "startDate" not in server.seen[0].params
        assert [item["Guid"] for page in pages for item in page.items] == [str(UUID(int=1))]

    def test_a_naive_moment_is_refused(self, connector: Unleashed) -> None:
        with pytest.raises(ValueError, match="timezone"):
            list(connector.read("SalesOrders", modified_since=datetime(2026, 3, 1)))  # noqa: DTZ001

    @pytest.mark.parametrize("resource", sorted(RESOURCES))
    def test_all_resources_can_be_read(self, server: ScriptedServer, connector: Unleashed, resource: str) -> None:
        list(connector.read(resource))
        assert server.seen[0].path == f"/{resource}/1"

    def test_what_has_no_modification_filter_is_filtered_here(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        api.rows = [self.row(n, LastModifiedOn=f"/Date({n * 1000})/") for n in (1, 2)]
        api.rows += [self.row(3, LastModifiedOn="/Date(999999999999999)/"), self.row(4, LastModifiedOn=None)]
        pages = list(connector.read("Warehouses", modified_since=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)))
        assert "modifiedSince" not in server.seen[0].params
        assert [item["Guid"] for page in pages for item in page.items] == [str(UUID(int=n)) for n in (2, 3)]

    def test_nothing_is_archived_and_nothing_has_children_to_ask_for(
        self, server: ScriptedServer, connector: Unleashed
    ) -> None:
        assert list(connector.read("SalesOrders", archived=True)) == []
        assert server.seen == []
        with pytest.raises(ValueError, match="carry their lines"):
            connector.read_children("SalesOrderLines", ["1"])

    def test_an_unknown_resource_is_named_with_the_known_ones(self, connector: Unleashed) -> None:
        with pytest.raises(ValueError, match="StockOnHand"):
            list(connector.read("Payments"))

    def test_stock_has_a_key_of_product_and_warehouse(self, api: UnleashedApi, connector: Unleashed) -> None:
        api.rows = [{"ProductGuid": "p", "WarehouseCode": code, "QtyOnHand": 1} for code in ("MEL", "SYD")]
        assert list(connector.keys("StockOnHand")) == [[("p", "MEL"), ("p", "SYD")]]

    # ---- documents

    def test_an_order_can_be_created_read_and_updated(self, api: UnleashedApi, connector: Unleashed) -> None:
        order = SalesOrder(
            order_number="SO-1",
            order_date=datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
            customer=CustomerReference(customer_code="ZOË"),
            sales_order_lines=[
                SalesOrderLine(
                    line_number=1,
                    product=ProductReference(product_code="P1"),
                    order_quantity=Decimal(2),
                    unit_price=Decimal("0.10"),
                    line_total=Decimal("0.20"),
                )
            ],
        )
        created = connector.create(order)
        assert created.guid is not None
        assert api.rows[0]["OrderDate"] == "2026-03-01T23:30:00.000"
        assert api.rows[0]["SalesOrderLines"][0]["UnitPrice"] == 0.10
        assert "Comments" not in api.rows[0]
        api.rows[0]["OrderDate"] = "/Date(1700000000000)/"
        read = connector.get(SalesOrder, created.guid)
        assert read.order_date == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
        assert read.sales_order_lines[0].unit_price == Decimal("0.1")
        connector.update(SalesOrder(guid=created.guid, comments="later"))
        assert api.rows[0]["Comments"] == "later"
        assert api.rows[0]["OrderNumber"] == "SO-1"

    def test_a_create_whose_answer_was_lost_makes_one_document(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        def lost(request: Request) -> Answer:
            api(request)
            return Answer(200, b"{}", cut_after=0, reset=True)

        server.script(lost)
        created = connector.create(Customer(customer_code="C1", gst_vat_number="53 004 085 616"))
        assert created.customer_code == "C1"
        assert [row["GSTVATNumber"] for row in api.rows] == ["53 004 085 616"]

    def test_creating_what_somebody_else_created_stays_an_error(self, api: UnleashedApi, connector: Unleashed) -> None:
        api.rows = [self.row(1)]
        with pytest.raises((Rejected, Conflict), match="already exists"):
            connector.create(SalesOrder(guid=UUID(int=1)))

    def test_an_update_needs_a_guid_and_a_bad_document_is_malformed(
        self, server: ScriptedServer, connector: Unleashed
    ) -> None:
        with pytest.raises(ValueError, match="Guid"):
            connector.update(Customer(customer_name="nobody"))
        server.script(as_json({"Guid": "not a guid"}))
        with pytest.raises(MalformedResponse, match="Guid"):
            connector.get(Customer, uuid4())

    def test_errors_in_other_forms_keep_their_words(self, server: ScriptedServer, connector: Unleashed) -> None:
        for body in ({"Message": "odd one"}, {"Items": [{"Description": "odd one"}]}, {"description": "odd one"}):
            server.script(as_json(body, 400))
            with pytest.raises(Rejected, match="odd one"):
                connector.count("Customers")

    def test_a_create_that_was_refused_on_a_second_try_and_made_nothing_stays_refused(
        self, server: ScriptedServer, connector: Unleashed
    ) -> None:
        server.script(self.error(503), self.error(400))
        with pytest.raises(Rejected, match=self.error_message):
            connector.create(Customer(customer_code="C1"))

    def test_a_document_that_is_not_there_is_not_found(self, connector: Unleashed) -> None:
        with pytest.raises(NotFound):
            connector.get(SalesOrder, uuid4())

    def test_an_update_is_repeated_since_it_says_the_same_twice(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        api.rows = [self.row(1)]
        server.script(self.error(503))
        assert connector.update(SalesOrder(guid=UUID(int=1), comments="x")).guid == UUID(int=1)

    def test_rows_that_never_come_to_rest_are_an_error_not_a_gap(
        self, server: ScriptedServer, connector: Unleashed
    ) -> None:
        made = iter(range(1, 1_000))

        def ever_new(request: Request) -> Answer:
            paging = {"NumberOfItems": 1_000, "NumberOfPages": 2, "PageNumber": 1, "PageSize": 4}
            return as_json({"Pagination": paging, "Items": [self.row(next(made)) for _ in range(4)]})

        server.api = ever_new
        with pytest.raises(Unavailable, match="kept moving"):
            self.read(connector)

    def test_a_total_that_promises_too_much_costs_one_more_pass_and_no_error(
        self, api: UnleashedApi, server: ScriptedServer, connector: Unleashed
    ) -> None:
        keys = self.fill(api, 6)

        def boasting(request: Request) -> Answer:
            answer = api(request)
            return Answer(200, answer.body.replace(b'"NumberOfItems": 6', b'"NumberOfItems": 7'), answer.headers)

        server.api = boasting
        assert [self.key(item) for item in self.read(connector)] == keys
        assert connector.requests == 4
