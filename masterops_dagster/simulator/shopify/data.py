"""A store's data by root field: pages of what the world holds, searched, sorted, and found again behind a cursor."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from masterops_dagster.businesses import BUSINESSES, Account
from masterops_dagster.simulator.shopify.errors import QueryError
from masterops_dagster.simulator.shopify.execution import Slice, connection, cursor_content, cursor_of
from masterops_dagster.simulator.shopify.fields import WITHOUT_CODES, variants
from masterops_dagster.simulator.shopify.schema import CANDIDATE, STABLE, UNSTABLE
from masterops_dagster.simulator.shopify.search import Fields, Test, search
from masterops_dagster.simulator.world.records import Body, Order, Query, Record, millis, moment
from masterops_dagster.simulator.world.store import World

SCOPES = (
    "read_all_orders",
    "read_customers",
    "read_fulfillments",
    "read_inventory",
    "read_locations",
    "read_orders",
    "read_products",
)
"""What the app may do in the store."""


def _field(*path: str) -> Callable[[Body], list[Any]]:
    def values(body: Body) -> list[Any]:
        value: Any = body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, list) else [value]

    return values


def _order_status(body: Body) -> list[str]:
    if body.get("cancelledAt"):
        return ["cancelled", "closed", "any"] if body.get("closedAt") else ["cancelled", "not_closed", "any"]
    return ["closed", "any"] if body.get("closedAt") else ["open", "not_closed", "any"]


def _lines(name: str) -> Callable[[Body], list[Any]]:
    return lambda body: [line.get(name) for line in body.get("lineItems", ())]


MOMENTS = {"created_at": "business", "updated_at": "modified"}
SORTED_BY_MOMENT: Mapping[str, Order] = {
    "ID": "number",
    "CREATED_AT": "business_at",
    "UPDATED_AT": "modified_at",
}


@dataclass(frozen=True, slots=True)
class Collection:
    """A root connection: what is in it, how it is searched and sorted.

    `derive` makes its bodies out of those of `resource`; without it they are the world's own.
    """

    resource: str
    fields: Fields
    orders: Mapping[str, Order]
    derive: Callable[[Body], Iterable[Body]] | None = None


def _inventory_items(product: Body) -> Iterator[Body]:
    for variant in variants(product):
        yield {**variant["inventoryItem"], "variant": variant}


COLLECTIONS: Mapping[str, Collection] = {
    "orders": Collection(
        "orders",
        Fields(
            {
                "id": _field("id"),
                "name": _field("name"),
                "status": _order_status,
                "email": _field("email"),
                "financial_status": _field("displayFinancialStatus"),
                "fulfillment_status": _field("displayFulfillmentStatus"),
                "customer_id": _field("customer", "id"),
                "po_number": _field("poNumber"),
                "source_name": _field("sourceName"),
                "discount_code": _field("discountCodes"),
                "tag": _field("tags"),
                "test": _field("test"),
                "sku": _lines("sku"),
            },
            {**MOMENTS, "processed_at": "business"},
            words=("name", "email", "tag"),
            kind="Order",
        ),
        {**SORTED_BY_MOMENT, "PROCESSED_AT": "business_at", "ORDER_NUMBER": "number"},
    ),
    "customers": Collection(
        "customers",
        Fields(
            {
                "id": _field("id"),
                "email": _field("defaultEmailAddress", "emailAddress"),
                "phone": _field("defaultPhoneNumber", "phoneNumber"),
                "first_name": _field("firstName"),
                "last_name": _field("lastName"),
                "state": _field("state"),
                "tag": _field("tags"),
            },
            {**MOMENTS, "customer_date": "business"},
            words=("email", "first_name", "last_name", "phone"),
            kind="Customer",
        ),
        SORTED_BY_MOMENT,
    ),
    "products": Collection(
        "products",
        Fields(
            {
                "id": _field("id"),
                "title": _field("title"),
                "handle": _field("handle"),
                "vendor": _field("vendor"),
                "product_type": _field("productType"),
                "status": _field("status"),
                "tag": _field("tags"),
                "sku": lambda body: [variant.get("sku") for variant in body.get("variants", ())],
            },
            MOMENTS,
            words=("title", "vendor", "product_type", "tag"),
            kind="Product",
        ),
        SORTED_BY_MOMENT,
    ),
    "productVariants": Collection(
        "products",
        Fields(
            {
                "id": _field("id"),
                "sku": _field("sku"),
                "barcode": _field("barcode"),
                "title": _field("title"),
                "product_id": _field("product", "id"),
                "vendor": _field("product", "vendor"),
            },
            words=("title", "sku", "barcode"),
        ),
        {"ID": "number"},
        variants,
    ),
    "inventoryItems": Collection(
        "products",
        Fields({"id": _field("id"), "sku": _field("sku")}, words=("sku",)),
        {"ID": "number"},
        _inventory_items,
    ),
    "locations": Collection(
        "locations",
        Fields({"id": _field("id"), "name": _field("name")}, words=("name",), kind="Location"),
        {"NAME": "number", "ID": "number"},
    ),
    "abandonedCheckouts": Collection(
        "abandoned_checkouts",
        Fields(
            {
                "id": _field("id"),
                "status": lambda body: ["closed" if body.get("completedAt") else "open"],
                "recovery_state": lambda body: ["recovered" if body.get("completedAt") else "not_recovered"],
            },
            MOMENTS,
            kind="AbandonedCheckout",
        ),
        {**SORTED_BY_MOMENT, "CHECKOUT_ID": "number"},
    ),
}

BY_TYPE = {
    "Order": "orders",
    "Customer": "customers",
    "Product": "products",
    "ProductVariant": "productVariants",
    "InventoryItem": "inventoryItems",
    "Location": "locations",
    "AbandonedCheckout": "abandonedCheckouts",
}
"""The root connection that an object of a type can be found in by its id."""

TAGGED = ("orders", "customers", "products")

KINDS = {name: kind for kind, name in BY_TYPE.items()}

REFERENCES = frozenset(BY_TYPE)
"""Types of which other bodies hold a part."""


class Data:
    """One request's view of a store. What it looks up once it remembers."""

    def __init__(self, account: Account, world: World, deepest: int) -> None:
        self._account = account
        self._world = world
        self._deepest = deepest
        self._found: dict[tuple[str, str], Body | None] = {}
        self._levels: dict[str, list[Body]] | None = None
        self.warnings: list[dict[str, Any]] = []

    # ---- root fields

    def page(self, name: str, arguments: Mapping[str, Any]) -> Body:
        """A page of a root connection. Raises `QueryError`."""
        part = Slice.of(arguments)
        reverse = bool(arguments.get("reverse")) != part.backwards
        sort_key = arguments.get("sortKey") or "ID"
        cursor = part.before if part.backwards else part.after
        last, passed = _place(cursor, sort_key)
        if passed + part.size > self._deepest:
            raise QueryError(
                f"Pagination is limited to {self._deepest} objects. Narrow the query, or use a bulk operation.",
                "BAD_REQUEST",
            )
        rows = self._rows(name, arguments, sort_key, reverse, last)
        shown = list(itertools.islice(rows, part.size + 1))
        more, shown = len(shown) > part.size, shown[: part.size]
        cursors = [
            cursor_of(last_id=number, last_value=value, sort=sort_key, passed=passed + place)
            for place, (value, number, _) in enumerate(shown, 1)
        ]
        bodies = [body for _, _, body in shown]
        for body in bodies:
            self._found[KINDS[name], body["id"]] = body
        if part.backwards:
            return connection(bodies[::-1], cursors[::-1], has_next=cursor is not None, has_previous=more)
        return connection(bodies, cursors, has_next=more, has_previous=cursor is not None)

    def all(self, name: str, arguments: Mapping[str, Any]) -> Iterator[Body]:
        """Everything in a root connection, as a bulk operation reads it."""
        sort_key = arguments.get("sortKey") or "ID"
        for _, _, body in self._rows(name, arguments, sort_key, bool(arguments.get("reverse")), None):
            self._found[key := (KINDS[name], body["id"])] = body
            yield body
            del self._found[key]

    def count(self, name: str, arguments: Mapping[str, Any]) -> Body:
        """A `Count`, exact up to the limit."""
        collection, limit = COLLECTIONS[name], arguments.get("limit")
        query, test = self._searched(name, f"{name}Count", arguments)
        if name == "locations" or test is not None:
            found = sum(1 for _ in self._rows(name, arguments, "ID", False, None))
        else:
            found = self._world.count(self._account.key, collection.resource, query)
        if limit is not None and found > limit:
            return {"count": limit, "precision": "AT_LEAST"}
        return {"count": found, "precision": "EXACT"}

    def node(self, id: str) -> Body | None:
        """Any object by its global id."""
        parts = id.split("/")
        if not id.startswith("gid://shopify/") or len(parts) != 5:
            raise QueryError(f"Invalid global id '{id}'", "argumentLiteralsIncompatible")
        return self.object(parts[3], id)

    def object(self, type_name: str, id: str) -> Body | None:
        """An object of that type; None if there is none with that id."""
        key = (type_name, id)
        if key not in self._found:
            self._found[key] = self._look_up(type_name, id)
        return self._found[key]

    def location(self, id: str | None) -> Body | None:
        """A location; without an id the first."""
        if id is not None:
            return self.object("Location", id)
        return next((body for _, _, body in self._rows("locations", {}, "ID", False, None)), None)

    def add_tags(self, id: str, tags: list[str]) -> Body:
        """The payload of `tagsAdd`: the object has the tags from now on."""
        name = BY_TYPE.get(id.split("/")[3]) if id.count("/") == 4 else None
        record = self._world.get(self._account.key, COLLECTIONS[name].resource, id) if name in TAGGED else None
        if name is None or record is None:
            return {"node": None, "userErrors": [{"field": ["id"], "message": "Object does not exist"}]}
        known = {tag.casefold() for tag in record.body["tags"]}
        given = dict.fromkeys(tag.strip() for each in tags for tag in each.split(",") if tag.strip())
        if more := [tag for tag in given if tag.casefold() not in known]:
            changed = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
            body = {**record.body, "tags": [*record.body["tags"], *more], "updatedAt": changed}
            self._world.put(self._account.key, COLLECTIONS[name].resource, id, body, business_at=record.business_at)
        return {"node": self.object(KINDS[name], id), "userErrors": []}

    def complete(self, type_name: str, body: Body) -> Body:
        """The whole object, where another's body holds only a part of it."""
        found = self.object(type_name, str(body.get("id")))
        return {**found, **body} if found is not None else body

    def shop(self) -> Body:
        business = next(one for one in BUSINESSES if one.key == self._account.business_key)
        return {
            "id": f"gid://shopify/Shop/{60_000_000_000 + BUSINESSES.index(business)}",
            "name": business.name,
            "myshopifyDomain": f"{business.key.replace('_', '-')}.myshopify.com",
            "currencyCode": "AUD",
            "ianaTimezone": "Australia/Melbourne",
            "taxesIncluded": self._account.business_key == "teelixir",
        }

    def installation(self) -> Body:
        scopes = [{"handle": scope, "description": scope.replace("_", " ").capitalize()} for scope in SCOPES]
        return {"id": "gid://shopify/AppInstallation/1", "accessScopes": scopes}

    def versions(self) -> list[Body]:
        stable = [{"handle": handle, "displayName": handle, "supported": True} for handle in STABLE]
        candidate = {"handle": CANDIDATE, "displayName": f"{CANDIDATE} (Release candidate)", "supported": False}
        return [*stable, candidate, {"handle": UNSTABLE, "displayName": UNSTABLE, "supported": False}]

    def levels(self, item_id: str) -> list[Body]:
        """An inventory item's levels, one per location."""
        if self._levels is None:
            self._levels = {}
            for record in self._world.scan(self._account.key, "inventory_levels"):
                self._levels.setdefault(record.body["item"]["id"], []).append(record.body)
        return self._levels.get(item_id, [])

    # ---- the world

    def _rows(
        self, name: str, arguments: Mapping[str, Any], sort_key: str, reverse: bool, last: tuple[int, int] | None
    ) -> Iterator[tuple[int, int, Body]]:
        """(sort value, number, body) behind a place, in order."""
        collection = COLLECTIONS[name]
        order = collection.orders.get(sort_key)
        if order is None:
            raise QueryError(f"This stand-in doesn't sort {name} by {sort_key}", "BAD_REQUEST")
        query, test = self._searched(name, name, arguments)
        if collection.derive is not None:
            derived = [row for row in self._derived(collection) if test is None or test(row)]
            records: Iterable[Record] = sorted(derived, key=lambda row: row.number, reverse=reverse)
        else:
            records = self._world.scan(self._account.key, collection.resource, _from(query, order, reverse, last))
        for record in records:
            value = record.number if order == "number" else millis(getattr(record, order))
            place = (value, record.number)
            if last is not None and (place >= last if reverse else place <= last):
                continue
            if collection.derive is None and test is not None and not test(record):
                continue
            if name == "locations" and not arguments.get("includeInactive") and not record.body.get("isActive"):
                continue
            yield value, record.number, _linked(record.body) if name == "orders" else record.body

    def _searched(self, name: str, path: str, arguments: Mapping[str, Any]) -> tuple[Query, Test | None]:
        text = arguments.get("query")
        found = search(text, COLLECTIONS[name].fields, self._now())
        warning = {"path": [path], "query": text, "warnings": list(found.warnings)}
        if found.warnings and warning not in self.warnings:
            self.warnings.append(warning)
        return found.query, found.test

    def _now(self) -> datetime:
        return self._world.now()

    def _derived(self, collection: Collection) -> Iterator[Record]:
        assert collection.derive is not None
        for record in self._world.scan(self._account.key, collection.resource):
            for body in collection.derive(record.body):
                number = int(str(body["id"]).rpartition("/")[2])
                yield replace(record, id=str(body["id"]), number=number, body=body)

    def _look_up(self, type_name: str, id: str) -> Body | None:
        name = BY_TYPE.get(type_name)
        if name is None:
            return None
        collection = COLLECTIONS[name]
        if collection.derive is None:
            record = self._world.get(self._account.key, collection.resource, id)
            return None if record is None else _linked(record.body) if name == "orders" else record.body
        for row in self._derived(collection):
            self._found.setdefault((type_name, row.id), row.body)
        return self._found.get((type_name, id))


