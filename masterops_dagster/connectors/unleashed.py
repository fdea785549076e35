"""Unleashed: products, stock, wholesale orders and invoices; one account each for Teelixir and Elevate Wholesale.

Facts from Unleashed's API documentation (apidocs.unleashedsoftware.com) and public clients; those marked (?) there is
no public word on:
- Requests are signed, see `auth.UnleashedSignature`; a wrong signature or id is answered with 403.
- About 300 requests in 5 minutes per account (?), then 429 without a hint. No limit headers.
- The page number is in the path, `pageSize` at most 1,000. Moments come as `/Date(ms)/`, milliseconds since 1970 in
  UTC, with or without an offset that changes nothing; they are sent as `yyyy-MM-ddTHH:mm:ss.fff`, UTC.
- Documents are created by POST under a Guid that the client makes, so a repeated POST can't create two.
- Errors are `{"Description", "DebugInformation"}` (?) or HTML.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, ClassVar, TypeVar, Unpack
from uuid import UUID, uuid4

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_pascal

from masterops_dagster.connectors.auth import UnleashedSignature
from masterops_dagster.connectors.base import Connector, Explanation, Options, Page, Record, Reply
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import AuthenticationError, Conflict, NotFound, Rejected, Unavailable
from masterops_dagster.connectors.paging import NumberedPage, numbered_pages

MAX_PAGE_SIZE = 1000
REQUEST_WINDOW = Window("5min", 300, 300.0)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Resource:
    """A list of Unleashed's. `business_date` is the date by which it is backfilled; where `dated` the API filters by it
    (`startDate`, `endDate`, both inclusive), where `modified` it knows `modifiedSince`; else rows are filtered here."""

    name: str
    key: tuple[str, ...] = ("Guid",)
    business_date: str = "CreatedOn"
    dated: bool = False
    modified: bool = True


RESOURCES = {
    resource.name: resource
    for resource in (
        Resource("Products"),
        Resource("ProductGroups", modified=False),
        Resource("Customers"),
        Resource("Suppliers"),
        Resource("Warehouses", modified=False),
        Resource("SalesPersons", modified=False),
        Resource("StockOnHand", key=("ProductGuid", "WarehouseCode")),
        Resource("SalesOrders", business_date="OrderDate", dated=True),
        Resource("Invoices", business_date="InvoiceDate", dated=True),
        Resource("CreditNotes", business_date="CreditDate", dated=True),
        Resource("PurchaseOrders", business_date="OrderDate", dated=True),
        Resource("StockAdjustments", business_date="AdjustmentDate", dated=True),
    )
}


class Unleashed(Connector):
    """One Unleashed account. `client_type` names the caller, as Unleashed asks: `<company>/<application>`.

    Raises, besides `ConnectorError`s, `ValueError` for a resource that it doesn't know.
    """

    system = "unleashed"

    def __init__(
        self,
        base_url: str,
        account: str,
        api_id: str,
        api_key: str,
        *,
        client_type: str = "masterops/masterops",
        page_size: int = 500,
        window: Window = REQUEST_WINDOW,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            base_url,
            account,
            UnleashedSignature(api_id, api_key),
            windows=[window],
            headers={"client-type": client_type, "Content-Type": "application/json"},
            **options,
        )
        self.page_size = page_size
        self._api_id = api_id

    # ---- what ingest reads

    def read(
        self,
        resource: str,
        *,
        modified_since: datetime | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        properties: Sequence[str] = (),
        archived: bool = False,
    ) -> Iterator[Page]:
        """Pages of a resource, moments as ISO 8601 in UTC. `properties` means nothing here; nothing is ever archived.

        Whether `modifiedSince` includes its own moment isn't documented: one millisecond earlier is asked for.
        """
        if archived:
            return
        what = _resource(resource)
        params: dict[str, str] = {}
        wanted: Callable[[Record], bool] | None = None
        if modified_since is not None:
            if what.modified:
                params["modifiedSince"] = wire_moment(modified_since - MILLISECOND)
            else:
                wanted = _within("LastModifiedOn", modified_since, None)
        elif created_from is not None or created_to is not None:
            if what.dated and created_from is not None:
                params["startDate"] = wire_moment(created_from)
            if what.dated and created_to is not None:
                params["endDate"] = wire_moment(created_to - MILLISECOND)
            wanted = _within(what.business_date, created_from, created_to)
        for page in self._pages(what, self.page_size, params):
            items = page.items if wanted is None else [item for item in page.items if wanted(item)]
            if items:
                yield Page(items, page.total if wanted is None else None)

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """Always a `ValueError`: Unleashed's documents carry their lines."""
        raise ValueError(f"Unleashed has no children to ask for, such as {resource!r}: documents carry their lines")

    def count(self, resource: str) -> int | None:
        """`NumberOfItems` of the whole resource; orders with status Deleted are rows like others."""
        return self._fetch(_resource(resource), 1, 1, {}).total

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """The keys of all rows, page by page. Unleashed can't send keys alone: this reads all, in the largest pages."""
        what = _resource(resource)
        first, *others = what.key
        for page in self._pages(what, MAX_PAGE_SIZE, {}):
            keyed = [item for item in page.items if item.get(first) is not None]
            yield [_key(what, item) if others else item[first] for item in keyed]

    def identity(self) -> str:
        """A fingerprint of the API id: an account has one, for good, and Unleashed names the company nowhere else."""
        return f"Unleashed account {hashlib.sha256(self._api_id.encode()).hexdigest()[:12]}"

    def _pages(self, what: Resource, page_size: int, params: dict[str, str]) -> Iterator[Page]:
        return numbered_pages(
            lambda number: self._fetch(what, number, page_size, params),
            self.in_order,
            page_size=page_size,
            key=lambda item: _key(what, item),
            never_at_rest=lambda: Unavailable(
                "rows kept moving while it was read, and some are still missing",
                system=self.system,
                account=self.account,
                operation=f"list {what.name}",
            ),
        )

    def _fetch(self, what: Resource, number: int, page_size: int, params: dict[str, str]) -> NumberedPage:
        operation = f"list {what.name}"
        reply = self.request(
            "GET",
            f"/{what.name}/{{page}}",
            operation=operation,
            path={"page": number},
            params={"pageSize": page_size, **params},
        )
        try:
            body = _Listing.model_validate(reply.data)
        except ValidationError as failure:
            raise self.malformed(operation, f"not a page of Unleashed's: {_where(failure)}") from None
        return NumberedPage(body.items, body.pagination.number_of_items, body.pagination.number_of_pages)

    # ---- single documents

    def get(self, model: type[M], guid: UUID) -> M:
        """One document. Raises `NotFound`."""
        operation = f"get {model.resource}"
        reply = self.request("GET", f"/{model.resource}/{{guid}}", operation=operation, path={"guid": str(guid)})
        return self._document(model, operation, reply)

    def create(self, document: M) -> M:
        """Create a document under its Guid (made here if it has none) and return it as Unleashed stored it.

        Safe to repeat: where the answer to a first try was lost, the document that it made is returned.
        """
        guid = document.guid or uuid4()
        operation = f"create {document.resource}"
        try:
            reply = self.request(
                "POST",
                f"/{document.resource}/{{guid}}",
                operation=operation,
                path={"guid": str(guid)},
                json=document.model_copy(update={"guid": guid}).for_wire(),
                repeatable=True,
            )
        except (Conflict, Rejected) as refusal:
            if refusal.attempts == 1:
                raise
            try:
                return self.get(type(document), guid)
            except NotFound:
                raise refusal from None
        return self._document(type(document), operation, reply)

    def update(self, document: M) -> M:
        """Write the fields that are set on a document to the one with its Guid. Raises `NotFound`, `Rejected`."""
        if document.guid is None:
            raise ValueError("only a document with a Guid can be updated")
        operation = f"update {document.resource}"
        reply = self.request(
            "PUT",
            f"/{document.resource}/{{guid}}",
            operation=operation,
            path={"guid": str(document.guid)},
            json=document.for_wire(),
        )
        return self._document(type(document), operation, reply)

    def _document(self, model: type[M], operation: str, reply: Reply) -> M:
        try:
            return model.model_validate(reply.data)
        except ValidationError as failure:
            raise self.malformed(operation, f"not a {model.__name__}: {_where(failure)}") from None

    # ---- how Unleashed speaks

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """`Description`, or `Message` as the .NET framework in front of it says; a 403 is a wrong signature or id."""
        detail: object = body
        if isinstance(body, dict):
            detail = body.get("Description") or body.get("description") or body.get("Message") or body.get("message")
            items = body.get("Items")
            if not detail and isinstance(items, list):
                detail = "; ".join(str(i.get("Description")) for i in items if isinstance(i, dict))
        kind = AuthenticationError if status == httpx.codes.FORBIDDEN else None
        return Explanation(str(detail or "no message"), kind=kind)

    def clean(self, body: bytes) -> bytes:
        """Moments to ISO 8601 in UTC, from `/Date(ms)/`, slashes escaped or not, and from ISO 8601 without a zone.

        A `/Date(…)/` that no calendar knows stays as it is.
        """
        body = (_ESCAPED_DATE if b"\\/Date(" in body else _DATE).sub(_iso_moment, body)
        return _ZONELESS.sub(rb'\1Z"', body) if _TIME_WITHOUT_ZONE.search(body) else body


