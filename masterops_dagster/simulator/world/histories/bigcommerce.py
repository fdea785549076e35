"""A history as a BigCommerce store holds it, whose prices are without tax."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from masterops_dagster.simulator.world import bigcommerce
from masterops_dagster.simulator.world.bigcommerce import iso, money, rfc2822
from masterops_dagster.simulator.world.histories.common import Order, OrderLine, first_orders, last_sold
from masterops_dagster.simulator.world.records import Body, Version
from masterops_dagster.simulator.world.seeding import cents

NOTHING = Decimal("0.0000")


class BigCommerceHistory:
    """Each SKU is a product that isn't tracked; without an e-mail the buyer is a guest."""

    REPLACES: ClassVar[tuple[str, ...]] = ("orders", "refunds", "customers", "products")

    def __init__(self, account: str, orders: list[Order], first_id: int) -> None:
        self._account = account
        self._orders = orders
        self._next = first_id
        self._variants: dict[str, tuple[int, int]] = {}
        self._customers: dict[str, int] = {}

    def records(self, at: int) -> Iterator[Version]:
        now = at - at % 1000
        for sku, (sold, line) in last_sold(self._orders).items():
            id, variant = self._variants[sku] = self._id(), self._id()
            yield self._version("products", id, at, sold, self._product(id, variant, line, sold, now))
        for buyer, order in first_orders(self._orders).items():
            if order.email.strip():
                id = self._customers[buyer] = self._id()
                yield self._version("customers", id, at, order.ordered, self._customer(id, order, now))
        for order in self._orders:
            yield from self._order(order, at, now)

    def _order(self, order: Order, at: int, now: int) -> Iterator[Version]:
        id, total, tax = self._id(), order.total, order.tax
        lines = [self._line(id, line, order) for line in order.lines]
        if order.refunded_at is not None:
            refund = self._refund(id, order, lines)
            yield self._version("refunds", refund["id"], at, order.refunded_at, refund, parent=str(id))
        status = self._status(order)
        pieces = sum((line.quantity for line in order.lines), Decimal(0))
        first, last = _names(order)
        body: Body = {
            "id": id,
            "customer_id": self._customers.get(order.buyer, 0),
            "date_created": rfc2822(order.ordered),
            "date_modified": rfc2822(now),
            "date_shipped": rfc2822(order.shipped),
            "status_id": status,
            "status": bigcommerce.STATUSES[status],
            "is_deleted": False,
            "is_tax_inclusive_pricing": False,
            "currency_code": "AUD",
            "subtotal_ex_tax": money(total),
            "subtotal_inc_tax": money(total + tax),
            "discount_amount": money(NOTHING),
            "coupon_discount": money(NOTHING),
            "shipping_cost_ex_tax": money(NOTHING),
            "shipping_cost_inc_tax": money(NOTHING),
            "shipping_cost_tax": money(NOTHING),
            "total_ex_tax": money(total),
            "total_inc_tax": money(total + tax),
            "total_tax": money(tax),
            "refunded_amount": money(total + tax if order.refunded_at is not None else NOTHING),
            "items_total": pieces,
            "items_shipped": pieces if order.shipped is not None else 0,
            "payment_method": "",
            "payment_status": "",
            "order_source": "external",
            "channel_id": 1,
            "external_id": order.number,
            "customer_message": "",
            "staff_notes": "",
            "billing_address": {
                "first_name": first,
                "last_name": last,
                "company": "",
                "email": order.email.strip(),
                "phone": "",
                "zip": "",
            },
            "products": lines,
            "shipments": [self._parcel(id, order.shipped, lines)] if order.shipped is not None else [],
        }
        yield self._version("orders", id, at, order.ordered, body)

    def _status(self, order: Order) -> int:
        if order.status == "processing":
            return bigcommerce.SHIPPED if order.shipped is not None else bigcommerce.AWAITING_FULFILMENT
        return {
            "completed": bigcommerce.COMPLETED,
            "cancelled": bigcommerce.CANCELLED,
            "refunded": bigcommerce.REFUNDED,
        }[order.status]

    def _line(self, order_id: int, line: OrderLine, order: Order) -> Body:
        each = line.total / line.quantity
        product, variant = self._variants[line.sku]
        cost = line.cost / line.quantity if line.cost is not None else NOTHING
        refunded = line.quantity if order.refunded_at is not None else 0
        return {
            "id": self._id(),
            "order_id": order_id,
            "product_id": product,
            "variant_id": variant,
            "name": line.product_name,
            "sku": line.sku,
            "type": "physical",
            "quantity": line.quantity,
            "quantity_shipped": line.quantity if order.shipped is not None else 0,
            "quantity_refunded": refunded,
            "price_ex_tax": money(each),
            "price_inc_tax": money((line.total + line.tax) / line.quantity),
            "total_ex_tax": money(line.total),
            "total_inc_tax": money(line.total + line.tax),
            "total_tax": money(line.tax),
            "cost_price_ex_tax": money(cost),
            "brand": line.category,
            "applied_discounts": [],
            "product_options": [],
        }

    def _parcel(self, order_id: int, shipped: int, lines: list[Body]) -> Body:
        return {
            "id": self._id(),
            "order_id": order_id,
            "date_created": rfc2822(shipped),
            "tracking_number": "",
            "shipping_provider": "",
            "tracking_carrier": "",
            "shipping_method": "",
            "items": [
                {"order_product_id": line["id"], "product_id": line["product_id"], "quantity": line["quantity"]}
                for line in lines
            ],
        }

    def _refund(self, order_id: int, order: Order, lines: list[Body]) -> Body:
        items = [
            {
                "item_type": "PRODUCT",
                "item_id": body["id"],
                "quantity": line.quantity,
                "requested_amount": line.total,
                "reason": "",
            }
            for body, line in zip(lines, order.lines, strict=True)
        ]
        return {
            "id": self._id(),
            "order_id": order_id,
            "created": iso(order.refunded_at or order.ordered),
            "reason": "Refunded",
            "total_amount": order.total + order.tax,
            "total_tax": order.tax,
            "items": items,
            "payments": [],
        }

    def _product(self, id: int, variant: int, line: OrderLine, sold: int, now: int) -> Body:
        price = cents(line.total / line.quantity)
        cost = (line.cost / line.quantity).quantize(NOTHING) if line.cost is not None else 0
        return {
            "id": id,
            "name": line.product_name,
            "type": "physical",
            "sku": line.sku,
            "price": price,
            "cost_price": cost,
            "sale_price": 0,
            "calculated_price": price,
            "tax_class_id": bigcommerce.TAXED if line.tax > 0 else bigcommerce.GST_FREE,
            "categories": [],
            "brand_id": 0,
            "inventory_level": 0,
            "inventory_tracking": "none",
            "is_visible": True,
            "availability": "available",
            "base_variant_id": variant,
            "date_created": iso(sold),
            "date_modified": iso(now),
            "variants": [
                {
                    "id": variant,
                    "product_id": id,
                    "sku": line.sku,
                    "price": None,
                    "calculated_price": price,
                    "cost_price": cost,
                    "purchasing_disabled": False,
                    "inventory_level": 0,
                    "option_values": [],
                }
            ],
        }

    def _customer(self, id: int, order: Order, now: int) -> Body:
        first, last = _names(order)
        return {
            "id": id,
            "email": order.email.strip(),
            "first_name": first,
            "last_name": last,
            "company": "",
            "phone": "",
            "notes": "",
            "customer_group_id": 0,
            "accepts_product_review_abandoned_cart_emails": False,
            "date_created": iso(order.ordered),
            "date_modified": iso(now),
            "addresses": [],
        }

    def _version(self, resource: str, id: int, at: int, dated: int, body: Body, parent: str = "") -> Version:
        return Version(
            account=self._account,
            resource=resource,
            id=str(id),
            number=id,
            visible_from=at,
            created_at=dated,
            business_at=dated,
            modified_at=at - at % 1000,
            body=body,
            parent=parent,
        )

    def _id(self) -> int:
        self._next += 1
        return self._next - 1


def _names(order: Order) -> tuple[str, str]:
    first, _, last = order.name.partition(" ")
    return first, last
