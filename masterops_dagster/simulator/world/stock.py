"""How much there is of each product: the same all through a Melbourne day, following from seed, product and day.

Stock falls as a product sells and jumps when it is refilled; some products are always out, one in fifty is negative
because more was sold than counted in, and some have no known cost.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

from masterops_dagster.simulator.world.clock import day_start
from masterops_dagster.simulator.world.records import Body, Record, millis
from masterops_dagster.simulator.world.seeding import cents

STOCK_ON_HAND = "StockOnHand"
CARRIES_STOCK = frozenset({"products", "products/variations"})

WAREHOUSES: dict[str, tuple[tuple[str, str], ...]] = {
    "unleashed_teelixir": (("MEL", "Melbourne"), ("3PL", "Third-party logistics")),
    "unleashed_elevate_wholesale": (("DAN", "Dandenong"), ("QC", "Quarantine")),
}
"""(code, name) per account, the default one first. The second holds every third product as well."""

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
        rows.append(
            Record(
                id=f"{product['Guid']}-{warehouse}",
                number=first_number + len(rows),
                created_at=start,
                business_at=start,
                modified_at=start,
                archived=False,
                parent="",
                body={
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
                },
            )
        )
    return rows
