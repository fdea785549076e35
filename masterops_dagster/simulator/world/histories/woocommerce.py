"""A history as a WooCommerce shop holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar

from masterops_dagster.simulator.world import woocommerce
from masterops_dagster.simulator.world.histories.common import (
    MILLIONTH,
    NOTHING,
    Order,
    OrderLine,
    first_orders,
    last_sold,
)
from masterops_dagster.simulator.world.records import Body, Version
from masterops_dagster.simulator.world.seeding import cents


class WooCommerceHistory:
    """The history as a WooCommerce shop holds it. Without an e-mail the buyer is a guest."""

    REPLACES: ClassVar[tuple[str, ...]] = ("orders", "refunds", "customers", "products", "products/variations")

    def __init__(self, account: str, orders: list[Order], first_id: int) -> None:
        self._account = account
        self._orders = orders
        self._next = first_id
        self._products: dict[str, int] = {}
        self._customers: dict[str, int] = {}

    def records(self, at: int) -> Iterator[Version]:
        now = at - at % 1000
        for sku, (sold, line) in last_sold(self._orders).items():
            id = self._products[sku] = self._id()
            yield self._version("products", id, at, now, sold, self._product(id, line, sold, now))
        for buyer, order in first_orders(self._orders).items():
            if not order.email.strip():
                continue
            id = self._customers[buyer] = self._id()
            body = {**self._contact(order), "id": id, **_stamps("created", order.ordered), **_stamps("modified", now)}
            yield self._version("customers", id, at, now, order.ordered, body)
        for order in self._orders:
            yield from self._order(order, at, now)

    def _order(self, order: Order, at: int, now: int) -> Iterator[Version]:
        id = self._id()
        lines = [self._line(line) for line in order.lines]
        total, tax = order.total, order.tax
        refunds: list[Body] = []
        if order.refunded_at is not None:
            refund_id = self._id()
            refunds.append({"id": refund_id, "reason": "Refunded", "total": str(NOTHING - total - tax)})
            body: Body = {
                "id": refund_id,
                "parent_id": id,
                **_stamps("created", order.refunded_at),
                "amount": str(total + tax),
                "reason": "Refunded",
                "refunded_by": 1,
                "line_items": [self._negative(line) for line in lines],
                "shipping_lines": [],
                "tax_lines": [],
                "fee_lines": [],
                "meta_data": [],
            }
            yield self._version("refunds", refund_id, at, now, order.refunded_at, body, parent=str(id))
        contact = self._contact(order)
        paid = order.ordered if order.status != "cancelled" else None
        order_body: Body = {
            "id": id,
            "parent_id": 0,
            "number": order.number,
            "status": order.status,
            "currency": "AUD",
            "prices_include_tax": False,
            "created_via": "import",
            "customer_id": self._customers[order.buyer] if order.email.strip() else 0,
            "customer_note": "",
            "billing": contact["billing"],
            "shipping": contact["shipping"],
            "payment_method": "",
            **_stamps("created", order.ordered),
            **_stamps("modified", now),
            **_stamps("paid", paid),
            **_stamps("completed", order.shipped),
            "discount_total": "0.00",
            "discount_tax": "0.00",
            "shipping_total": "0.00",
            "shipping_tax": "0.00",
            "cart_tax": str(tax),
            "total": str(total + tax),
            "total_tax": str(tax),
            "line_items": lines,
            "tax_lines": [],
            "shipping_lines": [],
            "fee_lines": [],
            "coupon_lines": [],
            "refunds": refunds,
            "meta_data": [],
        }
        yield self._version("orders", id, at, now, order.ordered, order_body)

    def _line(self, line: OrderLine) -> Body:
        body: Body = {
            "id": self._id(),
            "name": line.product_name,
            "product_id": self._products[line.sku],
            "variation_id": 0,
            "sku": line.sku,
            "quantity": line.quantity,
            "subtotal": str(line.total),
            "subtotal_tax": str(line.tax),
            "total": str(line.total),
            "total_tax": str(line.tax),
            "price": (line.total / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP),
            "taxes": [],
            "meta_data": [],
        }
        if line.cost is not None:
            body["cost_of_goods_sold"] = {"value": line.cost}
        return body

    def _negative(self, line: Body) -> Body:
        turned = {name: value for name, value in line.items() if name != "cost_of_goods_sold"}
        for name in ("subtotal", "subtotal_tax", "total", "total_tax"):
            turned[name] = str(NOTHING - Decimal(line[name]))
        origin = {"id": line["id"], "key": "_refunded_item_id", "value": str(line["id"])}
        return {**turned, "id": self._id(), "quantity": -line["quantity"], "meta_data": [origin]}

    def _product(self, id: int, line: OrderLine, sold: int, now: int) -> Body:
        price = str(cents(line.total / line.quantity))
        body: Body = {
            "id": id,
            "name": line.product_name,
            "slug": re.sub(r"[^a-z0-9]+", "-", line.sku.lower()),
            "type": "simple",
            "status": "publish",
            "sku": line.sku,
            "price": price,
            "regular_price": price,
            "sale_price": "",
            "manage_stock": False,
            "stock_quantity": None,
            "stock_status": "instock",
            "tax_status": "taxable",
            "tax_class": "",
            "categories": [{"id": 1, "name": line.category, "slug": line.category.lower()}] if line.category else [],
            "variations": [],
            **_stamps("created", sold),
            **_stamps("modified", now),
            "meta_data": [],
        }
        if line.cost is not None:
            cost = (line.cost / line.quantity).quantize(MILLIONTH, ROUND_HALF_UP)
            body["cost_of_goods_sold"] = {
                "values": [{"defined_value": cost, "effective_value": cost}],
                "total_value": cost,
            }
        return body

    def _contact(self, order: Order) -> Body:
        first, _, last = order.name.partition(" ")
        address: Body = {"first_name": first, "last_name": last, "company": "", "country": "AU", "phone": ""}
        address |= dict.fromkeys(("address_1", "address_2", "city", "state", "postcode"), "")
        return {
            "email": order.email.strip(),
            "first_name": first,
            "last_name": last,
            "role": "customer",
            "username": order.buyer,
            "is_paying_customer": True,
            "billing": {**address, "email": order.email.strip()},
            "shipping": address,
            "meta_data": [],
        }

    def _version(
        self, resource: str, id: int, at: int, modified: int, dated: int, body: Body, parent: str = ""
    ) -> Version:
        return Version(
            account=self._account,
            resource=resource,
            id=str(id),
            number=id,
            visible_from=at,
            created_at=dated,
            business_at=dated,
            modified_at=modified,
            body=body,
            parent=parent,
        )

    def _id(self) -> int:
        self._next += 1
        return self._next - 1


def _stamps(name: str, at: int | None) -> Body:
    """`date_created` and `date_created_gmt`, as WooCommerce writes them."""
    return {f"date_{name}": woocommerce.local(at), f"date_{name}_gmt": woocommerce.gmt(at)}
