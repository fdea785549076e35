"""What the two Unleashed accounts hold: masters, orders with their invoices and credit notes, purchases, adjustments.

Wholesale orders that come by phone or e-mail are born here, and so are those of another business of the group. What
is sold in a Shopify store is pushed in as well (`shopify_orders`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from masterops_dagster.businesses import INTERCOMPANY_CUSTOMERS, business
from masterops_dagster.simulator.world import stock
from masterops_dagster.simulator.world.catalogue import Article, articles, sold
from masterops_dagster.simulator.world.people import WHOLESALE, Buyer, buyer, make_abn, typed_abn, typed_email
from masterops_dagster.simulator.world.records import FOREVER, Body, Version
from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import TENTH_OF_A_MILL, Dice, cents, chance, guid
from masterops_dagster.simulator.world.timeline import (
    MINUTE,
    SECOND,
    office,
    same_time,
    versions,
    wall,
)

CHANNELS: dict[str, tuple[str, ...]] = {
    "teelixir": ("teelixir_wholesale", "teelixir_shop"),
    "elevate_wholesale": ("elevate_wholesale",),
}
"""The channels whose orders each business sends from Unleashed."""

FIRST_COPY = 10**8
FIRST_WITHIN_GROUP = 2 * 10**8
"""Where the numbers begin of copies of Shopify orders, and of orders of another business of the group."""

GST = Decimal("0.1")
NOTHING = Decimal("0.00")
SUPPLIERS = (
    "Dao Di Herbs",
    "Southern Mycology",
    "Tasman Superfoods",
    "Pacific Botanicals",
    "Gold Coast Packaging",
    "Ölmühle Süd",
)
SALES_PERSONS = ("Alex Moreau", "Bridie Walsh", "Chandra Iyer", "Dimitri K.")
NAME_PREFIX = {"teelixir": "#TX", "elevate_wholesale": "#EW"}
"""How the names of the orders of a business's Shopify store begin; none has a number that begins with 0."""
LINE_KINDS = {"OrderQuantity": "a", "InvoiceQuantity": "b", "CreditQuantity": "c"}
TERMS = (("20th Month Following", 35), ("30 Days", 30), ("14 Days", 14), ("7 Days", 7), (None, 14))


def account_key(business_key: str) -> str:
    return f"unleashed_{business_key}"


def net_date(at: int | None, dice: Dice | None = None) -> str | None:
    """`/Date(ms)/`, as Microsoft's old serialiser writes it; where dice are given, some carry Melbourne's zone."""
    if at is None:
        return None
    if dice is not None and dice.random() < 0.04:
        return f"/Date({at}+1100)/"
    return f"/Date({at})/"


def base(plan: Plan, business_key: str) -> Iterator[Version]:
    """Masters, and the customers from before history."""
    account = account_key(business_key)
    opening = wall(plan.first - timedelta(days=1000), 9)

    def master(resource: str, number: int, own: Body, key: object) -> Iterator[Version]:
        id = guid(plan.seed, account, resource, key)
        stamp = {"Guid": id, "CreatedOn": net_date(opening), "LastModifiedOn": net_date(opening)}
        yield from versions(account, resource, id, number, [(opening, {**own, **stamp})])

    catalogue = articles(plan, business_key)
    for number, group in enumerate(sorted({article.group for article in catalogue}), 1):
        yield from master("ProductGroups", number, {"GroupName": group}, group)
    for number, (code, name) in enumerate(stock.WAREHOUSES[account], 1):
        own: Body = {"WarehouseCode": code, "WarehouseName": name, "IsDefault": number == 1, "Obsolete": False}
        yield from master("Warehouses", number, own, code)
    for number, name in enumerate(SALES_PERSONS, 1):
        mail = f"{name.split()[0].lower()}@{business_key.replace('_', '')}.example.com"
        yield from master("SalesPersons", number, {"FullName": name, "Email": mail, "Obsolete": number == 4}, name)
    for number, name in enumerate(SUPPLIERS, 1):
        yield from master("Suppliers", number, _supplier(plan, number, name), name)
    for article in catalogue:
        yield from product_versions(plan, account, article)
    for key in CHANNELS[business_key]:
        for k in range(plan.trading(channel(key)).known(plan.first - timedelta(days=1))):
            who = buyer(plan, key, k)
            yield from customer_versions(plan, account, who, wall(who.joined, 10, k % 60))
    for who, code in _within_group(plan, account):
        yield from customer_versions(plan, account, who, wall(who.joined, 11), code)


