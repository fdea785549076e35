"""Unleashed's stand-in: signed requests, paging in the path, `/Date(ms)/` dates, create with a client-made Guid."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.auth import unleashed_accepts
from masterops_dagster.simulator.limits import Meter, Policies, Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.replies import html_reply, json_reply
from masterops_dagster.simulator.serving import Call
from masterops_dagster.simulator.world.records import Body, Query, millis, moment
from masterops_dagster.simulator.world.store import World

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 200, 1000


@dataclass(frozen=True, slots=True)
class Resource:
    """What one resource can be filtered by (argument → path in the record) and whether it can be written.

    `date` is the field that `startDate` and `endDate` filter by. `lines` is the field that holds a document's lines.
    `unique` is the field of which no two records have the same value.
    """

    name: str
    date: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    writable: bool = False
    required: tuple[str, ...] = ()
    unique: str = ""
    lines: str = ""


_CUSTOMER = {"customerCode": "Customer.CustomerCode"}
_WAREHOUSE = {"warehouseCode": "Warehouse.WarehouseCode"}
_ORDER = {"orderStatus": "OrderStatus", "orderNumber": "OrderNumber"}

RESOURCES = {
    resource.name: resource
    for resource in (
        Resource(
            "Products",
            filters={"productCode": "ProductCode"},
            writable=True,
            required=("ProductCode", "ProductDescription"),
            unique="ProductCode",
        ),
        Resource("ProductGroups"),
        Resource(
            "Customers",
            filters={"customerCode": "CustomerCode"},
            writable=True,
            required=("CustomerCode", "CustomerName"),
            unique="CustomerCode",
        ),
        Resource("Suppliers", filters={"supplierCode": "SupplierCode"}),
        Resource("Warehouses", filters={"warehouseCode": "WarehouseCode"}),
        Resource("SalesPersons"),
        Resource("StockOnHand", filters={"productCode": "ProductCode", "warehouseCode": "WarehouseCode"}),
        Resource(
            "SalesOrders",
            date="OrderDate",
            filters={**_ORDER, **_CUSTOMER, **_WAREHOUSE},
            writable=True,
            required=("Customer", "SalesOrderLines", "SubTotal", "TaxTotal", "Total"),
            unique="OrderNumber",
            lines="SalesOrderLines",
        ),
        Resource(
            "Invoices",
            date="InvoiceDate",
            filters={**_CUSTOMER, "invoiceStatus": "InvoiceStatus", "orderNumber": "OrderNumber"},
        ),
        Resource("CreditNotes", date="CreditDate", filters={**_CUSTOMER, "creditStatus": "Status"}),
        Resource(
            "PurchaseOrders",
            date="OrderDate",
            filters={**_ORDER, **_WAREHOUSE, "supplierCode": "Supplier.SupplierCode"},
        ),
        Resource("StockAdjustments", date="AdjustmentDate", filters=_WAREHOUSE),
    )
}

_JSON_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")


class BadRequest(Exception):
    """A request that Unleashed refuses with 400; the message is its `Description`."""


class UnleashedStandIn:
    """Answers for one Unleashed account."""

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._api_id = endpoint["api_id"]
        self._api_key = endpoint["api_key"]
        self._meter = Meter()
        self.bodies = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        if not unleashed_accepts(self._api_id, self._api_key, call.headers, call.query):
            return _error(403, "The API signature is not valid for this API id and query string.")
        outcome = self._meter.take(self._policies.of(self._account))
        return _rate_limited(outcome.retry_after) if isinstance(outcome, Refusal) else {}

    def answer(self, call: Call) -> Response:
        name, _, rest = call.path.strip("/").partition("/")
        resource = RESOURCES.get(name)
        if resource is None:
            return _error(404, f"There is no resource {name}.")
        try:
            if call.method == "GET" and (not rest or rest.isdecimal()):
                return self._list(call, resource, int(rest or 1))
            guid = str(UUID(rest))
            match call.method:
                case "GET":
                    return self._get(resource, guid)
                case "POST" if resource.writable:
                    return self._create(call, resource, guid)
                case "PUT" if resource.writable:
                    return self._update(call, resource, guid)
        except BadRequest as refusal:
            return _error(400, str(refusal))
        except msgspec.DecodeError as error:
            return _error(400, f"The body is no valid JSON object: {error}")
        except ValueError:
            return _error(404, f"{rest} is neither a page number nor a Guid.")
        return _error(405, f"{call.method} is not allowed on {name}.")

    # ---- reading

    def _list(self, call: Call, resource: Resource, number: int) -> Response:
        size = call.argument("pageSize", str(DEFAULT_PAGE_SIZE))
        if not size.isdecimal() or not 1 <= int(size) <= MAX_PAGE_SIZE:
            raise BadRequest(f"pageSize must be between 1 and {MAX_PAGE_SIZE}, not {size}.")
        if number < 1:
            raise BadRequest("The page number must be 1 or greater.")
        page = self._world.page(
            self._account.key,
            resource.name,
            _query(call, resource),
            offset=(number - 1) * int(size),
            limit=int(size),
        )
        return json_reply(
            {
                "Pagination": {
                    "NumberOfItems": page.total,
                    "PageSize": int(size),
                    "PageNumber": number,
                    "NumberOfPages": math.ceil(page.total / int(size)),
                },
                "Items": [record.body for record in page.records],
            }
        )

    def _get(self, resource: Resource, guid: str) -> Response:
        record = self._world.get(self._account.key, resource.name, guid)
        if record is None:
            return _error(404, f"{resource.name} with Guid {guid} was not found.")
        return json_reply(record.body)

    # ---- writing

    def _create(self, call: Call, resource: Resource, guid: str) -> Response:
        """201; a repetition with the same Guid changes nothing and answers 200 with what is there."""
        body = _body(call, guid)
        with self._world.transaction():
            existing = self._world.get(self._account.key, resource.name, guid)
            if existing is not None:
                return json_reply(existing.body)
            missing = [name for name in resource.required if body.get(name) in (None, "", [])]
            if missing:
                raise BadRequest(f"{', '.join(missing)} is required.")
            now = self._world.now()
            if resource.lines:
                _complete_document(body, resource, now)
            self._refuse_duplicates(resource, body)
            body |= {"CreatedOn": _json_date(now), "CreatedBy": "api", "LastModifiedBy": "api"}
            return json_reply(self._put(resource, guid, body, now), 201)

    def _update(self, call: Call, resource: Resource, guid: str) -> Response:
        """Fields that the body doesn't name stay as they are; lines are replaced as a whole."""
        with self._world.transaction():
            existing = self._world.get(self._account.key, resource.name, guid)
            if existing is None:
                return _error(404, f"{resource.name} with Guid {guid} was not found.")
            body = {**existing.body, **_body(call, guid)}
            now = self._world.now()
            if resource.lines:
                _complete_document(body, resource, now)
            self._refuse_duplicates(resource, body)
            return json_reply(self._put(resource, guid, {**body, "LastModifiedBy": "api"}, now))

    def _put(self, resource: Resource, guid: str, body: Body, now: datetime) -> Body:
        business = body.get(resource.date) if resource.date else body["CreatedOn"]
        body["LastModifiedOn"] = _json_date(now)
        return self._world.put(self._account.key, resource.name, guid, body, _moment(str(business))).body

    def _refuse_duplicates(self, resource: Resource, body: Body) -> None:
        value = str(body[resource.unique])
        same = Query(fields={resource.unique: (value,)})
        if any(row.id != body["Guid"] for row in self._world.scan(self._account.key, resource.name, same)):
            raise BadRequest(f"{resource.unique} {value} already exists.")


