"""What Red Hill Fresh's WooCommerce shop holds: products and variations, customers, orders of all fates, refunds.

Amounts are strings, moments whole seconds: `date_created` by the clock on the wall, `date_created_gmt` in UTC, both
without a zone. Order total = line totals + shipping + all taxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.catalogue import BOXES, Article, articles, sold
from masterops_dagster.simulator.world.people import Buyer, buyer
from masterops_dagster.simulator.world.records import FOREVER, Body, Version, moment
from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import TENTH_OF_A_MILL, Dice, cents, chance
from masterops_dagster.simulator.world.timeline import HOUR, MINUTE, SECOND, office, same_time, versions, wall

ACCOUNT = "woocommerce_red_hill_fresh"
BUSINESS = "red_hill_fresh"
CHANNEL = "red_hill_shop"

FIRST_ORDER, FIRST_CUSTOMER, FIRST_ONLOOKER = 10_000, 100, 50_000_000
FIRST_PRODUCT, FIRST_BOX, FIRST_VARIATION = 1_000, 2_000, 3_000
GST = Decimal("0.1")
NOTHING = Decimal("0.00")
SHIPPING = Decimal("9.00")
COST_SINCE_DAY = 20
"""From this day of history on the shop records what its goods cost."""


@lru_cache(maxsize=4_096)
def local(at: int | None) -> str | None:
    """`2026-03-01T23:30:00` by the clock on the wall in Melbourne."""
    return moment(at).astimezone(MELBOURNE).isoformat()[:19] if at is not None else None


@lru_cache(maxsize=4_096)
def gmt(at: int | None) -> str | None:
    """`2026-03-01T12:30:00`, UTC without saying so."""
    return moment(at).isoformat()[:19] if at is not None else None


def base(plan: Plan) -> Iterator[Version]:
    """Products, customers from before history, and accounts that never bought anything."""
    yield from product_versions(plan)
    known = plan.trading(channel(CHANNEL)).known(plan.first - timedelta(days=1))
    for number in range(known):
        who = buyer(plan, CHANNEL, number)
        if not _shops_as_guest(plan, who):
            yield from customer_versions(plan, who, wall(who.joined, 11, number % 60))
    for number in range(max(3, known // 20)):
        yield from _onlooker(plan, number)


def day(plan: Plan, day: date) -> Iterator[Version]:
    """The orders of a Melbourne day with all that becomes of them."""
    own = channel(CHANNEL)
    trading = plan.trading(own)
    dice = Dice(plan.seed, CHANNEL, day)
    moments = trading.moments(day, dice)
    new = list(trading.new(day))
    for sequence, at in enumerate(moments):
        remaining = len(moments) - sequence
        if new and dice.random() < len(new) / remaining:
            who = buyer(plan, CHANNEL, new.pop(0))
            if not _shops_as_guest(plan, who):
                yield from customer_versions(plan, who, at - 30 * SECOND)
        else:
            who = buyer(plan, CHANNEL, trading.returning(day, dice))
        number = FIRST_ORDER + plan.index(day) * plan.stride(own) + sequence
        yield from _order(plan, who, day, at, number, dice)


# ---- products


def product_id(article: Article) -> int:
    """The id of the product; a variation's is its box's."""
    if article.parent_name is not None:
        return FIRST_BOX + BOXES.index(article.parent_name)
    return FIRST_PRODUCT + article.number


def variation_id(article: Article) -> int:
    return FIRST_VARIATION + article.number if article.parent_name is not None else 0


def product_versions(plan: Plan) -> Iterator[Version]:
    """Products with each move of their price; variable ones change with their variations. All happens at midnight."""
    boxes: dict[str, list[Article]] = {}
    for article in articles(plan, BUSINESS):
        if article.parent_name is not None:
            boxes.setdefault(article.parent_name, []).append(article)
            continue
        id = product_id(article)
        days = sorted({article.created, *article.moves(plan.first), *filter(None, [article.obsolete_from])})
        states = [
            (wall(d, 0), {"id": id, "name": article.name, **_offer(plan, article, d), **_shelf(article)}) for d in days
        ]
        gone = wall(article.removed_on, 0) if article.removed_on is not None else FOREVER
        yield from versions(ACCOUNT, "products", str(id), id, states, gone_at=gone)
    for name, sizes in boxes.items():
        id = product_id(sizes[0])
        days = sorted({sizes[0].created, *(move for size in sizes for move in size.moves(plan.first))})
        states = []
        for current in days:
            offer = _offer(plan, sizes[0], current)
            offer.pop("cost_of_goods_sold", None)
            own = {"sku": f"BOX-{id - FIRST_BOX + 1:02d}", "manage_stock": False, "stock_quantity": None}
            body = {"id": id, "name": name, **offer, **_shelf(sizes[0]), **own, "type": "variable", "regular_price": ""}
            states.append((wall(current, 0), {**body, "variations": [variation_id(size) for size in sizes]}))
        yield from versions(ACCOUNT, "products", str(id), id, states)
        for size in sizes:
            created = sizes[0].created
            changed = [
                (
                    wall(d, 0),
                    {"id": variation_id(size), **_offer(plan, replace(size, created=created), d), "name": size.option},
                )
                for d in (created, *size.moves(plan.first))
            ]
            for _, body in changed:
                body["attributes"] = [{"id": 0, "name": "Size", "slug": "Size", "option": size.option}]
                body["parent_id"] = id
            number = variation_id(size)
            yield from versions(ACCOUNT, "products/variations", str(number), number, changed, parent=str(id))


def _offer(plan: Plan, article: Article, day: date) -> Body:
    """What products and variations have in common."""
    price = str(article.price_on(day, plan.first))
    cost = article.cost_on(day, plan.first)
    created, since = wall(article.created, 0), wall(day, 0)
    hidden = article.obsolete_from is not None and day >= article.obsolete_from
    body: Body = {
        "sku": article.sku,
        "status": "draft" if not article.sellable else "private" if hidden else "publish",
        "price": price,
        "regular_price": price,
        "sale_price": "",
        "manage_stock": article.number % 11 != 0,
        "stock_quantity": None,
        "stock_status": "instock",
        "tax_status": "taxable" if article.taxed else "none",
        "tax_class": "",
        "date_created": local(created),
        "date_created_gmt": gmt(created),
        "date_modified": local(since),
        "date_modified_gmt": gmt(since),
        "meta_data": [],
    }
    if cost is not None:
        body["cost_of_goods_sold"] = {
            "values": [{"defined_value": cost, "effective_value": cost}],
            "total_value": cost,
        }
    return body


def _shelf(article: Article) -> Body:
    slug = "".join(c if c.isalnum() else "-" for c in (article.parent_name or article.name).lower())
    return {
        "slug": slug,
        "type": "simple",
        "permalink": f"https://redhillfresh.example.com/product/{slug}/",
        "description": "",
        "categories": [
            {"id": 15 if article.group == "Produce" else 16, "name": article.group, "slug": article.group.lower()}
        ],
        "images": [],
        "variations": [],
    }


# ---- customers


def customer_versions(plan: Plan, who: Buyer, created: int) -> Iterator[Version]:
    """A registered customer; some move house later."""
    dice = Dice(plan.seed, CHANNEL, who.number, "account")
    id = FIRST_CUSTOMER + who.number
    email = who.email or ""
    body = _customer(id, email.title() if dice.hits(0.04) else email, who, created)
    states = [(created, body)]
    if dice.hits(0.10):
        moved = office(created, dice.whole(15, 500), dice)
        billing = {**body["billing"], "address_1": f"{dice.whole(1, 90)} New Street", "phone": ""}
        stamp = {"date_modified": local(moved), "date_modified_gmt": gmt(moved)}
        states.append((moved, {**body, "billing": billing, **stamp}))
    yield from versions(ACCOUNT, "customers", str(id), id, states)


def _onlooker(plan: Plan, number: int) -> Iterator[Version]:
    """Somebody who opened an account and never bought; every third account is deleted one day."""
    who = buyer(plan, CHANNEL, number)
    created = wall(plan.first + timedelta(days=number * 7 % 400), 20, 15)
    id = FIRST_ONLOOKER + number
    body = _customer(id, f"onlooker.{number}@example.net", replace(who, company=None), created)
    body["is_paying_customer"] = False
    gone = same_time(created, 90 + number % 200) if number % 3 == 0 else FOREVER
    yield from versions(ACCOUNT, "customers", str(id), id, [(created, body)], gone_at=gone)


def _customer(id: int, email: str, who: Buyer, created: int) -> Body:
    return {
        "id": id,
        "date_created": local(created),
        "date_created_gmt": gmt(created),
        "date_modified": local(created),
        "date_modified_gmt": gmt(created),
        "email": email,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "role": "customer",
        "username": f"{email.partition('@')[0].lower()}",
        "billing": _address(who, email),
        "shipping": _address(who, None),
        "is_paying_customer": True,
        "avatar_url": "",
        "meta_data": [],
    }


def _address(who: Buyer, email: str | None) -> Body:
    address: Body = {
        "first_name": who.first_name,
        "last_name": who.last_name,
        "company": who.company or "",
        "address_1": who.street,
        "address_2": "",
        "city": who.suburb,
        "state": who.state,
        "postcode": who.postcode,
        "country": "AU",
        "phone": who.phone or "",
    }
    if email is not None:
        address["email"] = email
    return address


def _shops_as_guest(plan: Plan, who: Buyer) -> bool:
    return chance(plan.seed, CHANNEL, who.number, "guest") < 0.25


# ---- orders


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line of an order; amounts ex tax. Each is its own, so that it can be a key."""

    article: Article
    quantity: int
    subtotal: Decimal
    total: Decimal
    tax: Decimal
    cost: Decimal | None

    def part(self, quantity: int) -> Line:
        """The line with fewer pieces."""
        return Line(
            self.article,
            quantity,
            cents(self.subtotal * quantity / self.quantity),
            cents(self.total * quantity / self.quantity),
            cents(self.tax * quantity / self.quantity),
            self.cost,
        )


