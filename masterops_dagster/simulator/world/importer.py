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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from masterops_dagster.businesses import ACCOUNTS, MELBOURNE, business
from masterops_dagster.simulator.world import shopify
from masterops_dagster.simulator.world.clock import melbourne_day
from masterops_dagster.simulator.world.histories.bigcommerce import BigCommerceHistory
from masterops_dagster.simulator.world.histories.common import History, Order, OrderLine
from masterops_dagster.simulator.world.histories.unleashed import UnleashedHistory
from masterops_dagster.simulator.world.histories.woocommerce import WooCommerceHistory
from masterops_dagster.simulator.world.records import millis
from masterops_dagster.simulator.world.seeding import cents
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

HISTORIES: dict[str, type[History]] = {
    "unleashed": UnleashedHistory,
    "bigcommerce": BigCommerceHistory,
    "woocommerce": WooCommerceHistory,
}
"""How each kind of selling system that can be filled holds a history, and so what an import takes the place of."""

REPLACED_IN_STORE = ("orders", "customers", "products", "abandoned_checkouts")
"""What goes from the Shopify store of a business whose Unleashed is filled."""


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


def import_history(world: World, file: Path, business_key: str) -> Imported:
    """Replaces the shop history of a business by the file's. Raises `ImportRefused`; `KeyError`: no such business."""
    owner = business(business_key)
    account = next(
        (a for a in ACCOUNTS if a.business_key == business_key and a.system in HISTORIES),
        None,
    )
    if account is None:
        raise ImportRefused(f"{owner.name} has no system that an order history can be put into")
    orders = read_history(file, world.now())
    history = HISTORIES[account.system]
    replaced = [(account.key, resource) for resource in history.REPLACES]
    if business_key in shopify.STORES:
        replaced += [(shopify.account_key(business_key), resource) for resource in REPLACED_IN_STORE]
    with world.transaction():
        first_id = world.reserve_ids(4 * sum(len(order.lines) + 1 for order in orders))
        world.replace_history(replaced, business_key, history(account.key, orders, first_id).records)
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
