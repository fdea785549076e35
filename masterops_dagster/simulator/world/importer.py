"""An order history from a CSV file, in place of what the world made up for a business's shop.

The columns are `COLUMNS`, UTF-8, comma-separated, one line per order line; the order's own columns are repeated.
`ordered_at` and `shipped_at` are ISO 8601; without a zone they are Melbourne's, a date alone means its first moment.
`line_total` is ex tax, `line_cost` (may be empty) the cost of the whole line, `tax_rate` a fraction. A cancelled order
doesn't count; a refunded one does, and is refunded in full when it was shipped, or else when it was ordered. All that
is imported counts as modified now. One bad row refuses the whole file, and every bad row is listed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from masterops_dagster.businesses import ACCOUNTS, MELBOURNE, business
from masterops_dagster.simulator.world import shopify, unleashed, woocommerce
from masterops_dagster.simulator.world.clock import melbourne_day
from masterops_dagster.simulator.world.records import Body, Version, millis
from masterops_dagster.simulator.world.seeding import cents, guid
from masterops_dagster.simulator.world.store import World

COLUMNS = (
    "order_number",
    "ordered_at",
    "shipped_at",
    "customer_email",
    "customer_name",
    "sku",
    "product_name",
    "category",
    "quantity",
    "line_total",
    "line_cost",
    "tax_rate",
    "status",
)
STATUSES = ("completed", "processing", "cancelled", "refunded")
ORDER_COLUMNS = ("ordered_at", "shipped_at", "customer_email", "status")
"""What all lines of an order must agree on."""

UNLEASHED_STATUS = {"completed": "Completed", "processing": "Placed", "cancelled": "Deleted", "refunded": "Completed"}
REPLACED = {
    "unleashed": (
        *("Products", "Customers", "SalesOrders", "Invoices", "CreditNotes"),
        *("PurchaseOrders", "StockAdjustments"),
    ),
    "woocommerce": ("orders", "refunds", "customers", "products", "products/variations"),
}
"""What an import takes the place of, for each kind of selling system that it can fill."""

REPLACED_IN_STORE = ("orders", "customers", "products", "abandoned_checkouts")
"""What goes from the Shopify store of a business whose Unleashed is filled."""

NOTHING = Decimal("0.00")
MILLIONTH = Decimal("0.000001")


class ImportRefused(ValueError):
    """The file can't be imported; nothing was changed. `bad_rows` is empty where the file as a whole is at fault."""

    def __init__(self, message: str, bad_rows: Sequence[BadRow] = ()) -> None:
        listed = "".join(f"\n  line {bad.line}, {bad.column}: {bad.reason}" for bad in bad_rows)
        super().__init__(message + listed)
        self.bad_rows = tuple(bad_rows)


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is wrong where; `line` counts the file's lines, the header being line 1."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How much was imported."""

    business_key: str
    orders: int
    lines: int
    customers: int
    products: int


@dataclass(frozen=True, slots=True)
class OrderLine:
    sku: str
    product_name: str
    category: str
    quantity: Decimal
    total: Decimal
    cost: Decimal | None
    tax: Decimal


@dataclass(slots=True)
class Order:
    """An order of the file; moments in milliseconds."""

    number: str
    ordered: int
    shipped: int | None
    email: str
    name: str
    status: str
    lines: list[OrderLine] = field(default_factory=list)

    @property
    def buyer(self) -> str:
        """Orders with one e-mail, however it is written, have one buyer; without an e-mail the name must do."""
        return self.email.strip().lower() or f"name:{self.name}"

    @property
    def refunded_at(self) -> int | None:
        return (self.shipped or self.ordered) if self.status == "refunded" else None