def _order(plan: Plan, who: Buyer, day: date, at: int, number: int, dice: Dice) -> Iterator[Version]:
    order = _Order(plan, who, day, at, number, dice)
    fate = dice.weighted(
        (
            *(("completed", 0.845), ("stuck", 0.02), ("transfer", 0.03), ("cancelled", 0.035), ("abandoned", 0.015)),
            *(("failed", 0.015), ("refunded", 0.03), ("erased", 0.01)),
        )
    )
    if fate == "abandoned":
        order.state(at, "pending")
        order.state(at + HOUR, "cancelled")
    elif fate == "failed":
        order.state(at, "failed")
    elif fate == "transfer":
        order.state(at, "on-hold")
        order.state(office(at, 1, dice), "processing")
        order.complete(office(order.latest, dice.whole(1, 3), dice))
    elif fate == "cancelled":
        order.state(at, "processing")
        until = office(at, 1, dice)
        if dice.hits(0.5):
            order.refund(until - 5 * MINUTE, [*order.lines], shipping=True)
        order.state(until, "cancelled")
    else:
        order.state(at, "processing")
        if dice.hits(0.06):
            order.edit(at + dice.whole(5, 50) * MINUTE)
        if fate != "stuck":
            order.complete(_delivered(at, dice))
        if fate == "refunded":
            until = office(order.latest, dice.whole(1, 12), dice)
            order.refund(until, [*order.lines], shipping=True)
            order.state(until + SECOND, "refunded")
        elif fate == "completed" and dice.hits(0.035):
            line = dice.one(order.lines)
            order.refund(office(order.latest, dice.whole(1, 9), dice), [line.part(dice.whole(1, line.quantity))])
        elif fate == "completed" and dice.hits(0.02) and order.total > 0:
            order.refund_amount(office(order.latest, dice.whole(1, 20), dice))
    yield from order.records(gone_at=office(order.latest, 30, dice) if fate == "erased" else FOREVER)


