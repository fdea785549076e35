"""The true figures, computed from the world's own records under the definitions of BUSINESSES.md.

Nothing here is shared with the pipeline, so that the two can be held against each other: `truth` gives every day,
`truth_periods` also weeks, months, financial years and all time. Amounts are decimals, ex tax; ratios are in percent.

What the definitions leave open is decided so: counts and amounts have a row for each period from the business's first
order to the present one, 0 where nothing happened; ratios and means have a row only where their denominator isn't 0.
Stock and back-order figures exist for the present day alone. Money is rounded to cents, everything else to six
digits, half up, at the very end. An imported history has no stock.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from masterops_dagster.businesses import BUSINESSES, GROUP, MELBOURNE
from masterops_dagster.simulator.world.records import Body, moment
from masterops_dagster.simulator.world.store import World

Grain = Literal["day", "week", "month", "fy", "all"]
GRAINS: tuple[Grain, ...] = ("day", "week", "month", "fy", "all")

ALL_SYSTEMS = "all"
"""The system under which the group's figures stand."""

UNLEASHED = ("teelixir", "elevate_wholesale")
WOOCOMMERCE = ("red_hill_fresh",)
SHOPIFY_NAME = {"teelixir": re.compile(r"(^|\s)#TX[0-9]+")}
"""How a Shopify order's name looks in the references of its copy in Unleashed."""

