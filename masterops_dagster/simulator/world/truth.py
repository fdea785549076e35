"""The true figures, computed from the world's own records under the definitions of BUSINESSES.md.

Nothing here is shared with the pipeline, so that the two can be held against each other: `truth` gives every day,
`truth_periods` also weeks, months, financial years and all time. Amounts are decimals, ex tax; ratios are in percent.

A business has one set of figures, of all its systems together, under the system `all`, and so has the group. Beside
them stand what each system that sells adds to revenue, refunds, orders and units.

What the definitions leave open is decided so: counts and amounts have a row for each period from the business's first
order to the present one, 0 where nothing happened; ratios and means have a row only where their denominator isn't 0.
Stock and back-order figures exist for the present day alone. Money is rounded to cents, everything else to six
digits, half up, at the very end. An imported history has no stock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from masterops_dagster.businesses import GROUP
from masterops_dagster.simulator.world.books import books_of
from masterops_dagster.simulator.world.books.common import CENT, ZERO, Books, day_of
from masterops_dagster.simulator.world.store import World

Grain = Literal["day", "week", "month", "fy", "all"]
GRAINS: tuple[Grain, ...] = ("day", "week", "month", "fy", "all")

ALL_SYSTEMS = "all"
"""The system under which the figures of a business, or the group, stand."""

HUNDRED, MILLIONTH = Decimal(100), Decimal("0.000001")
MONEY = frozenset({"revenue", "refunds", "average_order_value", "stock_value", "debtors"})
OF_ONE_SYSTEM = frozenset({"revenue", "refunds", "orders", "units"})
ROLLING_DAYS = 90


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One figure. `date` is the day, or the first day of the period."""

    business_key: str
    system: str
    date: date
    metric: str
    value: Decimal


def truth(world: World, as_of: datetime | None = None) -> list[TruthRow]:
    """Every figure of every day up to business-now, or up to `as_of` as the world could be seen then."""
    return truth_periods(world, as_of, "day")


def truth_periods(world: World, as_of: datetime | None, grain: Grain) -> list[TruthRow]:
    """The figures of all periods of a grain. Those of the present day alone (stock, back orders) and those of each
    day (debtors, days sales outstanding) come with the grain `day` only."""
    return truth_of_grains(world, as_of, (grain,))[grain]


def truth_of_grains(
    world: World, as_of: datetime | None, grains: Iterable[Grain] = GRAINS
) -> dict[Grain, list[TruthRow]]:
    """`truth_periods` of several grains; the world's records are read once."""
    at = as_of or world.now()
    seen = world.seen_at(at)
    try:
        by_business = books_of(seen)
    finally:
        seen.close()
    whole, parts = [], []
    group = Books(GROUP, ALL_SYSTEMS)
    for business_key, of_systems in by_business.items():
        together = Books(business_key, ALL_SYSTEMS)
        for own in of_systems:
            together.add(own)
        group.add(together, internal=False)
        whole.append(together)
        parts += of_systems
    return {grain: _figures([*whole, group], parts, grain, day_of(at)) for grain in grains}


def period_start(day: date, grain: Grain, first: date) -> date:
    """The first day of the period that a day is in; of all time, the first day there is."""
    if grain == "day":
        return day
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "fy":
        return date(day.year if day.month >= 7 else day.year - 1, 7, 1)
    return first


# ---- figures from the books


def _figures(whole: Iterable[Books], parts: Iterable[Books], grain: Grain, today: date) -> list[TruthRow]:
    rows: list[TruthRow] = []
    for own in whole:
        rows += _flows(own, grain, today)
        rows += _win_rate(own, grain)
        if grain == "day":
            rows += _debtors(own, today)
            rows += _states(own, today)
    for own in parts:
        rows += [row for row in _flows(own, grain, today) if row.metric in OF_ONE_SYSTEM]
    return [_rounded(row) for row in rows]


@dataclass(slots=True)
class _Cell:
    """What adds up within one period."""

    revenue: Decimal = ZERO
    refunds: Decimal = ZERO
    orders: int = 0
    units: Decimal = ZERO
    revenue_with_cost: Decimal = ZERO
    cost: Decimal = ZERO
    completed: int = 0
    days_to_complete: Decimal = ZERO


