"""BigCommerce's stand-in: v2 orders (bare arrays, 204 where nothing is, RFC 2822 dates) and the v3 resources.

Facts from bigcommerce/docs (`reference/*.yml`, the guides on orders, refunds and rate limits), October 2026; where they
are silent, marked (?), the stand-in takes the harder way:
- `X-Auth-Token`; a wrong one gets 401, as an array of `{status, message}` from v2, as `{status, title, type}` from v3.
- Every answer says what is left of the quota; an exhausted one 429 with `X-Rate-Limit-Time-Reset-Ms`. Standard and Plus
  have 150 requests per 30 s, Pro 450; Enterprise's quota is agreed on, and the stand-in's default (`limits.py`) is one.
- v2: `limit` up to 250, dates included in their windows, in RFC 2822 or ISO 8601. An order names its products and
  shipments by URL only; `include=consignments.line_items` brings the products, shipments are asked for order by order.
  An archived order is listed only with `is_deleted=true` (?), and still there by its id.
- v3: `{"data": […], "meta": {"pagination"}}`; a page past the end is empty. Customers' `:min` and `:max` are "after"
  and "before" (both without the second itself here), refunds' `created:min` and `:max` include it, products' too (?).
- A refund's `total_amount` includes `total_tax`; its items' `requested_amount` is in the store's price basis, which is
  without tax here (`is_tax_included` false); ORDER items are tax-exempt. So what was refunded of goods, ex tax, is
  `total_amount - total_tax -` the requested amounts of SHIPPING, HANDLING, GIFT_WRAPPING and FEE items.
"""

from __future__ import annotations

import hmac
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.limits import Limit, Meter, Policies, Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.replies import html_reply, json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world import clock
from masterops_dagster.simulator.world.bigcommerce import STATUSES, iso
from masterops_dagster.simulator.world.records import Body, Order, Query, Record, millis
from masterops_dagster.simulator.world.store import World

MAX_LIMIT, MAX_INVENTORY_LIMIT, DEFAULT_LIMIT = 250, 1000, 50
BATCH = 10
"""Customers in one POST or PUT."""
ERROR_TYPE = "https://developer.bigcommerce.com/api-docs/getting-started/api-status-codes"
MOMENT = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)

ORDER_SORTS: Mapping[str, Order] = {
    "id": "number",
    "date_created": "business_at",
    "date_modified": "modified_at",
}
CUSTOMER_SORTS: Mapping[str, Order] = {"date_created": "created_at", "date_modified": "modified_at"}
PRODUCT_SORTS: Mapping[str, Order] = {"id": "number", "date_modified": "modified_at"}
READ_ONLY = ("id", "registration_ip_address", "date_created", "date_modified", "origin_channel_id", "addresses")