_DATE = re.compile(rb'"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/"')
_ESCAPED_DATE = re.compile(rb'"\\?/Date\((-?\d{1,15})(?:[+-]\d{4})?\)\\?/"')
_ZONELESS = re.compile(rb'((?:Date|On)"\s*:\s*"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)"')
_TIME_WITHOUT_ZONE = re.compile(rb'T\d\d:\d\d:\d\d(?:\.\d+)?"')
"""Found ten times faster than `_ZONELESS`; most bodies have none."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _iso_moment(match: re.Match[bytes]) -> bytes:
    return _iso_of(match[1]) or match[0]


@lru_cache(maxsize=8_192)  # a document's dates are mostly the same few moments
def _iso_of(milliseconds: bytes) -> bytes | None:
    try:
        moment = _EPOCH + timedelta(milliseconds=int(milliseconds))
    except OverflowError:
        return None
    return f'"{moment.isoformat(timespec="milliseconds")[:-6]}Z"'.encode()


def wire_moment(moment: datetime) -> str:
    """An aware moment as Unleashed reads it: `2026-03-01T12:30:00.000`, in UTC, without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a timezone can't be sent")
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}"


def _resource(name: str) -> Resource:
    if name not in RESOURCES:
        raise ValueError(f"unknown resource {name!r} of Unleashed; known: {', '.join(RESOURCES)}")
    return RESOURCES[name]