def _query(call: Call, resource: Resource) -> Query:
    """The filters that this resource knows; others are ignored. Both ends of the date window are within it."""
    since, start, end = (
        _moment(text) if (text := call.argument(name)) else None for name in ("modifiedSince", "startDate", "endDate")
    )
    return Query(
        modified_from=since,
        business_from=start if resource.date else None,
        business_to=end + timedelta(milliseconds=1) if end is not None and resource.date else None,
        fields={
            path: [value.strip() for value in call.argument(name).split(",")]
            for name, path in resource.filters.items()
            if call.argument(name)
        },
    )


def _body(call: Call, guid: str) -> Body:
    body: Body = msgspec.json.decode(call.body, type=dict[str, Any])
    if body.get("Guid", guid).lower() != guid:
        raise BadRequest("The Guid in the body is not the one in the address.")
    dates = {name: _json_date(_moment(value)) for name, value in body.items() if _is_date(name, value)}
    return {**body, **dates, "Guid": guid}


def _complete_document(body: Body, resource: Resource, now: datetime) -> None:
    """What Unleashed fills in: number, state, date, Guids of lines. Totals must add up."""
    body.setdefault("OrderNumber", f"SO-{uuid4().hex[:8].upper()}")
    body.setdefault("OrderStatus", "Parked")
    body.setdefault(resource.date, _json_date(now))
    for number, line in enumerate(body[resource.lines], start=1):
        line.setdefault("Guid", str(uuid4()))
        line["LineNumber"] = number
    if round(sum(line["LineTotal"] for line in body[resource.lines]) - body["SubTotal"], 2):
        raise BadRequest("SubTotal must be the sum of the lines' LineTotal.")
    if round(body["SubTotal"] + body["TaxTotal"] - body["Total"], 2):
        raise BadRequest("Total must be SubTotal plus TaxTotal.")


def _is_date(name: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value) and (name.endswith("Date") or name in ("CreatedOn", "LastModifiedOn"))


def _moment(text: str) -> datetime:
    """From `/Date(ms)/` or `yyyy-MM-ddTHH:mm:ss.fff`, which is UTC; the time may be left out."""
    if match := _JSON_DATE.fullmatch(text):
        return moment(int(match[1]))
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{text} is not a date of the form yyyy-MM-ddTHH:mm:ss.fff.") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _json_date(at: datetime) -> str:
    return f"/Date({millis(at)})/"


def _error(status: int, description: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_reply({"Description": description, "DebugInformation": None}, status, headers)


def _rate_limited(retry_after: float | None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
    return _error(429, "The limit of requests per five minutes has been reached.", headers)


def _server_error(status: int) -> Response:
    if status == 500:
        return _error(500, "An unexpected error occurred.")
    return html_reply("Server Error", f"{status} - The server can't handle the request now.", status)