UNLEASHED_SALES = frozenset({"Placed", "Backordered", "Completed"})
WOO_SALES = frozenset({"processing", "completed", "refunded"})
ABN_WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
ZERO, HUNDRED, CENT, MILLIONTH = Decimal(0), Decimal(100), Decimal("0.01"), Decimal("0.000001")
MONEY = frozenset({"revenue", "refunds", "average_order_value", "stock_value", "debtors"})
SECONDS_A_DAY = 86_400
ROLLING_DAYS = 90


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One figure. `date` is the day, or the first day of the period."""

    business_key: str
    system: str
    date: date
    metric: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Sale:
    """An order that counts."""

    ordered: datetime
    day: date
    customer: str
    revenue: Decimal
    units: Decimal
    revenue_with_cost: Decimal
    cost: Decimal
    completed_day: date | None
    days_to_complete: Decimal


@dataclass(frozen=True, slots=True)
class Refund:
    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    """What was billed, tax included, and how long it is owed."""

    day: date
    due: date
    total: Decimal


@dataclass(frozen=True, slots=True)
class Deal:
    day: date
    won: bool


class Books:
    """All that one business, or the group, has done up to a moment."""

    def __init__(self, business_key: str, system: str) -> None:
        self.business_key = business_key
        self.system = system
        self.sales: list[Sale] = []
        self.refunds: list[Refund] = []
        self.invoices: list[Invoice] = []
        self.deals: list[Deal] = []
        self.owed_sales: list[tuple[date, Decimal]] = []
        self.placed = self.backordered = 0
        self.on_hand = self.stock_value = ZERO
        self.stock_outs: int | None = None

    def add(self, other: Books) -> None:
        self.sales += other.sales
        self.refunds += other.refunds
        self.invoices += other.invoices
        self.deals += other.deals
        self.owed_sales += other.owed_sales
        self.placed += other.placed
        self.backordered += other.backordered
        self.on_hand += other.on_hand
        self.stock_value += other.stock_value
        if other.stock_outs is not None:
            self.stock_outs = (self.stock_outs or 0) + other.stock_outs


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
        books = _books(seen)
        shopify = _shopify(seen)
    finally:
        seen.close()
    group = Books(GROUP, ALL_SYSTEMS)
    for own in books:
        group.add(own)
    return {grain: _figures([*books, group], shopify, grain, _day(at)) for grain in grains}


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


def _figures(books: Iterable[Books], shopify: Books, grain: Grain, today: date) -> list[TruthRow]:
    rows: list[TruthRow] = []
    for own in books:
        rows += _flows(own, grain, today)
        rows += _win_rate(own, grain)
        if grain == "day":
            rows += _debtors(own, today)
            rows += _states(own, today)
    rows += [row for row in _flows(shopify, grain, today) if row.metric in ("revenue", "orders", "units")]
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
    system = ALL_SYSTEMS if books.business_key == GROUP else "hubspot"
    for start, outcomes in sorted(closed.items()):
        rate = Decimal(sum(outcomes)) * HUNDRED / len(outcomes)
        yield TruthRow(books.business_key, system, start, "win_rate", rate)


def _debtors(books: Books, today: date) -> Iterator[TruthRow]:
    """Invoices owed on each day, due day included, and how many days' sales they are; from the first wholesale order
    or invoice on."""
    if not books.invoices and not books.owed_sales:
        return
    changes: dict[date, Decimal] = defaultdict(Decimal)
    for invoice in books.invoices:
        if invoice.due >= invoice.day:
            changes[invoice.day] += invoice.total
            changes[invoice.due + timedelta(days=1)] -= invoice.total
    sold: dict[date, Decimal] = defaultdict(Decimal)
    for day, amount in books.owed_sales:
        sold[day] += amount
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

    yield from row("back_order_rate", _ratio(books.backordered * HUNDRED, books.placed + books.backordered))
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


# ---- books from the records


def _books(world: World) -> list[Books]:
    customers = _Customers(world)
    books = [_unleashed(world, key, customers) for key in UNLEASHED]
    books += [_woocommerce(world, key, customers) for key in WOOCOMMERCE]
    by_key = {own.business_key: own for own in books}
    for record in world.scan("hubspot", "deals"):
        properties = record.body["properties"]
        key, closed = properties.get("source_business"), properties.get("closedate")
        if key not in by_key and any(key == business.key for business in BUSINESSES):
            by_key[key] = Books(key, "hubspot")
            books.append(by_key[key])
        if key in by_key and closed and properties.get("hs_is_closed") == "true":
            day = _day(datetime.fromisoformat(closed))
            by_key[key].deals.append(Deal(day, properties.get("hs_is_closed_won") == "true"))
    return books


def _unleashed(world: World, business_key: str, customers: _Customers) -> Books:
    account = f"unleashed_{business_key}"
    books = Books(business_key, "unleashed")
    copies: set[str] = set()
    for record in world.scan(account, "SalesOrders"):
        order = record.body
        if _mirrors_shopify(business_key, order):
            copies.add(order["OrderNumber"])
            continue
        status = order["OrderStatus"]
        books.placed += status == "Placed"
        books.backordered += status == "Backordered"
        if status not in UNLEASHED_SALES:
            continue
        sale = _unleashed_sale(order, customers.of(f"unleashed:{business_key}:{order['Customer']['Guid']}"))
        books.sales.append(sale)
        books.owed_sales.append((sale.day, sale.revenue))
    order_of_invoice: dict[str, str | None] = {}
    for record in world.scan(account, "Invoices"):
        invoice = record.body
        order_of_invoice[invoice["InvoiceNumber"]] = invoice["OrderNumber"]
        if invoice["InvoiceStatus"] == "Completed" and invoice["OrderNumber"] not in copies:
            day, due = _net_moment(invoice["InvoiceDate"]), _net_moment(invoice["DueDate"])
            books.invoices.append(Invoice(_day(day), _day(due), _decimal(invoice["Total"])))
    for record in world.scan(account, "CreditNotes"):
        note = record.body
        if note["Status"] == "Completed" and order_of_invoice.get(note["InvoiceNumber"] or "") not in copies:
            amount = sum((_decimal(line["LineTotal"]) for line in note["CreditLines"]), ZERO)
            books.refunds.append(Refund(_day(_net_moment(note["CreditDate"])), amount))
    _unleashed_stock(world, account, books)
    return books


def _unleashed_sale(order: Body, customer: str) -> Sale:
    ordered = _net_moment(order["OrderDate"])
    completed = _net_moment(order["CompletedDate"]) if order["CompletedDate"] else None
    lines = []
    for line in order["SalesOrderLines"]:
        quantity, landed = _decimal(line["OrderQuantity"]), line["AverageLandedPriceAtTimeOfSale"]
        cost = (quantity * _decimal(landed)).quantize(CENT, ROUND_HALF_UP) if landed is not None else None
        lines.append((_decimal(line["LineTotal"]), quantity, cost))
    return _sale(ordered, completed, customer, lines)


def _unleashed_stock(world: World, account: str, books: Books) -> None:
    sellable = {
        record.id: bool(record.body["IsSellable"]) and not record.body["Obsolete"]
        for record in world.scan(account, "Products")
    }
    available: dict[str, Decimal] = defaultdict(Decimal)
    for record in world.scan(account, "StockOnHand"):
        row = record.body
        available[row["ProductGuid"]] += _decimal(row["AvailableQty"])
        books.on_hand += _decimal(row["QtyOnHand"])
        if row["AvgCost"] is not None:
            books.stock_value += _decimal(row["QtyOnHand"]) * _decimal(row["AvgCost"])
    if available:
        books.stock_outs = sum(1 for guid, left in available.items() if sellable.get(guid) and left <= 0)


def _woocommerce(world: World, business_key: str, customers: _Customers) -> Books:
    account = f"woocommerce_{business_key}"
    books = Books(business_key, "woocommerce")
    net_share: dict[int, tuple[Decimal, Decimal]] = {}
    for record in world.scan(account, "orders"):
        order = record.body
        if order["status"] not in WOO_SALES:
            continue
        net_share[order["id"]] = (Decimal(order["total"]) - Decimal(order["total_tax"]), Decimal(order["total"]))
        completed = _gmt(order["date_completed_gmt"]) if order["date_completed_gmt"] else None
        lines = []
        for line in order["line_items"]:
            cost = (line.get("cost_of_goods_sold") or {}).get("value")
            known = _decimal(cost) if cost is not None else None
            lines.append((Decimal(line["total"]), _decimal(line["quantity"]), known))
        books.sales.append(_sale(_gmt(order["date_created_gmt"]), completed, customers.of(_woo_buyer(order)), lines))
    for record in world.scan(account, "refunds"):
        refund = record.body
        if refund["parent_id"] not in net_share:
            continue
        if refund["line_items"]:
            amount = -sum((Decimal(line["total"]) for line in refund["line_items"]), ZERO)
        else:
            net, gross = net_share[refund["parent_id"]]
            amount = (Decimal(refund["amount"]) * net / gross).quantize(CENT, ROUND_HALF_UP) if gross else ZERO
        books.refunds.append(Refund(_day(_gmt(refund["date_created_gmt"])), amount))
    for resource in ("products", "products/variations"):
        for record in world.scan(account, resource):
            _woo_stock(record.body, books)
    return books


def _woo_stock(product: Body, books: Books) -> None:
    quantity = product["stock_quantity"]
    if product["manage_stock"] is not True or quantity is None:
        return
    books.stock_outs = books.stock_outs or 0
    books.on_hand += _decimal(quantity)
    cost = (product.get("cost_of_goods_sold") or {}).get("total_value")
    if cost is not None:
        books.stock_value += _decimal(quantity) * _decimal(cost)
    if product["status"] == "publish" and quantity <= 0:
        books.stock_outs += 1


def _woo_buyer(order: Body) -> str:
    if order["customer_id"]:
        return f"woo:{order['customer_id']}"
    email = _email(order["billing"]["email"])
    return f"guest:{email}" if email else f"order:{order['id']}"


def _shopify(world: World) -> Books:
    """Teelixir's own shop; no part of the group's figures until it is connected."""
    books = Books("teelixir", "shopify")
    for record in world.scan("shopify_teelixir", "orders"):
        order = record.body
        if order["cancelledAt"] is not None:
            continue
        lines = [
            (Decimal(line["discountedTotalSet"]["shopMoney"]["amount"]), _decimal(line["quantity"]), None)
            for line in order["lineItems"]
        ]
        books.sales.append(_sale(datetime.fromisoformat(order["createdAt"]), None, order["name"], lines))
        for refund in order["refunds"]:
            amount = Decimal(refund["subtotalSet"]["shopMoney"]["amount"])
            books.refunds.append(Refund(_day(datetime.fromisoformat(refund["createdAt"])), amount))
    return books


def _sale(
    ordered: datetime,
    completed: datetime | None,
    customer: str,
    lines: Iterable[tuple[Decimal, Decimal, Decimal | None]],
) -> Sale:
    """An order from its lines' (total, quantity, cost)."""
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
    done = _day(completed) if completed is not None else None
    return Sale(ordered, _day(ordered), customer, revenue, units, with_cost, costs, done, span)