def day(plan: Plan, business_key: str, day: date) -> Iterator[Version]:
    """What happens on a Melbourne day without any customer of the business's channels."""
    account = account_key(business_key)
    for who, code in _within_group(plan, account):
        yield from _order_within_group(plan, account, business_key, who, code, day)
    yield from _back_office(plan, account, business_key, day)


@cache
def product_guid(plan: Plan, account: str, sku: str) -> str:
    return guid(plan.seed, account, "Products", sku)


def product_versions(plan: Plan, account: str, article: Article) -> Iterator[Version]:
    """A product with each move of its price; gone for good where it is removed. All happens at midnight."""
    id = product_guid(plan, account, article.sku)
    dice = Dice(plan.seed, account, article.sku, "product")
    created = wall(article.created, 0)
    days = [article.created, *article.moves(plan.first)]
    if article.obsolete_from is not None:
        days = sorted({*days, article.obsolete_from})
    barcode = dice.one((f"93{dice.whole(10**10, 10**11 - 1)}", None, ""))
    states: list[tuple[int, Body]] = []
    for current in days:
        since = wall(current, 0)
        price = article.price_on(current, plan.first)
        cost = article.cost_on(current, plan.first)
        body: Body = {
            "ProductCode": article.sku,
            "ProductDescription": article.name,
            "Barcode": barcode,
            "PackSize": None,
            "UnitOfMeasure": {"Guid": guid(plan.seed, account, "EA"), "Name": "EA"} if article.number % 9 else None,
            "ProductGroup": {
                "Guid": guid(plan.seed, account, "ProductGroups", article.group),
                "GroupName": article.group,
            },
            "DefaultPurchasePrice": cents(cost) if cost is not None else None,
            "DefaultSellPrice": price,
            "AverageLandPrice": cost,
            "LastCost": cost,
            "MinStockAlertLevel": dice.one((None, 5, 10, 24)),
            "IsSellable": article.sellable,
            "IsComponent": not article.sellable,
            "Obsolete": article.obsolete_from is not None and current >= article.obsolete_from,
            "TaxableSales": article.taxed,
            "XeroTaxCode": "OUTPUT" if article.taxed else "EXEMPTOUTPUT",
            "ImageUrl": None,
            "CreatedBy": "import@example.com",
            "Guid": id,
            "CreatedOn": net_date(created),
            "LastModifiedOn": net_date(since),
        }
        states.append((since, body))
    gone = wall(article.removed_on, 0) if article.removed_on is not None else FOREVER
    yield from versions(account, "Products", id, article.number + 1, states, created_at=created, gone_at=gone)


