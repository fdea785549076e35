"""How much there is of each product: the same all through a Melbourne day, following from seed, product and day.

Stock falls as a product sells and jumps when it is refilled; some products are always out, one in fifty is negative
because more was sold than counted in, and some have no known cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from masterops_dagster.simulator.world.clock import day_start
from masterops_dagster.simulator.world.records import Body, Record, millis
from masterops_dagster.simulator.world.seeding import cents

CARRIES_STOCK = frozenset({"products", "products/variations"})

WAREHOUSES: dict[str, tuple[tuple[str, str], ...]] = {
    "unleashed_teelixir": (("MEL", "Melbourne"), ("3PL", "Third-party logistics")),
    "unleashed_elevate_wholesale": (("DAN", "Dandenong"), ("QC", "Quarantine")),
}
"""(code, name) per account, the default one first. The second holds every third product as well."""

LOCATIONS: dict[str, tuple[tuple[int, str], ...]] = {
    "shopify_teelixir": ((61_000_000_001, "Melbourne warehouse"), (61_000_000_002, "Third-party logistics")),
    "shopify_elevate_wholesale": ((62_000_000_001, "Dandenong"),),
}
"""(number, name) of the places of a Shopify store that hold stock, the main one first."""

_ORIGIN = date(2020, 1, 1)


def level(seed: int, sku: str, day: date) -> int:
    """Pieces on hand of a SKU on a Melbourne day."""
    digest = hashlib.blake2b(f"{seed}:stock:{sku}".encode(), digest_size=16).digest()
    kind = digest[0] % 50
    if kind in (0, 1):
        return 0
    if kind == 2:
        return -1 - digest[1] % 6
    cycle = 14 + digest[2] % 45
    capacity = 20 + digest[3] * 3
    elapsed = ((day - _ORIGIN).days + digest[4]) % cycle
    wobble = hashlib.blake2b(digest + str(day).encode(), digest_size=1).digest()[0] % 5
    return max(0, capacity - capacity * elapsed // (cycle + 3 - digest[5] % 4) - wobble)


def set_level(body: Body, seed: int, day: date) -> None:
    """Puts the day's stock into a WooCommerce product or variation that manages stock."""
    if body.get("manage_stock") is True:
        quantity = level(seed, str(body["sku"] or body["id"]), day)
        body["stock_quantity"] = quantity
        body["stock_status"] = "instock" if quantity > 0 else "outofstock"