def _mirrors_shopify(business_key: str, order: Body) -> bool:
    pattern = SHOPIFY_NAME.get(business_key)
    if pattern is None:
        return False
    return any(pattern.search(order.get(field) or "") for field in ("CustomerRef", "Comments"))


# ---- who is who


class _Customers:
    """Which records are one buyer: whatever shares an e-mail, a valid ABN, or a customer code known to the CRM."""

    def __init__(self, world: World) -> None:
        self._parents: dict[str, str] = {}
        for business_key in UNLEASHED:
            for record in world.scan(f"unleashed_{business_key}", "Customers"):
                node = f"unleashed:{business_key}:{record.id}"
                self._join_if(node, "email", _email(record.body["Email"]))
                self._join_if(node, "abn", _abn(record.body["GSTVATNumber"]))
                self._join(node, f"code:{business_key}:{record.body['CustomerCode']}")
        for business_key in WOOCOMMERCE:
            for record in world.scan(f"woocommerce_{business_key}", "customers"):
                self._join_if(f"woo:{record.body['id']}", "email", _email(record.body["email"]))
        for record in world.scan("hubspot", "contacts"):
            node = f"contact:{record.id}"
            properties = record.body["properties"]
            for address in (properties.get("email"), *(properties.get("hs_additional_emails") or "").split(";")):
                self._join_if(node, "email", _email(address))
            for merged in filter(None, (properties.get("hs_merged_object_ids") or "").split(";")):
                self._join(node, f"contact:{merged}")
            code = properties.get("unleashed_customer_code")
            if code:
                self._join(node, f"code:{properties.get('source_business')}:{code}")

    def of(self, node: str) -> str:
        """The buyer whom a record stands for; the same for all records of that buyer."""
        if node.startswith("guest:"):
            return self._root("email:" + node.removeprefix("guest:"))
        return self._root(node)

    def _join_if(self, node: str, kind: str, value: str | None) -> None:
        if value is not None:
            self._join(node, f"{kind}:{value}")

    def _join(self, one: str, other: str) -> None:
        self._parents[self._root(one)] = self._root(other)

    def _root(self, node: str) -> str:
        root = node
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while (parent := self._parents.get(node, root)) != root:
            self._parents[node] = root
            node = parent
        return root


def _email(value: str | None) -> str | None:
    plain = (value or "").strip().lower()
    return plain if "@" in plain else None


def _abn(value: str | None) -> str | None:
    digits = re.sub(r"[^0-9]", "", value or "")
    if len(digits) != 11:
        return None
    numbers = [int(digits[0]) - 1, *map(int, digits[1:])]
    return digits if sum(w * n for w, n in zip(ABN_WEIGHTS, numbers, strict=True)) % 89 == 0 else None


# ---- values as the systems write them


def _net_moment(value: str) -> datetime:
    """`/Date(1700000000000+1100)/`: the milliseconds are UTC whatever zone follows."""
    found = re.fullmatch(r"/Date\((-?\d+)([+-]\d{4})?\)/", value)
    if found is None:
        raise ValueError(f"not a date as Unleashed writes it: {value!r}")
    return moment(int(found[1]))


def _gmt(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _day(at: datetime) -> date:
    return at.astimezone(MELBOURNE).date()


def _decimal(value: int | Decimal | str) -> Decimal:
    return Decimal(value)
