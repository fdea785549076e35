"""A history as an Unleashed account holds it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP
from typing import ClassVar

from masterops_dagster.simulator.world import unleashed
from masterops_dagster.simulator.world.histories.common import (
    MILLIONTH,
    Order,
    OrderLine,
    first_orders,
    last_sold,
)
from masterops_dagster.simulator.world.records import Body, Version
from masterops_dagster.simulator.world.seeding import cents, guid

STATUS = {"completed": "Completed", "processing": "Placed", "cancelled": "Deleted", "refunded": "Completed"}


class UnleashedHistory:
    """The history as an Unleashed account holds it; a refunded order has a credit note."""

    REPLACES: ClassVar[tuple[str, ...]] = (
        *("Products", "Customers", "SalesOrders", "Invoices", "CreditNotes"),
        *("PurchaseOrders", "StockAdjustments"),
    )

    def __init__(self, account: str, orders: list[Order], first_id: int) -> None:
        self._account = account
        self._orders = orders
        self._next = first_id
        self._customers: dict[str, Body] = {}
        self._products: dict[str, str] = {}

    def records(self, at: int) -> Iterator[Version]:
        for sku, (sold, line) in last_sold(self._orders).items():
            number, id = self._key("Products")
            self._products[sku] = id
            yield self._version("Products", number, id, at, sold, self._product(line))
        for buyer, order in first_orders(self._orders).items():
            number, id = self._key("Customers")
            code = f"IMP-{number}"
            name = order.name or order.email.strip() or "Unnamed"
            self._customers[buyer] = {"Guid": id, "CustomerCode": code, "CustomerName": name}
            yield self._version("Customers", number, id, at, order.ordered, self._customer(code, name, order))
        for order in self._orders:
            yield from self._order(order, at)

    def _order(self, order: Order, at: int) -> Iterator[Version]:
        number, id = self._key("SalesOrders")
        lines = [self._line(line, place, "OrderQuantity") for place, line in enumerate(order.lines, 1)]
        for body, line in zip(lines, order.lines, strict=True):
            landed = (line.cost / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP) if line.cost is not None else None
            body["AverageLandedPriceAtTimeOfSale"] = landed
        body = {
            "OrderNumber": order.number,
            "OrderStatus": STATUS[order.status],
            "OrderDate": unleashed.net_date(order.ordered),
            "RequiredDate": None,
            "CompletedDate": unleashed.net_date(order.shipped),
            "Customer": self._customers[order.buyer],
            "CustomerRef": None,
            "Comments": None,
            "Warehouse": None,
            "Currency": {"CurrencyCode": "AUD"},
            "ExchangeRate": 1,
            "SalesPerson": None,
            **self._totals(order),
            "SalesOrderLines": lines,
        }
        yield self._version("SalesOrders", number, id, at, order.ordered, body)
        if order.refunded_at is not None:
            note_number, note_id = self._key("CreditNotes")
            note = {
                "CreditNoteNumber": f"CN-{order.number}",
                "Status": "Completed",
                "CreditDate": unleashed.net_date(order.refunded_at),
                "InvoiceNumber": None,
                "Customer": self._customers[order.buyer],
                **self._totals(order),
                "CreditLines": [self._line(line, n, "CreditQuantity") for n, line in enumerate(order.lines, 1)],
            }
            yield self._version("CreditNotes", note_number, note_id, at, order.refunded_at, note)

    def _totals(self, order: Order) -> Body:
        return {"SubTotal": order.total, "TaxTotal": order.tax, "Total": order.total + order.tax}

    def _line(self, line: OrderLine, place: int, quantity: str) -> Body:
        return {
            "Guid": self._key("line")[1],
            "LineNumber": place,
            "Product": {
                "Guid": self._products[line.sku],
                "ProductCode": line.sku,
                "ProductDescription": line.product_name,
            },
            quantity: line.quantity,
            "UnitPrice": (line.total / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP),
            "DiscountRate": 0,
            "LineTotal": line.total,
            "LineTax": line.tax,
        }

    def _product(self, line: OrderLine) -> Body:
        cost = (line.cost / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP) if line.cost is not None else None
        return {
            "ProductCode": line.sku,
            "ProductDescription": line.product_name,
            "Barcode": None,
            "UnitOfMeasure": None,
            "ProductGroup": {"GroupName": line.category} if line.category else None,
            "DefaultPurchasePrice": cost,
            "DefaultSellPrice": cents(line.total / line.quantity),
            "AverageLandPrice": cost,
            "MinStockAlertLevel": None,
            "IsSellable": True,
            "IsComponent": False,
            "Obsolete": False,
            "TaxableSales": line.tax > 0,
        }

    def _customer(self, code: str, name: str, order: Order) -> Body:
        first, _, last = order.name.partition(" ")
        return {
            "CustomerCode": code,
            "CustomerName": name,
            "CustomerType": None,
            "ContactFirstName": first,
            "ContactLastName": last,
            "Email": order.email or None,
            "PhoneNumber": None,
            "GSTVATNumber": None,
            "PaymentTerm": None,
            "DiscountRate": 0,
            "Currency": {"CurrencyCode": "AUD"},
            "Taxable": True,
            "StopCredit": False,
            "Obsolete": False,
            "Addresses": [],
        }

    def _version(self, resource: str, number: int, id: str, at: int, dated: int, body: Body) -> Version:
        stamped = {
            **body,
            "Guid": id,
            "CreatedOn": unleashed.net_date(dated),
            "LastModifiedOn": unleashed.net_date(at),
        }
        return Version(
            account=self._account,
            resource=resource,
            id=id,
            number=number,
            visible_from=at,
            created_at=dated,
            business_at=dated,
            modified_at=at,
            body=stamped,
        )

    def _key(self, kind: str) -> tuple[int, str]:
        self._next += 1
        return self._next - 1, guid("imported", self._account, kind, self._next - 1)
