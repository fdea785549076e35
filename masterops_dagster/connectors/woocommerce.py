"""WooCommerce: Red Hill Fresh's shop: orders, refunds, customers, products, variations and their stock.

Facts from WooCommerce's REST API documentation (v3) and its source:
- Over https the consumer key and secret go as Basic auth; over plain http the shop wants OAuth 1.0a and answers 401
  otherwise. The base URL's scheme decides.
- `per_page` is at most 100; totals are in `X-WP-Total` and `X-WP-TotalPages`. Lists are read by ascending id.
- `after`, `before` and `modified_after` exclude their own second; with `dates_are_gmt` they are UTC. `*_gmt` fields are
  UTC without a zone; here they get their `Z`. Money comes as strings.
- No limit of its own, and none in headers; shops are slow and hosts answer 429, 503 or HTML. PHP warnings may stand
  before the JSON: they are cut off, and telemetry shows `repaired`.
- Errors are `{"code", "message", "data": {"status"}}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, TypeVar, Unpack
from urllib.parse import urlsplit

import httpx
import msgspec
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from masterops_dagster.connectors.auth import OAuth1Signature
from masterops_dagster.connectors.base import Connector, Explanation, Options, Page, Record, Reply, decode_json
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import Conflict, ConnectorError, NotFound, PermissionDenied, Unavailable
from masterops_dagster.connectors.paging import NumberedPage, numbered_pages

API_PATH = "/wp-json/wc/v3"
PAGE_SIZE = 100
REQUEST_WINDOW = Window("1s", 10, 1.0)
SECOND = timedelta(seconds=1)

VARIATIONS = "products/variations"
STOCK_LEVELS = "stock_levels"
STOCK_FIELDS = (
    "name",
    "sku",
    "stock_quantity",
    "stock_status",
    "manage_stock",
    "status",
    "cost_of_goods_sold",
    "date_modified_gmt",
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A list of the shop's. `modified_after` is the parameter that a live read uses; without one, and where it isn't
    `dated`, the API has no filter and rows are filtered here."""

    name: str
    modified_after: str | None = "modified_after"
    modified_field: str = "date_modified_gmt"
    dated: bool = True
    params: tuple[tuple[str, str], ...] = ()


RESOURCES = {
    resource.name: resource
    for resource in (
        Resource("orders"),
        Resource("refunds", modified_after="after", modified_field="date_created_gmt"),
        Resource("customers", modified_after=None, dated=False, params=(("role", "all"),)),
        Resource("products"),
    )
}


