"""What can be read of a store: which document lists it, how it is ordered and filtered, what is nested in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nested:
    """A connection in each object: `first` of its nodes come with it, `more` is the document that reads on."""

    field: str
    more: str
    first: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order in which a list can be read: Shopify's name for it, the objects' field, the name in a search.

    What is behind a moment of that order can be searched for, so a list can be taken up there again.
    """

    key: str | None
    field: str
    search: str


BY_ID = Order("ID", "id", "id")
BY_CREATION = Order("CREATED_AT", "createdAt", "created_at")
BY_MODIFICATION = Order("UPDATED_AT", "updatedAt", "updated_at")


@dataclass(frozen=True, slots=True)
class Resource:
    """`connection` is the field of the root. `count` and `keys` are documents, where there are such.

    `order` is that of reading everything; `modified` that of what changed, None if Shopify can't search for it.
    `created` is what creation is called in a search. A resource with a `bulk` document is read by a bulk operation
    when there is much of it.
    """

    name: str
    connection: str
    document: str
    order: Order = BY_CREATION
    modified: Order | None = BY_MODIFICATION
    created: str | None = "created_at"
    nested: Nested | None = None
    count: str | None = None
    keys: str | None = None
    bulk: str | None = None


RESOURCES = {
    resource.name: resource
    for resource in (
        Resource(
            "orders",
            "orders",
            "orders",
            nested=Nested("lineItems", "order_lines", 50),
            count="order_count",
            keys="order_keys",
            bulk="bulk_orders",
        ),
        Resource(
            "customers",
            "customers",
            "customers",
            order=Order("CREATED_AT", "createdAt", "customer_date"),
            created="customer_date",
            count="customer_count",
            keys="customer_keys",
            bulk="bulk_customers",
        ),
        Resource(
            "products",
            "products",
            "products",
            nested=Nested("variants", "product_variants", 20),
            count="product_count",
            keys="product_keys",
            bulk="bulk_products",
        ),
        Resource("locations", "locations", "locations", order=Order(None, "id", "id"), modified=None, created=None),
        Resource(
            "inventory_levels",
            "inventoryItems",
            "inventory_levels",
            order=Order(None, "id", "id"),
            modified=None,
            created=None,
            nested=Nested("inventoryLevels", "item_levels", 10),
            bulk="bulk_inventory_levels",
        ),
        Resource(
            "abandoned_checkouts",
            "abandonedCheckouts",
            "abandoned_checkouts",
            modified=Order("CREATED_AT", "createdAt", "created_at"),
            nested=Nested("lineItems", "checkout_lines", 50),
            count="checkout_count",
            keys="checkout_keys",
        ),
    )
}

REFUND_LINES = Nested("refundLineItems", "more_refund_lines", 50)
"""Of each refund in an order's list; a bulk operation can't read a connection inside a list, so nobody does."""
