"""Fields that no body holds as such, but that follow from it: deprecated ones, names, ids of the old API, stock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from masterops_dagster.simulator.shopify.execution import Derived
from masterops_dagster.simulator.world.records import Body

WITHOUT_CODES = "discountedTotalSet(withCodeDiscounts: false)"
"""The key under which a line's total without the reductions of codes stands, where it is another."""

WITH_LEGACY_ID = (
    *("Order", "Fulfillment", "Refund", "Customer"),
    *("Product", "ProductVariant", "InventoryItem", "Location"),
)

Levels = Callable[[str], list[Body]]
"""An inventory item's levels, by its id."""


def derived_fields(levels: Levels) -> dict[tuple[str, str], Derived]:
    """The derived fields, by type and name."""

    def level(body: Body, arguments: Mapping[str, Any]) -> Body | None:
        place = arguments["locationId"]
        return next((level for level in levels(body["id"]) if level["location"]["id"] == place), None)

    return {
        **FIELDS,
        ("InventoryItem", "inventoryLevels"): Derived(lambda body, _: levels(body["id"])),
        ("InventoryItem", "inventoryLevel"): Derived(level),
    }


def variants(product: Body) -> Iterator[Body]:
    """A product's variants, each with the product in it."""
    own = {name: value for name, value in product.items() if name != "variants"}
    for variant in product.get("variants", ()):
        yield {**variant, "product": own}


def _inner(*path: str) -> Callable[[Body, Mapping[str, Any]], Any]:
    """What lies at a path; None where the way ends."""

    def value(body: Body, arguments: Mapping[str, Any]) -> Any:
        found: Any = body
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    return value


def _discounted(body: Body, arguments: Mapping[str, Any]) -> Any:
    with_codes = body.get("discountedTotalSet")
    return with_codes if arguments.get("withCodeDiscounts") else body.get(WITHOUT_CODES) or with_codes


def _quantities(body: Body, arguments: Mapping[str, Any]) -> list[Body]:
    held = body["quantities"]
    return [
        {
            "id": f"gid://shopify/InventoryQuantity/{str(body['id']).rpartition('/')[2]}&name={name}",
            "name": name,
            "quantity": held[name],
            "updatedAt": body.get("updatedAt"),
        }
        for name in arguments["names"]
        if name in held
    ]


def _line_name(body: Body, arguments: Mapping[str, Any]) -> str:
    return " - ".join(filter(None, (body["title"], body.get("variantTitle"))))


def _variant_name(body: Body, arguments: Mapping[str, Any]) -> str:
    title, own = (body.get("product") or {}).get("title", ""), body.get("title", "")
    return title if own == "Default Title" else f"{title} - {own}"


def _customer_name(body: Body, arguments: Mapping[str, Any]) -> str:
    email = (body.get("defaultEmailAddress") or {}).get("emailAddress")
    return " ".join(filter(None, (body.get("firstName"), body.get("lastName")))) or email or ""


def _percentage(body: Body, arguments: Mapping[str, Any]) -> Any:
    return None if body.get("rate") is None else round(body["rate"] * 100, 4)


def _legacy_id(body: Body, arguments: Mapping[str, Any]) -> str:
    return str(body["id"]).partition("?")[0].rpartition("/")[2]


FIELDS: Mapping[tuple[str, str], Derived] = {
    ("MoneyBag", "presentmentMoney"): Derived(lambda body, _: body.get("presentmentMoney") or body["shopMoney"]),
    ("TaxLine", "price"): Derived(_inner("priceSet", "shopMoney", "amount")),
    ("TaxLine", "ratePercentage"): Derived(_percentage),
    ("Order", "closed"): Derived(lambda body, _: body.get("closedAt") is not None, ("closedAt",)),
    ("Order", "discountCode"): Derived(lambda body, _: next(iter(body["discountCodes"]), None), ("discountCodes",)),
    ("Order", "totalPrice"): Derived(_inner("totalPriceSet", "shopMoney", "amount"), ("totalPriceSet",)),
    ("Order", "purchasingEntity"): Derived(
        lambda body, _: body.get("purchasingEntity") or body.get("customer"), ("purchasingEntity", "customer")
    ),
    ("LineItem", "name"): Derived(_line_name),
    ("LineItem", "discountedTotal"): Derived(_inner("discountedTotalSet", "shopMoney", "amount")),
    ("LineItem", "discountedTotalSet"): Derived(_discounted),
    ("Customer", "displayName"): Derived(_customer_name, ("firstName", "lastName", "defaultEmailAddress")),
    ("Customer", "email"): Derived(_inner("defaultEmailAddress", "emailAddress"), ("defaultEmailAddress",)),
    ("Customer", "phone"): Derived(_inner("defaultPhoneNumber", "phoneNumber"), ("defaultPhoneNumber",)),
    ("Product", "variants"): Derived(lambda body, _: list(variants(body)), ("variants",)),
    ("Product", "variantsCount"): Derived(
        lambda body, _: {"count": len(body["variants"]), "precision": "EXACT"}, ("variants",)
    ),
    ("ProductVariant", "displayName"): Derived(_variant_name, ("title", "product")),
    ("InventoryLevel", "quantities"): Derived(_quantities),
    **{(name, "legacyResourceId"): Derived(_legacy_id) for name in WITH_LEGACY_ID},
}