class WooCommerce(Connector):
    """One shop. `base_url` is the site's, with or without `/wp-json/wc/v3`.

    Raises, besides `ConnectorError`s, `ValueError` for a resource that it doesn't know.
    """

    system = "woocommerce"

    def __init__(
        self,
        base_url: str,
        account: str,
        consumer_key: str,
        consumer_secret: str,
        *,
        window: Window = REQUEST_WINDOW,
        **options: Unpack[Options],
    ) -> None:
        site = base_url.rstrip("/").removesuffix(API_PATH)
        auth: httpx.Auth
        if urlsplit(site).scheme == "https":
            auth = httpx.BasicAuth(consumer_key, consumer_secret)
        else:
            auth = OAuth1Signature(consumer_key, consumer_secret)
        super().__init__(site + API_PATH, account, auth, windows=[window], **options)
        self._without_variations: set[object] = set()

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
        """Pages of `orders`, `refunds`, `customers`, `products`, or `stock_levels`, by ascending id.

        Refunds have no date but that of their creation, which a live read goes by. `properties` means nothing here;
        what is in the bin isn't listed, so nothing is ever archived.
        """
        if archived:
            return
        if resource == STOCK_LEVELS:
            yield from self._stock_levels()
            return
        what = _resource(resource)
        params: dict[str, str] = {}
        wanted: Callable[[Record], bool] | None = None
        if modified_since is not None:
            wanted = _within(what.modified_field, modified_since, None)
            if what.modified_after is not None:
                params[what.modified_after] = wire_moment(modified_since - SECOND)
        elif created_from is not None or created_to is not None:
            wanted = _within("date_created_gmt", created_from, created_to)
            if what.dated and created_from is not None:
                params["after"] = wire_moment(created_from - SECOND)
            if what.dated and created_to is not None:
                params["before"] = wire_moment(created_to + SECOND)
        if params:
            params["dates_are_gmt"] = "true"
        for page in self._pages(f"/{what.name}", f"list {what.name}", {**dict(what.params), **params}):
            items = page.items if wanted is None else [item for item in page.items if wanted(item)]
            if what.name == "products":
                self._remember_variations(items)
            if items:
                yield Page(items, page.total if wanted is None else None)

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """The variations of these products, each with its `product_id`; of a product that is gone, none.

        Products of which `read` has just seen that they have no variations aren't asked for.
        """
        if resource != VARIATIONS:
            raise ValueError(f"WooCommerce has no children {resource!r}; known: {VARIATIONS}")
        asked = [int(parent) for parent in parent_ids if int(parent) not in self._without_variations]
        for variations in self.in_order(self._variations, asked):
            if variations:
                yield Page(variations)

    def count(self, resource: str) -> int | None:
        """`X-WP-Total` of the whole resource; None for variations and stock levels, which the shop doesn't count."""
        if resource in {VARIATIONS, STOCK_LEVELS}:
            return None
        what = _resource(resource)
        params = {**dict(what.params), "_fields": "id"}
        return self._fetch(f"/{what.name}", f"count {what.name}", {}, 1, 1, params).total

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """All ids, by `_fields=id`; (product, variation) for variations, and with 0 for products in stock levels.

        A product lists the ids of its variations, so these cost no request of their own.
        """
        if resource in {VARIATIONS, STOCK_LEVELS}:
            for page in self._pages("/products", "list keys of products", {"_fields": "id,variations"}):
                items = _with_id(page.items)
                own = [(item["id"], 0) for item in items] if resource == STOCK_LEVELS else []
                yield own + [(item["id"], variation) for item in items for variation in _variation_ids(item)]
            return
        what = _resource(resource)
        for page in self._pages(f"/{what.name}", f"list keys of {what.name}", {**dict(what.params), "_fields": "id"}):
            yield [item["id"] for item in _with_id(page.items)]

    def identity(self) -> str:
        """The site's address; keys of another shop are refused there."""
        address = urlsplit(self.base_url.removesuffix(API_PATH))
        return f"shop {(address.netloc + address.path).lower()}"

    def _stock_levels(self) -> Iterator[Page]:
        fields = ",".join(("id", "variations", *STOCK_FIELDS))
        for page in self._pages("/products", "list stock of products", {"_fields": fields}):
            products = _with_id(page.items)
            rows = [_stock_level(item, item, 0) for item in products]
            with_variations = [item for item in products if _variation_ids(item)]
            found = self.in_order(self._variations, [_identifier(item) for item in with_variations])
            for product, variations in zip(with_variations, found, strict=True):
                rows += [_stock_level(product, variation, variation["id"]) for variation in _with_id(variations)]
            yield Page(rows)

    def _variations(self, product_id: int) -> list[Record]:
        pages = self._pages(
            "/products/{product}/variations", "list variations", {}, path={"product": product_id}, parallel=False
        )
        try:
            return [{**item, "product_id": product_id} for page in pages for item in map(_own_stock, page.items)]
        except NotFound:
            return []

    def _remember_variations(self, products: list[Record]) -> None:
        for product in _with_id(products):
            if _variation_ids(product):
                self._without_variations.discard(product["id"])
            else:
                self._without_variations.add(product["id"])

    def _pages(
        self,
        template: str,
        operation: str,
        params: Mapping[str, str],
        *,
        path: Mapping[str, int] | None = None,
        parallel: bool = True,
    ) -> Iterator[Page]:
        ordered = {"orderby": "id", "order": "asc", **params}
        return numbered_pages(
            lambda number: self._fetch(template, operation, path or {}, number, PAGE_SIZE, ordered),
            self.in_order if parallel else map,
            page_size=PAGE_SIZE,
            key=lambda item: str(item.get("id")),
            never_at_rest=lambda: Unavailable(
                "rows kept moving while it was read, and some are still missing",
                system=self.system,
                account=self.account,
                operation=operation,
            ),
        )

    def _fetch(
        self,
        template: str,
        operation: str,
        path: Mapping[str, int],
        number: int,
        page_size: int,
        params: Mapping[str, str],
    ) -> NumberedPage:
        reply = self.request(
            "GET",
            template,
            operation=operation,
            path=path,
            params={**params, "page": number, "per_page": page_size},
        )
        try:
            items = reply.array()
        except TypeError as failure:
            raise self.malformed(operation, str(failure)) from None
        return NumberedPage(items, _number(reply, "X-WP-Total"), _number(reply, "X-WP-TotalPages"))

    # ---- single objects

    def get(self, model: type[M], identifier: int, *, product_id: int | None = None) -> M:
        """One object; a variation needs its product's id. Raises `NotFound`."""
        operation = f"get {model.resource}"
        reply = self.request(
            "GET", model.template + "/{id}", operation=operation, path=_path(product_id, id=identifier)
        )
        return self._model(model, operation, reply)

    def create(self, new: M, *, product_id: int | None = None) -> M:
        """Create an object from the fields that are set, and return it as the shop stored it.

        The shop gives the id, so a create whose answer was lost isn't repeated: it ends with `Unavailable`.
        """
        operation = f"create {new.resource}"
        reply = self.request("POST", new.template, operation=operation, path=_path(product_id), json=new.for_wire())
        return self._model(type(new), operation, reply)

    def update(self, changes: M, identifier: int, *, product_id: int | None = None) -> M:
        """Write the fields that are set on `changes`; others stay as they are. Raises `NotFound`, `Rejected`."""
        operation = f"update {changes.resource}"
        reply = self.request(
            "PUT",
            changes.template + "/{id}",
            operation=operation,
            path=_path(product_id, id=identifier),
            json=changes.for_wire(),
        )
        return self._model(type(changes), operation, reply)

    def _model(self, model: type[M], operation: str, reply: Reply) -> M:
        try:
            return model.model_validate(reply.data)
        except ValidationError as failure:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in failure.errors()[:5])
            raise self.malformed(operation, f"not a {model.__name__}: {where}") from None

    # ---- how WooCommerce speaks

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """The message with its code. `…_cannot_…` is a matter of permission, though it comes as 401, too."""
        if not isinstance(body, dict):
            return Explanation(str(body))
        code = str(body.get("code") or "no code")
        detail = f"{body.get('message') or 'no message'} ({code})"
        data = body.get("data")
        invalid = data.get("params") if isinstance(data, dict) else None
        if isinstance(invalid, dict):
            detail += ": " + "; ".join(f"{name}: {reason}" for name, reason in invalid.items())
        kind: type[ConnectorError] | None = None
        advice = None
        if status in {401, 403} and "_cannot_" in code:
            kind = PermissionDenied
        elif status == httpx.codes.BAD_REQUEST and code.endswith("exists"):
            kind = Conflict
        elif code == "rest_no_route":
            advice = "Check the base URL, and that WooCommerce is switched on there."
        elif status == httpx.codes.UNAUTHORIZED and "timestamp" in detail:
            advice = "Set the clocks: the shop's and this machine's differ by more than 15 minutes."
        return Explanation(detail, kind=kind, advice=advice)

    def clean(self, body: bytes) -> bytes:
        """`*_gmt` moments get the `Z` that they mean."""
        return _GMT.sub(rb'\1Z"', body)

    def rescue(self, body: bytes) -> object | None:
        """The JSON behind PHP's warnings: the first bracket from which everything to the end is JSON."""
        for match in _OPENING.finditer(body[:20_000]):
            try:
                return decode_json(self.clean(body[match.start() :]))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return None