def customer_versions(plan: Plan, account: str, who: Buyer, created: int, code: str | None = None) -> Iterator[Version]:
    """A customer, by default under the buyer's own code; some are corrected, given up or entered twice."""
    code = code or who.code
    dice = Dice(plan.seed, account, code, "customer")
    wholesale = who.channel in WHOLESALE
    term, _ = _terms(plan, who)
    body: Body = {
        "CustomerCode": code,
        "CustomerName": who.company or f"{who.first_name} {who.last_name}",
        "CustomerType": dice.one(("Retailer", "Practitioner", "Distributor")) if wholesale else "Shopify",
        "ContactFirstName": who.first_name,
        "ContactLastName": who.last_name,
        "Email": typed_email(who.email, dice),
        "PhoneNumber": who.phone,
        "MobileNumber": None,
        "GSTVATNumber": typed_abn(who.abn, dice) if wholesale else None,
        "PaymentTerm": term,
        "DiscountRate": discount_of(plan, who),
        "Currency": {"CurrencyCode": "AUD", "Description": "Australian Dollar"},
        "Taxable": True,
        "TaxCode": "G.S.T.",
        "StopCredit": wholesale and dice.hits(0.03),
        "Obsolete": False,
        "Notes": None,
        "Addresses": [
            {
                "AddressType": "Postal",
                "StreetAddress": who.street,
                "Suburb": who.suburb,
                "Region": who.state,
                "PostalCode": who.postcode,
                "Country": "Australia",
            }
        ]
        if dice.hits(0.95)
        else [],
        "CreatedOn": net_date(created, dice),
    }
    changes: list[tuple[int, Body]] = []
    if dice.hits(0.10):
        changes.append(
            (office(created, dice.whole(20, 300), dice), {"PhoneNumber": f"03 9{dice.whole(100, 999)} 4000"})
        )
    if dice.hits(0.05):
        changes.append((office(created, dice.whole(301, 500), dice), {"Email": who.email, "Notes": "E-mail corrected"}))
    if dice.hits(0.02):
        changes.append((office(created, dice.whole(501, 800), dice), {"Obsolete": True}))
    yield from _customer(plan, account, code, who.number * 2 + (0 if wholesale else 1), created, body, changes)
    if wholesale and entered_twice(plan, who):
        again = same_time(created, 3)
        twice = {**body, "CustomerCode": f"{code}B", "Email": None, "CreatedOn": net_date(again)}
        yield from _customer(plan, account, f"{code}B", 10**9 + who.number, again, twice, [])


def entered_twice(plan: Plan, who: Buyer) -> bool:
    """Whether the same company has a second customer code."""
    return who.abn is not None and who.number >= 0 and chance(plan.seed, who.channel, who.number, "twice") < 0.03


# ---- orders


class Line:
    """A line of an order; amounts ex tax. `total` and `tax` are given where a Shopify store worked them out."""

    __slots__ = ("article", "bodies", "cost", "discount", "key", "quantity", "tax", "total", "unit_price")

    def __init__(
        self,
        article: Article,
        quantity: Decimal,
        unit_price: Decimal,
        discount: Decimal,
        cost: Decimal | None,
        *,
        total: Decimal | None = None,
        tax: Decimal | None = None,
        key: int | None = None,
    ) -> None:
        self.article = article
        self.quantity = quantity
        self.unit_price = unit_price
        self.discount = discount
        self.cost = cost
        self.total = cents(quantity * unit_price * (1 - discount)) if total is None else total
        self.tax = (cents(self.total * GST) if article.taxed else NOTHING) if tax is None else tax
        self.key = article.number if key is None else key
        """Tells it from the other lines of its order."""
        self.bodies: dict[str, Body] = {}

    def times(self, quantity: Decimal) -> Line:
        """The same line with another quantity."""
        return Line(self.article, quantity, self.unit_price, self.discount, self.cost, key=self.key)

    def part(self, quantity: Decimal, total: Decimal, tax: Decimal) -> Line:
        """Some of the line, worth that much."""
        return Line(
            self.article, quantity, self.unit_price, self.discount, self.cost, total=total, tax=tax, key=self.key
        )


