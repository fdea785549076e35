"""Shopify's objects as our own code handles them: amounts are `Decimal`s in the shop's currency, ids are `gid://…`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AliasPath, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _shop_money(value: object) -> object:
    bag = value.get("shopMoney") if isinstance(value, dict) else None
    return bag.get("amount") if isinstance(bag, dict) else value


Money = Annotated[Decimal, BeforeValidator(_shop_money)]
"""The shop's side of a money bag."""


class Model(BaseModel):
    """Fields without a name here are left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


def _allocated(value: object) -> object:
    """The amounts of `discountAllocations`."""
    if not isinstance(value, list | tuple):
        return value
    return [one.get("allocatedAmountSet") if isinstance(one, dict) else one for one in value]


class OrderLine(Model):
    """`discounts` are those of the line and its shares of the order's; tax is included where the order's prices are."""

    id: str
    sku: str | None = None
    title: str
    quantity: int
    current_quantity: int
    taxable: bool
    is_gift_card: bool
    product_id: str | None = Field(None, validation_alias=AliasPath("product", "id"))
    variant_id: str | None = Field(None, validation_alias=AliasPath("variant", "id"))
    original_total: Money = Field(validation_alias="originalTotalSet")
    discounts: Annotated[tuple[Money, ...], BeforeValidator(_allocated)] = Field(validation_alias="discountAllocations")

    @property
    def total(self) -> Decimal:
        """After all discounts."""
        return self.original_total - sum(self.discounts, Decimal(0))


class Order(Model):
    """An order with all its lines. `company_id` is set where a company bought (B2B)."""

    id: str
    name: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    cancelled_at: AwareDatetime | None = None
    test: bool
    display_financial_status: str | None = None
    display_fulfillment_status: str
    currency_code: str
    taxes_included: bool
    email: str | None = None
    po_number: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    customer_id: str | None = Field(None, validation_alias=AliasPath("customer", "id"))
    company_id: str | None = Field(None, validation_alias=AliasPath("purchasingEntity", "company", "id"))
    total_price: Money = Field(validation_alias="totalPriceSet")
    total_refunded: Money = Field(validation_alias="totalRefundedSet")
    line_items: tuple[OrderLine, ...] = ()


class InventoryQuantity(Model):
    """What an item's quantity at a location is to be. It is set only if it still is `change_from_quantity`; None sets
    it whatever it is."""

    inventory_item_id: str
    location_id: str
    quantity: int
    change_from_quantity: int | None


class InventoryChange(Model):
    """One quantity that changed, by `delta`; of `name` `available` or another that follows from it."""

    name: str
    delta: int
    quantity_after_change: int | None = None
    inventory_item_id: str | None = Field(None, validation_alias=AliasPath("item", "id"))
    location_id: str | None = Field(None, validation_alias=AliasPath("location", "id"))