_GMT = re.compile(rb'("\w+_gmt"\s*:\s*"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)"')
_OPENING = re.compile(rb"[\[{]")


def wire_moment(moment: datetime) -> str:
    """An aware moment as the shop reads it with `dates_are_gmt`: UTC, whole seconds, without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a timezone can't be sent")
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def _resource(name: str) -> Resource:
    if name not in RESOURCES:
        known = ", ".join((*RESOURCES, STOCK_LEVELS))
        raise ValueError(f"unknown resource {name!r} of WooCommerce; known: {known}")
    return RESOURCES[name]


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


def _number(reply: Reply, header: str) -> int | None:
    value = reply.headers.get(header, "")
    return int(value) if value.isdecimal() else None


def _identifier(item: Record) -> int:
    return int(str(item["id"]))


def _with_id(items: list[Record]) -> list[Record]:
    """Those that can be told apart; ingest reports the others."""
    return [item for item in items if item.get("id") is not None]


def _variation_ids(product: Record) -> list[object]:
    ids = product.get("variations")
    return ids if isinstance(ids, list) else []


def _own_stock(variation: Record) -> Record:
    """`manage_stock` may be `parent`: then the product holds the stock, and the variation none of its own."""
    return {**variation, "manage_stock": False} if variation.get("manage_stock") == "parent" else variation


def _stock_level(product: Record, holder: Record, variation_id: object) -> Record:
    row: Record = {"product_id": product["id"], "variation_id": variation_id}
    row.update({name: holder.get(name) for name in STOCK_FIELDS})
    row["name"] = holder.get("name") or product.get("name")
    return row


def _path(product_id: int | None, **ids: int) -> dict[str, int]:
    return ids if product_id is None else {"product": product_id, **ids}


# ---- models: what is named is checked, what isn't is kept

Moment = Annotated[AwareDatetime, PlainSerializer(wire_moment)]
Money = Annotated[
    Decimal | None,
    BeforeValidator(lambda value: None if value == "" else value),
    PlainSerializer(lambda value: None if value is None else str(value)),
]
"""A decimal that travels as a string; empty means that there is none."""


class Model(BaseModel):
    """Fields without a name here are kept."""

    model_config = ConfigDict(extra="allow")


class Entity(Model):
    """What has an id and a path of its own."""

    resource: ClassVar[str]
    template: ClassVar[str]

    id: int | None = None
    date_created_gmt: Moment | None = None
    date_modified_gmt: Moment | None = None

    def for_wire(self) -> Record:
        """The fields that were set, in the shop's forms."""
        return self.model_dump(by_alias=True, exclude_unset=True)