def _key(what: Resource, item: Record) -> Hashable:
    return tuple(str(item.get(part)) for part in what.key)


def _within(field: str, start: datetime | None, end: datetime | None) -> Callable[[Record], bool]:
    """Whether a record's moment is in [start, end). One that can't be read is let through, for ingest to report."""

    def wanted(item: Record) -> bool:
        value = item.get(field)
        if value is None:
            return False
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return True
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (start is None or moment >= start) and (end is None or moment < end)

    return wanted


def _where(failure: ValidationError) -> str:
    """Which fields a model refused and why; never the values."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in failure.errors()[:5])


# ---- models: what is named is checked, what isn't is kept

Moment = Annotated[AwareDatetime, PlainSerializer(wire_moment)]


class Model(BaseModel):
    """Unleashed's PascalCase outside, snake_case here. Fields without a name here are kept under their own."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, extra="allow")


class _Pagination(Model):
    number_of_items: int
    number_of_pages: int


class _Listing(Model):
    pagination: _Pagination
    items: list[Record]


class Document(Model):
    """What has a Guid and a resource of its own."""

    resource: ClassVar[str]

    guid: UUID | None = None
    created_on: Moment | None = None
    last_modified_on: Moment | None = None

    def for_wire(self) -> Record:
        """The fields that were set, in Unleashed's names and forms."""
        return self.model_dump(by_alias=True, exclude_unset=True)


M = TypeVar("M", bound=Document)


class CustomerReference(Model):
    """The customer as documents name it."""

    guid: UUID | None = None
    customer_code: str | None = None
    customer_name: str | None = None


class ProductReference(Model):
    """The product as lines name it."""

    guid: UUID | None = None
    product_code: str | None = None
    product_description: str | None = None


class WarehouseReference(Model):
    """The warehouse as documents name it."""

    guid: UUID | None = None
    warehouse_code: str | None = None
    warehouse_name: str | None = None


class CurrencyReference(Model):
    """The currency as documents name it: an ISO 4217 code."""

    currency_code: str | None = None


class Line(Model):
    """What all lines have."""

    guid: UUID | None = None
    line_number: int | None = None
    product: ProductReference | None = None


class PricedLine(Line):
    """`discount_rate` is a fraction; `line_total` is after discount, without tax."""

    unit_price: Decimal | None = None
    discount_rate: Decimal | None = None
    line_total: Decimal | None = None
    line_tax: Decimal | None = None


class SalesOrderLine(PricedLine):
    """A line of a sales order; the average landed price is the cost of one, when it was sold."""

    order_quantity: Decimal | None = None
    average_landed_price_at_time_of_sale: Decimal | None = None


class InvoiceLine(PricedLine):
    """A line of an invoice."""

    invoice_quantity: Decimal | None = None