def _flows(books: Books, grain: Grain, today: date) -> Iterator[TruthRow]:
    days = [sale.day for sale in books.sales] + [refund.day for refund in books.refunds]
    if not days:
        return
    first = min(days)
    cells: dict[date, _Cell] = defaultdict(_Cell)
    day = first
    while day <= today:
        cells[period_start(day, grain, first)]
        day += timedelta(days=1)
    orders_of: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    first_order: dict[str, date] = {}
    for sale in sorted(books.sales, key=lambda sale: sale.ordered):
        start = period_start(sale.day, grain, first)
        cell = cells[start]
        cell.revenue += sale.revenue
        cell.orders += 1
        cell.units += sale.units
        cell.revenue_with_cost += sale.revenue_with_cost
        cell.cost += sale.cost
        orders_of[start][sale.customer] += 1
        first_order.setdefault(sale.customer, start)
        if sale.completed_day is not None:
            done = cells[period_start(sale.completed_day, grain, first)]
            done.completed += 1
            done.days_to_complete += sale.days_to_complete
    for refund in books.refunds:
        cells[period_start(refund.day, grain, first)].refunds += refund.amount
    for start, cell in sorted(cells.items()):
        buyers = orders_of[start]
        new = sum(1 for customer in buyers if first_order[customer] == start)
        again = sum(1 for customer, orders in buyers.items() if first_order[customer] < start or orders > 1)
        figures: dict[str, Decimal | None] = {
            "revenue": cell.revenue - cell.refunds,
            "refunds": cell.refunds,
            "orders": Decimal(cell.orders),
            "units": cell.units,
            "customers": Decimal(len(buyers)),
            "new_customers": Decimal(new),
            "returning_customers": Decimal(len(buyers) - new),
            "average_order_value": _ratio(cell.revenue - cell.refunds, cell.orders),
            "units_per_order": _ratio(cell.units, cell.orders),
            "gross_margin": _ratio((cell.revenue_with_cost - cell.cost) * HUNDRED, cell.revenue_with_cost),
            "repeat_rate": _ratio(again * HUNDRED, len(buyers)),
            "refund_rate": _ratio(cell.refunds * HUNDRED, cell.revenue),
            "fulfilment_time": _ratio(cell.days_to_complete, cell.completed),
        }
        for metric, value in figures.items():
            if value is not None:
                yield TruthRow(books.business_key, books.system, start, metric, value)


def _win_rate(books: Books, grain: Grain) -> Iterator[TruthRow]:
    if not books.deals:
        return
    first = min([deal.day for deal in books.deals] + [sale.day for sale in books.sales])
    closed: dict[date, list[bool]] = defaultdict(list)
    for deal in books.deals:
        closed[period_start(deal.day, grain, first)].append(deal.won)
    for start, outcomes in sorted(closed.items()):
        rate = Decimal(sum(outcomes)) * HUNDRED / len(outcomes)
        yield TruthRow(books.business_key, books.system, start, "win_rate", rate)


def _debtors(books: Books, today: date) -> Iterator[TruthRow]:
    """Invoices owed on each day, due day included, and how many days' sales they are; from the first wholesale order
    or invoice on."""
    wholesale = [sale for sale in books.sales if sale.wholesale]
    if not books.invoices and not wholesale:
        return
    changes: dict[date, Decimal] = defaultdict(Decimal)
    for invoice in books.invoices:
        if invoice.due >= invoice.day:
            changes[invoice.day] += invoice.total
            changes[invoice.due + timedelta(days=1)] -= invoice.total
    sold: dict[date, Decimal] = defaultdict(Decimal)
    for sale in wholesale:
        sold[sale.day] += sale.revenue
    owed = ZERO
    day = min([*changes, *sold])
    while day <= today:
        owed += changes.get(day, ZERO)
        recent = sum((sold.get(day - timedelta(days=back), ZERO) for back in range(ROLLING_DAYS)), ZERO)
        yield TruthRow(books.business_key, books.system, day, "debtors", owed)
        outstanding = _ratio(owed * ROLLING_DAYS, recent)
        if outstanding is not None:
            yield TruthRow(books.business_key, books.system, day, "days_sales_outstanding", outstanding)
        day += timedelta(days=1)


def _states(books: Books, today: date) -> Iterator[TruthRow]:
    def row(metric: str, value: Decimal | None) -> Iterator[TruthRow]:
        if value is not None:
            yield TruthRow(books.business_key, books.system, today, metric, value)

    backordered = sum(order.backordered for order in books.open_orders)
    yield from row("back_order_rate", _ratio(backordered * HUNDRED, len(books.open_orders)))
    if books.stock_outs is not None:
        recent = today - timedelta(days=ROLLING_DAYS)
        units = sum((sale.units for sale in books.sales if recent < sale.day <= today), ZERO)
        yield from row("stock_value", books.stock_value)
        yield from row("stock_outs", Decimal(books.stock_outs))
        yield from row("stock_cover", _ratio(books.on_hand * ROLLING_DAYS, units))


def _ratio(numerator: Decimal, denominator: Decimal | int) -> Decimal | None:
    return numerator / denominator if denominator else None


def _rounded(row: TruthRow) -> TruthRow:
    value = row.value.quantize(CENT if row.metric in MONEY else MILLIONTH, ROUND_HALF_UP)
    if row.metric not in MONEY and value == value.to_integral_value():
        value = value.to_integral_value()
    return TruthRow(row.business_key, row.system, row.date, row.metric, value)