M = TypeVar("M", bound=Entity)


class CostOfGoods(Model):
    """`value` is a line's total cost, `total_value` that of one piece of a product. Only where the shop keeps costs."""

    value: Decimal | None = None
    total_value: Decimal | None = None


class Address(Model):
    """A billing or shipping address."""

    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    email: str | None = None
    phone: str | None = None
    address_1: str | None = None
    city: str | None = None
    state: str | None = None
    postcode: str | None = None
    country: str | None = None


class LineItem(Model):
    """`subtotal` is before discounts, `total` after, without tax. A refund's quantities and totals are negative."""

    id: int | None = None
    name: str | None = None
    product_id: int | None = None
    variation_id: int | None = None
    sku: str | None = None
    quantity: Decimal | None = None
    subtotal: Money = None
    total: Money = None
    total_tax: Money = None
    cost_of_goods_sold: CostOfGoods | None = None


class Order(Entity):
    """An order; `total` is with tax and shipping."""

    resource = "orders"
    template = "/orders"

    number: str | None = None
    status: str | None = None
    currency: str | None = None
    customer_id: int | None = None
    customer_note: str | None = None
    billing: Address | None = None
    shipping: Address | None = None
    discount_total: Money = None
    shipping_total: Money = None
    total: Money = None
    total_tax: Money = None
    date_paid_gmt: Moment | None = None
    date_completed_gmt: Moment | None = None
    line_items: list[LineItem] = Field(default_factory=list)


class Customer(Entity):
    """A registered customer."""

    resource = "customers"
    template = "/customers"

    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    role: str | None = None
    billing: Address | None = None
    shipping: Address | None = None


class Stocked(Entity):
    """What products and variations have in common."""

    sku: str | None = None
    price: Money = None
    regular_price: Money = None
    status: str | None = None
    stock_quantity: Decimal | None = None
    stock_status: str | None = None
    cost_of_goods_sold: CostOfGoods | None = None


class Product(Stocked):
    """What the shop sells; `variations` are ids."""

    resource = "products"
    template = "/products"

    name: str | None = None
    type: str | None = None
    manage_stock: bool | None = None
    variations: list[int] = Field(default_factory=list)


class Variation(Stocked):
    """One form of a variable product; `manage_stock` is `parent` where the product holds the stock."""

    resource = "variations"
    template = "/products/{product}/variations"

    manage_stock: bool | str | None = None