def wholesale_order(
    plan: Plan, account: str, business_key: str, who: Buyer, day: date, at: int, number: int, dice: Dice
) -> Iterator[Version]:
    lines = chosen_lines(
        plan, business_key, day, dice, dice.whole(1, 7), wholesale=True, discount=discount_of(plan, who)
    )
    code = who.code
    if entered_twice(plan, who) and at > same_time(wall(who.joined, 23, 59), 4) and dice.hits(0.4):
        code = f"{code}B"
    prefix = NAME_PREFIX[business_key]
    reference = dice.one(
        (f"PO {dice.whole(1000, 9999)}", f"PO#{dice.whole(100, 999)}", None, "", f"TX-{dice.whole(100, 999)}")
    )
    comments = dice.weighted(((None, 0.8), ("Leave at dock 2 📦", 0.1), ("As per Shopify sample pack", 0.1)))
    if dice.hits(0.006):
        reference = f"{prefix}0{dice.whole(100, 9999)}"  # no order of the store has such a name
    order = SalesOrder(plan, account, who, code, number + 1, at, at, lines, reference, comments, dice)
    if dice.hits(0.06):
        order.state(at, "Parked")
        if dice.hits(0.4):
            yield from order.records()
            return
        order.state(at + dice.whole(20, 200) * MINUTE, "Placed")
    else:
        order.state(at, "Placed")
    if dice.hits(0.12):
        order.edit(order.latest + dice.whole(10, 50) * MINUTE)
    fate = dice.random()
    if fate < 0.04:
        order.state(office(order.latest, dice.whole(1, 6), dice), "Deleted")
    elif fate < 0.07:
        order.complete(office(order.latest, dice.whole(30, 70), dice))
    elif fate < 0.17:
        order.state(order.latest + dice.whole(60, 240) * MINUTE, "Backordered")
        order.complete(office(order.latest, dice.whole(5, 24), dice))
    else:
        order.complete(office(order.latest, dice.whole(1, 4), dice))
    yield from order.records()


