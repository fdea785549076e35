"""Unleashed's stand-in: signatures over the bytes sent, paging in the path, filters, safe creation, limits."""

from __future__ import annotations

import base64
import hmac
import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.stand_ins import StandIns

ACCOUNT = "unleashed_teelixir"
Json = dict[str, Any]


class Signed:
    """A client that signs the query as it is given, byte for byte."""

    def __init__(self, endpoint: dict[str, str]) -> None:
        self._endpoint = endpoint
        self._http = httpx.Client(timeout=10)

    def request(
        self, method: str, path: str, query: str = "", *, signed: str | None = None, **rest: Any
    ) -> httpx.Response:
        text = query if signed is None else signed
        signature = base64.b64encode(hmac.digest(self._endpoint["api_key"].encode(), text.encode(), "sha256")).decode()
        headers = {"api-auth-id": self._endpoint["api_id"], "api-auth-signature": signature}
        url = httpx.URL(self._endpoint["base_url"] + path)
        url = url.copy_with(query=query.encode()) if query else url
        return self._http.request(method, url, headers={"Accept": "application/json", **headers}, **rest)

    def get(self, path: str, query: str = "") -> Json:
        return dict(self.request("GET", path, query).raise_for_status().json())

    def all(self, resource: str, query: str = "pageSize=50") -> list[Json]:
        first = self.get(f"/{resource}/1", query)
        pages = range(2, first["Pagination"]["NumberOfPages"] + 1)
        return [*first["Items"], *(item for page in pages for item in self.get(f"/{resource}/{page}", query)["Items"])]


@pytest.fixture
def unleashed(stand_ins: StandIns) -> Signed:
    return Signed(stand_ins.endpoint(ACCOUNT))


def at(date: str) -> datetime:
    milliseconds = re.fullmatch(r"/Date\((\d+)([+-]\d{4})?\)/", date)
    assert milliseconds, date
    return datetime.fromtimestamp(int(milliseconds[1]) / 1000, UTC)


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def test_the_signature_is_over_the_exact_bytes_of_the_query(unleashed: Signed) -> None:
    encoded = "modifiedSince=2026-01-01T00%3A00%3A00.000&pageSize=1"
    plain = encoded.replace("%3A", ":")
    assert unleashed.request("GET", "/Products/1", encoded).status_code == 200
    assert unleashed.request("GET", "/Products/1", plain).status_code == 200
    assert unleashed.request("GET", "/Products/1", encoded, signed=plain).status_code == 403
    refused = unleashed.request("GET", "/Products/1", "pageSize=1", signed="pageSize=2")
    assert refused.status_code == 403
    assert refused.json().keys() == {"Description", "DebugInformation"}


def test_each_account_has_its_own_key(stand_ins: StandIns) -> None:
    endpoint = {
        **stand_ins.endpoint(ACCOUNT),
        "base_url": stand_ins.endpoint("unleashed_elevate_wholesale")["base_url"],
    }
    assert Signed(endpoint).request("GET", "/Products/1").status_code == 403


