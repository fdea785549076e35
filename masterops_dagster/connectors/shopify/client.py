"""The Shopify connector: a store's records for ingest, and its typed operations."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar, Unpack

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from masterops_dagster.connectors.base import Options, Page, Record
from masterops_dagster.connectors.budget import Bucket
from masterops_dagster.connectors.errors import MalformedResponse, NotFound, PermissionDenied, Rejected
from masterops_dagster.connectors.shopify.api import API_VERSION, POINTS, ShopifyApi, TooCostly
from masterops_dagster.connectors.shopify.bulk import BulkPatience, PagesInstead, bulk_records
from masterops_dagster.connectors.shopify.models import InventoryChange, InventoryQuantity, Order
from masterops_dagster.connectors.shopify.resources import BY_ID, REFUND_LINES, RESOURCES, Nested, Resource
from masterops_dagster.connectors.shopify.resources import Order as ListOrder

PAGE_SIZE = 250
PAGING_LIMIT = 25_000
"""How far into one list Shopify lets anybody page."""

BULK_FROM = 2_000
"""Objects that are still to be read from which on a bulk operation is begun: it takes some seconds at least."""

REFUNDED_AT_ONCE = 50
"""Orders whose refunds' lines are asked for together."""

MAX_QUANTITIES = 250
"""Of one request: Shopify takes no longer list as an argument."""

ALL_ORDERS = "read_all_orders"
"""The scope without which orders older than `RECENT` are left out, of lists and counts, without a word."""

RECENT = timedelta(days=60)
HIDDEN = f"Shopify hides orders older than {RECENT.days} days: the app lacks the scope {ALL_ORDERS}"
GRANT = f"Grant the app the scope {ALL_ORDERS} and load the orders again from their beginning."

log = structlog.get_logger()

_Model = TypeVar("_Model", bound=BaseModel)