class SalesOrder:
    """A sales order under way: its states so far, and the invoice and credit note that follow."""

    def __init__(
        self,
        plan: Plan,
        account: str,
        who: Buyer,
        code: str,
        number: int,
        ordered: int,
        created: int,
        lines: list[Line],
        reference: str | None,
        comments: str | None,
        dice: Dice,
    ) -> None:
        self.plan, self.account, self.who, self.number, self.dice = plan, account, who, number, dice
        self.lines = lines
        self.guid = guid(plan.seed, account, "SalesOrders", number)
        self.latest = created
        self.ordered = ordered
        self._states: list[tuple[int, Body]] = []
        self._others: list[Version] = []
        self._seen_late = dice.whole(20, 170) * SECOND if dice.hits(0.01) else 0
        self.customer = {
            "CustomerCode": code,
            "CustomerName": who.company or f"{who.first_name} {who.last_name}",
            "CurrencyId": 110,
            "Guid": guid(plan.seed, account, "Customers", code),
            "LastModifiedOn": None,
        }
        warehouse, warehouse_name = stock.WAREHOUSES[account][0]
        self._fixed: Body = {
            "OrderNumber": f"SO-{number:08d}",
            "OrderDate": net_date(ordered, dice),
            "RequiredDate": net_date(same_time(ordered, 5), dice) if dice.hits(0.9) else None,
            "CompletedDate": None,
            "Customer": self.customer,
            "CustomerRef": reference,
            "Comments": comments,
            "Warehouse": {
                "WarehouseCode": warehouse,
                "WarehouseName": warehouse_name,
                "Guid": guid(plan.seed, account, "Warehouses", warehouse),
            },
            "Currency": {"CurrencyCode": "AUD", "Description": "Australian Dollar"},
            "ExchangeRate": 1,
            "DiscountRate": 0,
            "SalesPerson": {"FullName": dice.one(SALES_PERSONS), "Obsolete": False} if dice.hits(0.7) else None,
            "DeliveryName": who.company,
            "DeliverySuburb": who.suburb,
            "DeliveryPostCode": who.postcode,
            "DeliveryMethod": dice.one(("Courier", None)),
            "CreatedBy": "api",
            "CreatedOn": net_date(created, dice),
            "Guid": self.guid,
        }
        if dice.hits(0.02):
            del self._fixed["Comments"]
            if comments is not None:
                self._fixed["CustomerRef"] = comments
        if dice.hits(0.01):
            self._fixed["LoyaltyTier"] = dice.one(("gold", "silver"))

    def state(self, at: int, status: str, completed: int | None = None) -> None:
        """The order takes on a status."""
        sub_total = sum((line.total for line in self.lines), NOTHING)
        tax_total = sum((line.tax for line in self.lines), NOTHING)
        body = {
            **self._fixed,
            "OrderStatus": status,
            "SubTotal": sub_total,
            "TaxTotal": tax_total,
            "Total": sub_total + tax_total,
            "SalesOrderLines": [self._line(line, "OrderQuantity", place) for place, line in enumerate(self.lines, 1)],
            "LastModifiedOn": net_date(at),
        }
        if completed is not None:
            body["CompletedDate"] = net_date(completed)
        self._states.append((at, body))
        self.latest = at

    def edit(self, at: int) -> None:
        """A quantity is changed, or a line removed."""
        status: str = self._states[-1][1]["OrderStatus"]
        self.lines = [*self.lines]
        if len(self.lines) > 1 and self.dice.hits(0.4):
            self.lines.pop(self.dice.whole(0, len(self.lines) - 1))
        else:
            place = self.dice.whole(0, len(self.lines) - 1)
            old = self.lines[place]
            self.lines[place] = old.times(old.quantity + self.dice.whole(1, 6))
        self.state(at, status)

    def complete(self, at: int, credited: float = 0.05) -> None:
        """The order is sent and billed; some of it may come back."""
        self.state(at, "Completed", completed=at)
        self._invoice(at + MINUTE)
        if self.dice.hits(credited):
            returned = [line for line in self.lines if self.dice.hits(0.6)] or self.lines[:1]
            lines = [line.times(Decimal(self.dice.whole(1, max(1, int(line.quantity))))) for line in returned]
            fate = self.dice.random()
            self.credit(office(at, self.dice.whole(1, 25), self.dice), lines, fate, names_invoice=fate <= 0.97)

    def credit(self, at: int, lines: list[Line], fate: float = 0.5, *, names_invoice: bool = True) -> None:
        """A credit note for some of the order; approved later where `fate` is below 0.1, never where below 0.15."""
        id = guid(self.guid, "credit note")
        body: Body = {
            "Guid": id,
            "CreditNoteNumber": f"CN-{self.number:08d}",
            "CreditDate": net_date(at, self.dice),
            "InvoiceNumber": self._invoice_number if names_invoice else None,
            "Comments": self.dice.one((None, "Damaged in transit", "Short supplied")),
            **self._document(lines, "CreditLines", "CreditQuantity"),
            "CreatedOn": net_date(at),
        }
        steps: tuple[tuple[int, str], ...] = ((at, "Completed"),)
        if fate < 0.10:
            steps = ((at, "Parked"), (office(at, 2, self.dice), "Completed"))
        elif fate < 0.15:
            steps = ((at, "Parked"), (office(at, 2, self.dice), "Deleted"))
        states = [(since, {**body, "Status": status, "LastModifiedOn": net_date(since)}) for since, status in steps]
        self._others.extend(versions(self.account, "CreditNotes", id, self.number, states))

    def records(self) -> Iterator[Version]:
        yield from versions(
            self.account,
            "SalesOrders",
            self.guid,
            self.number,
            self._states,
            business_at=self.ordered,
            seen_late=self._seen_late,
        )
        yield from self._others

    def _line(self, line: Line, quantity: str, place: int) -> Body:
        known = line.bodies.get(quantity)
        if known is not None and known["LineNumber"] == place:
            return known
        sku = line.article.sku
        body: Body = {
            "Guid": f"{self.guid[:24]}{LINE_KINDS[quantity]}{line.key:011d}",
            "LineNumber": place,
            "LineType": None,
            "Product": {
                "Guid": product_guid(self.plan, self.account, sku),
                "ProductCode": sku,
                "ProductDescription": line.article.name,
            },
            quantity: line.quantity,
            "UnitPrice": line.unit_price,
            "DiscountRate": line.discount,
            "LineTotal": line.total,
            "LineTax": line.tax,
            "TaxRate": GST if line.article.taxed else 0,
        }
        if quantity == "OrderQuantity":
            body["AverageLandedPriceAtTimeOfSale"] = line.cost
        line.bodies[quantity] = body
        return body

    def _document(self, lines: list[Line], name: str, quantity: str) -> Body:
        sub_total = sum((line.total for line in lines), NOTHING)
        tax_total = sum((line.tax for line in lines), NOTHING)
        return {
            "Customer": self.customer,
            "SubTotal": sub_total,
            "TaxTotal": tax_total,
            "Total": sub_total + tax_total,
            name: [self._line(line, quantity, place) for place, line in enumerate(lines, 1)],
        }

    @property
    def _invoice_number(self) -> str:
        return f"INV-{self.number:08d}"

    def _invoice(self, at: int) -> None:
        id = guid(self.guid, "invoice")
        _, days = _terms(self.plan, self.who)
        body: Body = {
            "Guid": id,
            "InvoiceNumber": self._invoice_number,
            "OrderNumber": self._fixed["OrderNumber"],
            "InvoiceDate": net_date(at, self.dice),
            "DueDate": net_date(same_time(at, days)),
            **self._document(self.lines, "InvoiceLines", "InvoiceQuantity"),
            "CreatedOn": net_date(at),
        }
        steps: tuple[tuple[int, str], ...] = ((at, "Completed"),)
        fate = self.dice.random()
        if fate < 0.03:
            steps = ((at, "Parked"), (office(at, 1, self.dice), "Completed"))
        elif fate < 0.05:
            steps = ((at, "Completed"), (office(at, 2, self.dice), "Deleted"))
        states = [
            (since, {**body, "InvoiceStatus": status, "LastModifiedOn": net_date(since)}) for since, status in steps
        ]
        self._others.extend(versions(self.account, "Invoices", id, self.number, states))