def on_hand(account: str, product: dict[str, Any], seed: int, day: date, first_number: int) -> list[Record]:
    """The StockOnHand rows of an Unleashed product, one per warehouse that holds it."""
    code = str(product["ProductCode"])
    start = day_start(day)
    total = level(seed, code, day)
    shares = [total]
    if product["Guid"][0] in "02468" and total > 0:
        shares = [total - total // 3, total // 3]
    rows: list[Record] = []
    for (warehouse, _), quantity in zip(WAREHOUSES[account], shares, strict=False):
        allocated = max(0, min(quantity, quantity // 7))
        cost = product["AverageLandPrice"]
        body: Body = {
            "ProductCode": code,
            "ProductDescription": product["ProductDescription"],
            "ProductGuid": product["Guid"],
            "ProductSourceId": None,
            "ProductGroupName": (product["ProductGroup"] or {}).get("GroupName"),
            "WarehouseId": None,
            "Warehouse": warehouse,
            "WarehouseCode": warehouse,
            "QtyOnHand": quantity,
            "AvailableQty": quantity - allocated,
            "AllocatedQty": allocated,
            "OnPurchase": level(seed, f"{code}:purchase", day - timedelta(days=3)) // 4,
            "AvgCost": cost,
            "TotalCost": cents(quantity * cost) if cost is not None else None,
            "DaysSinceLastSale": level(seed, f"{code}:idle", day) % 40,
            "LastModifiedOn": f"/Date({millis(start)})/",
            "Guid": product["Guid"],
        }
        rows.append(_row(f"{product['Guid']}-{warehouse}", first_number + len(rows), start, body))
    return rows


def inventory_levels(account: str, product: dict[str, Any], seed: int, day: date, first_number: int) -> list[Record]:
    """What a Shopify store believes to have of each variant of a product, one row per location.

    One item in twenty was not brought up to date since the day before. What isn't tracked has nothing anywhere.
    """
    start = day_start(day)
    rows: list[Record] = []
    for variant in product["variants"]:
        item = variant["inventoryItem"]
        number = int(item["id"].rpartition("/")[2])
        total = incoming = 0
        if item["tracked"]:
            stale = hashlib.blake2b(f"{seed}:stale:{number}:{day}".encode(), digest_size=1).digest()[0] < 13
            total = level(seed, item["sku"], day - timedelta(days=1) if stale else day)
            incoming = level(seed, f"{item['sku']}:purchase", day - timedelta(days=3)) // 4
        places = LOCATIONS[account]
        elsewhere = total // 3 if len(places) > 1 and total > 0 and number % 2 == 0 else 0
        for place, (location, name) in enumerate(places):
            quantity = elsewhere if place else total - elsewhere
            committed = max(0, quantity // 7)
            id = f"gid://shopify/InventoryLevel/{location}{number % 1_000_000:06d}?inventory_item_id={number}"
            quantities = {
                "available": quantity - committed,
                "on_hand": quantity,
                "committed": committed,
                "incoming": incoming if place == 0 else 0,
                "reserved": 0,
            }
            body: Body = {
                "id": id,
                "item": item,
                "location": {"id": f"gid://shopify/Location/{location}", "name": name},
                "quantities": quantities,
                "updatedAt": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            rows.append(_row(id, first_number + len(rows), start, body))
    return rows


def _row(id: str, number: int, start: datetime, body: Body) -> Record:
    return Record(
        id=id,
        number=number,
        created_at=start,
        business_at=start,
        modified_at=start,
        archived=False,
        parent="",
        body=body,
    )


def variant_level(seed: int, variant_id: int, day: date) -> int:
    """Pieces of a BigCommerce variant: few of each, and never below nothing."""
    return max(0, level(seed, f"variant:{variant_id}", day)) // 12


def set_variant_levels(body: Body, seed: int, day: date) -> None:
    """Puts the day's stock into a BigCommerce product that is tracked, and into its variants."""
    if body["inventory_tracking"] == "none":
        return
    for variant in body["variants"]:
        variant["inventory_level"] = variant_level(seed, variant["id"], day)
    body["inventory_level"] = sum(variant["inventory_level"] for variant in body["variants"])


def inventory_items(account: str, product: dict[str, Any], seed: int, day: date, first_number: int) -> list[Record]:
    """BigCommerce's inventory items of a tracked product, one per variant, with its levels at each location.

    Every tenth product is at a second location as well; a few have a safety stock, which isn't for sale.
    """
    if product["inventory_tracking"] == "none":
        return []
    start = day_start(day)
    rows: list[Record] = []
    for variant in product["variants"]:
        total = variant_level(seed, variant["id"], day)
        shares = [total - total // 3, total // 3] if product["id"] % 10 == 3 else [total]
        safety = 2 if product["id"] % 30 == 4 else 0
        rows.append(
            Record(
                id=str(variant["id"]),
                number=variant["id"],
                created_at=start,
                business_at=start,
                modified_at=start,
                archived=False,
                parent=str(product["id"]),
                body={
                    "identity": {
                        "sku": variant["sku"],
                        "variant_id": variant["id"],
                        "product_id": product["id"],
                        "sku_id": variant["sku_id"],
                    },
                    "locations": [
                        {
                            "location_id": place,
                            "location_code": f"BC-LOCATION-{place}",
                            "location_name": ("Default location", "Cool room")[place - 1],
                            "location_enabled": True,
                            "available_to_sell": max(0, quantity - safety),
                            "total_inventory_onhand": quantity,
                            "settings": {
                                "safety_stock": safety,
                                "is_in_stock": quantity > safety,
                                "warning_level": 0,
                                "bin_picking_number": "",
                            },
                        }
                        for place, quantity in enumerate(shares, 1)
                    ],
                },
            )
        )
    return rows


SNAPSHOTS: dict[str, tuple[str, Callable[[str, dict[str, Any], int, date, int], list[Record]]]] = {
    "StockOnHand": ("Products", on_hand),
    "inventory_levels": ("products", inventory_levels),
    "inventory": ("products", inventory_items),
}
"""Resources that are no stored records but follow from the products of the day: the resource of these, and the rows
of one product, given account, product, seed, Melbourne day and the number of the first row."""
