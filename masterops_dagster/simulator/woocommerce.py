"""WooCommerce's stand-in, REST v3: WordPress's argument checks and error bodies, totals in headers, money as strings.

Over plain http only OAuth 1.0a is seen, over https Basic as well, as on a real site.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from urllib.parse import urlencode

from starlette.responses import Response

from masterops_dagster.businesses import MELBOURNE, Account
from masterops_dagster.simulator import php_query
from masterops_dagster.simulator.auth import WooKeys, WooObjection
from masterops_dagster.simulator.limits import Meter, Policies, Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.php_query import Value
from masterops_dagster.simulator.replies import html_reply, json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world.records import Body, Order, Query, Record
from masterops_dagster.simulator.world.store import World

API = "/wp-json/wc/v3"
MAX_PER_PAGE = 100
ORDER_STATUSES = (
    "any",
    "trash",
    "auto-draft",
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "checkout-draft",
)
PRODUCT_STATUSES = ("any", "draft", "pending", "private", "publish", "future", "trash")


@dataclass(frozen=True, slots=True)
class Collection:
    """One listable resource: what it can be sorted by, and which arguments filter which field of a record.

    `dates` says that `after`, `before`, `modified_after` and `modified_before` work; customers have none of them.
    """

    resource: str
    orders: Mapping[str, Order]
    default_order: str = "date"
    statuses: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    dates: bool = True


_DATED: Mapping[str, Order] = {
    "date": "business_at",
    "modified": "modified_at",
    "id": "number",
    "include": "number",
    "title": "number",
    "slug": "number",
}

ORDERS = Collection("orders", _DATED, statuses=ORDER_STATUSES, filters={"customer": "customer_id"})
REFUNDS = Collection("refunds", _DATED)
PRODUCTS = Collection(
    "products", _DATED, statuses=PRODUCT_STATUSES, filters={"sku": "sku", "type": "type", "slug": "slug"}
)
VARIATIONS = Collection("products/variations", _DATED, statuses=PRODUCT_STATUSES, filters={"sku": "sku"})
CUSTOMERS = Collection(
    "customers",
    {"id": "number", "include": "number", "name": "number", "registered_date": "created_at"},
    default_order="name",
    filters={"email": "email"},
    dates=False,
)


class RestError(Exception):
    """A WordPress error: `code`, message and status of the body."""

    def __init__(self, status: int, code: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "data": {"status": status, **data}}


class WooCommerceStandIn:
    """Answers for one shop."""

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._keys = WooKeys(endpoint["consumer_key"], endpoint["consumer_secret"])
        self._meter = Meter()
        self.bodies = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error)
        self._routes = Routes()
        self._routes.add("GET", "/", _index)
        self._add_collection("/orders", ORDERS)
        self._add_collection("/refunds", REFUNDS)
        self._add_collection("/orders/{parent}/refunds", REFUNDS, parent=ORDERS)
        self._add_collection("/customers", CUSTOMERS)
        self._add_collection("/products/{parent}/variations", VARIATIONS, parent=PRODUCTS)
        self._add_collection("/products", PRODUCTS)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        objection = self._keys.objection(
            method=call.method,
            url=call.url,
            authorization=call.headers.get("authorization", ""),
            query=php_query.parse(call.query.decode("latin-1")),
            now=call.now,
        )
        if objection is not None:
            return _unauthorized(objection, call)
        outcome = self._meter.take(self._policies.of(self._account))
        return _rate_limited(outcome.retry_after) if isinstance(outcome, Refusal) else {}

    def answer(self, call: Call) -> Response:
        try:
            if call.path.startswith(API):
                path = call.path.removeprefix(API).rstrip("/") or "/"
                found = self._routes.handle(call.method, path, call)
                if found is not None:
                    return found
            raise RestError(404, "rest_no_route", "No route was found matching the URL and request method.")
        except RestError as error:
            return json_reply(error.body, error.status)

    # ---- routes

    def _add_collection(self, path: str, collection: Collection, parent: Collection | None = None) -> None:
        def many(call: Call, parent_id: str | None = None) -> Response:
            return self._list(call, collection, parent, parent_id)

        def one(call: Call, id: str, parent_id: str | None = None) -> Response:
            return self._get(call, collection, id, parent, parent_id)

        path = path.replace("{parent}", "{parent_id}")
        self._routes.add("GET", path, many)
        self._routes.add("GET", f"{path}/{{id}}", one)

    def _list(self, call: Call, collection: Collection, parent: Collection | None, parent_id: str | None) -> Response:
        arguments = Arguments(php_query.parse(call.query.decode("latin-1")))
        page, per_page = arguments.number("page", 1, 1), arguments.number("per_page", 10, 1, MAX_PER_PAGE)
        query = _query(arguments, collection)
        offset = arguments.number("offset", (page - 1) * per_page, 0)
        arguments.refuse_invalid()
        if parent is not None and parent_id is not None:
            self._expect(parent, parent_id)
            query = replace(query, parents=(parent_id,))
        found = self._world.page(self._account.key, collection.resource, query, offset=offset, limit=per_page)
        pages = math.ceil(found.total / per_page)
        headers = {"X-WP-Total": str(found.total), "X-WP-TotalPages": str(pages)}
        if links := _links(call, page, pages):
            headers["Link"] = links
        shown = _projection(arguments.names("_fields"))
        return json_reply([shown(record.body) for record in found.records], headers=headers)

    def _get(
        self, call: Call, collection: Collection, id: str, parent: Collection | None, parent_id: str | None
    ) -> Response:
        if not id.isdecimal():
            raise RestError(404, "rest_no_route", "No route was found matching the URL and request method.")
        record = self._expect(collection, id)
        if parent is not None and parent_id is not None:
            self._expect(parent, parent_id)
            if record.parent != parent_id:
                raise _invalid_id(collection)
        arguments = Arguments(php_query.parse(call.query.decode("latin-1")))
        return json_reply(_projection(arguments.names("_fields"))(record.body))

    def _expect(self, collection: Collection, id: str) -> Record:
        record = self._world.get(self._account.key, collection.resource, id)
        if record is None:
            raise _invalid_id(collection)
        return record


class Arguments:
    """Typed access to the query; what is invalid is collected and refused together, as WordPress does."""

    def __init__(self, given: Mapping[str, Value]) -> None:
        self._given = given
        self._invalid: dict[str, tuple[str, str]] = {}

    def text(self, name: str) -> str:
        value = self._given.get(name, "")
        return value if isinstance(value, str) else ""

    def names(self, name: str) -> list[str]:
        return php_query.as_list(self._given.get(name, ""))

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("1", "true")

    def number(self, name: str, default: int, low: int, high: int | None = None) -> int:
        text = self.text(name)
        if not text:
            return default
        try:
            value = int(text)
        except ValueError:
            self._invalid[name] = ("rest_invalid_type", f"{name} is not of type integer.")
            return default
        if value < low or (high is not None and value > high):
            bounds = (
                f"greater than or equal to {low}"
                if high is None
                else f"between {low} (inclusive) and {high} (inclusive)"
            )
            self._invalid[name] = ("rest_out_of_bounds", f"{name} must be {bounds}")
        return value

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        text = self.text(name) or default
        if text not in allowed:
            self._invalid[name] = ("rest_not_in_enum", f"{name} is not one of {', '.join(allowed)}.")
            return default
        return text

    def choices(self, name: str, allowed: Sequence[str]) -> list[str]:
        chosen = self.names(name)
        for index, one in enumerate(chosen):
            if one not in allowed:
                self._invalid[name] = ("rest_not_in_enum", f"{name}[{index}] is not one of {', '.join(allowed)}.")
        return chosen

    def moment(self, name: str, zone: Any) -> datetime | None:
        text = self.text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._invalid[name] = ("rest_invalid_date", "Invalid date.")
            return None
        return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)

    def refuse_invalid(self) -> None:
        """Raises `RestError` 400 with every objection so far."""
        if self._invalid:
            params = {name: message for name, (_, message) in self._invalid.items()}
            details = {
                name: {"code": code, "message": message, "data": None}
                for name, (code, message) in self._invalid.items()
            }
            message = f"Invalid parameter(s): {', '.join(self._invalid)}"
            raise RestError(400, "rest_invalid_param", message, params=params, details=details)


def _query(arguments: Arguments, collection: Collection) -> Query:
    order_by = arguments.choice("orderby", collection.default_order, tuple(collection.orders))
    default_direction = "asc" if not collection.dates else "desc"
    descending = arguments.choice("order", default_direction, ("asc", "desc")) == "desc"
    fields = {path: [arguments.text(name)] for name, path in collection.filters.items() if arguments.text(name)}
    statuses = arguments.choices("status", collection.statuses) if collection.statuses else []
    if statuses and "any" not in statuses:
        fields["status"] = statuses
    if collection is CUSTOMERS and (role := arguments.text("role") or "customer") != "all":
        fields["role"] = [role]
    include, exclude = arguments.names("include"), set(arguments.names("exclude"))
    zone = UTC if arguments.flag("dates_are_gmt") else MELBOURNE
    after, before, modified_after, modified_before = (
        arguments.moment(name, zone) if collection.dates else None
        for name in ("after", "before", "modified_after", "modified_before")
    )
    return Query(
        ids=include or None,
        fields=fields,
        matching=(lambda body: str(body["id"]) not in exclude) if exclude else None,
        business_from=_beyond(after),
        business_to=before,
        modified_from=_beyond(modified_after),
        modified_to=modified_before,
        order=collection.orders[order_by],
        descending=descending,
    )


def _beyond(moment: datetime | None) -> datetime | None:
    """`after` is exclusive; the shop's moments are whole seconds."""
    return None if moment is None else moment.replace(microsecond=0) + timedelta(seconds=1)