def _place(cursor: str | None, sort_key: str) -> tuple[tuple[int, int] | None, int]:
    """Where a cursor points, and how many rows lie before it."""
    if cursor is None:
        return None, 0
    content = cursor_content(cursor)
    if content.get("sort") != sort_key:
        raise QueryError("Invalid cursor for current pagination sort.", "BAD_REQUEST")
    return (int(content["last_value"]), int(content["last_id"])), int(content["passed"])


def _from(query: Query, order: Order, reverse: bool, last: tuple[int, int] | None) -> Query:
    """The query, from the place on; rows of the same moment as the last one may come again."""
    query = replace(query, order=order, descending=reverse)
    if last is None:
        return query
    if order == "number":
        if reverse:
            return query
        return replace(query, after_number=max(last[1], query.after_number or 0))
    column = order.removesuffix("_at")
    name, tighter = (f"{column}_to", min) if reverse else (f"{column}_from", max)
    bound = moment(last[0] + 1) if reverse else moment(last[0])
    known = getattr(query, name)
    return replace(query, **{name: bound if known is None else tighter(bound, known)})  # type: ignore[arg-type]


def _linked(order: Body) -> Body:
    """The order, its refunds' lines pointing to its lines as a whole; where a code took something off, so marked."""
    if order.get("refunds"):
        lines = {line["id"]: line for line in order.get("lineItems", ())}
        for refund in order["refunds"]:
            for refunded in refund.get("refundLineItems", ()):
                refunded["lineItem"] = lines.get(refunded["lineItem"]["id"], refunded["lineItem"])
    if order.get("discountCodes"):
        for line in order.get("lineItems", ()):
            line[WITHOUT_CODES] = line.get(WITHOUT_CODES) or line.get("originalTotalSet")
    return order
