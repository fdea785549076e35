"""The orders of the Shopify stores with all that becomes of them, and their copies in Unleashed.

A store pushes each order into its business's Unleashed some minutes later, without gift cards: the copy carries the
order's name in `CustomerRef`, some only in `Comments`. Copies are sent from there, and the store hears of it. Some
orders have no copy or two, some copies name an order that there never was, some outlive a cancelled order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from masterops_dagster.simulator.world import shopify, stock, unleashed
from masterops_dagster.simulator.world.catalogue import FORMS, MUSHROOMS, Article, sold
from masterops_dagster.simulator.world.people import Buyer, buyer
from masterops_dagster.simulator.world.records import FOREVER, Body, Version
from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import TENTH_OF_A_MILL, Dice, cents
from masterops_dagster.simulator.world.shopify import bag, gid, stamp
from masterops_dagster.simulator.world.timeline import HOUR, MINUTE, SECOND, office, versions, wall

FIRST_NUMBER = {"teelixir": 10_001, "elevate_wholesale": 1_001}
"""The number in the name of each store's first order."""

CODES = (("WELCOME10", 10), ("MUSHROOM15", 15), ("VIP20", 20))
CARRIERS = (
    ("Australia Post", "https://auspost.com.au/mypost/track/#/details/"),
    ("StarTrack", "https://startrack.com.au/track/"),
    (None, None),
)
DAYS_BETWEEN_LARGE_ORDERS = 61
GST_RATE = 0.1
SPEND_AND_SAVE = 0.08
"""Of the orders, that get an automatic discount on the whole."""
NOTHING = Decimal("0.00")