def import_history(world: World, file: Path, business_key: str) -> Imported:
    """Replaces the shop history of a business by the file's. Raises `ImportRefused`; `KeyError`: no such business."""
    owner = business(business_key)
    account = next(
        (a for a in ACCOUNTS if a.business_key == business_key and a.system in REPLACED),
        None,
    )
    if account is None:
        raise ImportRefused(
            f"{owner.name} has no shop system that is connected yet, so there is nothing to import into"
        )
    orders = read_history(file, world.now())
    replaced = [(account.key, resource) for resource in REPLACED[account.system]]
    if business_key in shopify.STORES:
        replaced += [(shopify.account_key(business_key), resource) for resource in REPLACED_IN_STORE]
    build: Callable[[int], Iterator[Version]]
    with world.transaction():
        first_id = world.reserve_ids(4 * sum(len(order.lines) + 1 for order in orders))
        writer = (_Woo if account.system == "woocommerce" else _Unleashed)(account.key, orders, first_id)
        build = writer.records
        world.replace_history(replaced, business_key, build)
    return Imported(
        business_key=business_key,
        orders=len(orders),
        lines=sum(len(order.lines) for order in orders),
        customers=len({order.buyer for order in orders}),
        products=len({line.sku for order in orders for line in order.lines}),
    )


# ---- reading


