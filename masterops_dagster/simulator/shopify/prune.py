"""Cuts `schema.graphql` out of Shopify's published Admin schema, which npm's `@shopify/dev-mcp` carries as data.

    npm pack @shopify/dev-mcp@1.16.0 && tar xzf shopify-dev-mcp-1.16.0.tgz
    python -m masterops_dagster.simulator.shopify.prune package/dist/data/admin_2026-10.json.gz

Only whole fields are left out: what stays keeps its name, type, arguments and deprecation as published, so that a
document that the stand-in accepts is one that Shopify accepts.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, build_client_schema, print_schema

KEPT: Mapping[str, str] = {
    "QueryRoot": """abandonedCheckouts abandonedCheckoutsCount bulkOperation bulkOperations currentAppInstallation
        customer customers customersCount inventoryItem inventoryItems location locations locationsCount node nodes
        order orders ordersCount product products productsCount productVariants publicApiVersions shop""",
    "Mutation": "bulkOperationCancel bulkOperationRunQuery tagsAdd",
    "Order": """billingAddress cancelReason cancelledAt closed closedAt createdAt currencyCode customer discountCode
        discountCodes displayFinancialStatus displayFulfillmentStatus email fulfillments id legacyResourceId lineItems
        name note phone poNumber processedAt purchasingEntity refunds shippingAddress sourceName subtotalPriceSet tags
        taxesIncluded test totalDiscountsSet totalPrice totalPriceSet totalRefundedSet totalShippingPriceSet totalTaxSet
        updatedAt""",
    "LineItem": """currentQuantity discountAllocations discountedTotal discountedTotalSet id isGiftCard name
        originalTotalSet originalUnitPriceSet product quantity sku taxLines taxable title variant variantTitle""",
    "DiscountAllocation": "allocatedAmountSet",
    "TaxLine": "price priceSet rate ratePercentage title",
    "MoneyBag": "presentmentMoney shopMoney",
    "MoneyV2": "amount currencyCode",
    "MailingAddress": """address1 address2 city company countryCodeV2 firstName lastName phone provinceCode zip""",
    "Fulfillment": """createdAt deliveredAt displayStatus id legacyResourceId location name status trackingInfo
        updatedAt""",
    "FulfillmentTrackingInfo": "company number url",
    "Refund": "createdAt id legacyResourceId note refundLineItems totalRefundedSet updatedAt",
    "RefundLineItem": "id lineItem quantity restockType subtotalSet totalTaxSet",
    "PurchasingCompany": "company contact location",
    "Company": "id name",
    "CompanyContact": "id",
    "CompanyLocation": "id name",
    "Customer": """amountSpent createdAt defaultAddress defaultEmailAddress defaultPhoneNumber displayName email
        firstName id lastName legacyResourceId note numberOfOrders phone state tags taxExempt updatedAt""",
    "CustomerEmailAddress": "emailAddress marketingState",
    "CustomerPhoneNumber": "phoneNumber",
    "Product": """createdAt handle id legacyResourceId productType publishedAt status tags title updatedAt variants
        variantsCount vendor""",
    "ProductVariant": """barcode compareAtPrice createdAt displayName id inventoryItem inventoryPolicy legacyResourceId
        position price product sku taxable title updatedAt""",
    "InventoryItem": "id inventoryLevel inventoryLevels legacyResourceId sku tracked unitCost variant",
    "InventoryLevel": "id item location quantities updatedAt",
    "InventoryQuantity": "id name quantity updatedAt",
    "Location": "createdAt fulfillsOnlineOrders id isActive legacyResourceId name updatedAt",
    "AbandonedCheckout": """completedAt createdAt customer id lineItems name subtotalPriceSet taxesIncluded
        totalDiscountSet totalPriceSet totalTaxSet updatedAt""",
    "AbandonedCheckoutLineItem": """discountedTotalPriceSet id originalTotalPriceSet originalUnitPriceSet product
        quantity sku title variant variantTitle""",
    "Shop": "currencyCode ianaTimezone id myshopifyDomain name taxesIncluded",
    "AppInstallation": "accessScopes id",
    "AccessScope": "description handle",
    "ApiVersion": "displayName handle supported",
    "BulkOperation": """completedAt createdAt errorCode fileSize id objectCount partialDataUrl query rootObjectCount
        status type url""",
}
"""The fields that the stand-in answers, of the types that have more; every other type that these lead to is whole."""

INTERFACES = {"DisplayableError": "message", "LegacyInteroperability": "legacyResourceId", "Node": "id"}
"""A type implements one of these if it keeps the field; what else it implements is left out."""

Introspection = dict[str, Any]


def read_published(path: Path) -> Introspection:
    """The introspection result in a file of the package."""
    with gzip.open(path) as file:
        data: Introspection = json.load(file)["data"]
    return data


def pruned(published: Introspection) -> GraphQLSchema:
    """What `KEPT` names and what that leads to."""
    known = {one["name"]: one for one in published["__schema"]["types"]}
    kept: dict[str, Introspection] = {}
    waiting = ["QueryRoot", "Mutation"]
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept[name] = _cut(known[name])
            waiting.extend(_leads_to(kept[name]))
    for one in kept.values():
        if one["possibleTypes"] is not None:
            one["possibleTypes"] = [possible for possible in one["possibleTypes"] if possible["name"] in kept]
    schema = {
        "queryType": {"name": "QueryRoot"},
        "mutationType": {"name": "Mutation"},
        "subscriptionType": None,
        "types": [*kept.values(), *(known[name] for name in known if name.startswith("__"))],
        "directives": [],
    }
    return build_client_schema({"__schema": schema})  # type: ignore[typeddict-item]


def _cut(published: Introspection) -> Introspection:
    one = {**published, "description": None}
    if one["fields"] is not None:
        wanted = KEPT[one["name"]].split() if one["name"] in KEPT else [each["name"] for each in one["fields"]]
        named = {each["name"]: each for each in one["fields"]}
        one["fields"] = [_bare(named[name]) for name in wanted]
    for part in ("inputFields", "enumValues"):
        if one[part] is not None:
            one[part] = [_bare(each) for each in one[part]]
    if one["interfaces"] is not None:
        own = {each["name"] for each in one["fields"]}
        one["interfaces"] = [each for each in one["interfaces"] if INTERFACES.get(each["name"], "") in own]
    return one


def _bare(published: Introspection) -> Introspection:
    """Without descriptions."""
    bare = {**published, "description": None}
    if "args" in bare:
        bare["args"] = [_bare(each) for each in bare["args"]]
    return bare


def _leads_to(one: Introspection) -> list[str]:
    named = [each["name"] for part in ("interfaces", "possibleTypes") for each in one[part] or ()]
    if one["kind"] == "INTERFACE":
        named = []
    for each in one["fields"] or ():
        named.extend([_named(each["type"]), *(_named(argument["type"]) for argument in each["args"])])
    return named + [_named(each["type"]) for each in one["inputFields"] or ()]


def _named(reference: Introspection) -> str:
    while reference["ofType"] is not None:
        reference = reference["ofType"]
    return str(reference["name"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="admin_<version>.json.gz")
    parser.add_argument("--to", type=Path, default=Path(__file__).with_name("schema.graphql"))
    options = parser.parse_args()
    options.to.write_text(print_schema(pruned(read_published(options.published))) + "\n")


if __name__ == "__main__":
    main()