class ApiError(Exception):
    """An error answer; `errors` is v3's detail by field."""

    def __init__(self, status: int, message: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = dict(errors or {})


@dataclass(frozen=True, slots=True)
class Paging:
    """The page that a request asks for."""

    number: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


class BigCommerceStandIn:
    """Answers for one store."""

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._token = endpoint["access_token"]
        self._hash = endpoint["store_hash"]
        self._meter = Meter()
        self._derived = Derived(account.key, world)
        self.bodies = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error)
        self._v2, self._v3 = Routes(), Routes()
        self._v2.add("GET", "/store", self._store)
        self._v2.add("GET", "/time", self._time)
        self._v2.add("GET", "/orders", self._orders)
        self._v2.add("GET", "/orders/count", self._count_orders)
        self._v2.add("GET", "/orders/{id}", self._order)
        self._v2.add("GET", "/orders/{id}/products", self._order_products)
        self._v2.add("GET", "/orders/{id}/shipments", self._order_shipments)
        self._v3.add("GET", "/customers", self._customers)
        self._v3.add("POST", "/customers", self._create_customers)
        self._v3.add("PUT", "/customers", self._update_customers)
        self._v3.add("GET", "/catalog/products", self._products)
        self._v3.add("GET", "/catalog/products/{id}", self._product)
        self._v3.add("GET", "/catalog/variants", self._variants)
        self._v3.add("GET", "/inventory/items", self._inventory)
        self._v3.add("GET", "/orders/payment_actions/refunds", self._refunds)
        self._v3.add("GET", "/orders/payment_actions/refunds/{id}", self._refund)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        given = call.headers.get("x-auth-token", "").encode()
        known = hmac.compare_digest(given, self._token.encode())
        if not known or not call.path.startswith(f"/stores/{self._hash}/"):
            return _error(401, "Unauthorized", v2=f"/stores/{self._hash}/v2/" in call.path)
        limit = self._policies.of(self._account).burst
        outcome = self._meter.take(self._policies.of(self._account))
        if isinstance(outcome, Refusal):
            refusal = _rate_limited(outcome.retry_after)
            refusal.headers.update(_quota(limit, 0, outcome.retry_after))
            return refusal
        return _quota(limit, outcome.burst_remaining, limit.seconds if limit is not None else 30.0)

    def answer(self, call: Call) -> Response:
        path = call.path.removeprefix(f"/stores/{self._hash}")
        version, routes = (path[:3], self._v2 if path.startswith("/v2/") else self._v3)
        try:
            if version not in ("/v2", "/v3"):
                raise ApiError(404, "The requested resource was not found.")
            found = routes.handle(call.method, path[3:].rstrip("/"), call)
            if found is None:
                raise ApiError(404, "The requested resource was not found.")
            return found
        except ApiError as error:
            return _error(error.status, error.message, error.errors, v2=version == "/v2")
        except msgspec.DecodeError as error:
            return _error(422, f"The body is no valid JSON array: {error}", v2=version == "/v2")

    # ---- v2

    def _store(self, call: Call) -> Response:
        return json_reply(
            {
                "id": self._hash,
                "domain": "buyorganicsonline.example.com",
                "secure_url": "https://buyorganicsonline.example.com",
                "status": "live",
                "name": "Buy Organics Online",
                "country_code": "AU",
                "timezone": {"name": "Australia/Melbourne"},
                "language": "en",
                "currency": "AUD",
                "plan_name": "Enterprise",
                "plan_level": "Enterprise",
            }
        )

    def _time(self, call: Call) -> Response:
        return json_reply({"time": int(self._world.now().timestamp())})

    def _orders(self, call: Call) -> Response:
        paging = _paging(call, strict=True)
        query = _order_query(call)
        found = self._world.page(self._account.key, "orders", query, offset=paging.offset, limit=paging.limit)
        if not found.records:
            return Response(status_code=204)
        return json_reply([self._shown(call, record.body) for record in found.records])

    def _count_orders(self, call: Call) -> Response:
        query = _order_query(call)
        total = self._world.count(self._account.key, "orders", query)
        if query.matching is not None or query.fields:
            return json_reply({"statuses": [], "count": total})
        statuses = [
            {"id": id, "name": name, "system_label": name, "custom_label": name, "count": count}
            for id, name in STATUSES.items()
            if (
                count := self._world.count(self._account.key, "orders", replace(query, fields={"status_id": [str(id)]}))
            )
        ]
        return json_reply({"statuses": statuses, "count": total})

    def _order(self, call: Call, id: str) -> Response:
        return json_reply(self._shown(call, self._expect_order(id).body))

    def _order_products(self, call: Call, id: str) -> Response:
        return _array(_paging(call, strict=True), self._expect_order(id).body["products"])

    def _order_shipments(self, call: Call, id: str) -> Response:
        return _array(_paging(call, strict=True), self._expect_order(id).body["shipments"])

    def _expect_order(self, id: str) -> Record:
        record = self._world.get(self._account.key, "orders", id, archived=None)
        if record is None:
            raise ApiError(404, "The requested resource was not found.")
        return record

    def _shown(self, call: Call, order: Body) -> Body:
        """As the API lists it: sub-resources by URL, consignments where they are asked for."""
        lines = order["products"]
        shown = {name: value for name, value in order.items() if name != "shipments"}
        for name, path in (
            ("products", "products"),
            ("shipping_addresses", "shippingaddresses"),
            ("coupons", "coupons"),
        ):
            shown[name] = self._link(f"/orders/{order['id']}/{path}")
        included = call.argument("include").split(",")
        with_lines = "consignments.line_items" in included
        if with_lines or "consignments" in included:
            address = {name: value for name, value in order["billing_address"].items() if name != "form_fields"}
            shipping = {
                "id": order["id"],
                **address,
                "shipping_method": "Flat Rate",
                "items_total": order["items_total"],
                "items_shipped": order["items_shipped"],
                "cost_ex_tax": order["shipping_cost_ex_tax"],
                "cost_inc_tax": order["shipping_cost_inc_tax"],
                "line_items": lines
                if with_lines
                else [self._link(f"/orders/{order['id']}/products/{line['id']}") for line in lines],
            }
            consignments = {
                "pickups": [],
                "shipping": [shipping] if lines else [],
                "downloads": [],
                "email": {"gift_certificates": []},
            }
            legacy = call.argument("consignment_structure") != "object"
            shown["consignments"] = [consignments] if legacy else consignments
        else:
            shown["consignments"] = self._link(f"/orders/{order['id']}/consignments")
        if "fees" in included:
            shown["fees"] = []
        return shown

    def _link(self, resource: str) -> Body:
        return {"url": f"https://api.bigcommerce.com/stores/{self._hash}/v2{resource}", "resource": resource}

    # ---- v3

    def _customers(self, call: Call) -> Response:
        arguments = Arguments(call)
        query = Query(
            ids=arguments.names("id:in") or None,
            created_from=arguments.beyond("date_created:min"),
            created_to=arguments.moment("date_created:max"),
            modified_from=arguments.beyond("date_modified:min"),
            modified_to=arguments.moment("date_modified:max"),
            matching=arguments.matching({"email:in": "email", "company:in": "company", "phone:in": "phone"}),
            **arguments.order(CUSTOMER_SORTS),
        )
        arguments.refuse_invalid()
        included = call.argument("include").split(",")
        return self._page(
            call,
            "customers",
            query,
            lambda body: body if "addresses" in included else _without(body, "addresses"),
        )

    def _products(self, call: Call) -> Response:
        arguments = Arguments(call)
        fields = {
            path: arguments.names(name)
            for name, path in (("sku", "sku"), ("name", "name"), ("brand_id", "brand_id"), ("sku:in", "sku"))
            if arguments.names(name)
        }
        lowest = call.argument("id:min")
        query = Query(
            ids=arguments.names("id:in") or arguments.names("id") or None,
            fields=fields,
            after_number=int(lowest) - 1 if lowest.isdecimal() else None,
            modified_from=arguments.moment("date_modified:min"),
            modified_to=arguments.past("date_modified:max"),
            **arguments.order(PRODUCT_SORTS, direction=call.argument("direction", "asc")),
        )
        arguments.refuse_invalid()
        return self._page(call, "products", query, _product_view(call))

    def _product(self, call: Call, id: str) -> Response:
        record = self._world.get(self._account.key, "products", id)
        if record is None:
            raise ApiError(404, "A product was not found with an id of " + id)
        return json_reply({"data": _product_view(call)(record.body), "meta": {}})

    def _variants(self, call: Call) -> Response:
        wanted = Arguments(call)
        chosen = [
            variant
            for variant in self._derived.variants()
            if _among(variant["id"], wanted.names("id"))
            and _among(variant["product_id"], wanted.names("product_id"))
            and _among(variant["sku"], wanted.names("sku"))
        ]
        view = _projection(call, keep=("id",))
        paging = _paging(call)
        return _paged(call, paging, [view(one) for one in _slice(paging, chosen)], len(chosen))

    def _inventory(self, call: Call) -> Response:
        wanted = Arguments(call)
        chosen = [
            item
            for item in self._derived.inventory()
            if _among(item["identity"]["variant_id"], wanted.names("variant_id:in"))
            and _among(item["identity"]["product_id"], wanted.names("product_id:in"))
            and _among(item["identity"]["sku"], wanted.names("sku:in"))
        ]
        paging = _paging(call, most=MAX_INVENTORY_LIMIT)
        return _paged(call, paging, _slice(paging, chosen), len(chosen))

    def _refunds(self, call: Call) -> Response:
        arguments = Arguments(call)
        query = Query(
            ids=arguments.names("id:in") or None,
            parents=arguments.names("order_id:in") or None,
            business_from=arguments.moment("created:min"),
            business_to=arguments.past("created:max"),
        )
        arguments.refuse_invalid()
        return self._page(call, "refunds", query, lambda body: body)

    def _refund(self, call: Call, id: str) -> Response:
        record = self._world.get(self._account.key, "refunds", id)
        if record is None:
            raise ApiError(404, "The refund was not found.")
        return json_reply({"data": record.body, "meta": {}})

    def _page(self, call: Call, resource: str, query: Query, view: Callable[[Body], Body]) -> Response:
        paging = _paging(call)
        found = self._world.page(self._account.key, resource, query, offset=paging.offset, limit=paging.limit)
        return _paged(call, paging, [view(record.body) for record in found.records], found.total)

    # ---- writing customers

    def _create_customers(self, call: Call) -> Response:
        given = _batch(call)
        with self._world.transaction():
            now = self._world.now()
            made = []
            for one in given:
                missing = [name for name in ("email", "first_name", "last_name") if not one.get(name)]
                if missing:
                    raise ApiError(422, "Create customers failed.", {name: f"{name} is required" for name in missing})
                self._refuse_taken(str(one["email"]), None, "create")
                last = self._world.page(self._account.key, "customers", Query(descending=True), limit=1).records
                id = max(int(last[0].body["id"]) if last else 0, 60_000_000) + 1
                stamp = iso(millis(now))
                body = {
                    **dict.fromkeys(("company", "phone", "notes", "tax_exempt_category"), ""),
                    "customer_group_id": 0,
                    "accepts_product_review_abandoned_cart_emails": False,
                    "channel_ids": None,
                    **_without(one, *READ_ONLY),
                    "id": id,
                    "registration_ip_address": "",
                    "date_created": stamp,
                    "date_modified": stamp,
                    "address_count": len(one.get("addresses", [])),
                    "attribute_count": 0,
                    "authentication": {"force_password_reset": False},
                    "origin_channel_id": 1,
                    "addresses": one.get("addresses", []),
                }
                made.append(self._world.put(self._account.key, "customers", str(id), body).body)
        return json_reply({"data": [_without(body, "addresses") for body in made], "meta": {}})

    def _update_customers(self, call: Call) -> Response:
        given = _batch(call)
        with self._world.transaction():
            stamp = iso(millis(self._world.now()))
            changed = []
            for one in given:
                record = self._world.get(self._account.key, "customers", str(one.get("id")))
                if record is None:
                    raise ApiError(
                        422,
                        "Update customers failed.",
                        {".customer_update": f"customer {one.get('id')} does not exist"},
                    )
                if one.get("email"):
                    self._refuse_taken(str(one["email"]), record.id, "update")
                body = {**record.body, **_without(one, *READ_ONLY), "date_modified": stamp}
                changed.append(
                    self._world.put(
                        self._account.key, "customers", record.id, body, business_at=record.business_at
                    ).body
                )
        return json_reply({"data": [_without(body, "addresses") for body in changed], "meta": {}})

    def _refuse_taken(self, email: str, own_id: str | None, verb: str) -> None:
        plain = email.strip().lower()
        query = Query(matching=lambda body: str(body["email"]).strip().lower() == plain)
        for record in self._world.page(self._account.key, "customers", query, limit=2).records:
            if record.id != own_id:
                raise ApiError(
                    422,
                    f"{verb.capitalize()} customers failed.",
                    {f".customer_{verb}": f"Error: the email address {email} is already in use"},
                )


