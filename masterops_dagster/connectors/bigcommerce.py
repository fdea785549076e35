"""BigCommerce: Buy Organics Online's store: v2 orders with their lines and shipments, v3 for everything else.

Facts from BigCommerce's documentation (bigcommerce/docs, `reference/*.yml` and the guide on rate limits):
- The token goes in `X-Auth-Token`. The quota is the store's, all apps share it; each answer says what is left and when
  it is refreshed, in milliseconds. Standard and Plus have 150 requests per 30 s, Pro 450, Enterprise what is agreed.
- v2 lists are bare arrays of at most 250, 204 where nothing is; by `sort=id:asc` and `min_id` they are read on from the
  last id seen, so that nothing is missed when rows go. There is no total but `/orders/count`. Dates are RFC 2822, empty
  where there is none; here they become ISO 8601 in UTC, and null. Money is text with four decimals.
- An order's lines come with it by `include=consignments.line_items`; shipments only order by order, which costs a
  request for each order of which something was shipped.
- v3 lists are `{"data", "meta": {"pagination"}}`, at most 250, inventory at most 1,000. Customers' `:min` is "after",
  so a second earlier is asked for and the rest dropped here; products can't be asked for by their creation.
- Inventory has no costs: these come from the variants. A cost of 0 is one that nobody entered.
- Customers are written ten at a time (413 beyond), at most three such requests at once; addresses not with them.
- Errors are `[{"status", "message"}]` from v2, `{"status", "title", "type", "errors"}` from v3.
- Webhooks bear no documented signature: a hook sends the headers that were set on it and says only which object
  changed, so that a receiver compares a header of its own and asks the API for the object. Third parties describe
  signatures, each under another header's name (?).
No public word on: whether an archived order is listed or counted (here neither is relied on: `is_deleted` is a column,
and a key sweep finds what is no longer listed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Unpack

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from masterops_dagster.connectors.auth import HeaderKey
from masterops_dagster.connectors.base import Connector, Explanation, LimitNews, Options, Page, Record, Reply
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import Conflict, ConnectorError, NotFound, Unavailable
from masterops_dagster.connectors.paging import NumberedPage, numbered_pages

PAGE_SIZE = 250
INVENTORY_PAGE_SIZE = 1000
BATCH = 10
"""Customers in one request that writes."""
WINDOW_NAME = "30s"
REQUEST_WINDOW = Window(WINDOW_NAME, 150, 30.0)
SECOND = timedelta(seconds=1)

ORDERS = "orders"
STOCK_LEVELS = "stock_levels"
LINES = {"include": "consignments.line_items", "consignment_structure": "object"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A list of v3. `modified` and `created` are the record's fields; None in the filters where the API has none.

    `keys` are the parameters that keep a list of ids short.
    """

    name: str
    template: str
    modified: str = "date_modified"
    created: str = "date_created"
    modified_filter: str | None = "date_modified"
    created_filter: str | None = "date_created"
    page_size: int = PAGE_SIZE
    params: tuple[tuple[str, str], ...] = ()
    keys: tuple[tuple[str, str], ...] = ()


CUSTOMERS = Resource(
    "customers",
    "/v3/customers",
    params=(("include", "addresses"), ("sort", "date_created:asc")),
    keys=(("sort", "date_created:asc"),),
)
PRODUCTS = Resource(
    "products",
    "/v3/catalog/products",
    created_filter=None,
    params=(("include", "variants"), ("sort", "id")),
    keys=(("include_fields", "id"), ("sort", "id")),
)
REFUNDS = Resource(
    "refunds",
    "/v3/orders/payment_actions/refunds",
    modified="created",
    created="created",
    modified_filter="created",
    created_filter="created",
)
VARIANTS = Resource(
    "variants",
    "/v3/catalog/variants",
    modified_filter=None,
    created_filter=None,
    params=(("include_fields", "cost_price"),),
)
INVENTORY = Resource(
    "inventory items",
    "/v3/inventory/items",
    modified_filter=None,
    created_filter=None,
    page_size=INVENTORY_PAGE_SIZE,
)
RESOURCES = {resource.name: resource for resource in (CUSTOMERS, PRODUCTS, REFUNDS)}