class CreditLine(PricedLine):
    """A line of a credit note; quantities are positive."""

    credit_quantity: Decimal | None = None


class Totals(Document):
    """`sub_total` is without tax, `total` with it."""

    sub_total: Decimal | None = None
    tax_total: Decimal | None = None
    total: Decimal | None = None


class SalesOrder(Totals):
    """`order_status`: Parked, Placed, Backordered, Completed, Deleted. `order_date` is an instant."""

    resource = "SalesOrders"

    order_number: str | None = None
    order_status: str | None = None
    order_date: Moment | None = None
    required_date: Moment | None = None
    completed_date: Moment | None = None
    customer: CustomerReference | None = None
    customer_ref: str | None = None
    comments: str | None = None
    warehouse: WarehouseReference | None = None
    currency: CurrencyReference | None = None
    exchange_rate: Decimal | None = None
    sales_order_lines: list[SalesOrderLine] = Field(default_factory=list)


class Invoice(Totals):
    """`invoice_status`: Parked, Completed, Deleted."""

    resource = "Invoices"

    invoice_number: str | None = None
    order_number: str | None = None
    invoice_status: str | None = None
    invoice_date: Moment | None = None
    due_date: Moment | None = None
    customer: CustomerReference | None = None
    invoice_lines: list[InvoiceLine] = Field(default_factory=list)


class CreditNote(Totals):
    """Amounts are positive; what they mean is negative."""

    resource = "CreditNotes"

    credit_note_number: str | None = None
    status: str | None = None
    credit_date: Moment | None = None
    invoice_number: str | None = None
    customer: CustomerReference | None = None
    credit_lines: list[CreditLine] = Field(default_factory=list)


class SupplierReference(Model):
    """The supplier as documents name it."""

    guid: UUID | None = None
    supplier_code: str | None = None
    supplier_name: str | None = None


class PurchaseOrderLine(PricedLine):
    """A line of a purchase order."""

    order_quantity: Decimal | None = None


class PurchaseOrder(Totals):
    """What was ordered from a supplier."""

    resource = "PurchaseOrders"

    order_number: str | None = None
    order_status: str | None = None
    order_date: Moment | None = None
    required_date: Moment | None = None
    received_date: Moment | None = None
    supplier: SupplierReference | None = None
    warehouse: WarehouseReference | None = None
    purchase_order_lines: list[PurchaseOrderLine] = Field(default_factory=list)


class StockAdjustmentLine(Line):
    """A corrected quantity and value."""

    new_quantity: Decimal | None = None
    new_actual_value: Decimal | None = None


class StockAdjustment(Document):
    """A count or correction of stock."""

    resource = "StockAdjustments"

    adjustment_number: str | None = None
    adjustment_date: Moment | None = None
    adjustment_reason: str | None = None
    status: str | None = None
    warehouse: WarehouseReference | None = None
    stock_adjustment_lines: list[StockAdjustmentLine] = Field(default_factory=list)


class Customer(Document):
    """`gst_vat_number` holds the ABN."""

    resource = "Customers"

    customer_code: str | None = None
    customer_name: str | None = None
    customer_type: str | None = None
    contact_first_name: str | None = None
    contact_last_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    gst_vat_number: str | None = Field(None, alias="GSTVATNumber")
    payment_term: str | None = None
    discount_rate: Decimal | None = None
    obsolete: bool | None = None


class Supplier(Document):
    """`gst_vat_number` holds the ABN."""

    resource = "Suppliers"

    supplier_code: str | None = None
    supplier_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    gst_vat_number: str | None = Field(None, alias="GSTVATNumber")
    obsolete: bool | None = None


class Product(Document):
    """An article. Prices are without tax; `average_land_price` is the average cost of what is on hand."""

    resource = "Products"

    product_code: str | None = None
    product_description: str | None = None
    barcode: str | None = None
    default_purchase_price: Decimal | None = None
    default_sell_price: Decimal | None = None
    average_land_price: Decimal | None = None
    is_sellable: bool | None = None
    is_component: bool | None = None
    obsolete: bool | None = None


class ProductGroup(Document):
    """A group of products."""

    resource = "ProductGroups"

    group_name: str | None = None


class Warehouse(Document):
    """A place where stock is held."""

    resource = "Warehouses"

    warehouse_code: str | None = None
    warehouse_name: str | None = None
    is_default: bool | None = None
    obsolete: bool | None = None


class SalesPerson(Document):
    """Who sells."""

    resource = "SalesPersons"

    full_name: str | None = None
    email: str | None = None
    obsolete: bool | None = None