class Derived:
    """What follows from all products of a day, kept until one of them or the day changes."""

    def __init__(self, account_key: str, world: World) -> None:
        self._account_key = account_key
        self._world = world
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[object, list[Body]]] = {}

    def variants(self) -> list[Body]:
        return self._of_now(
            "variants",
            lambda: [
                variant
                for record in self._world.scan(self._account_key, "products")
                for variant in record.body["variants"]
            ],
        )

    def inventory(self) -> list[Body]:
        return self._of_now(
            "inventory", lambda: [record.body for record in self._world.scan(self._account_key, "inventory")]
        )

    def _of_now(self, name: str, make: Callable[[], list[Body]]) -> list[Body]:
        with self._lock:
            latest = self._world.page(
                self._account_key, "products", Query(order="modified_at", descending=True), limit=1
            )
            stamp = latest.records[0].modified_at if latest.records else None
            key = (clock.melbourne_day(self._world.now()), latest.total, stamp)
            if name not in self._kept or self._kept[name][0] != key:
                self._kept[name] = (key, make())
            return self._kept[name][1]


class Arguments:
    """Typed access to the query; what is invalid is refused together."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._invalid: dict[str, str] = {}

    def names(self, name: str) -> list[str]:
        return [part for part in self._call.argument(name).split(",") if part]

    def moment(self, name: str) -> datetime | None:
        text = self._call.argument(name)
        if not text:
            return None
        try:
            return _moment(text)
        except ValueError:
            self._invalid[name] = f"{name} is no valid date"
            return None

    def past(self, name: str) -> datetime | None:
        """The end of a window that includes the moment."""
        moment = self.moment(name)
        return None if moment is None else moment + MOMENT

    def beyond(self, name: str) -> datetime | None:
        """The start of a window that leaves the moment's second out."""
        moment = self.moment(name)
        return None if moment is None else moment.replace(microsecond=0) + SECOND

    def order(self, sorts: Mapping[str, Order], direction: str = "asc") -> dict[str, Any]:
        name, _, way = self._call.argument("sort").partition(":")
        if not name:
            return {}
        if name not in sorts or (way or direction) not in ("asc", "desc"):
            self._invalid["sort"] = f"sort by {name}:{way or direction} is not possible"
            return {}
        return {"order": sorts[name], "descending": (way or direction) == "desc"}

    def matching(self, paths: Mapping[str, str]) -> Callable[[Body], bool] | None:
        """A test of text fields against lists, in any case."""
        wanted = {path: {one.lower() for one in self.names(name)} for name, path in paths.items() if self.names(name)}
        if not wanted:
            return None
        return lambda body: all(str(body[path]).strip().lower() in values for path, values in wanted.items())

    def refuse_invalid(self) -> None:
        if self._invalid:
            raise ApiError(422, "The filter(s) are not valid.", self._invalid)