class BigCommerce(Connector):
    """One store. `base_url` is the API's, without `/stores/…`.

    Raises, besides `ConnectorError`s, `ValueError` for a resource that it doesn't know.
    """

    system = "bigcommerce"

    def __init__(
        self,
        base_url: str,
        account: str,
        store_hash: str,
        access_token: str,
        *,
        window: Window = REQUEST_WINDOW,
        page_size: int = PAGE_SIZE,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            f"{base_url.rstrip('/')}/stores/{store_hash}",
            account,
            HeaderKey("X-Auth-Token", access_token),
            windows=[window],
            **options,
        )
        self.page_size = page_size
        self._window_ms = round(window.seconds * 1000)

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
        """Pages of `orders` with `products` and `shipments`, `refunds`, `customers` with addresses, `products` with
        variants, or `stock_levels`.

        Refunds have no date but that of their creation, which a live read goes by. `properties` means nothing here; an
        archived order says so itself, so nothing else is ever archived.
        """
        if archived:
            return
        if resource == STOCK_LEVELS:
            yield from self._stock_levels()
            return
        if resource == ORDERS:
            yield from self._orders(modified_since, created_from, created_to)
            return
        what = _resource(resource)
        params = dict(what.params)
        wanted: Callable[[Record], bool] | None = None
        if modified_since is not None:
            wanted = _within(what.modified, modified_since, None)
            if what.modified_filter is not None:
                params[f"{what.modified_filter}:min"] = wire_moment(modified_since - SECOND)
        elif created_from is not None or created_to is not None:
            wanted = _within(what.created, created_from, created_to)
            if what.created_filter is not None and created_from is not None:
                params[f"{what.created_filter}:min"] = wire_moment(created_from - SECOND)
            if what.created_filter is not None and created_to is not None:
                params[f"{what.created_filter}:max"] = wire_moment(created_to + SECOND)
        for page in self._pages(what, f"list {what.name}", params):
            items = page.items if wanted is None else [item for item in page.items if wanted(item)]
            if items:
                yield Page(items, page.total if wanted is None else None)

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """Nothing has to be asked for parent by parent: lines, shipments, items and variants come with theirs."""
        raise ValueError(f"BigCommerce has no children {resource!r}")

    def count(self, resource: str) -> int | None:
        """What `/v2/orders/count` says, or v3's total; None for stock levels, which the store doesn't count."""
        if resource == STOCK_LEVELS:
            return None
        if resource == ORDERS:
            operation = "count orders"
            reply = self.request("GET", "/v2/orders/count", operation=operation)
            total = self._object(operation, reply).get("count")
            return total if isinstance(total, int) else None
        what = _resource(resource)
        return self._fetch(what, f"count {what.name}", 1, 1, dict(what.keys)).total

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """All ids; (variant, location) in stock levels. v2 has no shorter form of an order than the order itself."""
        if resource == STOCK_LEVELS:
            for page in self._stock_levels(with_costs=False):
                yield [(row["variant_id"], row["location_id"]) for row in page.items]
            return
        if resource == ORDERS:
            for orders in self._order_pages("list keys of orders", {}):
                yield [order["id"] for order in orders]
            return
        what = _resource(resource)
        for page in self._pages(what, f"list keys of {what.name}", dict(what.keys)):
            yield [item["id"] for item in page.items if item.get("id") is not None]

    def identity(self) -> str:
        """The store's own id, the same for all tokens of the store."""
        operation = "identify the store"
        store = self._object(operation, self.request("GET", "/v2/store", operation=operation))
        if not store.get("id"):
            raise self.malformed(operation, "the store doesn't say its id")
        return f"BigCommerce store {store['id']}"

    # ---- orders

    def _orders(
        self, modified_since: datetime | None, created_from: datetime | None, created_to: datetime | None
    ) -> Iterator[Page]:
        """Whole pages of orders, their shipments asked for in parallel."""
        params: dict[str, str] = dict(LINES)
        wanted: Callable[[Record], bool] = lambda order: True  # noqa: E731
        if modified_since is not None:
            wanted = _within("date_modified", modified_since, None)
            params["min_date_modified"] = wire_moment(modified_since)
        elif created_from is not None or created_to is not None:
            wanted = _within("date_created", created_from, created_to)
            if created_from is not None:
                params["min_date_created"] = wire_moment(created_from)
            if created_to is not None:
                params["max_date_created"] = wire_moment(created_to)
        for page in self._order_pages("list orders", params):
            orders = [order for order in map(_readable, page) if wanted(order)]
            if orders:
                yield Page(list(self.in_order(self._with_parts, orders)))

    def _order_pages(self, operation: str, params: Mapping[str, str]) -> Iterator[list[Record]]:
        """Each page begins behind the last id of the one before."""
        lowest = 0
        while True:
            begin = {"min_id": lowest} if lowest else {}
            reply = self.request(
                "GET",
                "/v2/orders",
                operation=operation,
                params={**params, "sort": "id:asc", "limit": self.page_size, **begin},
            )
            orders = self._array(operation, reply)
            if orders:
                yield [order for order in orders if order.get("id") is not None]
            if len(orders) < self.page_size:
                return
            highest = max((number for order in orders if (number := _whole(order.get("id"))) is not None), default=-1)
            if highest < lowest:
                raise self.malformed(operation, f"a full page of orders from id {lowest} on has none of these ids")
            lowest = highest + 1

    def _with_parts(self, order: Record) -> Record:
        """The order with `products` and `shipments` as lists, asked for only where that is needed."""
        lines, consignments = _lines(order.get("consignments"))
        order["consignments"] = consignments
        if lines is None or (not lines and _positive(order.get("items_total"))):
            lines = self._parts(order, "products")
        order["products"] = lines
        order["shipments"] = self._parts(order, "shipments") if _positive(order.get("items_shipped")) else []
        return order

    def _parts(self, order: Record, name: str) -> list[Record]:
        operation = f"list {name} of an order"
        found: list[Record] = []
        number = 1
        while True:
            try:
                reply = self.request(
                    "GET",
                    f"/v2/orders/{{order}}/{name}",
                    operation=operation,
                    path={"order": str(order["id"])},
                    params={"page": number, "limit": PAGE_SIZE},
                )
            except NotFound:
                return found
            page = self._array(operation, reply)
            found.extend(_readable(part) for part in page)
            if len(page) < PAGE_SIZE:
                return found
            number += 1

    # ---- v3

    def _stock_levels(self, *, with_costs: bool = True) -> Iterator[Page]:
        """A row for each variant and location."""
        costs: dict[object, object] = {}
        if with_costs:
            for page in self._pages(VARIANTS, "list costs of variants", dict(VARIANTS.params)):
                costs.update((item.get("id"), item.get("cost_price")) for item in page.items)
        for page in self._pages(INVENTORY, "list inventory items", {}, key=_variant_of):
            rows: list[Record] = []
            for item in page.items:
                what, places = item.get("identity"), item.get("locations")
                if not isinstance(what, dict) or not isinstance(places, list):
                    raise self.malformed("list inventory items", "an item without identity or locations")
                rows.extend(
                    {
                        "variant_id": what.get("variant_id"),
                        "location_id": place.get("location_id"),
                        "product_id": what.get("product_id"),
                        "sku": what.get("sku"),
                        "available_to_sell": place.get("available_to_sell"),
                        "total_inventory_onhand": place.get("total_inventory_onhand"),
                        "cost_price": costs.get(what.get("variant_id")),
                    }
                    for place in places
                )
            if rows:
                yield Page(rows)

    def _pages(
        self,
        what: Resource,
        operation: str,
        params: Mapping[str, str],
        key: Callable[[Record], str] = lambda item: str(item.get("id")),
    ) -> Iterator[Page]:
        size = min(self.page_size, PAGE_SIZE) if what.page_size == PAGE_SIZE else what.page_size
        return numbered_pages(
            lambda number: self._fetch(what, operation, number, size, params),
            self.in_order,
            page_size=size,
            key=key,
            never_at_rest=lambda: Unavailable(
                "rows kept moving while it was read, and some are still missing",
                system=self.system,
                account=self.account,
                operation=operation,
            ),
        )

    def _fetch(self, what: Resource, operation: str, number: int, size: int, params: Mapping[str, str]) -> NumberedPage:
        reply = self.request(
            "GET", what.template, operation=operation, params={**params, "page": number, "limit": size}
        )
        body = self._object(operation, reply)
        items, meta = body.get("data"), body.get("meta")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.malformed(operation, "`data` is no array of objects")
        pagination = meta.get("pagination") if isinstance(meta, dict) else None
        if not isinstance(pagination, dict):
            return NumberedPage(items, None, None)
        return NumberedPage(items, _whole(pagination.get("total")), _whole(pagination.get("total_pages")))

    def _object(self, operation: str, reply: Reply) -> Record:
        try:
            return reply.object()
        except TypeError as failure:
            raise self.malformed(operation, str(failure)) from None

    def _array(self, operation: str, reply: Reply) -> list[Record]:
        """v2's answer to a list: 204 without a body where nothing is."""
        if reply.status == httpx.codes.NO_CONTENT:
            return []
        try:
            return reply.array()
        except TypeError as failure:
            raise self.malformed(operation, str(failure)) from None

    # ---- customers

    def get_customer(self, identifier: int) -> Customer:
        """Raises `NotFound`."""
        found = self._find("get customer", {"id:in": str(identifier)})
        if not found:
            raise NotFound(
                f"there is no customer {identifier}",
                system=self.system,
                account=self.account,
                operation="get customer",
            )
        return found[0]

    def find_customer(self, email: str) -> Customer | None:
        """The customer with this e-mail; BigCommerce lets an address be used once."""
        found = self._find("find customer", {"email:in": email})
        return found[0] if found else None

    def create_customers(self, new: Iterable[Customer]) -> list[Customer]:
        """Create customers from the fields that are set, ten in a request, and return them as the store stored them.

        Ten are created together or not at all. The store gives the ids, so a create whose answer was lost isn't
        repeated: it ends with `Unavailable`. Raises `Conflict` where an e-mail is taken, `Rejected`.
        """
        made: list[Customer] = []
        for some in _batches(new):
            operation = "create customers"
            reply = self.request("POST", "/v3/customers", operation=operation, json=[one.for_wire() for one in some])
            made.extend(self._customers(operation, reply))
        return made

    def update_customers(self, changes: Iterable[Customer]) -> list[Customer]:
        """Write the fields that are set, ten customers in a request; each needs its `id`. Others stay as they are.

        Raises `Conflict`, `Rejected`, `ValueError` for one without an id.
        """
        changed: list[Customer] = []
        for some in _batches(changes):
            if any(one.id is None for one in some):
                raise ValueError("a customer can't be updated without its id")
            operation = "update customers"
            reply = self.request("PUT", "/v3/customers", operation=operation, json=[one.for_wire() for one in some])
            changed.extend(self._customers(operation, reply))
        return changed

    def _find(self, operation: str, params: Mapping[str, str]) -> list[Customer]:
        return self._customers(
            operation,
            self.request("GET", "/v3/customers", operation=operation, params={**params, "include": "addresses"}),
        )

    def _customers(self, operation: str, reply: Reply) -> list[Customer]:
        try:
            return _CUSTOMERS.validate_python(self._object(operation, reply).get("data"))
        except ValidationError as failure:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in failure.errors()[:5])
            raise self.malformed(operation, f"no list of customers: {where}") from None

    # ---- how BigCommerce speaks

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """v2's messages, or v3's title with its errors by field."""
        detail = _detail(body)
        kind: type[ConnectorError] | None = None
        if status == httpx.codes.UNPROCESSABLE_ENTITY and "already in use" in detail:
            kind = Conflict
        reset = headers.get("X-Rate-Limit-Time-Reset-Ms", "")
        wait = int(reset) / 1000 if status == httpx.codes.TOO_MANY_REQUESTS and reset.isdecimal() else None
        return Explanation(detail, kind=kind, scope=WINDOW_NAME, retry_after=wait)

    def limit_news(self, headers: httpx.Headers) -> Iterable[LimitNews]:
        """The store's quota and what is left of it; other apps of the store use it up as well.

        Should the store's window be longer than the budget's, the quota counts for a part of it only.
        """
        numbers = {
            name: int(value)
            for name in ("Requests-Left", "Requests-Quota", "Time-Window-Ms", "Time-Reset-Ms")
            if (value := headers.get(f"X-Rate-Limit-{name}", "")).isdecimal()
        }
        own_ms = self._window_ms
        quota, window_ms = numbers.get("Requests-Quota"), numbers.get("Time-Window-Ms") or own_ms
        reset = numbers.get("Time-Reset-Ms")
        if quota:
            yield LimitNews(
                WINDOW_NAME,
                limit=max(1, quota * own_ms // max(own_ms, window_ms)),
                remaining=numbers.get("Requests-Left") if window_ms == own_ms else None,
                reset_after=reset / 1000 if reset is not None else None,
            )


def wire_moment(moment: datetime) -> str:
    """An aware moment as both versions read it: `2026-03-01T12:30:00Z`."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a timezone can't be sent")
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _resource(name: str) -> Resource:
    if name not in RESOURCES:
        known = ", ".join((ORDERS, *RESOURCES, STOCK_LEVELS))
        raise ValueError(f"unknown resource {name!r} of BigCommerce; known: {known}")
    return RESOURCES[name]


def _readable(record: Record) -> Record:
    """v2's dates as ISO 8601 in UTC, null where there is none; what is no date stays, for ingest to report."""
    for name, value in record.items():
        if name.startswith("date_") and isinstance(value, str):
            record[name] = _iso(value)
    return record


def _iso(value: str) -> str | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return value
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _lines(consignments: object) -> tuple[list[Record] | None, object]:
    """The lines of all consignments, whatever their kind, and the consignments without them.

    None where they aren't all there: no consignments, or lines that are only links.
    """
    if not isinstance(consignments, dict | list):
        return None, None
    lines: dict[object, Record] = {}
    complete = True

    def without_lines(value: object) -> object:
        nonlocal complete
        if isinstance(value, list):
            return [without_lines(one) for one in value]
        if not isinstance(value, dict):
            return value
        for line in value.get("line_items") or []:
            if isinstance(line, dict) and line.get("id") is not None:
                lines[line["id"]] = line
            else:
                complete = False
        return {name: without_lines(one) for name, one in value.items() if name != "line_items"}

    rest = without_lines(consignments)
    return (list(lines.values()) if complete else None), rest


def _within(field: str, start: datetime | None, end: datetime | None) -> Callable[[Record], bool]:
    """Whether a record's moment is in [start, end). One that can't be read is let through, for ingest to report."""
    whole_second = start.replace(microsecond=0) if start else None

    def wanted(item: Record) -> bool:
        value = item.get(field)
        if value is None:
            return False
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return True
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (whole_second is None or moment >= whole_second) and (end is None or moment < end)

    return wanted


def _detail(body: object) -> str:
    if isinstance(body, list):
        return "; ".join(str(one.get("message") or one) if isinstance(one, dict) else str(one) for one in body)
    if not isinstance(body, dict):
        return str(body or "no message")
    detail = str(body.get("title") or body.get("message") or "no message")
    errors = body.get("errors")
    if isinstance(errors, dict) and errors:
        detail += ": " + "; ".join(f"{name}: {reason}" for name, reason in errors.items())
    return detail


def _variant_of(item: Record) -> str:
    what: Any = item.get("identity")
    return f"{what.get('product_id')}/{what.get('variant_id')}" if isinstance(what, dict) else ""


def _batches(customers: Iterable[Customer]) -> Iterator[list[Customer]]:
    remaining = iter(customers)
    while some := list(islice(remaining, BATCH)):
        yield some


def _positive(value: object) -> bool:
    return isinstance(value, int | Decimal) and value > 0


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


# ---- models: what is named is checked, what isn't is kept


class Customer(BaseModel):
    """A registered customer. What is named is checked, other fields are kept."""

    model_config = ConfigDict(extra="allow")

    id: int | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    phone: str | None = None
    notes: str | None = None
    customer_group_id: int | None = None
    accepts_product_review_abandoned_cart_emails: bool | None = None
    date_created: AwareDatetime | None = None
    date_modified: AwareDatetime | None = None

    def for_wire(self) -> Record:
        """The fields that were set, without those that the store alone writes."""
        return self.model_dump(
            mode="json", exclude_unset=True, exclude={"date_created", "date_modified", "addresses", "origin_channel_id"}
        )


_CUSTOMERS: TypeAdapter[list[Customer]] = TypeAdapter(list[Customer])