def chosen_lines(
    plan: Plan,
    business_key: str,
    day: date,
    dice: Dice,
    count: int,
    *,
    wholesale: bool,
    discount: Decimal = Decimal(0),
) -> list[Line]:
    """Lines of different articles; one order in a hundred is free of charge."""
    offered = sold(plan, business_key, day)
    free = dice.hits(0.01)
    lines = []
    for place in sorted({int(len(offered) * dice.random() ** 1.7) for _ in range(count)}):
        article = offered[place]
        price = article.price_on(day, plan.first)
        if wholesale:
            price = (price * Decimal("0.58")).quantize(TENTH_OF_A_MILL, ROUND_HALF_UP)
        if wholesale and article.name.endswith(("kg", "l")) and dice.hits(0.1):
            quantity = Decimal(dice.whole(1, 6)) / 2
        elif wholesale and price > 100:
            quantity = Decimal(dice.one((1, 1, 1, 2, 3)))
        elif wholesale:
            quantity = Decimal(dice.one((1, 2, 3, 6, 6, 12, 12, 24, 48)))
        else:
            quantity = Decimal(dice.one((1, 1, 1, 1, 2, 2, 3)))
        given = Decimal(1) if free else discount if wholesale else Decimal(dice.one((0, 0, 0, 0, 10, 15))) / 100
        lines.append(Line(article, quantity, price, given, article.cost_on(day, plan.first)))
    return lines


# ---- orders of another business of the group


def _within_group(plan: Plan, account: str) -> list[tuple[Buyer, str]]:
    """The businesses of the group that buy from this account's, and their customer codes."""
    return [
        (_sister(plan, known.buyer), known.customer_code)
        for known in INTERCOMPANY_CUSTOMERS
        if known.account_key == account
    ]