class _Order:
    """An order under way: its states so far, and its refunds."""

    def __init__(self, plan: Plan, who: Buyer, day: date, at: int, number: int, dice: Dice) -> None:
        self.number, self.at, self.dice, self.latest = number, at, dice, at
        self._states: list[tuple[int, Body]] = []
        self._refunds: list[Version] = []
        self._refunded: list[Body] = []
        self._bodies: dict[Line, Body] = {}
        self._paid: int | None = None
        self._completed: int | None = None
        self._costs_known = plan.index(day) >= COST_SINCE_DAY
        self.lines = _lines(plan, day, dice)
        self.shipping = SHIPPING if 0 < sum(line.total for line in self.lines) < 80 and dice.hits(0.9) else NOTHING
        guest = _shops_as_guest(plan, who) or dice.hits(0.04)
        email = who.email or ""
        if guest and dice.hits(0.04):
            email = ""
        elif guest and who.second_email is not None and dice.hits(0.5):
            email = who.second_email
        elif not guest and dice.hits(0.03):
            email = f"office.{who.number}@example.org"
        elif dice.hits(0.05):
            email = email.capitalize()
        self._fixed: Body = {
            "id": number,
            "parent_id": 0,
            "number": str(number),
            "order_key": f"wc_order_{number:x}",
            "created_via": "checkout" if email else "admin",
            "version": "10.3.5",
            "currency": "AUD",
            "currency_symbol": "$",
            "prices_include_tax": False,
            "customer_id": 0 if guest else FIRST_CUSTOMER + who.number,
            "customer_note": dice.one(("", "", "", "Leave at the gate 🐕", "No plastic please", "Ring twice – thanks")),
            "billing": _address(who, email),
            "shipping": _address(who, None),
            "payment_method": dice.one(("stripe", "paypal", "bacs")),
            "payment_method_title": "Card",
            "transaction_id": "",
            "date_created": local(at),
            "date_created_gmt": gmt(at),
            "coupon_lines": [],
            "fee_lines": [],
            "meta_data": [{"id": number * 10, "key": "_delivery_day", "value": dice.one(("Tue", "Thu", "Sat"))}],
        }
        if dice.hits(0.01):
            self._fixed["delivery_window"] = "07:00-09:00"

    @property
    def total(self) -> Decimal:
        amounts = self._amounts()
        return amounts["total"]

    def state(self, at: int, status: str) -> None:
        """The order takes on a status."""
        if status == "processing" and self._paid is None:
            self._paid = at
        amounts = self._amounts()
        shipping_lines = [
            {
                "id": self.number * 1000 + 990,
                "method_title": "Local delivery",
                "method_id": "flat_rate",
                "total": str(self.shipping),
                "total_tax": str(amounts["shipping_tax"]),
                "taxes": [],
            }
        ]
        body = {
            **self._fixed,
            "status": status,
            "date_modified": local(at),
            "date_modified_gmt": gmt(at),
            **{name: str(amount) for name, amount in amounts.items()},
            "date_paid": local(self._paid),
            "date_paid_gmt": gmt(self._paid),
            "date_completed": local(self._completed),
            "date_completed_gmt": gmt(self._completed),
            "line_items": [self._sold_line(line) for line in self.lines],
            "tax_lines": [
                {
                    "id": self.number * 1000 + 991,
                    "rate_code": "AU-GST-1",
                    "label": "GST",
                    "compound": False,
                    "tax_total": str(amounts["cart_tax"]),
                    "shipping_tax_total": str(amounts["shipping_tax"]),
                }
            ],
            "shipping_lines": shipping_lines if self.shipping else [],
            "refunds": list(self._refunded),
        }
        if self._states and self._states[-1][0] == at:
            self._states.pop()
        self._states.append((at, body))
        self.latest = at

    def edit(self, at: int) -> None:
        """A line is taken out, or a piece more put in."""
        if len(self.lines) > 1 and self.dice.hits(0.5):
            self.lines.pop(self.dice.whole(0, len(self.lines) - 1))
        else:
            line = self.lines[0]
            self.lines[0] = line.part(line.quantity + 1)
        self.state(at, "processing")

    def complete(self, at: int) -> None:
        self._completed = at
        self.state(at, "completed")

    def refund(self, at: int, lines: Sequence[Line], shipping: bool = False) -> None:
        """Money back for pieces."""
        amount = sum((line.total + line.tax for line in lines), NOTHING)
        if shipping:
            amount += self.shipping + cents(self.shipping * GST)
        self._record_refund(
            at, amount, [self._line(line, refunded=True) for line in lines], self.shipping if shipping else NOTHING
        )

    def refund_amount(self, at: int) -> None:
        """Money back, nobody said for what."""
        self._record_refund(at, cents(self.total * Decimal(self.dice.whole(5, 60)) / 100), [])

    def records(self, gone_at: int) -> Iterator[Version]:
        yield from versions(ACCOUNT, "orders", str(self.number), self.number, self._states, gone_at=gone_at)
        yield from (replace(refund, visible_to=gone_at) for refund in self._refunds)

    def _amounts(self) -> Mapping[str, Decimal]:
        cart_tax = sum((line.tax for line in self.lines), NOTHING)
        shipping_tax = cents(self.shipping * GST)
        total = sum((line.total for line in self.lines), NOTHING)
        return {
            "discount_total": sum((line.subtotal - line.total for line in self.lines), NOTHING),
            "discount_tax": NOTHING,
            "shipping_total": self.shipping,
            "shipping_tax": shipping_tax,
            "cart_tax": cart_tax,
            "total": total + self.shipping + cart_tax + shipping_tax,
            "total_tax": cart_tax + shipping_tax,
        }

    def _sold_line(self, line: Line) -> Body:
        if line not in self._bodies:
            self._bodies[line] = self._line(line)
        return self._bodies[line]

    def _line(self, line: Line, refunded: bool = False) -> Body:
        sign = -1 if refunded else 1

        def money(amount: Decimal) -> str:
            return str(NOTHING + sign * amount)  # never "-0.00"

        article = line.article
        id = self.number * 1000 + article.number
        body: Body = {
            "id": id * 10 + len(self._refunded) if refunded else id,
            "name": article.name,
            "product_id": product_id(article),
            "variation_id": variation_id(article),
            "quantity": sign * line.quantity,
            "tax_class": "",
            "subtotal": money(line.subtotal),
            "subtotal_tax": money(line.tax),
            "total": money(line.total),
            "total_tax": money(line.tax),
            "taxes": [],
            "meta_data": [],
            "sku": article.sku,
            "price": (line.total / line.quantity).quantize(TENTH_OF_A_MILL),
            "parent_name": article.parent_name,
        }
        if refunded:
            body["meta_data"] = [{"id": id, "key": "_refunded_item_id", "value": str(id)}]
        elif article.option is not None:
            body["meta_data"] = [{"id": id, "key": "size", "value": article.option, "display_key": "Size"}]
        if self._costs_known and line.cost is not None and not refunded:
            body["cost_of_goods_sold"] = {"value": cents(line.cost * line.quantity)}
        return body

    def _record_refund(self, at: int, amount: Decimal, lines: list[Body], shipping: Decimal = NOTHING) -> None:
        if amount == 0:
            return
        id = self.number * 10 + len(self._refunded) + 1
        reason = self.dice.one(("", "Bruised", "Missing from the box", "Arrived late"))
        body: Body = {
            "id": id,
            "parent_id": self.number,
            "date_created": local(at),
            "date_created_gmt": gmt(at),
            "amount": str(amount),
            "reason": reason,
            "refunded_by": 1,
            "refunded_payment": False,
            "meta_data": [],
            "line_items": lines,
            "shipping_lines": [{"id": id * 1000, "total": str(-shipping), "total_tax": str(-cents(shipping * GST))}]
            if shipping
            else [],
            "tax_lines": [],
            "fee_lines": [],
        }
        self._refunds.extend(versions(ACCOUNT, "refunds", str(id), id, [(at, body)], parent=str(self.number)))
        self._refunded.append({"id": id, "reason": reason, "total": str(-amount)})
        self.state(at, self._states[-1][1]["status"])