class Shopify(ShopifyApi):
    """One store, for ingest by `read`, `count` and `keys`, and for typed operations.

    Resources: `orders` (with lines, parcels, refunds, and all refunds' lines in `refundLineItems`), `customers`,
    `products` (with variants), `locations`, `inventory_levels` (an item at a location), `abandoned_checkouts`. Every
    connection comes as a plain list, read to its end.
    """

    def __init__(
        self,
        base_url: str,
        account: str,
        auth: httpx.Auth,
        *,
        api_version: str = API_VERSION,
        bucket: Bucket = POINTS,
        page_size: int = PAGE_SIZE,
        paging_limit: int = PAGING_LIMIT,
        bulk_from: int = BULK_FROM,
        bulk_patience: BulkPatience | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(base_url, account, auth, api_version=api_version, bucket=bucket, **options)
        self.page_size = page_size
        self.paging_limit = paging_limit
        self.bulk_from = bulk_from
        self.bulk_patience = bulk_patience or BulkPatience()
        self._sizes: dict[str, int] = {}
        self._sees_all_orders: bool | None = None

    # ---- ingest

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
        """Records of a resource: all, those modified since a moment, or those created in [from, to).

        Pages at first, by creation or modification; where `bulk_from` objects and more are still to come after as many,
        the rest is read by a bulk operation. What is modified while it is read comes once more at the end. `properties`
        means nothing here, and nothing is ever archived. Orders of more than 60 days ago come only with the scope
        `read_all_orders`: a warning is logged where it is missing. Raises `ValueError` for a resource that doesn't
        exist, or has no such filter.
        """
        what = _resource(resource)
        if modified_since is not None and (created_from is not None or created_to is not None):
            raise ValueError("ask either for what was modified or for what was created")
        if archived:
            return
        search: list[str] = []
        order = what.order
        wanted: Callable[[Record], bool] | None = None
        if modified_since is not None:
            if what.modified is None:
                raise ValueError(f"{resource} is read whole: Shopify can't search it by modification")
            order, since = what.modified, wire_moment(modified_since)
            search.append(f"updated_at:>='{since}'")
            wanted = _within("updatedAt", since, None)
        elif created_from is not None or created_to is not None:
            if what.created is None:
                raise ValueError(f"{resource} is read whole: Shopify can't search it by creation")
            start, end = (None if moment is None else wire_moment(moment) for moment in (created_from, created_to))
            search += [f"{what.created}:>='{start}'"] if start else []
            search += [f"{what.created}:<'{end}'"] if end else []
            wanted = _within("createdAt", start, end)
        if what.name == "orders" and modified_since is None:
            self._warn_of_hidden_orders(created_from)
        for nodes in self._walk(what, what.document, order, search):
            records = self._completed(what, [node for node in nodes if wanted is None or wanted(node)])
            if records:
                yield Page(records)

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """Nothing: children come with their parents. Raises `ValueError`."""
        raise ValueError(f"unknown resource {resource!r}: Shopify's children come with their parents")

    def count(self, resource: str) -> int | None:
        """How many there are, exactly; None for what Shopify doesn't count, or only about."""
        what = _resource(resource)
        return None if what.count is None else self._counted(what.count, [], f"count {resource}")

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """The ids of all objects, a page at a time; of `inventory_levels` (item, location).

        Raises `PermissionDenied` for orders without the scope `read_all_orders`: those of more than 60 days ago would
        seem to be gone.
        """
        what = _resource(resource)
        if what.name == "orders" and self._sees_all() is False:
            raise self.failure(PermissionDenied, HIDDEN, f"list {resource}", GRANT)
        if what.keys is not None:
            for nodes in self._walk(what, what.keys, BY_ID, [], bulk=False):
                yield [node["id"] for node in nodes]
        else:
            for page in self.read(resource):
                yield [_key(what, record) for record in page.items]

    def identity(self) -> str:
        """The store's id and its address, which never change."""
        operation = "get the store"
        shop = self.part(self.execute("shop", {}, operation=operation), "shop", operation)
        return f"Shopify store {str(shop.get('id')).rpartition('/')[2]} ({shop.get('myshopifyDomain')})"

    def scopes(self) -> frozenset[str]:
        """What the app may do in the store: `read_orders`, …"""
        operation = "get the app's scopes"
        answer = self.execute("access_scopes", {}, operation=operation)
        found = self.part(answer, "currentAppInstallation", operation).get("accessScopes")
        if not isinstance(found, list):
            raise self.malformed(operation, "the answer has no accessScopes")
        return frozenset(str(scope.get("handle")) for scope in found if isinstance(scope, dict))

    def _warn_of_hidden_orders(self, created_from: datetime | None) -> None:
        """Where orders are read that Shopify hides without the scope; once."""
        recent = created_from is not None and created_from >= datetime.now(UTC) - RECENT
        if not recent and self._sees_all_orders is None and self._sees_all() is False:
            log.warning(HIDDEN, account=self.account, missing_scope=ALL_ORDERS, advice=GRANT)

    def _sees_all(self) -> bool | None:
        """Whether Shopify shows orders of any age; None where it doesn't tell."""
        if self._sees_all_orders is None:
            try:
                self._sees_all_orders = ALL_ORDERS in self.scopes()
            except (MalformedResponse, PermissionDenied, Rejected) as error:
                log.warning("Shopify doesn't tell the app's scopes", account=self.account, error=str(error))
        return self._sees_all_orders

    def _walk(
        self, what: Resource, document: str, order: ListOrder, search: Sequence[str], *, bulk: bool = True
    ) -> Iterator[list[Record]]:
        """Lists of objects as Shopify sends them, in order; those at a seam come twice."""
        operation = f"list {what.name}"
        seam: str | None = None
        after: str | None = None
        paged = total = 0
        bulk = bulk and what.bulk is not None
        while True:
            behind = [*search, *([f"{order.search}:>={seam}"] if seam else [])]
            nodes, after = self._page(what, document, order, behind, after, operation)
            if nodes:
                yield nodes
            if after is None:
                return
            paged += len(nodes)
            total += len(nodes)
            last = _place(order, nodes[-1]) if nodes else seam
            if bulk and total >= self.bulk_from:
                bulk = False
                rest = [*search, f"{order.search}:>={last}"] if order.key else search
                if self._is_much(what, rest):
                    with contextlib.suppress(PagesInstead):
                        yield from self._in_bulk(what, rest)
                        return
            if paged > self.paging_limit - self.page_size:
                if last == seam:
                    detail = f"more than {paged} objects share one place in the order {order.search}: {seam}"
                    raise self.failure(
                        Rejected, detail, operation, "Read it in another way: a list can't be paged so far."
                    )
                seam, after, paged = last, None, 0

    def _page(
        self, what: Resource, document: str, order: ListOrder, search: Sequence[str], after: str | None, operation: str
    ) -> tuple[list[Record], str | None]:
        """One page and where the next begins. A page that costs too much is halved, now and from then on."""
        while True:
            size = self._sizes.get(document, self.page_size)
            variables: dict[str, object] = {"first": size, "after": after, "filter": " ".join(search) or None}
            if order.key:
                variables["sort"] = order.key
            if what.nested is not None and document == what.document:
                variables["nested"] = what.nested.first
            try:
                data = self.execute(document, variables, operation=operation, size=size)
            except TooCostly:
                if size == 1:
                    raise
                self._sizes[document] = size // 2
                continue
            return self._connection(data, what.connection, operation)

    def _is_much(self, what: Resource, search: Sequence[str]) -> bool:
        if what.count is None:
            return True
        left = self._counted(what.count, search, f"count {what.name}")
        return left is None or left >= self.bulk_from

    def _counted(self, document: str, search: Sequence[str], operation: str) -> int | None:
        (answer,) = self.execute(document, {"filter": " ".join(search) or None}, operation=operation).values()
        found = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(found, int):
            raise self.malformed(operation, "the answer has no count")
        return found if answer.get("precision") == "EXACT" else None

    def _in_bulk(self, what: Resource, search: Sequence[str]) -> Iterator[list[Record]]:
        assert what.bulk is not None
        return bulk_records(
            self,
            what.bulk,
            " ".join(search),
            what.nested.field if what.nested else None,
            operation=f"list {what.name} in bulk",
            patience=self.bulk_patience,
        )

    # ---- what is nested

    def _completed(self, what: Resource, nodes: list[Record]) -> list[Record]:
        """The objects with plain lists in them. What is gone meanwhile is left out."""
        if what.nested is not None:
            nodes = self._unfolded(what.nested, nodes, f"list {what.name}")
        if what.name == "orders":
            return self._with_refund_lines(nodes)
        if what.name == "inventory_levels":
            return [level for item in nodes for level in _levels(item)]
        return nodes

    def _unfolded(self, nested: Nested, nodes: Sequence[Record], operation: str) -> list[Record]:
        """The objects with their connection as a list. One that is a list, of a bulk operation, is whole."""
        if any(_has_more(node.get(nested.field)) for node in nodes):
            whole = self.in_order(lambda node: self._to_its_end(nested, node, operation), nodes)
        else:
            whole = (self._to_its_end(nested, node, operation) for node in nodes)
        return [node for node in whole if node is not None]

    def _to_its_end(self, nested: Nested, node: Record, operation: str) -> Record | None:
        """The object with all of its connection, None if it is gone."""
        if isinstance(node.get(nested.field), list):
            return node
        found, after = self._connection(node, nested.field, operation)
        while after is not None:
            variables = {"id": node["id"], "first": self.page_size, "after": after}
            data = self.execute(nested.more, variables, operation=operation, size=self.page_size)
            if data.get("node") is None:
                return None
            items, after = self._connection(self.part(data, "node", operation), nested.field, operation)
            found += items
        return {**node, nested.field: found}

    def _with_refund_lines(self, orders: list[Record]) -> list[Record]:
        """The orders with the lines of all their refunds, each line with its refund's id."""
        refunded = [str(order["id"]) for order in orders if order.get("refunds")]
        chunks = [refunded[start : start + REFUNDED_AT_ONCE] for start in range(0, len(refunded), REFUNDED_AT_ONCE)]
        lines: dict[str, list[Record]] = {}
        for found in self.in_order(self._refund_lines, chunks) if chunks else ():
            lines.update(found)
        return [
            {**order, "refundLineItems": lines.get(str(order["id"]), [])}
            for order in orders
            if not order.get("refunds") or str(order["id"]) in lines
        ]

    def _refund_lines(self, orders: Sequence[str]) -> dict[str, list[Record]]:
        """The lines of these orders' refunds by order; without orders that are gone meanwhile."""
        operation = "list refunds' lines"
        variables = {"ids": orders, "nested": REFUND_LINES.first}
        try:
            data = self.execute("refund_lines", variables, operation=operation, size=len(orders))
        except TooCostly:
            if len(orders) == 1:
                raise
            middle = len(orders) // 2
            return self._refund_lines(orders[:middle]) | self._refund_lines(orders[middle:])
        return {
            str(order["id"]): [
                _refund_line(refund, line)
                for refund in self._unfolded(REFUND_LINES, _items(order, "refunds"), operation)
                for line in _items(refund, REFUND_LINES.field)
            ]
            for order in _items(data, "nodes")
        }

    def _connection(self, value: Record, field: str, operation: str) -> tuple[list[Record], str | None]:
        """The nodes of a connection, and the cursor behind them if there are more."""
        connection = self.part(value, field, operation)
        nodes, info = connection.get("nodes"), connection.get("pageInfo")
        if not isinstance(nodes, list) or not isinstance(info, dict):
            raise self.malformed(operation, f"{field} has no nodes or no pageInfo")
        if any(not isinstance(node, dict) or not node.get("id") for node in nodes) and field != REFUND_LINES.field:
            raise self.malformed(operation, f"a node of {field} has no id")
        cursor = info.get("endCursor") if info.get("hasNextPage") else None
        if info.get("hasNextPage") and not cursor:
            raise self.malformed(operation, f"{field} has a next page and no cursor")
        return list(nodes), None if cursor is None else str(cursor)

    # ---- typed operations

    def order(self, order_id: str) -> Order:
        """One order by its id, `gid://shopify/Order/1`. Raises `NotFound`."""
        operation = "get order"
        data = self.execute("order", {"id": order_id, "nested": 50}, operation=operation, size=1)
        if data.get("order") is None:
            raise self.failure(NotFound, f"there is no order {order_id}", operation)
        return self._order(self.part(data, "order", operation), operation)

    def order_named(self, name: str) -> Order:
        """One order by its name, `#TX1001`; it is found some seconds after it was placed. Raises `NotFound`."""
        operation = "get order"
        quoted = name.replace("\\", "\\\\").replace("'", "\\'")
        what = RESOURCES["orders"]
        found, _ = self._page(what, what.document, BY_ID, [f"name:'{quoted}'"], None, operation)
        for node in found:
            if node.get("name") == name:
                return self._order(node, operation)
        raise self.failure(NotFound, f"there is no order named {name}", operation)

    def _order(self, node: Record, operation: str) -> Order:
        nested = RESOURCES["orders"].nested
        assert nested is not None
        whole = self._to_its_end(nested, node, operation)
        if whole is None:
            raise self.failure(NotFound, "the order is gone", operation)
        return self._model(Order, whole, operation)

    def set_inventory(
        self,
        quantities: Sequence[InventoryQuantity],
        *,
        key: str,
        name: str = "available",
        reason: str = "correction",
        reference: str | None = None,
    ) -> tuple[InventoryChange, ...]:
        """Set quantities, all or none; what they changed.

        `key` names this change: the same one sent again with the same quantities changes nothing more. `name` is
        `available` or `on_hand`, `reference` a URI of what it is about. Raises `Conflict` where a quantity is no
        longer what it was believed to be, `Rejected` with the path of what Shopify refuses, `ValueError` for more than
        250 quantities.
        """
        if len(quantities) > MAX_QUANTITIES:
            raise ValueError(f"at most {MAX_QUANTITIES} quantities can be set at once")
        operation = "set inventory"
        described: Record = {
            "name": name,
            "reason": reason,
            "quantities": [quantity.model_dump(by_alias=True) for quantity in quantities],
        }
        if reference is not None:
            described["referenceDocumentUri"] = reference
        answer = self.change(
            "set_inventory", "inventorySetQuantities", {"input": described, "key": key}, operation=operation
        )
        group = answer.get("inventoryAdjustmentGroup")
        changes = group.get("changes") if isinstance(group, dict) else None
        return tuple(self._model(InventoryChange, change, operation) for change in changes or ())

    def add_tags(self, object_id: str, tags: Sequence[str]) -> None:
        """Add tags to an order, a customer or a product; those it has stay. Raises `Rejected`."""
        self.change("add_tags", "tagsAdd", {"id": object_id, "tags": list(tags)}, operation="add tags")

    def _model(self, model: type[_Model], value: object, operation: str) -> _Model:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors()[:5])
            raise self.malformed(operation, f"not the API's shape: {places}") from None