def read_history(file: Path, now: datetime) -> list[Order]:
    """The file's orders, in its order. Raises `ImportRefused`."""
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ImportRefused(
            f"{file.name} is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}; save it as UTF-8 CSV"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        places = _places(file, header)
        return _Reading(places, now).orders(reader, file)
    except csv.Error as error:
        raise ImportRefused(f"{file.name} is not proper CSV near line {reader.line_num}: {error}") from error


def _places(file: Path, header: list[str]) -> dict[str, int]:
    missing = [name for name in COLUMNS if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    double = sorted({name for name in header if header.count(name) > 1})
    faults = [
        f"{what}: {', '.join(repr(name) for name in names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("twice", double))
        if names
    ]
    if faults:
        raise ImportRefused(f"{file.name} has the wrong columns ({'; '.join(faults)}); expected {','.join(COLUMNS)}")
    return {name: header.index(name) for name in COLUMNS}


class _Reading:
    """Reads rows, collecting what is wrong with them."""

    def __init__(self, places: dict[str, int], now: datetime) -> None:
        self._places = places
        self._now = now
        self._bad: list[BadRow] = []
        self._first: dict[str, tuple[int, dict[str, str]]] = {}

    def orders(self, reader: Iterator[list[str]], file: Path) -> list[Order]:
        found: dict[str, Order] = {}
        line = 2
        for cells in reader:
            started, line = line, reader.line_num + 1  # type: ignore[attr-defined]  # csv.reader has it
            if not any(cell.strip() for cell in cells):
                continue
            self._read(started, cells, found)
        if self._bad:
            rows = len({bad.line for bad in self._bad})
            raise ImportRefused(f"{file.name}: {rows} bad row{'s' * (rows > 1)}, nothing was imported", self._bad)
        if not found:
            raise ImportRefused(f"{file.name} has no rows below its header")
        return list(found.values())

    def _read(self, line: int, cells: list[str], found: dict[str, Order]) -> None:
        if len(cells) != len(self._places):
            self._refuse(line, "row", f"{len(cells)} values where there are {len(self._places)} columns")
            return
        row = {name: cells[place] for name, place in self._places.items()}
        number, sku, status = row["order_number"].strip(), row["sku"].strip(), row["status"].strip()
        for name, value in (("order_number", number), ("sku", sku)):
            if not value:
                self._refuse(line, name, "is empty")
        if status not in STATUSES:
            self._refuse(line, "status", f"{status!r} is none of {', '.join(STATUSES)}")
        email = row["customer_email"]
        if email.strip() and "@" not in email:
            self._refuse(line, "customer_email", f"{email!r} has no @")
        ordered = self._moment(line, "ordered_at", row["ordered_at"])
        shipped = self._moment(line, "shipped_at", row["shipped_at"]) if row["shipped_at"].strip() else None
        if ordered is not None and shipped is not None and shipped < ordered:
            if len(row["shipped_at"].strip()) == 10 and melbourne_day(shipped) == melbourne_day(ordered):
                shipped = ordered
            else:
                self._refuse(line, "shipped_at", f"{row['shipped_at'].strip()} is before ordered_at")
        quantity = self._number(line, "quantity", row["quantity"], decimals=4)
        if quantity is not None and quantity <= 0:
            self._refuse(line, "quantity", f"{quantity} is not above 0")
        total = self._number(line, "line_total", row["line_total"], decimals=2)
        cost = self._number(line, "line_cost", row["line_cost"], decimals=2) if row["line_cost"].strip() else None
        if cost is not None and cost < 0:
            self._refuse(line, "line_cost", f"{cost} is below 0")
        rate = self._number(line, "tax_rate", row["tax_rate"], decimals=6)
        if rate is not None and not 0 <= rate <= 1:
            self._refuse(line, "tax_rate", f"{rate} is not a fraction from 0 to 1 (0.1 is 10 %)")
        self._compare(line, number, row)
        if ordered is None or quantity is None or total is None or rate is None or not number:
            return
        order = found.get(number)
        if order is None:
            found[number] = order = Order(
                number=number,
                ordered=millis(ordered),
                shipped=millis(shipped) if shipped is not None else None,
                email=email,
                name=row["customer_name"].strip(),
                status=status,
            )
        name = row["product_name"].strip() or sku
        tax = cents(total * rate)
        order.lines.append(OrderLine(sku, name, row["category"].strip(), quantity, total, cost, tax))

    def _compare(self, line: int, number: str, row: dict[str, str]) -> None:
        """All lines of an order must tell the same of it."""
        own = {name: row[name].strip() for name in ORDER_COLUMNS}
        first_line, first = self._first.setdefault(number, (line, own))
        for name in ORDER_COLUMNS:
            if own[name] != first[name]:
                self._refuse(
                    line, name, f"{own[name]!r} differs from {first[name]!r} in line {first_line} of the order"
                )

    def _moment(self, line: int, column: str, value: str) -> datetime | None:
        value = value.strip()
        try:
            if not re.match(r"\d{4}-\d{2}-\d{2}(?!\d)", value, re.ASCII):
                raise ValueError(value)
            at = datetime.fromisoformat(value)
        except ValueError:
            reason = "is empty" if not value else f"{value!r} is no date like 2026-03-01 or 2026-03-01T14:30"
            self._refuse(line, column, reason)
            return None
        at = (at if at.tzinfo is not None else at.replace(tzinfo=MELBOURNE)).astimezone(UTC).replace(microsecond=0)
        if at > self._now:
            self._refuse(line, column, f"{value} is in the future")
            return None
        return at

    def _number(self, line: int, column: str, value: str, decimals: int) -> Decimal | None:
        value = value.strip()
        if not re.fullmatch(r"[+-]?\d{1,12}(\.\d+)?", value, re.ASCII):
            self._refuse(line, column, "is empty" if not value else f"{value!r} is no number like 1234.50")
            return None
        number = Decimal(value)
        if number != round(number, decimals):
            self._refuse(line, column, f"{value} has more than {decimals} decimals")
            return None
        return number

    def _refuse(self, line: int, column: str, reason: str) -> None:
        self._bad.append(BadRow(line, column, reason))


# ---- writing


class _Woo:
    """The history as a WooCommerce shop holds it. Without an e-mail the buyer is a guest."""

    def __init__(self, account: str, orders: list[Order], first_id: int) -> None:
        self._account = account
        self._orders = orders
        self._next = first_id
        self._products: dict[str, int] = {}
        self._customers: dict[str, int] = {}

    def records(self, at: int) -> Iterator[Version]:
        now = at - at % 1000
        last: dict[str, tuple[int, OrderLine]] = {}
        for order in self._orders:
            for line in order.lines:
                if line.sku not in last or order.ordered >= last[line.sku][0]:
                    last[line.sku] = (order.ordered, line)
        for sku, (sold, line) in last.items():
            id = self._products[sku] = self._id()
            yield self._version("products", id, at, now, sold, self._product(id, line, sold, now))
        since: dict[str, Order] = {}
        for order in self._orders:
            if order.email.strip() and (order.buyer not in since or order.ordered < since[order.buyer].ordered):
                since[order.buyer] = order
        for buyer, order in since.items():
            id = self._customers[buyer] = self._id()
            body = {**self._contact(order), "id": id, **_stamps("created", order.ordered), **_stamps("modified", now)}
            yield self._version("customers", id, at, now, order.ordered, body)
        for order in self._orders:
            yield from self._order(order, at, now)

    def _order(self, order: Order, at: int, now: int) -> Iterator[Version]:
        id = self._id()
        lines = [self._line(line) for line in order.lines]
        total = sum((line.total for line in order.lines), NOTHING)
        tax = sum((line.tax for line in order.lines), NOTHING)
        refunds: list[Body] = []
        if order.refunded_at is not None:
            refund_id = self._id()
            refunds.append({"id": refund_id, "reason": "Refunded", "total": str(NOTHING - total - tax)})
            body: Body = {
                "id": refund_id,
                "parent_id": id,
                **_stamps("created", order.refunded_at),
                "amount": str(total + tax),
                "reason": "Refunded",
                "refunded_by": 1,
                "line_items": [self._negative(line) for line in lines],
                "shipping_lines": [],
                "tax_lines": [],
                "fee_lines": [],
                "meta_data": [],
            }
            yield self._version("refunds", refund_id, at, now, order.refunded_at, body, parent=str(id))
        contact = self._contact(order)
        paid = order.ordered if order.status != "cancelled" else None
        order_body: Body = {
            "id": id,
            "parent_id": 0,
            "number": order.number,
            "status": order.status,
            "currency": "AUD",
            "prices_include_tax": False,
            "created_via": "import",
            "customer_id": self._customers[order.buyer] if order.email.strip() else 0,
            "customer_note": "",
            "billing": contact["billing"],
            "shipping": contact["shipping"],
            "payment_method": "",
            **_stamps("created", order.ordered),
            **_stamps("modified", now),
            **_stamps("paid", paid),
            **_stamps("completed", order.shipped),
            "discount_total": "0.00",
            "discount_tax": "0.00",
            "shipping_total": "0.00",
            "shipping_tax": "0.00",
            "cart_tax": str(tax),
            "total": str(total + tax),
            "total_tax": str(tax),
            "line_items": lines,
            "tax_lines": [],
            "shipping_lines": [],
            "fee_lines": [],
            "coupon_lines": [],
            "refunds": refunds,
            "meta_data": [],
        }
        yield self._version("orders", id, at, now, order.ordered, order_body)

    def _line(self, line: OrderLine) -> Body:
        body: Body = {
            "id": self._id(),
            "name": line.product_name,
            "product_id": self._products[line.sku],
            "variation_id": 0,
            "sku": line.sku,
            "quantity": line.quantity,
            "subtotal": str(line.total),
            "subtotal_tax": str(line.tax),
            "total": str(line.total),
            "total_tax": str(line.tax),
            "price": (line.total / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP),
            "taxes": [],
            "meta_data": [],
        }
        if line.cost is not None:
            body["cost_of_goods_sold"] = {"value": line.cost}
        return body

    def _negative(self, line: Body) -> Body:
        turned = {name: value for name, value in line.items() if name != "cost_of_goods_sold"}
        for name in ("subtotal", "subtotal_tax", "total", "total_tax"):
            turned[name] = str(NOTHING - Decimal(line[name]))
        origin = {"id": line["id"], "key": "_refunded_item_id", "value": str(line["id"])}
        return {**turned, "id": self._id(), "quantity": -line["quantity"], "meta_data": [origin]}

    def _product(self, id: int, line: OrderLine, sold: int, now: int) -> Body:
        price = str(cents(line.total / line.quantity))
        body: Body = {
            "id": id,
            "name": line.product_name,
            "slug": re.sub(r"[^a-z0-9]+", "-", line.sku.lower()),
            "type": "simple",
            "status": "publish",
            "sku": line.sku,
            "price": price,
            "regular_price": price,
            "sale_price": "",
            "manage_stock": False,
            "stock_quantity": None,
            "stock_status": "instock",
            "tax_status": "taxable",
            "tax_class": "",
            "categories": [{"id": 1, "name": line.category, "slug": line.category.lower()}] if line.category else [],
            "variations": [],
            **_stamps("created", sold),
            **_stamps("modified", now),
            "meta_data": [],
        }
        if line.cost is not None:
            cost = (line.cost / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP)
            body["cost_of_goods_sold"] = {
                "values": [{"defined_value": cost, "effective_value": cost}],
                "total_value": cost,
            }
        return body

    def _contact(self, order: Order) -> Body:
        first, _, last = order.name.partition(" ")
        address: Body = {"first_name": first, "last_name": last, "company": "", "country": "AU", "phone": ""}
        address |= dict.fromkeys(("address_1", "address_2", "city", "state", "postcode"), "")
        return {
            "email": order.email.strip(),
            "first_name": first,
            "last_name": last,
            "role": "customer",
            "username": order.buyer,
            "is_paying_customer": True,
            "billing": {**address, "email": order.email.strip()},
            "shipping": address,
            "meta_data": [],
        }

    def _version(
        self, resource: str, id: int, at: int, modified: int, dated: int, body: Body, parent: str = ""
    ) -> Version:
        return Version(
            account=self._account,
            resource=resource,
            id=str(id),
            number=id,
            visible_from=at,
            created_at=dated,
            business_at=dated,
            modified_at=modified,
            body=body,
            parent=parent,
        )

    def _id(self) -> int:
        self._next += 1
        return self._next - 1


class _Unleashed:
    """The history as an Unleashed account holds it; a refunded order has a credit note."""

    def __init__(self, account: str, orders: list[Order], first_id: int) -> None:
        self._account = account
        self._orders = orders
        self._next = first_id
        self._customers: dict[str, Body] = {}
        self._products: dict[str, str] = {}

    def records(self, at: int) -> Iterator[Version]:
        last: dict[str, tuple[int, OrderLine]] = {}
        for order in self._orders:
            for line in order.lines:
                if line.sku not in last or order.ordered >= last[line.sku][0]:
                    last[line.sku] = (order.ordered, line)
        for sku, (sold, line) in last.items():
            number, id = self._key("Products")
            self._products[sku] = id
            yield self._version("Products", number, id, at, sold, self._product(line))
        since: dict[str, Order] = {}
        for order in self._orders:
            if order.buyer not in since or order.ordered < since[order.buyer].ordered:
                since[order.buyer] = order
        for buyer, order in since.items():
            number, id = self._key("Customers")
            code = f"IMP-{number}"
            name = order.name or order.email.strip() or "Unnamed"
            self._customers[buyer] = {"Guid": id, "CustomerCode": code, "CustomerName": name}
            yield self._version("Customers", number, id, at, order.ordered, self._customer(code, name, order))
        for order in self._orders:
            yield from self._order(order, at)

    def _order(self, order: Order, at: int) -> Iterator[Version]:
        number, id = self._key("SalesOrders")
        lines = [self._line(line, place, "OrderQuantity") for place, line in enumerate(order.lines, 1)]
        for body, line in zip(lines, order.lines, strict=True):
            landed = (line.cost / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP) if line.cost is not None else None
            body["AverageLandedPriceAtTimeOfSale"] = landed
        body = {
            "OrderNumber": order.number,
            "OrderStatus": UNLEASHED_STATUS[order.status],
            "OrderDate": unleashed.net_date(order.ordered),
            "RequiredDate": None,
            "CompletedDate": unleashed.net_date(order.shipped),
            "Customer": self._customers[order.buyer],
            "CustomerRef": None,
            "Comments": None,
            "Warehouse": None,
            "Currency": {"CurrencyCode": "AUD"},
            "ExchangeRate": 1,
            "SalesPerson": None,
            **self._totals(order),
            "SalesOrderLines": lines,
        }
        yield self._version("SalesOrders", number, id, at, order.ordered, body)
        if order.refunded_at is not None:
            note_number, note_id = self._key("CreditNotes")
            note = {
                "CreditNoteNumber": f"CN-{order.number}",
                "Status": "Completed",
                "CreditDate": unleashed.net_date(order.refunded_at),
                "InvoiceNumber": None,
                "Customer": self._customers[order.buyer],
                **self._totals(order),
                "CreditLines": [self._line(line, n, "CreditQuantity") for n, line in enumerate(order.lines, 1)],
            }
            yield self._version("CreditNotes", note_number, note_id, at, order.refunded_at, note)

    def _totals(self, order: Order) -> Body:
        sub_total = sum((line.total for line in order.lines), NOTHING)
        tax_total = sum((line.tax for line in order.lines), NOTHING)
        return {"SubTotal": sub_total, "TaxTotal": tax_total, "Total": sub_total + tax_total}

    def _line(self, line: OrderLine, place: int, quantity: str) -> Body:
        return {
            "Guid": self._key("line")[1],
            "LineNumber": place,
            "Product": {
                "Guid": self._products[line.sku],
                "ProductCode": line.sku,
                "ProductDescription": line.product_name,
            },
            quantity: line.quantity,
            "UnitPrice": (line.total / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP),
            "DiscountRate": 0,
            "LineTotal": line.total,
            "LineTax": line.tax,
        }

    def _product(self, line: OrderLine) -> Body:
        cost = (line.cost / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP) if line.cost is not None else None
        return {
            "ProductCode": line.sku,
            "ProductDescription": line.product_name,
            "Barcode": None,
            "UnitOfMeasure": None,
            "ProductGroup": {"GroupName": line.category} if line.category else None,
            "DefaultPurchasePrice": cost,
            "DefaultSellPrice": cents(line.total / line.quantity),
            "AverageLandPrice": cost,
            "MinStockAlertLevel": None,
            "IsSellable": True,
            "IsComponent": False,
            "Obsolete": False,
            "TaxableSales": line.tax > 0,
        }

    def _customer(self, code: str, name: str, order: Order) -> Body:
        first, _, last = order.name.partition(" ")
        return {
            "CustomerCode": code,
            "CustomerName": name,
            "CustomerType": None,
            "ContactFirstName": first,
            "ContactLastName": last,
            "Email": order.email or None,
            "PhoneNumber": None,
            "GSTVATNumber": None,
            "PaymentTerm": None,
            "DiscountRate": 0,
            "Currency": {"CurrencyCode": "AUD"},
            "Taxable": True,
            "StopCredit": False,
            "Obsolete": False,
            "Addresses": [],
        }

    def _version(self, resource: str, number: int, id: str, at: int, dated: int, body: Body) -> Version:
        stamped = {
            **body,
            "Guid": id,
            "CreatedOn": unleashed.net_date(dated),
            "LastModifiedOn": unleashed.net_date(at),
        }
        return Version(
            account=self._account,
            resource=resource,
            id=id,
            number=number,
            visible_from=at,
            created_at=dated,
            business_at=dated,
            modified_at=at,
            body=stamped,
        )

    def _key(self, kind: str) -> tuple[int, str]:
        self._next += 1
        return self._next - 1, guid("imported", self._account, kind, self._next - 1)


def _stamps(name: str, at: int | None) -> Body:
    """`date_created` and `date_created_gmt`, as WooCommerce writes them."""
    return {f"date_{name}": woocommerce.local(at), f"date_{name}_gmt": woocommerce.gmt(at)}