@pytest.mark.parametrize(
    "resource",
    [
        "Products",
        "ProductGroups",
        "Customers",
        "Suppliers",
        "Warehouses",
        "StockOnHand",
        "SalesOrders",
        "Invoices",
        "CreditNotes",
        "PurchaseOrders",
        "StockAdjustments",
        "SalesPersons",
    ],
)
def test_pages_hold_every_row_once_and_agree_on_their_number(
    stand_ins: StandIns, unleashed: Signed, resource: str
) -> None:
    first = unleashed.get(f"/{resource}/1", "pageSize=7")
    pagination = first["Pagination"]
    assert (pagination["PageSize"], pagination["PageNumber"]) == (7, 1)
    assert pagination["NumberOfPages"] == -(-pagination["NumberOfItems"] // 7)
    rows = unleashed.all(resource, "pageSize=7")
    assert rows == [record.body for record in stand_ins.world().scan(ACCOUNT, resource)]
    assert len(rows) == pagination["NumberOfItems"] > 0
    beyond = unleashed.get(f"/{resource}/{pagination['NumberOfPages'] + 1}", "pageSize=7")
    assert beyond["Items"] == []


def test_a_page_has_two_hundred_rows_unless_asked_otherwise_and_a_thousand_at_most(unleashed: Signed) -> None:
    assert unleashed.get("/SalesOrders")["Pagination"]["PageSize"] == 200
    assert unleashed.request("GET", "/SalesOrders/1", "pageSize=1001").status_code == 400
    assert unleashed.request("GET", "/SalesOrders/0").status_code == 400


def test_modified_since_finds_what_changed_then_or_later(unleashed: Signed) -> None:
    everything = unleashed.all("SalesOrders")
    since = sorted(at(order["LastModifiedOn"]) for order in everything)[len(everything) // 2]
    found = unleashed.all("SalesOrders", f"modifiedSince={wire(since)}&pageSize=50")
    assert {order["Guid"] for order in found} == {o["Guid"] for o in everything if at(o["LastModifiedOn"]) >= since}


@pytest.mark.parametrize(
    ("resource", "date"),
    [
        ("SalesOrders", "OrderDate"),
        ("Invoices", "InvoiceDate"),
        ("CreditNotes", "CreditDate"),
        ("PurchaseOrders", "OrderDate"),
        ("StockAdjustments", "AdjustmentDate"),
    ],
)
def test_both_ends_of_the_date_window_are_within_it(unleashed: Signed, resource: str, date: str) -> None:
    everything = unleashed.all(resource)
    moments = sorted(at(row[date]) for row in everything)
    start, end = moments[len(moments) // 4], moments[len(moments) // 2]
    found = unleashed.all(resource, f"startDate={wire(start)}&endDate={wire(end)}&pageSize=50")
    assert {row["Guid"] for row in found} == {row["Guid"] for row in everything if start <= at(row[date]) <= end}
    assert found


def test_filters_by_status_customer_product_and_warehouse(unleashed: Signed) -> None:
    orders = unleashed.all("SalesOrders")
    code = orders[0]["Customer"]["CustomerCode"]
    warehouse = next(o["Warehouse"]["WarehouseCode"] for o in orders if o.get("Warehouse"))
    cases = {
        "orderStatus=Placed,Parked": lambda o: o["OrderStatus"] in ("Placed", "Parked"),
        f"customerCode={code}": lambda o: o["Customer"]["CustomerCode"] == code,
        f"warehouseCode={warehouse}": lambda o: (o.get("Warehouse") or {}).get("WarehouseCode") == warehouse,
    }
    for query, test in cases.items():
        assert unleashed.all("SalesOrders", f"{query}&pageSize=50") == [order for order in orders if test(order)]
    product = unleashed.all("Products")[0]["ProductCode"]
    assert [p["ProductCode"] for p in unleashed.all("Products", f"productCode={product}")] == [product]
    assert {s["ProductCode"] for s in unleashed.all("StockOnHand", f"productCode={product}")} == {product}


def test_one_record_by_its_guid(unleashed: Signed) -> None:
    order = unleashed.all("SalesOrders")[3]
    assert unleashed.get(f"/SalesOrders/{order['Guid']}") == order
    assert unleashed.request("GET", f"/SalesOrders/{uuid4()}").status_code == 404
    assert unleashed.request("GET", "/Wings/1").status_code == 404
    assert unleashed.request("GET", "/SalesOrders/first").status_code == 404


def sales_order(unleashed: Signed) -> Json:
    customer, product = unleashed.all("Customers")[0], unleashed.all("Products")[0]
    line = {
        "Product": {"Guid": product["Guid"], "ProductCode": product["ProductCode"]},
        "OrderQuantity": 2,
        "UnitPrice": 10.5,
        "LineTotal": 21.0,
        "LineTax": 2.1,
    }
    return {
        "OrderNumber": f"SO-{uuid4().hex[:8]}",
        "OrderStatus": "Placed",
        "OrderDate": "2026-03-01T12:30:00.000",
        "Customer": {"Guid": customer["Guid"], "CustomerCode": customer["CustomerCode"]},
        "SalesOrderLines": [line],
        "SubTotal": 21.0,
        "TaxTotal": 2.1,
        "Total": 23.1,
    }


def test_creating_twice_with_one_guid_makes_one_record(unleashed: Signed) -> None:
    guid, order = str(uuid4()), sales_order(unleashed)
    first = unleashed.request("POST", f"/SalesOrders/{guid}", json=order)
    second = unleashed.request("POST", f"/SalesOrders/{guid}", json=order)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == unleashed.get(f"/SalesOrders/{guid}")
    assert at(first.json()["OrderDate"]) == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    found = unleashed.all("SalesOrders", "startDate=2026-03-01T12:30:00.000&endDate=2026-03-01T12:30:00.000")
    assert guid in {row["Guid"] for row in found}


def test_an_update_changes_what_it_names_and_moves_the_modification(unleashed: Signed) -> None:
    guid, order = str(uuid4()), sales_order(unleashed)
    created = unleashed.request("POST", f"/SalesOrders/{guid}", json=order).json()
    updated = unleashed.request("PUT", f"/SalesOrders/{guid}", json={"OrderStatus": "Completed"}).json()
    assert (updated["OrderStatus"], updated["Total"]) == ("Completed", 23.1)
    assert at(updated["LastModifiedOn"]) > at(created["LastModifiedOn"])
    assert updated["CreatedOn"] == created["CreatedOn"]
    assert unleashed.request("PUT", f"/SalesOrders/{uuid4()}", json={}).status_code == 404


def test_what_does_not_add_up_or_is_taken_is_refused(unleashed: Signed) -> None:
    order = sales_order(unleashed)
    code = unleashed.all("Customers")[0]["CustomerCode"]
    for path, body in (
        ("/SalesOrders", {**order, "SubTotal": 20.0}),
        ("/SalesOrders", {**order, "Total": 21.0}),
        ("/SalesOrders", {key: value for key, value in order.items() if key != "Customer"}),
        ("/SalesOrders", {**order, "OrderDate": "yesterday"}),
        ("/Customers", {"CustomerCode": code, "CustomerName": "Someone else"}),
    ):
        refused = unleashed.request("POST", f"{path}/{uuid4()}", json=body)
        assert (refused.status_code, list(refused.json())) == (400, ["Description", "DebugInformation"]), body
    assert unleashed.request("POST", f"/Warehouses/{uuid4()}", json={}).status_code == 405
    assert unleashed.request("POST", f"/Customers/{uuid4()}", content=b"{").status_code == 400


def test_the_limit_is_per_account_and_says_how_long_to_wait(stand_ins: StandIns, unleashed: Signed) -> None:
    stand_ins.allow(ACCOUNT, 2, lambda: unleashed.request("GET", "/Warehouses"))
    assert [unleashed.request("GET", "/Warehouses").status_code for _ in range(3)] == [200, 200, 429]
    refused = unleashed.request("GET", "/Warehouses")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    other = Signed(stand_ins.endpoint("unleashed_elevate_wholesale"))
    assert other.request("GET", "/Warehouses").status_code == 200