def wire_moment(moment: datetime) -> str:
    """A moment as Shopify searches for it, without its fraction of a second. Raises `ValueError` without a timezone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a timezone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _resource(name: str) -> Resource:
    if name not in RESOURCES:
        raise ValueError(f"unknown resource {name!r} of Shopify; known: {', '.join(sorted(RESOURCES))}")
    return RESOURCES[name]


def _within(field: str, start: str | None, end: str | None) -> Callable[[Record], bool]:
    """Whether a record's moment is in [start, end). One that isn't as Shopify writes them is left to ingest."""
    first, last = (None if bound is None else datetime.fromisoformat(bound) for bound in (start, end))

    def wanted(record: Record) -> bool:
        try:
            moment = datetime.fromisoformat(str(record.get(field)))
        except ValueError:
            return True
        return moment.tzinfo is None or ((first is None or moment >= first) and (last is None or moment < last))

    return wanted


def _place(order: ListOrder, node: Record) -> str:
    """Where an object stands in the order, as a search has it: `'2026-03-01T00:00:00Z'`, `123`."""
    value = str(node.get(order.field))
    return value.rpartition("/")[2] if order.field == "id" else f"'{value}'"


def _key(what: Resource, record: Record) -> object:
    if what.name != "inventory_levels":
        return record["id"]
    item, location = record.get("item"), record.get("location")
    return tuple(part["id"] if isinstance(part, dict) else None for part in (item, location))


def _has_more(connection: object) -> bool:
    info = connection.get("pageInfo") if isinstance(connection, dict) else None
    return isinstance(info, dict) and bool(info.get("hasNextPage"))


def _items(record: Record, field: str) -> list[Record]:
    found = record.get(field)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _refund_line(refund: Record, line: Record) -> Record:
    """A line with its refund's id. Shopify lets a line have no id: then it is named by what it refunds."""
    refunded = line.get("lineItem")
    of_line = refunded.get("id") if isinstance(refunded, dict) else None
    return {**line, "id": line.get("id") or f"{refund['id']}?line={of_line}", "refund": {"id": refund["id"]}}


def _levels(item: Record) -> Iterator[Record]:
    """An item's levels as records, with quantities by name; item and location are their key, not an id."""
    own = {name: value for name, value in item.items() if name != "inventoryLevels"}
    for whole in _items(item, "inventoryLevels"):
        level = {name: value for name, value in whole.items() if name != "id"}
        counted = _items(level, "quantities")
        quantities = {str(one.get("name")): one.get("quantity") for one in counted}
        yield {**level, "item": own, "quantities": quantities}
