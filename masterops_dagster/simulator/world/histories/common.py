"""An order of a history that came from a file, whichever system is to hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Protocol

from masterops_dagster.simulator.world.records import Version

NOTHING = Decimal("0.00")
MILLIONTH = Decimal("0.000001")


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

    @property
    def total(self) -> Decimal:
        """Ex tax."""
        return sum((line.total for line in self.lines), NOTHING)

    @property
    def tax(self) -> Decimal:
        return sum((line.tax for line in self.lines), NOTHING)


class History(Protocol):
    """Orders as a system holds them, under ids from `first_id` on, of which there are four per order and line."""

    REPLACES: ClassVar[tuple[str, ...]]
    """The resources whose records they take the place of."""

    def __init__(self, account: str, orders: list[Order], first_id: int) -> None: ...

    def records(self, at: int) -> Iterator[Version]:
        """All records, visible from `at`."""
        ...


def last_sold(orders: Iterable[Order]) -> dict[str, tuple[int, OrderLine]]:
    """By SKU: when it was last sold, and that line, which tells what the product is called and costs by now."""
    last: dict[str, tuple[int, OrderLine]] = {}
    for order in orders:
        for line in order.lines:
            if line.sku not in last or order.ordered >= last[line.sku][0]:
                last[line.sku] = (order.ordered, line)
    return last


def first_orders(orders: Iterable[Order]) -> dict[str, Order]:
    """Every buyer's first order."""
    since: dict[str, Order] = {}
    for order in orders:
        if order.buyer not in since or order.ordered < since[order.buyer].ordered:
            since[order.buyer] = order
    return since
