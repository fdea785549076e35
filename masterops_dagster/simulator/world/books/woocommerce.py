"""A WooCommerce shop's books."""

from __future__ import annotations

from decimal import Decimal

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.world.books.common import (
    ZERO,
    Books,
    Refund,
    day_of,
    decimal,
    gmt,
    plain_email,
    rounded,
    sale,
)
from masterops_dagster.simulator.world.books.reading import Reading
from masterops_dagster.simulator.world.records import Body

SALES = frozenset({"processing", "completed", "refunded"})


def books(reading: Reading, account: Account) -> Books:
    """Orders that are paid for, the refunds of these, and the stock of what manages any."""
    assert account.business_key is not None
    world = reading.world
    own = Books(account.business_key, account.system)
    net_share: dict[int, tuple[Decimal, Decimal]] = {}
    for record in world.scan(account.key, "orders"):
        order = record.body
        if order["status"] not in SALES:
            continue
        net_share[order["id"]] = (Decimal(order["total"]) - Decimal(order["total_tax"]), Decimal(order["total"]))
        completed = gmt(order["date_completed_gmt"]) if order["date_completed_gmt"] else None
        lines = []
        for line in order["line_items"]:
            cost = (line.get("cost_of_goods_sold") or {}).get("value")
            known = decimal(cost) if cost is not None else None
            lines.append((Decimal(line["total"]), decimal(line["quantity"]), known))
        buyer = reading.customers.of(_buyer(order))
        own.sales.append(sale(gmt(order["date_created_gmt"]), completed, buyer, lines))
    for record in world.scan(account.key, "refunds"):
        refund = record.body
        if refund["parent_id"] not in net_share:
            continue
        if refund["line_items"]:
            amount = -sum((Decimal(line["total"]) for line in refund["line_items"]), ZERO)
        else:
            net, gross = net_share[refund["parent_id"]]
            amount = rounded(Decimal(refund["amount"]) * net / gross) if gross else ZERO
        own.refunds.append(Refund(day_of(gmt(refund["date_created_gmt"])), amount))
    for resource in ("products", "products/variations"):
        for record in world.scan(account.key, resource):
            _stock(record.body, own)
    return own


def _stock(product: Body, own: Books) -> None:
    quantity = product["stock_quantity"]
    if product["manage_stock"] is not True or quantity is None:
        return
    own.stock_outs = own.stock_outs or 0
    own.on_hand += decimal(quantity)
    cost = (product.get("cost_of_goods_sold") or {}).get("total_value")
    if cost is not None:
        own.stock_value += decimal(quantity) * decimal(cost)
    if product["status"] == "publish" and quantity <= 0:
        own.stock_outs += 1


def _buyer(order: Body) -> str:
    if order["customer_id"]:
        return f"woo:{order['customer_id']}"
    email = plain_email(order["billing"]["email"])
    return f"guest:{email}" if email else f"order:{order['id']}"