def _order_query(call: Call) -> Query:
    arguments = Arguments(call)
    fields = {
        name: arguments.names(name) for name in ("customer_id", "status_id", "channel_id") if arguments.names(name)
    }
    if arguments.names("email"):
        fields["billing_address.email"] = arguments.names("email")
    lowest, highest = call.argument("min_id"), call.argument("max_id")
    deleted = call.argument("is_deleted", "false") == "true"
    query = Query(
        archived=deleted,
        after_number=int(lowest) - 1 if lowest.isdecimal() else None,
        fields=fields,
        matching=(lambda body: body["id"] <= int(highest)) if highest.isdecimal() else None,
        business_from=arguments.moment("min_date_created"),
        business_to=arguments.past("max_date_created"),
        modified_from=arguments.moment("min_date_modified"),
        modified_to=arguments.past("max_date_modified"),
        **arguments.order(ORDER_SORTS),
    )
    try:
        arguments.refuse_invalid()
    except ApiError as error:
        raise ApiError(400, "; ".join(error.errors.values())) from None
    return query


def _moment(text: str) -> datetime:
    """RFC 2822 or ISO 8601; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _paging(call: Call, *, most: int = MAX_LIMIT, strict: bool = False) -> Paging:
    """v3 cuts a limit that is too high, v2 refuses it (?)."""
    number, limit = call.argument("page", "1"), call.argument("limit", str(DEFAULT_LIMIT))
    for name, value in (("page", number), ("limit", limit)):
        if not value.isdecimal() or int(value) < 1:
            raise ApiError(
                400 if strict else 422, f"The field '{name}' is invalid.", {name: "must be a positive integer"}
            )
    if strict and int(limit) > most:
        raise ApiError(400, f"The field 'limit' is invalid: at most {most} are allowed.")
    return Paging(int(number), min(int(limit), most))


def _slice(paging: Paging, rows: Sequence[Body]) -> list[Body]:
    return list(rows[paging.offset : paging.offset + paging.limit])


def _array(paging: Paging, rows: Sequence[Body]) -> Response:
    """v2: a bare array, or 204."""
    found = _slice(paging, rows)
    return json_reply(found) if found else Response(status_code=204)


def _paged(call: Call, paging: Paging, rows: list[Body], total: int) -> Response:
    pages = max(1, math.ceil(total / paging.limit))
    links = {"current": f"?page={paging.number}&limit={paging.limit}"}
    if paging.number < pages:
        links["next"] = f"?page={paging.number + 1}&limit={paging.limit}"
    return json_reply(
        {
            "data": rows,
            "meta": {
                "pagination": {
                    "total": total,
                    "count": len(rows),
                    "per_page": paging.limit,
                    "current_page": paging.number,
                    "total_pages": pages,
                    "links": links,
                }
            },
        }
    )


def _product_view(call: Call) -> Callable[[Body], Body]:
    project = _projection(call, keep=("id",))
    with_variants = "variants" in call.argument("include").split(",")

    def view(body: Body) -> Body:
        shown = project(_without(body, "variants"))
        return {**shown, "variants": body["variants"]} if with_variants else shown

    return view


def _projection(call: Call, keep: Sequence[str]) -> Callable[[Body], Body]:
    """`include_fields`, beside which ids always come, and `exclude_fields`."""
    included = [name for name in call.argument("include_fields").split(",") if name]
    excluded = [name for name in call.argument("exclude_fields").split(",") if name and name not in keep]
    if included:
        names = [*keep, *included]
        return lambda body: {name: body[name] for name in names if name in body}
    return (lambda body: _without(body, *excluded)) if excluded else (lambda body: body)


def _without(body: Mapping[str, Any], *names: str) -> Body:
    return {name: value for name, value in body.items() if name not in names}


def _among(value: object, wanted: Sequence[str]) -> bool:
    return not wanted or str(value) in wanted


def _batch(call: Call) -> list[Body]:
    given = call.read(list[dict[str, Any]])
    if len(given) > BATCH:
        raise ApiError(413, f"The request payload is too large. The maximum number of items allowed is {BATCH}.")
    return given


# ---- limits and errors


def _quota(limit: Limit | None, left: int, reset: float) -> dict[str, str]:
    if limit is None:
        return {}
    return {
        "X-Rate-Limit-Requests-Left": str(left),
        "X-Rate-Limit-Requests-Quota": str(limit.requests),
        "X-Rate-Limit-Time-Window-Ms": str(round(limit.seconds * 1000)),
        "X-Rate-Limit-Time-Reset-Ms": str(math.ceil(reset * 1000)),
    }


def _error(status: int, message: str, errors: Mapping[str, str] | None = None, *, v2: bool) -> Response:
    if v2:
        return json_reply([{"status": status, "message": message}], status)
    body: Body = {"status": status, "title": message, "type": ERROR_TYPE}
    return json_reply({**body, "errors": dict(errors)} if errors else body, status)


def _rate_limited(retry_after: float | None) -> Response:
    refusal = _error(429, "Too many requests have been made; wait for the quota to be refreshed.", v2=False)
    if retry_after is not None:
        refusal.headers["X-Rate-Limit-Requests-Left"] = "0"
        refusal.headers["X-Rate-Limit-Time-Reset-Ms"] = str(math.ceil(retry_after * 1000))
    return refusal


def _server_error(status: int) -> Response:
    if status in (500, 503):
        return _error(status, "Internal Server Error" if status == 500 else "Service Unavailable", v2=False)
    return html_reply(f"{status} Bad Gateway" if status == 502 else f"{status} Gateway Timeout", "cloudflare", status)