def _projection(names: Sequence[str]) -> Callable[[Body], Body]:
    """`_fields`: names, or dotted paths into objects (and the objects of lists)."""
    if not names:
        return lambda body: body
    return lambda body: _picked(body, names)


def _picked(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_picked(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    picked: Body = {}
    for key, rest in _by_first_part(tuple(names)).items():
        if key in value:
            picked[key] = value[key] if "" in rest else _picked(value[key], rest)
    return picked


@cache
def _by_first_part(names: tuple[str, ...]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        parts.setdefault(first, []).append(rest)
    return parts


def _links(call: Call, page: int, pages: int) -> str:
    """The `Link` header; it repeats the query without its credentials."""
    kept = [
        (name, value)
        for name, values in call.arguments.items()
        if name != "page" and not name.startswith(("oauth_", "consumer_"))
        for value in values[-1:]
    ]

    def link(number: int, relation: Literal["prev", "next"]) -> str:
        return f'<{call.url}?{urlencode([*kept, ("page", str(number))])}>; rel="{relation}"'

    found = [link(min(page - 1, pages), "prev")] if page > 1 and pages else []
    return ", ".join([*found, link(page + 1, "next")] if page < pages else found)


def _index(call: Call) -> Response:
    return json_reply({"namespace": "wc/v3", "routes": {}})


# ---- errors


def _invalid_id(collection: Collection) -> RestError:
    match collection.resource:
        case "customers":
            return RestError(404, "woocommerce_rest_invalid_id", "Invalid resource ID.")
        case "orders" | "refunds":
            kind = "order" if collection.resource == "orders" else "order refund"
            return RestError(404, f"woocommerce_rest_shop_{kind.replace(' ', '_')}_invalid_id", "Invalid ID.")
        case "products/variations":
            return RestError(404, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")
        case _:
            return RestError(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")


def _unauthorized(objection: WooObjection, call: Call) -> Response:
    message = objection.message
    if objection.anonymous and call.path.rstrip("/").rpartition("/")[2].isdecimal():
        message = "Sorry, you cannot view this resource."
    body = {"code": objection.code, "message": message, "data": {"status": 401}}
    headers = {} if objection.anonymous else {"WWW-Authenticate": 'Basic realm="WooCommerce API"'}
    return json_reply(body, 401, headers)


def _rate_limited(retry_after: float | None) -> Response:
    """WooCommerce's REST API has no limit of its own; what is in front of it answers with a page."""
    page = html_reply("429 Too Many Requests", "nginx", 429)
    if retry_after is not None:
        page.headers["Retry-After"] = str(math.ceil(retry_after))
    return page


def _server_error(status: int) -> Response:
    if status == 500:
        body = {
            "code": "internal_server_error",
            "message": "<p>There has been a critical error on this website.</p>",
            "data": {"status": 500},
            "additional_errors": [],
        }
        return json_reply(body, 500)
    return html_reply(f"{status} Bad Gateway" if status == 502 else f"{status} Service Unavailable", "nginx", status)
