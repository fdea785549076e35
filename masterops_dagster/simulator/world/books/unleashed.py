"""An Unleashed account's books: its own orders, what is owed for them and for what companies bought in the store, and
all stock. Copies of Shopify orders are the store's sales."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from masterops_dagster.businesses import INTERCOMPANY_CUSTOMERS, Account
from masterops_dagster.simulator.world.books.common import (
    ZERO,
    Books,
    Invoice,
    OpenOrder,
    Refund,
    Sale,
    day_of,
    decimal,
    net_moment,
    rounded,
    sale,
)
from masterops_dagster.simulator.world.books.reading import Reading
from masterops_dagster.simulator.world.records import Body
from masterops_dagster.simulator.world.store import World

SALES = frozenset({"Placed", "Backordered", "Completed"})


def books(reading: Reading, account: Account) -> Books:
    """Orders that were accepted, with invoices and credit notes."""
    assert account.business_key is not None
    world, copies = reading.world, reading.copies(account.business_key)
    own = Books(account.business_key, account.system)
    within_group = {c.customer_code for c in INTERCOMPANY_CUSTOMERS if c.account_key == account.key}
    originals: dict[str, str] = {}
    internal: set[str] = set()
    for record in world.scan(account.key, "SalesOrders"):
        order = record.body
        is_internal = order["Customer"].get("CustomerCode") in within_group
        if is_internal:
            internal.add(order["OrderNumber"])
        original = copies.original(order)
        if original is not None:
            originals[order["OrderNumber"]] = original
            continue
        status = order["OrderStatus"]
        if status in ("Placed", "Backordered"):
            own.open_orders.append(OpenOrder(status == "Backordered", is_internal))
        if status in SALES:
            customer = reading.customers.of(f"unleashed:{account.business_key}:{order['Customer']['Guid']}")
            own.sales.append(_sale(order, customer, internal=is_internal))
    order_of: dict[str, str] = {}
    for record in world.scan(account.key, "Invoices"):
        invoice = record.body
        number = order_of[invoice["InvoiceNumber"]] = invoice["OrderNumber"]
        retail = number in originals and not copies.wholesale(originals[number])
        if invoice["InvoiceStatus"] == "Completed" and not retail:
            day, due = (day_of(net_moment(invoice[name])) for name in ("InvoiceDate", "DueDate"))
            own.invoices.append(Invoice(day, due, decimal(invoice["Total"]), number in internal))
    for record in world.scan(account.key, "CreditNotes"):
        note = record.body
        number = order_of.get(note["InvoiceNumber"] or "", "")
        if note["Status"] == "Completed" and number not in originals:
            amount = sum((decimal(line["LineTotal"]) for line in note["CreditLines"]), ZERO)
            is_internal = (note.get("Customer") or {}).get("CustomerCode") in within_group
            own.refunds.append(Refund(day_of(net_moment(note["CreditDate"])), amount, is_internal))
    _stock(world, account.key, own)
    return own


def _sale(order: Body, customer: str, *, internal: bool) -> Sale:
    completed: datetime | None = net_moment(order["CompletedDate"]) if order["CompletedDate"] else None
    lines = []
    for line in order["SalesOrderLines"]:
        quantity, landed = decimal(line["OrderQuantity"]), line["AverageLandedPriceAtTimeOfSale"]
        cost = rounded(quantity * decimal(landed)) if landed is not None else None
        lines.append((decimal(line["LineTotal"]), quantity, cost))
    ordered = net_moment(order["OrderDate"])
    return sale(ordered, completed, customer, lines, wholesale=True, internal=internal)


def _stock(world: World, account_key: str, own: Books) -> None:
    sellable = {
        record.id: bool(record.body["IsSellable"]) and not record.body["Obsolete"]
        for record in world.scan(account_key, "Products")
    }
    available: dict[str, Decimal] = defaultdict(Decimal)
    for record in world.scan(account_key, "StockOnHand"):
        row = record.body
        available[row["ProductGuid"]] += decimal(row["AvailableQty"])
        own.on_hand += decimal(row["QtyOnHand"])
        if row["AvgCost"] is not None:
            own.stock_value += decimal(row["QtyOnHand"]) * decimal(row["AvgCost"])
    if available:
        own.stock_outs = sum(1 for guid, left in available.items() if sellable.get(guid) and left <= 0)