@cache
def _sister(plan: Plan, business_key: str) -> Buyer:
    name = business(business_key).name
    return Buyer(
        channel="teelixir_wholesale",
        number=-1,
        home=("teelixir_wholesale", -1),
        first_name="Accounts",
        last_name=name,
        email=f"purchasing@{business_key.replace('_', '')}.example.com",
        second_email=None,
        phone="03 9000 2000",
        street="14 Foundry Road",
        suburb="Dandenong",
        state="VIC",
        postcode="3175",
        company=f"{name} Pty Ltd",
        abn=make_abn(Dice("the ABN of", business_key)),
        joined=plan.first - timedelta(days=600),
    )


def _order_within_group(
    plan: Plan, account: str, business_key: str, who: Buyer, code: str, day: date
) -> Iterator[Version]:
    """A few times a month, whatever the world's scale."""
    dice = Dice(plan.seed, account, code, day)
    if day.weekday() > 4 or not dice.hits(0.2):
        return
    at = wall(day, dice.whole(9, 16), dice.whole(0, 59), dice.whole(0, 59))
    lines = chosen_lines(plan, business_key, day, dice, dice.whole(4, 12), wholesale=True, discount=Decimal("0.3"))
    number = FIRST_WITHIN_GROUP + plan.index(day)
    order = SalesOrder(plan, account, who, code, number, at, at, lines, f"EW-PO-{plan.index(day):04d}", None, dice)
    order.state(at, "Placed")
    fate = dice.random()
    if fate < 0.05:
        order.state(office(at, 1, dice), "Deleted")
    elif fate < 0.15:
        order.state(at + dice.whole(60, 240) * MINUTE, "Backordered")
        order.complete(office(order.latest, dice.whole(4, 12), dice), credited=0.15)
    else:
        order.complete(office(at, dice.whole(1, 3), dice), credited=0.15)
    yield from order.records()


# ---- purchases and adjustments


def _back_office(plan: Plan, account: str, business_key: str, day: date) -> Iterator[Version]:
    dice = Dice(plan.seed, account, day, "back office")
    if day.weekday() < 5 and dice.hits(0.5):
        yield from _purchase(plan, account, business_key, day, dice)
    if day.weekday() == 0:
        yield from _adjustment(plan, account, business_key, day, dice)


def _purchase(plan: Plan, account: str, business_key: str, day: date, dice: Dice) -> Iterator[Version]:
    at = wall(day, dice.whole(9, 15), dice.whole(0, 59))
    number = plan.index(day) + 1
    id = guid(plan.seed, account, "PurchaseOrders", number)
    place = dice.whole(1, len(SUPPLIERS))
    supplier = _supplier(plan, place, SUPPLIERS[place - 1])
    lines: list[Body] = []
    for position, line in enumerate(chosen_lines(plan, business_key, day, dice, dice.whole(2, 7), wholesale=True), 1):
        quantity = line.quantity * 10
        price = line.cost if line.cost is not None else Decimal(1)
        lines.append(
            {
                "Guid": guid(id, line.article.sku),
                "LineNumber": position,
                "Product": {
                    "Guid": product_guid(plan, account, line.article.sku),
                    "ProductCode": line.article.sku,
                    "ProductDescription": line.article.name,
                },
                "OrderQuantity": quantity,
                "UnitPrice": price,
                "LineTotal": cents(quantity * price),
                "LineTax": cents(quantity * price * GST),
            }
        )
    sub_total: Decimal = sum((line["LineTotal"] for line in lines), NOTHING)
    tax_total: Decimal = sum((line["LineTax"] for line in lines), NOTHING)
    warehouse, warehouse_name = stock.WAREHOUSES[account][0]
    body: Body = {
        "Guid": id,
        "OrderNumber": f"PO-{number:08d}",
        "OrderDate": net_date(at, dice),
        "RequiredDate": net_date(same_time(at, 14)),
        "ReceivedDate": None,
        "Supplier": {
            "Guid": guid(plan.seed, account, "Suppliers", SUPPLIERS[place - 1]),
            "SupplierCode": supplier["SupplierCode"],
            "SupplierName": supplier["SupplierName"],
        },
        "Warehouse": {"WarehouseCode": warehouse, "WarehouseName": warehouse_name},
        "SubTotal": sub_total,
        "TaxTotal": tax_total,
        "Total": sub_total + tax_total,
        "PurchaseOrderLines": lines,
        "CreatedOn": net_date(at),
    }
    received = office(at, dice.whole(4, 20), dice)
    states = [(at, {**body, "OrderStatus": "Placed", "LastModifiedOn": net_date(at)})]
    if dice.hits(0.04):
        states.append((received, {**body, "OrderStatus": "Deleted", "LastModifiedOn": net_date(received)}))
    else:
        done = {"OrderStatus": "Complete", "ReceivedDate": net_date(received), "LastModifiedOn": net_date(received)}
        states.append((received, {**body, **done}))
    yield from versions(account, "PurchaseOrders", id, number, states)