class Item:
    """A line of an order in the store. Amounts are with tax where the order's prices are (`included`).

    `discounted` is after all discounts: the line's own and its share of the order's (`order_discount`).
    """

    __slots__ = (
        *("article", "cost", "discounted", "id", "included", "order_discount", "place", "quantity"),
        *("removed", "tax", "total", "unit_price", "_body"),
    )

    def __init__(
        self,
        order_number: int,
        place: int,
        article: Article | None,
        quantity: int,
        unit_price: Decimal,
        discount: Decimal,
        cost: Decimal | None,
        *,
        included: bool,
    ) -> None:
        self.id = gid("LineItem", order_number * 1000 + place)
        self.place = place
        self.article = article
        self.quantity = quantity
        self.unit_price = unit_price
        self.included = included
        self.cost = cost
        self.total = quantity * unit_price
        self.discounted = cents(self.total * (1 - discount))
        self.order_discount = NOTHING
        self.removed = 0
        self._charge_tax()
        self._body: Body | None = None

    def share(self, order_discount: Decimal) -> None:
        """Take the line's share of a discount on the whole order off; once, before the order is placed."""
        self.order_discount = order_discount
        self.discounted -= order_discount
        self._charge_tax()

    def _charge_tax(self) -> None:
        self.tax = NOTHING
        if self.article is not None and self.article.taxed:
            self.tax = cents(self.discounted / 11 if self.included else self.discounted / 10)

    def worth(self, quantity: int) -> tuple[Decimal, Decimal]:
        """(what is paid back for so many, the tax in or on it)."""
        if quantity == self.quantity:
            return self.discounted, self.tax
        share = Decimal(quantity) / self.quantity
        return cents(self.discounted * share), cents(self.tax * share)

    def net(self, amount: Decimal, tax: Decimal) -> Decimal:
        return amount - tax if self.included else amount

    def copy(self) -> unleashed.Line:
        """The line as Unleashed gets it; not for gift cards."""
        assert self.article is not None
        total, quantity = self.net(self.discounted, self.tax), Decimal(self.quantity)
        price = (total / quantity).quantize(TENTH_OF_A_MILL, ROUND_HALF_UP)
        return unleashed.Line(
            self.article, quantity, price, Decimal(0), self.cost, total=total, tax=self.tax, key=10_000_000 + self.place
        )

    def body(self) -> Body:
        if self._body is None:
            self._body = self._described()
        return {**self._body, "currentQuantity": self.quantity - self.removed}

    def _described(self) -> Body:
        article = self.article
        if article is None:
            title = "Gift card"
            sku: str | None = None
            variant_title: str | None = f"${self.unit_price}"
            product, variant = shopify.GIFT_CARD_PRODUCT, shopify.gift_card_variant(int(self.unit_price))
        else:
            retail = article.business_key == "teelixir"
            title, sku = MUSHROOMS[article.number // len(FORMS)] if retail else article.name, article.sku
            variant_title = FORMS[article.number % len(FORMS)][0] if retail else None
            product, variant = shopify.product_number(article), shopify.variant_number(article)
        taxed = article is not None and article.taxed
        before_order = self.discounted + self.order_discount
        allocated = [part for part in (self.total - before_order, self.order_discount) if part]
        return {
            "id": self.id,
            "sku": sku,
            "title": title,
            "variantTitle": variant_title,
            "product": {"id": gid("Product", product)},
            "variant": {"id": gid("ProductVariant", variant)},
            "quantity": self.quantity,
            "taxable": taxed,
            "isGiftCard": article is None,
            "taxLines": [{"title": "GST", "rate": GST_RATE, "priceSet": bag(self.tax)}] if taxed else [],
            "originalUnitPriceSet": bag(self.unit_price),
            "originalTotalSet": bag(self.total),
            "discountedTotalSet": bag(before_order),
            "discountAllocations": [{"allocatedAmountSet": bag(part)} for part in allocated],
        }


class ShopOrder:
    """An order under way: what happens to it is told in the order of time, and each time makes a state."""

    def __init__(
        self,
        plan: Plan,
        business_key: str,
        who: Buyer,
        number: int,
        at: int,
        items: list[Item],
        dice: Dice,
        *,
        included: bool,
        codes: Sequence[str],
        test: bool,
    ) -> None:
        self.plan, self.business_key, self.who, self.at, self.dice = plan, business_key, who, at, dice
        self.number = order_number(business_key, number)
        self.name = f"{unleashed.NAME_PREFIX[business_key]}{FIRST_NUMBER[business_key] + number}"
        self.items = self.pushed = items
        """`pushed` are those that Unleashed gets to hear of."""
        self.included = included
        self.is_test = test
        self.paid = True
        self.gone_at = FOREVER
        self._refunds: list[Body] = []
        self._parcels: list[Body] = []
        self._sent = False
        self._refunded = NOTHING
        self._cancelled: tuple[int, str] | None = None
        self._closed: int | None = None
        self._events: list[tuple[int, Callable[[int], None]]] = []
        self._seen_late = dice.whole(20, 170) * SECOND if dice.hits(0.01) else 0
        retail = business_key == "teelixir"
        value = sum((item.discounted for item in items), NOTHING)
        self._shipping = dice.one((NOTHING, NOTHING, Decimal("9.95"), Decimal("14.50"))) if value else NOTHING
        self._shipping_tax = cents(self._shipping / 11 if included else self._shipping / 10)
        self._add_up()
        self._head = self._fixed(codes, test, retail)

    def _fixed(self, codes: Sequence[str], test: bool, retail: bool) -> Body:
        who, dice = self.who, self.dice
        source, guest, email = "web", False, who.email
        mark = dice.random()
        if retail and mark < 0.04:
            guest = True
            email = dice.one((email, email.title() if email else None))
        elif retail and mark < 0.055:
            source, guest, email = "pos", True, None
        elif retail and mark < 0.075:
            email = f"office{who.number}@example.net"
        elif not retail and mark < 0.1:
            source = "shopify_draft_order"
        entity = None
        if not retail and dice.hits(0.96):
            entity = shopify.company(who, dice)
        customer = None
        if not guest:
            customer = {"id": gid("Customer", shopify.customer_number(who)), "email": who.email}
        place = shopify.address(who)
        return {
            "id": gid("Order", self.number),
            "legacyResourceId": str(self.number),
            "name": self.name,
            "createdAt": stamp(self.at),
            "processedAt": stamp(self.at if not dice.hits(0.02) else self.at + 40 * SECOND),
            "currencyCode": "AUD",
            "taxesIncluded": self.included,
            "test": test,
            "customer": customer,
            "email": email,
            "phone": who.phone if dice.hits(0.3) else None,
            "billingAddress": place if source != "pos" else None,
            "shippingAddress": place if source != "pos" and dice.hits(0.97) else None,
            "purchasingEntity": entity,
            "poNumber": dice.one((f"PO {dice.whole(1000, 9999)}", None, "")) if entity is not None else None,
            "sourceName": source,
            "discountCodes": list(codes),
            "tags": list(dice.one(((), (), (), ("subscription",), ("gift", "first order")))),
            "note": dice.one((None, None, None, None, "", "Gift wrap 🎁, please")),
        }

    # ---- what happens, and when

    def happens(self, at: int, what: Callable[[int], None]) -> None:
        self._events.append((at, what))

    def pay(self, at: int) -> None:
        self.paid = True

    def cancel(self, at: int) -> None:
        reason = self.dice.one(("CUSTOMER", "CUSTOMER", "INVENTORY", "FRAUD", "DECLINED", "OTHER"))
        self._cancelled, self._closed = (at, reason), at
        self._give_back(at, [(item, item.quantity - item.removed) for item in self.items], "CANCEL", shipping=True)

    def send(self, at: int, *, all_of_it: bool = True, close: bool = True) -> None:
        place = len(self._parcels) + 1
        carrier, url = self.dice.one(CARRIERS)
        tracking = f"{self.number % 10**8:08d}{place:02d}"
        location, name = stock.LOCATIONS[shopify.account_key(self.business_key)][0]
        parcel: Body = {
            "id": gid("Fulfillment", self.number * 10 + place),
            "name": f"{self.name}-F{place}",
            "status": "SUCCESS",
            "displayStatus": "FULFILLED",
            "createdAt": stamp(at),
            "updatedAt": stamp(at),
            "deliveredAt": None,
            "location": {"id": gid("Location", location), "name": name},
            "trackingInfo": [{"number": tracking, "company": carrier, "url": f"{url}{tracking}"}] if carrier else [],
        }
        self._parcels = [*self._parcels, parcel]
        self._sent = all_of_it
        if all_of_it and close and self.paid:
            self._closed = at

    def deliver(self, at: int) -> None:
        last = {**self._parcels[-1], "displayStatus": "DELIVERED", "deliveredAt": stamp(at), "updatedAt": stamp(at)}
        self._parcels = [*self._parcels[:-1], last]

    def take_back_parcel(self, at: int) -> None:
        """The last parcel never left."""
        last = {**self._parcels[-1], "status": "CANCELLED", "displayStatus": "CANCELED", "updatedAt": stamp(at)}
        self._parcels = [*self._parcels[:-1], last]
        self._sent, self._closed = False, None

    def add(self, item: Item) -> Callable[[int], None]:
        def edit(at: int) -> None:
            self.items = [*self.items, item]
            self._add_up()

        return edit

    def remove(self, item: Item) -> Callable[[int], None]:
        def edit(at: int) -> None:
            self._give_back(at, [(item, item.quantity)], "CANCEL")

        return edit

    def refund(self, returned: list[tuple[Item, int]], *, shipping: bool = False) -> Callable[[int], None]:
        kind = self.dice.one(("RETURN", "RETURN", "NO_RESTOCK"))

        def give_back(at: int) -> None:
            self._give_back(at, returned, kind, shipping=shipping)

        return give_back

    def refund_amount(self, amount: Decimal) -> Callable[[int], None]:
        def give_back(at: int) -> None:
            left = self._price - self._refunded
            if left > 0:
                self._note_refund(at, [], min(left, amount))

        return give_back

    def records(self) -> Iterator[Version]:
        states = [(self.at, self._state(self.at))]
        for at, what in sorted(self._events, key=lambda event: event[0]):
            what(at)
            states.append((at, self._state(at)))
        yield from versions(
            shopify.account_key(self.business_key),
            "orders",
            gid("Order", self.number),
            self.number,
            states,
            gone_at=self.gone_at,
            seen_late=self._seen_late,
        )

    # ---- inside

    def _give_back(self, at: int, returned: list[tuple[Item, int]], kind: str, *, shipping: bool = False) -> None:
        lines: list[Body] = []
        paid = NOTHING
        for item, quantity in returned:
            quantity = min(quantity, item.quantity - item.removed)
            if quantity <= 0:
                continue
            item.removed += quantity
            subtotal, tax = item.worth(quantity)
            paid += subtotal if self.included else subtotal + tax
            place = len(self._refunds) * 300 + len(lines)
            line = {
                "id": gid("RefundLineItem", self.number * 1000 + place),
                "quantity": quantity,
                "restockType": kind,
                "lineItem": {"id": item.id},
                "subtotalSet": bag(subtotal),
                "totalTaxSet": bag(tax),
            }
            lines.append(line)
        if shipping:
            paid += self._shipping if self.included else self._shipping + self._shipping_tax
        if lines:
            self._note_refund(at, lines, min(paid, self._price - self._refunded) if self.paid else NOTHING)

    def _note_refund(self, at: int, lines: list[Body], amount: Decimal) -> None:
        self._refunded += amount
        refund: Body = {
            "id": gid("Refund", self.number * 10 + len(self._refunds)),
            "createdAt": stamp(at),
            "updatedAt": stamp(at),
            "note": self.dice.one((None, "", "Damaged in transit", "Changed their mind")),
            "totalRefundedSet": bag(amount),
            "refundLineItems": lines,
        }
        self._refunds = [*self._refunds, refund]

    def _add_up(self) -> None:
        self._subtotal = sum([item.discounted for item in self.items], NOTHING)
        self._tax = sum([item.tax for item in self.items], self._shipping_tax)
        self._price = self._subtotal + self._shipping + (NOTHING if self.included else self._tax)
        self._totals: Body = {
            "subtotalPriceSet": bag(self._subtotal),
            "totalDiscountsSet": bag(sum([item.total for item in self.items], NOTHING) - self._subtotal),
            "totalShippingPriceSet": bag(self._shipping),
            "totalTaxSet": bag(self._tax),
            "totalPriceSet": bag(self._price),
        }

    def _state(self, at: int) -> Body:
        status = "UNFULFILLED"
        if self._sent:
            status = "FULFILLED"
        elif any(parcel["status"] == "SUCCESS" for parcel in self._parcels):
            status = "PARTIALLY_FULFILLED"
        if not self.paid:
            financial = "VOIDED" if self._cancelled else "PENDING"
        elif self._refunded > 0:
            financial = "REFUNDED" if self._refunded >= self._price else "PARTIALLY_REFUNDED"
        else:
            financial = "PAID"
        return {
            **self._head,
            "updatedAt": stamp(at),
            "cancelledAt": stamp(self._cancelled[0]) if self._cancelled else None,
            "cancelReason": self._cancelled[1] if self._cancelled else None,
            "closedAt": stamp(self._closed) if self._closed is not None else None,
            "displayFinancialStatus": financial,
            "displayFulfillmentStatus": status,
            **self._totals,
            "totalRefundedSet": bag(self._refunded),
            "lineItems": [item.body() for item in self.items],
            "fulfillments": self._parcels,
            "refunds": self._refunds,
        }


def order_number(business_key: str, number: int) -> int:
    """The number in Shopify of a store's order."""
    return 5_000_000_000 + shopify.store_place(business_key) * 500_000_000 + number


def order(
    plan: Plan, business_key: str, who: Buyer, day: date, at: int, number: int, dice: Dice, *, lines: int | None = None
) -> Iterator[Version]:
    """An order, by chance or of so many lines, with its copy."""
    retail = business_key == "teelixir"
    large = lines is not None
    test = not large and dice.hits(0.006)
    included = retail and dice.hits(0.93)
    codes, discount = [], Decimal(0)
    if dice.hits(0.01) and not large:
        codes, discount = ["SAMPLES"], Decimal(1)
    elif retail and dice.hits(0.25):
        code, percent = dice.one(CODES)
        codes, discount = [code], Decimal(percent) / 100
    shelf = _Shelf(plan, business_key, who, day, order_number(business_key, number), discount, dice, included)
    only_gift_cards = retail and not large and dice.hits(0.012)
    if only_gift_cards:
        items = [shelf.gift_card(0)]
    else:
        items = shelf.many(lines) if lines is not None else shelf.some()
        if retail and dice.hits(0.02):
            items.append(shelf.gift_card(len(items)))
    _spend_and_save(items, Dice(plan.seed, shopify.account_key(business_key), number, "spend and save"))
    own = ShopOrder(plan, business_key, who, number, at, items, dice, included=included, codes=codes, test=test)
    own.paid = dice.hits(0.96 if retail else 0.3)
    if only_gift_cards:
        own.paid = True
        own.happens(at + MINUTE, own.send)
        yield from own.records()
        return
    copied = at + dice.whole(2, 15) * MINUTE
    edited, early = dice.random(), dice.hits(0.5)
    when = at + (90 * SECOND if early else 90 * MINUTE)
    if edited < 0.015:
        more = shelf.one_more(len(items))
        own.happens(when, own.add(more))
        own.pushed = [*items, more] if early else items
    elif edited < 0.03 and len(items) > 1:
        less = dice.one(items[:-1])
        own.happens(when, own.remove(less))
        own.pushed = [item for item in items if item is not less] if early else items
    if dice.hits(0.02) and not large:
        yield from _cancelled(own, copied, number, dice)
    else:
        yield from _sent(own, copied, number, dice)
    yield from own.records()


def large_order(plan: Plan, business_key: str, day: date) -> Iterator[Version]:
    """Every two months an order of more lines than one nested page holds; one in four of more than any page can."""
    index = plan.index(day)
    turn, rest = divmod(index, DAYS_BETWEEN_LARGE_ORDERS)
    key = shopify.CHANNELS[business_key]
    known = plan.trading(channel(key)).known(plan.first)
    if rest != 30:
        return
    for attempt in range(min(known, 50)):
        who = buyer(plan, key, (index * 7 + attempt) % known)
        if shopify.buys_online(plan, who):
            dice = Dice(plan.seed, key, day, "large")
            lines = dice.whole(251, 270) if turn % 4 == 1 else dice.whole(51, 80)
            number = plan.index(day) * plan.stride(channel(key)) + plan.stride(channel(key)) - 1
            at = wall(day, 11, dice.whole(0, 59), dice.whole(0, 59))
            yield from order(plan, business_key, who, day, at, number, dice, lines=lines)
            return


def abandoned(plan: Plan, business_key: str, day: date) -> Iterator[Version]:
    """Checkouts that were begun on a day; one in five was completed after all."""
    key = shopify.CHANNELS[business_key]
    trading = plan.trading(channel(key))
    dice = Dice(plan.seed, key, day, "abandoned")
    account = shopify.account_key(business_key)
    rate = 0.4 if business_key == "teelixir" else 0.1
    for sequence in range(int(trading.orders(day) * rate + dice.random())):
        number = 30_000_000_000 + shopify.store_place(business_key) * 10**9 + plan.index(day) * 10_000 + sequence
        at = wall(day, dice.whole(6, 22), dice.whole(0, 59), dice.whole(0, 59))
        who = buyer(plan, key, int(trading.known(day) * dice.random()))
        shelf = _Shelf(plan, business_key, who, day, number, Decimal(0), dice, included=business_key == "teelixir")
        items = shelf.some()
        known = shopify.buys_online(plan, who) and who.joined < day and dice.hits(0.85)
        body = _checkout(number, at, items, who if known else None)
        states = [(at, body)]
        if dice.hits(0.2):
            done = at + dice.whole(1, 48) * HOUR
            states.append((done, {**body, "completedAt": stamp(done), "updatedAt": stamp(done)}))
        yield from versions(account, "abandoned_checkouts", body["id"], number, states)


def _spend_and_save(items: Sequence[Item], dice: Dice) -> None:
    """Some orders get so much per cent or so many dollars off the whole, spread over all lines but gift cards."""
    if not dice.hits(SPEND_AND_SAVE):
        return
    goods = [item for item in items if item.article is not None]
    value = sum((item.discounted for item in goods), NOTHING)
    off = dice.one((cents(value / 20), cents(value / 10), min(Decimal("10.00"), cents(value / 4))))
    before = given = NOTHING
    for item in goods if off else ():
        before += item.discounted
        up_to_here = cents(off * before / value)
        item.share(up_to_here - given)
        given = up_to_here


# ---- what becomes of an order


def _cancelled(own: ShopOrder, copied: int, number: int, dice: Dice) -> Iterator[Version]:
    """Cancelled the next day, with its copy, unless nobody thinks of that; some are deleted later."""
    at = office(copied, 1, dice)
    own.happens(at, own.cancel)
    forgotten = dice.hits(0.2)
    if not forgotten and dice.hits(0.2):
        own.gone_at = office(at, dice.whole(10, 40), dice)
    for copy in _copies(own, copied, number, dice):
        if forgotten:
            copy.complete(office(copied, dice.whole(1, 3), dice), credited=0)
        else:
            copy.state(at, "Deleted")
        yield from copy.records()


def _sent(own: ShopOrder, copied: int, number: int, dice: Dice) -> Iterator[Version]:
    """Sent from Unleashed, and some of it comes back."""
    retail = own.business_key == "teelixir"
    days = dice.whole(20, 60) if dice.hits(0.02) else dice.whole(1, 3)
    sent = office(copied, days, dice)
    told = sent + dice.whole(2, 20) * MINUTE
    way = dice.random()
    if way < 0.04:
        own.happens(copied + dice.whole(60, 200) * MINUTE, lambda at: own.send(at, all_of_it=False))
        own.happens(told, own.send)
    elif way < 0.06:
        own.happens(told, own.send)
        own.happens(told + HOUR, own.take_back_parcel)
        own.happens(office(told, dice.whole(1, 4), dice), own.send)
    else:
        own.happens(told, own.send)
        if dice.hits(0.25):
            own.happens(office(told, dice.whole(1, 6), dice) + 30 * MINUTE, own.deliver)
    if not own.paid and dice.hits(0.95):
        own.happens(office(copied, 1 if retail else dice.whole(7, 40), dice), own.pay)
    copies = _copies(own, copied, number, dice)
    for copy in copies:
        if dice.hits(0.01 if retail else 0.08):
            copy.state(copied + dice.whole(60, 240) * MINUTE, "Backordered")
        copy.complete(sent, credited=0)
    fate = dice.random()
    if fate < 0.05:
        returned = [item for item in own.items if dice.hits(0.6)] or own.items[:1]
        parts = [(item, dice.whole(1, item.quantity)) for item in returned]
        _returned(own, copies, parts, office(sent, dice.whole(1, 25), dice), dice.random())
    elif fate < 0.06:
        parts = [(item, item.quantity) for item in own.items]
        _returned(own, copies, parts, office(sent, dice.whole(2, 25), dice), 0.5, shipping=True)
    elif fate < 0.08:
        amount = Decimal(dice.whole(200, 2_500)) / 100
        own.happens(office(sent, dice.whole(1, 20), dice), own.refund_amount(amount))
    for copy in copies:
        yield from copy.records()


def _returned(
    own: ShopOrder,
    copies: list[unleashed.SalesOrder],
    parts: list[tuple[Item, int]],
    at: int,
    fate: float,
    *,
    shipping: bool = False,
) -> None:
    """A refund in the store and a credit note for the copy; where that is refused, no refund either."""
    if not 0.10 <= fate < 0.15:
        own.happens(at, own.refund(parts, shipping=shipping))
    lines = []
    for item, quantity in parts:
        if item.article is not None:
            amount, tax = item.worth(quantity)
            lines.append(item.copy().part(Decimal(quantity), item.net(amount, tax), tax))
    if copies and lines:
        copies[0].credit(at, lines, fate)


def _copies(own: ShopOrder, copied: int, number: int, dice: Dice) -> list[unleashed.SalesOrder]:
    """The orders in Unleashed that were pushed for this one: mostly one, with the lines it had by then."""
    if own.is_test and dice.hits(0.5):
        return []
    mark = dice.random()
    if mark < 0.007:
        return []
    return [_copy(own, copied + n * 3 * MINUTE, number * 2 + n, dice) for n in range(2 if mark < 0.014 else 1)]


def _copy(own: ShopOrder, copied: int, number: int, dice: Dice) -> unleashed.SalesOrder:
    name = own.name
    typo = f"{name[:3]}0{name[3:]}"
    reference, comments = dice.weighted(
        (
            ((name, None), 0.849),
            ((None, f"Shopify order {name}"), 0.08),
            (("", f"{name}\nGift wrap 🎁, please"), 0.03),
            ((f"Web {name}", None), 0.03),
            ((typo, None), 0.006),
            ((typo, f"this is {name}"), 0.005),
        )
    )
    account = unleashed.account_key(own.business_key)
    lines = [item.copy() for item in own.pushed if item.article is not None]
    ordered = own.at if number % 2 == 0 else copied
    copy = unleashed.SalesOrder(
        own.plan,
        account,
        own.who,
        own.who.code,
        unleashed.FIRST_COPY + number,
        ordered,
        copied,
        lines,
        reference,
        comments,
        dice,
    )
    copy.state(copied, "Placed")
    return copy


# ---- what is bought


class _Shelf:
    """What a buyer may put into one order, at that buyer's prices."""

    def __init__(
        self,
        plan: Plan,
        business_key: str,
        who: Buyer,
        day: date,
        number: int,
        discount: Decimal,
        dice: Dice,
        included: bool,
    ) -> None:
        self._plan, self._day, self._number, self._dice = plan, day, number, dice
        self._discount, self._included = discount, included
        self._tier = unleashed.discount_of(plan, who)
        self._offered = sold(plan, business_key, day)
        self._retail = business_key == "teelixir"

    def some(self) -> list[Item]:
        """A few different articles."""
        count = self._dice.weighted(((1, 0.4), (2, 0.35), (3, 0.25))) if self._retail else self._dice.whole(1, 7)
        places = sorted({int(len(self._offered) * self._dice.random() ** 1.7) for _ in range(count)})
        return [self._item(n, self._offered[place]) for n, place in enumerate(places)]

    def many(self, count: int) -> list[Item]:
        """So many lines; an article comes again where there are no others left."""
        start = self._dice.whole(0, len(self._offered) - 1)
        return [self._item(n, self._offered[(start + n) % len(self._offered)]) for n in range(count)]

    def one_more(self, place: int) -> Item:
        return self._item(place, self._dice.one(self._offered))

    def gift_card(self, place: int) -> Item:
        value = Decimal(self._dice.one(shopify.GIFT_CARDS)).quantize(NOTHING)
        return Item(self._number, place, None, 1, value, Decimal(0), None, included=self._included)

    def _item(self, place: int, article: Article) -> Item:
        price = article.price_on(self._day, self._plan.first)
        if not self._retail:
            price = cents(shopify.wholesale_price(price) * (1 - self._tier))
            quantity = self._dice.one((1, 1, 2, 3) if price > 100 else (1, 2, 3, 6, 6, 12, 12, 24, 48))
        else:
            price = shopify.retail_price(article, price) if self._included else price
            quantity = self._dice.one((1, 1, 1, 1, 2, 2, 3))
        cost = article.cost_on(self._day, self._plan.first)
        return Item(self._number, place, article, quantity, price, self._discount, cost, included=self._included)


def _checkout(number: int, at: int, items: list[Item], who: Buyer | None) -> Body:
    subtotal = sum((item.discounted for item in items), NOTHING)
    tax = sum((item.tax for item in items), NOTHING)
    included = items[0].included
    customer = None
    if who is not None:
        email = {"emailAddress": who.email} if who.email else None
        customer = {"id": gid("Customer", shopify.customer_number(who)), "defaultEmailAddress": email}
    lines = []
    for item in items:
        described = item.body()
        line = {name: described[name] for name in ("title", "variantTitle", "sku", "quantity", "product", "variant")}
        line["id"] = gid("AbandonedCheckoutLineItem", number * 100 + item.place)
        line["originalUnitPriceSet"] = described["originalUnitPriceSet"]
        line["originalTotalPriceSet"] = described["originalTotalSet"]
        line["discountedTotalPriceSet"] = described["discountedTotalSet"]
        lines.append(line)
    return {
        "id": gid("AbandonedCheckout", number),
        "name": f"#{number}",
        "createdAt": stamp(at),
        "updatedAt": stamp(at),
        "completedAt": None,
        "customer": customer,
        "taxesIncluded": included,
        "subtotalPriceSet": bag(subtotal),
        "totalDiscountSet": bag(NOTHING),
        "totalTaxSet": bag(tax),
        "totalPriceSet": bag(subtotal if included else subtotal + tax),
        "lineItems": lines,
    }
