"""A BigCommerce store's books. The store enters its prices without tax: so come discounts and refunded amounts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.world.books.common import (
    ZERO,
    Books,
    Refund,
    day_of,
    decimal,
    plain_email,
    rounded,
    sale,
)
from masterops_dagster.simulator.world.books.reading import Reading
from masterops_dagster.simulator.world.records import Body

NO_SALES = frozenset({0, 5, 6})
"""Incomplete, Cancelled, Declined."""
DISPATCHED = frozenset({2, 4, 10, 14})
"""Shipped, Refunded, Completed, Partially Refunded: these have left, where they have a date of shipping."""
BESIDE_GOODS = frozenset({"SHIPPING", "HANDLING", "GIFT_WRAPPING", "FEE"})


def books(reading: Reading, account: Account) -> Books:
    """Orders that count, the refunds of these, and the stock of what is tracked."""
    assert account.business_key is not None
    world = reading.world
    own = Books(account.business_key, account.system)
    counting = set()
    for record in world.scan(account.key, "orders"):
        order = record.body
        if order["status_id"] in NO_SALES or order["is_deleted"]:
            continue
        counting.add(order["id"])
        lines = [(_net(line), decimal(line["quantity"]), _cost(line)) for line in order["products"]]
        completed: datetime | None = None
        if order["status_id"] in DISPATCHED and order["date_shipped"]:
            completed = _moment(order["date_shipped"])
        buyer = reading.customers.of(_buyer(order))
        own.sales.append(sale(_moment(order["date_created"]), completed, buyer, lines))
    for record in world.scan(account.key, "refunds"):
        refund = record.body
        if refund["order_id"] in counting:
            beside = sum(
                (decimal(item["requested_amount"]) for item in refund["items"] if item["item_type"] in BESIDE_GOODS),
                ZERO,
            )
            amount = decimal(refund["total_amount"]) - decimal(refund["total_tax"]) - beside
            own.refunds.append(Refund(day_of(datetime.fromisoformat(refund["created"])), amount))
    _stock(reading, account, own)
    return own


def _moment(value: str) -> datetime:
    return parsedate_to_datetime(value)


def _net(line: Body) -> Decimal:
    return decimal(line["total_ex_tax"]) - sum((decimal(one["amount"]) for one in line["applied_discounts"]), ZERO)


def _cost(line: Body) -> Decimal | None:
    """A cost of nothing is one that nobody has entered."""
    each = decimal(line["cost_price_ex_tax"])
    return rounded(decimal(line["quantity"]) * each) if each else None


def _stock(reading: Reading, account: Account, own: Books) -> None:
    costs: dict[int, Decimal] = {}
    for_sale: set[int] = set()
    for record in reading.world.scan(account.key, "products"):
        product = record.body
        for variant in product["variants"]:
            costs[variant["id"]] = decimal(variant["cost_price"])
            if product["is_visible"] and not variant["purchasing_disabled"]:
                for_sale.add(variant["id"])
    for record in reading.world.scan(account.key, "inventory"):
        variant_id, places = record.body["identity"]["variant_id"], record.body["locations"]
        on_hand = sum((decimal(place["total_inventory_onhand"]) for place in places), ZERO)
        own.on_hand += on_hand
        own.stock_value += on_hand * costs[variant_id]
        own.stock_outs = own.stock_outs or 0
        if variant_id in for_sale and sum(place["available_to_sell"] for place in places) <= 0:
            own.stock_outs += 1


def _buyer(order: Body) -> str:
    if order["customer_id"]:
        return f"bigcommerce:{order['customer_id']}"
    email = plain_email(order["billing_address"]["email"])
    return f"guest:{email}" if email else f"order:bigcommerce:{order['id']}"
