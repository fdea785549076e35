"""What Buy Organics Online's BigCommerce store holds: products with variants, customers, orders of all fates, refunds.

Prices are entered without tax. Orders are as v2 gives them (money as strings with four decimals, RFC 2822 dates), with
their `products` and `shipments` inside; all else is as v3 gives it (numbers, ISO dates). An order's total is its lines
without tax - discounts + shipping + GST. An archived order is `is_deleted` and no longer listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from email.utils import format_datetime
from functools import lru_cache

from masterops_dagster.simulator.world.catalogue import SUPPLIERS, Article, articles, sold
from masterops_dagster.simulator.world.people import Buyer, buyer
from masterops_dagster.simulator.world.records import FOREVER, Body, Version, moment
from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import TENTH_OF_A_MILL, Dice, cents, chance
from masterops_dagster.simulator.world.timeline import MINUTE, SECOND, office, same_time, versions, wall

ACCOUNT = "bigcommerce_buy_organics_online"
BUSINESS = "buy_organics_online"
CHANNEL = "organics_shop"

FIRST_ORDER, FIRST_CUSTOMER, FIRST_ONLOOKER = 100_000, 100, 50_000_000
FIRST_PRODUCT, FIRST_VARIANT, FIRST_BRAND, FIRST_OPTION = 1_000, 50_000, 35, 9_000
LINES_AN_ORDER = 20
GST = Decimal("0.1")
NOTHING = Decimal("0.00")
SHIPPING = Decimal("10.90")
TAXED, GST_FREE = 0, 1
"""Tax classes."""
SIZES = (("500 g", Decimal(1)), ("1 kg", Decimal("1.8")), ("5 kg", Decimal(8)))
STATES = {
    **{"VIC": "Victoria", "NSW": "New South Wales", "QLD": "Queensland", "SA": "South Australia", "TAS": "Tasmania"},
    **{"WA": "Western Australia"},
}

INCOMPLETE, SHIPPED, PARTLY_SHIPPED, REFUNDED, CANCELLED, DECLINED, AWAITING_PAYMENT = 0, 2, 3, 4, 5, 6, 7
COMPLETED, AWAITING_FULFILMENT, PARTLY_REFUNDED = 10, 11, 14
STATUSES = {
    INCOMPLETE: "Incomplete",
    SHIPPED: "Shipped",
    PARTLY_SHIPPED: "Partially Shipped",
    REFUNDED: "Refunded",
    CANCELLED: "Cancelled",
    DECLINED: "Declined",
    AWAITING_PAYMENT: "Awaiting Payment",
    COMPLETED: "Completed",
    AWAITING_FULFILMENT: "Awaiting Fulfillment",
    PARTLY_REFUNDED: "Partially Refunded",
}


@lru_cache(maxsize=4_096)
def rfc2822(at: int | None) -> str:
    """`Tue, 05 Mar 2019 21:40:11 +0000`; empty where there is no moment."""
    return format_datetime(moment(at)) if at is not None else ""


@lru_cache(maxsize=4_096)
def iso(at: int) -> str:
    """`2019-03-05T21:40:11Z`."""
    return moment(at).isoformat()[:19] + "Z"


def money(amount: Decimal) -> str:
    """As v2 writes it: `12.5000`."""
    return f"{amount:.4f}"


def base(plan: Plan) -> Iterator[Version]:
    """Products, customers from before history, and accounts that never bought anything."""
    for article in articles(plan, BUSINESS):
        yield from _product(plan, article)
    known = plan.trading(channel(CHANNEL)).known(plan.first - timedelta(days=1))
    for number in range(known):
        who = buyer(plan, CHANNEL, number)
        if not _shops_as_guest(plan, who):
            yield from customer_versions(plan, who, wall(who.joined, 12, number % 60))
    for number in range(max(3, known // 25)):
        yield from _onlooker(plan, number)


def day(plan: Plan, day: date) -> Iterator[Version]:
    """The orders of a Melbourne day with all that becomes of them."""
    own = channel(CHANNEL)
    trading = plan.trading(own)
    dice = Dice(plan.seed, CHANNEL, day)
    moments = trading.moments(day, dice)
    new = list(trading.new(day))
    for sequence, at in enumerate(moments):
        if new and dice.random() < len(new) / (len(moments) - sequence):
            who = buyer(plan, CHANNEL, new.pop(0))
            if not _shops_as_guest(plan, who):
                yield from customer_versions(plan, who, at - 40 * SECOND)
        else:
            who = buyer(plan, CHANNEL, trading.returning(day, dice))
        number = FIRST_ORDER + plan.index(day) * plan.stride(own) + sequence
        yield from _order(plan, who, day, at, number, dice)


# ---- products


@dataclass(frozen=True, slots=True)
class Variant:
    """What is sold of a product: its base variant (`option` None), or one of its sizes. Prices of a day, ex tax."""

    id: int
    sku: str
    option: str | None
    price: Decimal
    cost: Decimal | None


def product_id(article: Article) -> int:
    return FIRST_PRODUCT + article.number


def has_sizes(article: Article) -> bool:
    return article.number % 25 == 7


def variants(plan: Plan, article: Article, day: date) -> list[Variant]:
    """The variants with a day's prices. One product in a hundred has no SKU."""
    id = FIRST_VARIANT + article.number * 4
    price, cost = article.price_on(day, plan.first), article.cost_on(day, plan.first)
    if not has_sizes(article):
        return [Variant(id, "" if article.number % 97 == 5 else article.sku, None, price, cost)]
    return [
        Variant(
            id + place,
            f"{article.sku}-{place}",
            size,
            cents(price * times),
            (cost * times).quantize(TENTH_OF_A_MILL, ROUND_HALF_UP) if cost is not None else None,
        )
        for place, (size, times) in enumerate(SIZES, 1)
    ]