def _adjustment(plan: Plan, account: str, business_key: str, day: date, dice: Dice) -> Iterator[Version]:
    at = wall(day, 17, dice.whole(0, 59))
    number = plan.index(day) + 1
    id = guid(plan.seed, account, "StockAdjustments", number)
    lines = []
    for position, line in enumerate(chosen_lines(plan, business_key, day, dice, 4, wholesale=True), 1):
        counted = stock.level(plan.seed, line.article.sku, day)
        lines.append(
            {
                "Guid": guid(id, line.article.sku),
                "LineNumber": position,
                "Product": {
                    "Guid": product_guid(plan, account, line.article.sku),
                    "ProductCode": line.article.sku,
                    "ProductDescription": line.article.name,
                },
                "NewQuantity": counted,
                "NewActualValue": cents(counted * line.cost) if line.cost is not None else None,
            }
        )
    warehouse, warehouse_name = stock.WAREHOUSES[account][0]
    body: Body = {
        "Guid": id,
        "AdjustmentNumber": f"SA-{number:08d}",
        "AdjustmentDate": net_date(at),
        "AdjustmentReason": dice.one(("Stocktake", "Damaged", "Samples", None)),
        "Status": "Completed",
        "Warehouse": {"WarehouseCode": warehouse, "WarehouseName": warehouse_name},
        "StockAdjustmentLines": lines,
        "CreatedOn": net_date(at),
        "LastModifiedOn": net_date(at),
    }
    yield from versions(account, "StockAdjustments", id, number, [(at, body)])


# ---- small parts


def _customer(
    plan: Plan, account: str, code: str, number: int, created: int, body: Body, changes: list[tuple[int, Body]]
) -> Iterator[Version]:
    id = guid(plan.seed, account, "Customers", code)
    current = {**body, "Guid": id, "LastModifiedOn": net_date(created)}
    states = [(created, current)]
    for at, change in changes:
        current = {**current, **change, "LastModifiedOn": net_date(at)}
        states.append((at, current))
    yield from versions(account, "Customers", id, number, states)


def _supplier(plan: Plan, number: int, name: str) -> Body:
    dice = Dice(plan.seed, "supplier", name)
    return {
        "SupplierCode": f"SUP{number:03d}",
        "SupplierName": name,
        "Email": f"sales@{''.join(c for c in name.lower() if c.isascii() and c.isalnum())}.example.net",
        "PhoneNumber": dice.one((None, "+61 3 9000 1000")),
        "GSTVATNumber": None if dice.hits(0.3) else "51 824 753 556",
        "Obsolete": number == len(SUPPLIERS),
    }


def _terms(plan: Plan, who: Buyer) -> tuple[str | None, int]:
    if who.channel not in WHOLESALE:
        return None, 0
    return TERMS[int(chance(plan.seed, who.channel, who.number, "terms") * len(TERMS))]


def discount_of(plan: Plan, who: Buyer) -> Decimal:
    """A customer's discount as a fraction; none for people."""
    if who.channel not in WHOLESALE:
        return Decimal(0)
    return Decimal(int(chance(plan.seed, who.channel, who.number, "tier") * 4) * 5) / 100
