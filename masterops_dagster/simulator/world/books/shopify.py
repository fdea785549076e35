"""A Shopify store's books. What an order cost, and its stock, is known to Unleashed, where the order has a copy."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

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
from masterops_dagster.simulator.world.books.copies import is_wholesale
from masterops_dagster.simulator.world.books.reading import Reading
from masterops_dagster.simulator.world.records import Body


def books(reading: Reading, account: Account) -> Books:
    """Orders that were not cancelled and are no tests; gift cards are money held for others, not sales."""
    assert account.business_key is not None
    own = Books(account.business_key, account.system)
    copies = reading.copies(account.business_key)
    for record in reading.world.scan(account.key, "orders"):
        order = record.body
        if order["cancelledAt"] is not None or order["test"]:
            continue
        lines = [
            (
                _total(line) - (_tax(line) if order["taxesIncluded"] else ZERO),
                decimal(line["quantity"]),
                copies.cost(order["name"], line["sku"], decimal(line["quantity"])),
            )
            for line in order["lineItems"]
            if not line["isGiftCard"]
        ]
        own.sales.append(
            sale(
                _moment(order["createdAt"]),
                _completed(order),
                reading.customers.of(_buyer(order)),
                lines,
                wholesale=is_wholesale(order),
            )
        )
        own.refunds += [
            Refund(day_of(_moment(refund["createdAt"])), _refunded(order, refund)) for refund in order["refunds"]
        ]
    return own


def _refunded(order: Body, refund: Body) -> Decimal:
    """Ex tax; of a refund that names no lines the order's share of tax is taken off."""
    if refund["refundLineItems"]:
        gift_cards = {line["id"] for line in order["lineItems"] if line["isGiftCard"]}
        return sum(
            (
                _amount(line["subtotalSet"]) - (_amount(line["totalTaxSet"]) if order["taxesIncluded"] else ZERO)
                for line in refund["refundLineItems"]
                if line["lineItem"]["id"] not in gift_cards
            ),
            ZERO,
        )
    total = _amount(order["totalPriceSet"])
    if not total:
        return ZERO
    return rounded(_amount(refund["totalRefundedSet"]) * (total - _amount(order["totalTaxSet"])) / total)


def _completed(order: Body) -> datetime | None:
    """When the last parcel of an order that is wholly sent was made up."""
    if order["displayFulfillmentStatus"] != "FULFILLED":
        return None
    sent = [parcel["createdAt"] for parcel in order["fulfillments"] if parcel["status"] == "SUCCESS"]
    return max(map(_moment, sent)) if sent else None


def _buyer(order: Body) -> str:
    if order["customer"] is not None:
        return "shopify:" + str(order["customer"]["id"]).rpartition("/")[2]
    email = plain_email(order["email"])
    return f"guest:{email}" if email else f"order:{order['id']}"


def _total(line: Body) -> Decimal:
    """After all discounts: `discountedTotalSet` leaves those of the whole order out."""
    off = sum((_amount(one["allocatedAmountSet"]) for one in line["discountAllocations"]), ZERO)
    return _amount(line["originalTotalSet"]) - off


def _tax(line: Body) -> Decimal:
    return sum((_amount(tax["priceSet"]) for tax in line["taxLines"]), ZERO)


def _amount(bag: Body) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value)