def _product(plan: Plan, article: Article) -> Iterator[Version]:
    """A product with each move of its price and its withdrawal; all happens at midnight."""
    id = product_id(article)
    days = [article.created, *article.moves(plan.first), *filter(None, [article.obsolete_from])]
    states = [(wall(day, 0), _product_body(plan, article, day)) for day in sorted(set(days))]
    gone = wall(article.removed_on, 0) if article.removed_on is not None else FOREVER
    yield from versions(ACCOUNT, "products", str(id), id, states, gone_at=gone)


def _product_body(plan: Plan, article: Article, day: date) -> Body:
    id, number = product_id(article), article.number
    offered = variants(plan, article, day)
    shown = article.sellable and not (article.obsolete_from is not None and day >= article.obsolete_from)
    return {
        "id": id,
        "name": article.name,
        "type": "physical",
        "sku": "" if offered[0].option is None and not offered[0].sku else article.sku,
        "description": "<p>Certified organic – 有機</p>" if number % 200 == 3 else "",
        "weight": 1,
        "price": offered[0].price,
        "cost_price": offered[0].cost or 0,
        "retail_price": 0,
        "sale_price": 0,
        "map_price": 0,
        "calculated_price": offered[0].price,
        "tax_class_id": TAXED if article.taxed else GST_FREE,
        "categories": [20 + number // len(SUPPLIERS) % 50],
        "brand_id": FIRST_BRAND + SUPPLIERS.index(article.group),
        "inventory_level": 0,
        "inventory_warning_level": 0,
        "inventory_tracking": "variant" if has_sizes(article) else "none" if number % 20 == 11 else "product",
        "is_visible": shown,
        "availability": "available" if shown else "disabled",
        "condition": "New",
        "date_created": iso(wall(article.created, 0)),
        "date_modified": iso(wall(day, 0)),
        "base_variant_id": None if has_sizes(article) else offered[0].id,
        "custom_url": {"url": f"/p/{id}/", "is_customized": False},
        "variants": [
            {
                "id": variant.id,
                "product_id": id,
                "sku": variant.sku,
                "sku_id": None if variant.option is None else variant.id - 40_000,
                "price": None if variant.option is None else variant.price,
                "calculated_price": variant.price,
                "cost_price": variant.cost or 0,
                "purchasing_disabled": variant.id % 101 == 0,
                "inventory_level": 0,
                "option_values": []
                if variant.option is None
                else [
                    {
                        "id": FIRST_OPTION + variant.id % 4,
                        "label": variant.option,
                        "option_id": FIRST_OPTION + number,
                        "option_display_name": "Size",
                    }
                ],
            }
            for variant in offered
        ],
    }


# ---- customers


def customer_versions(plan: Plan, who: Buyer, created: int) -> Iterator[Version]:
    """A registered customer; some change their consent, company or phone later."""
    dice = Dice(plan.seed, CHANNEL, who.number, "account")
    id = FIRST_CUSTOMER + who.number
    email = who.email or f"customer.{id}@example.com"
    body = _customer(id, email.title() if dice.hits(0.04) else email, who, created)
    body["accepts_product_review_abandoned_cart_emails"] = dice.hits(0.6)
    states = [(created, body)]
    if dice.hits(0.12):
        changed = office(created, dice.whole(15, 500), dice)
        consent = not body["accepts_product_review_abandoned_cart_emails"]
        change = {"accepts_product_review_abandoned_cart_emails": consent, "notes": "Rang – prefers e-mail ✉"}
        states.append((changed, {**body, **change, "date_modified": iso(changed)}))
    yield from versions(ACCOUNT, "customers", str(id), id, states)


def _onlooker(plan: Plan, number: int) -> Iterator[Version]:
    """Somebody who opened an account and never bought; every third account is deleted one day."""
    who = buyer(plan, CHANNEL, number)
    created = wall(plan.first + timedelta(days=number * 11 % 400), 21, 5)
    id = FIRST_ONLOOKER + number
    body = _customer(id, f"browser.{number}@example.net", who, created)
    gone = same_time(created, 60 + number % 200) if number % 3 == 0 else FOREVER
    yield from versions(ACCOUNT, "customers", str(id), id, [(created, body)], gone_at=gone)


def _customer(id: int, email: str, who: Buyer, created: int) -> Body:
    address = {
        "id": id,
        "customer_id": id,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "company": who.company or "",
        "address1": who.street,
        "address2": "",
        "city": who.suburb,
        "state_or_province": STATES[who.state],
        "postal_code": who.postcode,
        "country": "Australia",
        "country_code": "AU",
        "phone": who.phone or "",
        "address_type": "residential",
    }
    return {
        "id": id,
        "email": email,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "company": who.company or "",
        "phone": who.phone or "",
        "notes": "",
        "registration_ip_address": "",
        "tax_exempt_category": "",
        "customer_group_id": 0 if id % 20 else 2,
        "date_created": iso(created),
        "date_modified": iso(created),
        "address_count": 1,
        "attribute_count": 0,
        "authentication": {"force_password_reset": False},
        "accepts_product_review_abandoned_cart_emails": False,
        "origin_channel_id": 1,
        "channel_ids": None,
        "addresses": [address],
    }


def _shops_as_guest(plan: Plan, who: Buyer) -> bool:
    return chance(plan.seed, CHANNEL, who.number, "guest") < 0.3


# ---- orders


@dataclass(slots=True, eq=False)
class Line:
    """A line of an order, amounts ex tax; without an article where it was typed in by hand."""

    place: int
    article: Article | None
    variant: Variant
    name: str
    quantity: int
    taxed: bool
    discounts: list[Body]
    discount: Decimal = NOTHING
    shipped: int = 0
    refunded: int = 0
    refund: Decimal = NOTHING

    @property
    def total(self) -> Decimal:
        return self.variant.price * self.quantity

    @property
    def net(self) -> Decimal:
        """After discounts."""
        return self.total - self.discount

    def tax_on(self, amount: Decimal) -> Decimal:
        return cents(amount * GST) if self.taxed else NOTHING


FATES = (
    *(("completed", 0.74), ("in parts", 0.06), ("stuck", 0.02), ("transfer", 0.03), ("cancelled", 0.03)),
    *(("declined", 0.015), ("incomplete", 0.025), ("refunded", 0.02), ("pieces back", 0.035), ("goodwill", 0.015)),
    ("archived", 0.01),
)


def _order(plan: Plan, who: Buyer, day: date, at: int, number: int, dice: Dice) -> Iterator[Version]:
    order = _Order(plan, who, day, at, number, dice)
    fate = dice.weighted(FATES)
    archived = None
    if fate == "incomplete":
        order.state(at, INCOMPLETE)
    elif fate == "declined":
        order.state(at, DECLINED)
    elif fate == "cancelled":
        order.state(at, AWAITING_FULFILMENT)
        until = office(at, 1, dice)
        if dice.hits(0.5):
            order.refund_lines(until - 5 * MINUTE, order.lines, shipping=True)
        order.state(until, CANCELLED)
    else:
        order.state(at, AWAITING_PAYMENT if fate == "transfer" else AWAITING_FULFILMENT)
        if fate == "transfer":
            order.state(office(at, dice.whole(1, 3), dice), AWAITING_FULFILMENT)
        elif dice.hits(0.05):
            order.edit(at + dice.whole(5, 50) * MINUTE)
        if fate == "in parts" and sum(line.quantity for line in order.lines) > 1:
            order.ship_some(office(order.latest, dice.whole(1, 2), dice))
        if fate != "stuck":
            order.ship(_dispatched(order.latest, dice))
        if fate == "refunded":
            order.refund_lines(office(order.latest, dice.whole(1, 12), dice), order.lines, shipping=True)
        elif fate == "pieces back":
            order.refund_piece(office(order.latest, dice.whole(1, 9), dice))
        elif fate == "goodwill":
            order.refund_amount(office(order.latest, dice.whole(1, 20), dice))
        elif fate == "archived":
            archived = office(order.latest, dice.whole(1, 30), dice)
        elif fate != "stuck" and dice.hits(0.7):
            order.state(office(order.latest, dice.whole(2, 6), dice), COMPLETED)
    yield from order.records(archived)


class _Order:
    """An order under way: its states so far, its parcels and its refunds."""

    def __init__(self, plan: Plan, who: Buyer, day: date, at: int, number: int, dice: Dice) -> None:
        self.number, self.at, self.dice, self.latest = number, at, dice, at
        self.lines = _lines(plan, day, dice)
        _give_discounts(self.lines, dice)
        self.shipping = SHIPPING if 0 < sum(line.net for line in self.lines) < 120 and dice.hits(0.9) else NOTHING
        self._states: list[tuple[int, Body]] = []
        self._as_sold: dict[tuple[int, int, Decimal], Body] = {}
        self._refunds: list[Version] = []
        self._shipments: list[Body] = []
        self._shipped_at: int | None = None
        guest = _shops_as_guest(plan, who) or dice.hits(0.04)
        by_phone = dice.hits(0.015)
        self.customer_id = 0 if guest else FIRST_CUSTOMER + who.number
        self._fixed: Body = {
            "id": number,
            "customer_id": self.customer_id,
            "date_created": rfc2822(at),
            "is_tax_inclusive_pricing": False,
            "currency_id": 1,
            "currency_code": "AUD",
            "currency_exchange_rate": "1.0000000000",
            "default_currency_code": "AUD",
            "payment_method": dice.one(("Stripe", "PayPal", "Afterpay", "Bank Deposit")),
            "payment_provider_id": None,
            "ip_address": "",
            "order_is_digital": False,
            "customer_message": dice.one(("", "", "", "No plastic, please 🌱", "Leave at the door", "Für Zoë – merci")),
            "staff_notes": "Phone order" if by_phone else "",
            "order_source": "manual" if by_phone else "www",
            "channel_id": 1,
            "external_id": None,
            "external_source": None,
            "cart_id": None if by_phone else f"{number:08x}-0000-4000-a000-{number:012x}",
            "billing_address": _address(who, _billing_email(who, guest, by_phone, dice)),
        }
        if dice.hits(0.01):
            self._fixed["eco_packaging"] = True

    def state(self, at: int, status_id: int) -> None:
        """The order takes on a status."""
        net, tax = sum((line.net for line in self.lines), NOTHING), self._tax()
        subtotal = sum((line.total for line in self.lines), NOTHING)
        shipping_tax = cents(self.shipping * GST)
        discount, coupon = self._discounts()
        refunded = sum((refund.body["total_amount"] for refund in self._refunds), NOTHING)
        total = net + self.shipping
        body = {
            **self._fixed,
            "status_id": status_id,
            "status": STATUSES[status_id],
            "custom_status": STATUSES[status_id],
            "date_modified": rfc2822(at),
            "date_shipped": rfc2822(self._shipped_at),
            "payment_status": _payment_status(status_id),
            "subtotal_ex_tax": money(subtotal),
            "subtotal_inc_tax": money(subtotal + sum((line.tax_on(line.total) for line in self.lines), NOTHING)),
            "discount_amount": money(discount),
            "coupon_discount": money(coupon),
            "shipping_cost_ex_tax": money(self.shipping),
            "shipping_cost_inc_tax": money(self.shipping + shipping_tax),
            "shipping_cost_tax": money(shipping_tax),
            "total_ex_tax": money(total),
            "total_inc_tax": money(total + tax + shipping_tax),
            "total_tax": money(tax + shipping_tax),
            "refunded_amount": money(refunded),
            "items_total": sum(line.quantity for line in self.lines),
            "items_shipped": sum(line.shipped for line in self.lines),
            "shipping_address_count": 1,
            "is_deleted": False,
            "products": [self._line(line) for line in self.lines],
            "shipments": list(self._shipments),
        }
        if self._states and self._states[-1][0] == at:
            self._states.pop()
        self._states.append((at, body))
        self.latest = at

    def edit(self, at: int) -> None:
        """A line is taken out, or a piece more put in, which clears that line's discounts."""
        if len(self.lines) > 1 and self.dice.hits(0.5):
            self.lines.pop(self.dice.whole(0, len(self.lines) - 1))
        else:
            line = self.lines[0]
            line.quantity += 1
            line.discounts, line.discount = [], NOTHING
        self.state(at, AWAITING_FULFILMENT)

    def ship_some(self, at: int) -> None:
        """A first parcel with the first line, or a piece of it where there is no other."""
        line = self.lines[0]
        count = line.quantity if len(self.lines) > 1 else 1
        self._parcel(at, [(line, count)])
        self.state(at, PARTLY_SHIPPED)

    def ship(self, at: int) -> None:
        """A parcel with all that is left."""
        self._parcel(at, [(line, line.quantity - line.shipped) for line in self.lines if line.quantity > line.shipped])
        self._shipped_at = at
        self.state(at, SHIPPED)

    def refund_lines(self, at: int, lines: Sequence[Line], shipping: bool) -> None:
        """Everything back."""
        self._refund(at, [(line, line.quantity) for line in lines], self.shipping if shipping else NOTHING)
        self.state(at, REFUNDED)

    def refund_piece(self, at: int) -> None:
        """Pieces of one line back, and now and then some of the shipping with them."""
        line = self.dice.one(self.lines)
        shipping = cents(self.shipping / 2) if self.dice.hits(0.3) else NOTHING
        if self._refund(at, [(line, self.dice.whole(1, line.quantity))], shipping):
            self.state(at, PARTLY_REFUNDED)

    def refund_amount(self, at: int) -> None:
        """Some money back, nobody said for what: at the order's level, without tax."""
        net = sum((line.net for line in self.lines), NOTHING)
        amount = cents(net * self.dice.whole(5, 50) / 100)
        if amount:
            items = [{"item_type": "ORDER", "item_id": self.number, "quantity": None, "requested_amount": amount}]
            self._record_refund(at, items, NOTHING)
            self.state(at, PARTLY_REFUNDED)

    def records(self, archived: int | None) -> Iterator[Version]:
        """The order's versions and those of its refunds; an archived one is listed no more."""
        id = str(self.number)
        yield from versions(
            ACCOUNT, "orders", id, self.number, self._states, gone_at=FOREVER if archived is None else archived
        )
        if archived is not None:
            body = {**self._states[-1][1], "is_deleted": True, "date_modified": rfc2822(archived)}
            for version in versions(ACCOUNT, "orders", id, self.number, [(archived, body)], business_at=self.at):
                yield replace(version, created_at=self.at, archived=True)
        yield from self._refunds

    def _tax(self) -> Decimal:
        return sum((line.tax_on(line.net) for line in self.lines), NOTHING)

    def _discounts(self) -> tuple[Decimal, Decimal]:
        """(of promotions, of coupons)."""
        coupon = sum(
            (Decimal(one["amount"]) for line in self.lines for one in line.discounts if one["code"] is not None),
            NOTHING,
        )
        return sum((line.discount for line in self.lines), NOTHING) - coupon, coupon

    def _line(self, line: Line) -> Body:
        key = (line.place, line.quantity, line.discount)
        if key not in self._as_sold:
            self._as_sold[key] = self._sold_line(line)
        return {
            **self._as_sold[key],
            "quantity_shipped": line.shipped,
            "quantity_refunded": line.refunded,
            "is_refunded": line.refunded == line.quantity,
            "refund_amount": money(line.refund),
        }

    def _sold_line(self, line: Line) -> Body:
        """What of a line stays while it is shipped and refunded."""
        price, total, cost = money(line.variant.price), money(line.total), money(line.variant.cost or NOTHING)
        unit_tax, tax = line.tax_on(line.variant.price), line.tax_on(line.total)
        return {
            "id": self._line_id(line),
            "order_id": self.number,
            "product_id": product_id(line.article) if line.article is not None else 0,
            "variant_id": line.variant.id,
            "order_address_id": self.number,
            "name": line.name,
            "sku": line.variant.sku,
            "upc": "",
            "type": "physical",
            "quantity": line.quantity,
            "base_price": price,
            "price_ex_tax": price,
            "price_inc_tax": money(line.variant.price + unit_tax),
            "price_tax": money(unit_tax),
            "base_total": total,
            "total_ex_tax": total,
            "total_inc_tax": money(line.total + tax),
            "total_tax": money(tax),
            "discounted_total_inc_tax": money(line.net + line.tax_on(line.net)),
            "base_cost_price": cost,
            "cost_price_ex_tax": cost,
            "cost_price_inc_tax": cost,
            "cost_price_tax": "0.0000",
            "brand": line.article.group if line.article is not None else "",
            "applied_discounts": list(line.discounts),
            "product_options": []
            if line.variant.option is None
            else [{"id": self._line_id(line), "display_name": "Size", "display_value": line.variant.option}],
        }

    def _line_id(self, line: Line) -> int:
        return self.number * LINES_AN_ORDER + line.place

    def _parcel(self, at: int, pieces: Sequence[tuple[Line, int]]) -> None:
        number = len(self._shipments) + 1
        for line, count in pieces:
            line.shipped += count
        provider = self.dice.one(("auspost", "sendle", ""))
        self._shipments.append(
            {
                "id": self.number * 10 + number,
                "order_id": self.number,
                "customer_id": self.customer_id,
                "order_address_id": self.number,
                "date_created": rfc2822(at),
                "tracking_number": f"BOO{self.number}{number}" if provider else "",
                "merchant_shipping_cost": "0.0000",
                "shipping_method": "Flat Rate",
                "shipping_provider": provider,
                "tracking_carrier": provider,
                "tracking_link": "",
                "comments": "",
                "items": [
                    {
                        "order_product_id": self._line_id(line),
                        "product_id": product_id(line.article) if line.article is not None else 0,
                        "quantity": count,
                    }
                    for line, count in pieces
                ],
            }
        )

    def _refund(self, at: int, pieces: Sequence[tuple[Line, int]], shipping: Decimal) -> bool:
        """Records a refund of pieces and shipping; not where there is nothing to pay back."""
        items: list[Body] = []
        tax = NOTHING
        for line, count in pieces:
            amount = cents(line.net * count / line.quantity)
            line.refunded += count
            line.refund += amount
            tax += line.tax_on(amount)
            items.append(
                {
                    "item_type": "PRODUCT",
                    "item_id": self._line_id(line),
                    "quantity": count,
                    "requested_amount": amount,
                }
            )
        if shipping:
            tax += cents(shipping * GST)
            items.append(
                {"item_type": "SHIPPING", "item_id": self.number, "quantity": None, "requested_amount": shipping}
            )
        return self._record_refund(at, items, tax)

    def _record_refund(self, at: int, items: list[Body], tax: Decimal) -> bool:
        total = sum((item["requested_amount"] for item in items), NOTHING) + tax
        if total == 0:
            return False
        id = self.number * 10 + len(self._refunds) + 1
        reason = self.dice.one(("", "Arrived broken", "Out of stock", "Changed their mind – ok"))
        body: Body = {
            "id": id,
            "order_id": self.number,
            "user_id": 1,
            "created": iso(at),
            "reason": reason,
            "total_amount": total,
            "total_tax": tax,
            "uses_merchant_override_values": False,
            "items": [{**item, "reason": reason} for item in items],
            "payments": [
                {
                    "id": id,
                    "provider_id": "stripe",
                    "amount": total,
                    "offline": False,
                    "is_declined": False,
                    "declined_message": "",
                }
            ],
        }
        self._refunds.extend(versions(ACCOUNT, "refunds", str(id), id, [(at, body)], parent=str(self.number)))
        return True


def _payment_status(status_id: int) -> str:
    if status_id in (INCOMPLETE, AWAITING_PAYMENT):
        return ""
    return {DECLINED: "declined", REFUNDED: "refunded", PARTLY_REFUNDED: "partially refunded"}.get(
        status_id, "captured"
    )


def _billing_email(who: Buyer, guest: bool, by_phone: bool, dice: Dice) -> str:
    """Guests by phone leave none; some order with another of their addresses, or with capitals."""
    email = who.email or ""
    if guest and by_phone:
        return ""
    if guest and who.second_email is not None and dice.hits(0.5):
        return who.second_email
    if not guest and dice.hits(0.03):
        return f"office.{who.number}@example.org"
    return email.upper() if dice.hits(0.05) else email


def _address(who: Buyer, email: str) -> Body:
    return {
        "first_name": who.first_name,
        "last_name": who.last_name,
        "company": who.company or "",
        "street_1": who.street,
        "street_2": "",
        "city": who.suburb,
        "state": STATES[who.state],
        "zip": who.postcode,
        "country": "Australia",
        "country_iso2": "AU",
        "phone": who.phone or "",
        "email": email,
        "form_fields": [],
    }


def _lines(plan: Plan, day: date, dice: Dice) -> list[Line]:
    """Lines of different articles, the first of the catalogue more often; a few are typed in by hand."""
    offered = sold(plan, BUSINESS, day)
    chosen = [offered[int(len(offered) * dice.random() ** 2)] for _ in range(dice.whole(1, 6))]
    lines: list[Line] = []
    for article in dict.fromkeys(chosen):
        variant = dice.one(variants(plan, article, day))
        lines.append(Line(len(lines), article, variant, article.name, dice.whole(1, 4), article.taxed, []))
    if dice.hits(0.005):
        by_hand = Variant(0, "", None, cents(Decimal(dice.whole(500, 4000)) / 100), None)
        lines.append(Line(len(lines), None, by_hand, "Hamper, made up – “Süßes”", 1, True, []))
    return lines


def _give_discounts(lines: Sequence[Line], dice: Dice) -> None:
    """A coupon on all lines, or a promotion on one; most orders have neither."""
    kind = dice.weighted((("", 0.88), ("ORGANIC10", 0.07), ("STAFF100", 0.01), ("promotion", 0.04)))
    if kind == "promotion":
        _discount(lines[0], Decimal("0.2"), "Weekly special", None, "product")
    elif kind:
        for line in lines:
            _discount(line, Decimal(1) if kind == "STAFF100" else Decimal("0.1"), "Coupon", kind, "order")


def _discount(line: Line, share: Decimal, name: str, code: str | None, target: str) -> None:
    amount = cents(line.total * share)
    line.discount += amount
    line.discounts.append(
        {
            "id": "coupon" if code is not None else "promotion",
            "amount": money(amount),
            "name": name,
            "code": code,
            "target": target,
        }
    )


def _dispatched(at: int, dice: Dice) -> int:
    """Parcels leave on working days."""
    return office(at, dice.whole(1, 4), dice)