def _lines(plan: Plan, day: date, dice: Dice) -> list[Line]:
    """Lines of different articles, most of them fruit and vegetables; one order in a hundred is free of charge."""
    offered = sold(plan, BUSINESS, day)
    rebate = dice.weighted(((Decimal(0), 0.91), (Decimal("0.1"), 0.08), (Decimal(1), 0.01)))
    lines = []
    for place in sorted({int(len(offered) * dice.random()) for _ in range(dice.whole(1, 5))}):
        article = offered[place]
        quantity = 1 if article.option is not None else dice.whole(1, 4)
        subtotal = article.price_on(day, plan.first) * quantity
        total = cents(subtotal * (1 - rebate))
        tax = cents(total * GST) if article.taxed else NOTHING
        lines.append(Line(article, quantity, subtotal, total, tax, article.cost_on(day, plan.first)))
    return lines


def _delivered(at: int, dice: Dice) -> int:
    """Deliveries leave in the morning, Saturdays included; some orders of the small hours on the same day."""
    local_day = moment(at).astimezone(MELBOURNE)
    days = 0 if local_day.hour < 6 and dice.hits(0.7) else dice.whole(1, 3)
    return wall(local_day.date() + timedelta(days=days), dice.whole(7, 12), dice.whole(0, 59), dice.whole(0, 59))
