"""Books: sales, refunds, invoices, deals, open orders and stock of one account, one business or the group."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.records import moment

ZERO, CENT = Decimal(0), Decimal("0.01")
SECONDS_A_DAY = 86_400
ABN_WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)


@dataclass(frozen=True, slots=True)
class Sale:
    """An order that counts. Amounts ex tax."""

    ordered: datetime
    day: date
    customer: str
    revenue: Decimal
    units: Decimal
    revenue_with_cost: Decimal
    cost: Decimal
    completed_day: date | None
    days_to_complete: Decimal
    wholesale: bool = False
    internal: bool = False
    """Sold to another business of the group: no part of the group's figures, as for all that is internal below."""


@dataclass(frozen=True, slots=True)
class Refund:
    day: date
    amount: Decimal
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Invoice:
    """What was billed, tax included, and how long it is owed."""

    day: date
    due: date
    total: Decimal
    internal: bool = False


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that is placed and not yet sent; back-ordered where stock is missing."""

    backordered: bool
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Deal:
    day: date
    won: bool


class Books:
    """All that was done up to a moment. `system` is the one whose records these are, or `all`."""

    def __init__(self, business_key: str, system: str) -> None:
        self.business_key = business_key
        self.system = system
        self.sales: list[Sale] = []
        self.refunds: list[Refund] = []
        self.invoices: list[Invoice] = []
        self.open_orders: list[OpenOrder] = []
        self.deals: list[Deal] = []
        self.on_hand = self.stock_value = ZERO
        self.stock_outs: int | None = None
        """None where no stock is kept."""

    def add(self, other: Books, *, internal: bool = True) -> None:
        """Takes another's books in; without sales within the group where `internal` is false."""
        self.sales += [sale for sale in other.sales if internal or not sale.internal]
        self.refunds += [refund for refund in other.refunds if internal or not refund.internal]
        self.invoices += [invoice for invoice in other.invoices if internal or not invoice.internal]
        self.open_orders += [order for order in other.open_orders if internal or not order.internal]
        self.deals += other.deals
        self.on_hand += other.on_hand
        self.stock_value += other.stock_value
        if other.stock_outs is not None:
            self.stock_outs = (self.stock_outs or 0) + other.stock_outs


def sale(
    ordered: datetime,
    completed: datetime | None,
    customer: str,
    lines: Iterable[tuple[Decimal, Decimal, Decimal | None]],
    *,
    wholesale: bool = False,
    internal: bool = False,
) -> Sale:
    """An order from its lines' (total, quantity, cost); a cost of None is unknown."""
    revenue = units = with_cost = costs = ZERO
    for total, quantity, cost in lines:
        revenue += total
        units += quantity
        if cost is not None:
            with_cost += total
            costs += cost
    span = ZERO
    if completed is not None:
        taken = completed.astimezone(MELBOURNE).replace(tzinfo=None) - ordered.astimezone(MELBOURNE).replace(
            tzinfo=None
        )
        span = Decimal(taken // timedelta(milliseconds=1)) / 1000 / SECONDS_A_DAY
    done = day_of(completed) if completed is not None else None
    return Sale(ordered, day_of(ordered), customer, revenue, units, with_cost, costs, done, span, wholesale, internal)


# ---- values as the systems write them


def day_of(at: datetime) -> date:
    """The Melbourne day of a moment."""
    return at.astimezone(MELBOURNE).date()


def decimal(value: int | Decimal | str) -> Decimal:
    return Decimal(value)


def rounded(amount: Decimal) -> Decimal:
    """To cents, half up."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def gmt(value: str) -> datetime:
    """A moment without a zone that is UTC."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def net_moment(value: str) -> datetime:
    """`/Date(1700000000000+1100)/`: the milliseconds are UTC whatever zone follows."""
    found = re.fullmatch(r"/Date\((-?\d+)([+-]\d{4})?\)/", value)
    if found is None:
        raise ValueError(f"not a date as Unleashed writes it: {value!r}")
    return moment(int(found[1]))


def plain_email(value: str | None) -> str | None:
    plain = (value or "").strip().lower()
    return plain if "@" in plain else None


def plain_abn(value: str | None) -> str | None:
    """Eleven digits that pass the tax office's check, or None."""
    digits = re.sub(r"[^0-9]", "", value or "")
    if len(digits) != 11:
        return None
    numbers = [int(digits[0]) - 1, *map(int, digits[1:])]
    return digits if sum(w * n for w, n in zip(ABN_WEIGHTS, numbers, strict=True)) % 89 == 0 else None
