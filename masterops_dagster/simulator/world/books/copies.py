"""Shopify orders that stand in Unleashed once more, to be sent from there.

A copy carries the name of an order that the store has or had, in its reference or its comments; a name of an order
that never was makes no copy.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.simulator.world.books.common import decimal, net_moment, rounded
from masterops_dagster.simulator.world.records import Body
from masterops_dagster.simulator.world.store import World

NAMES = {
    "teelixir": re.compile(r"(?:^|\s)(#TX[0-9]+)"),
    "elevate_wholesale": re.compile(r"(?:^|\s)(#EW[0-9]+)"),
}
"""How the names of a store's orders look."""


class Copies:
    """The copies of one business; none where it has no Shopify store."""

    def __init__(self, world: World, business_key: str) -> None:
        self._pattern = NAMES.get(business_key)
        self._wholesale: dict[str, bool] = {}
        self._newest: dict[str, tuple[datetime, str]] = {}
        self._landed: dict[str, dict[str, Decimal | None]] = {}
        keys = {a.system: a.key for a in ACCOUNTS if a.business_key == business_key}
        if self._pattern is None or "shopify" not in keys:
            return
        for record in world.ever(keys["shopify"], "orders"):
            self._wholesale[record.body["name"]] = is_wholesale(record.body)
        for record in world.scan(keys["unleashed"], "SalesOrders"):
            name = self.original(record.body)
            if name is not None:
                self._keep(name, record.body)

    def original(self, order: Body) -> str | None:
        """The name of the Shopify order of which this order in Unleashed is a copy."""
        if self._pattern is None:
            return None
        for field in ("CustomerRef", "Comments"):
            for name in self._pattern.findall(order.get(field) or ""):
                if name in self._wholesale:
                    return str(name)
        return None

    def wholesale(self, name: str) -> bool:
        """Whether a company bought that Shopify order."""
        return self._wholesale[name]

    def cost(self, name: str, sku: str | None, quantity: Decimal) -> Decimal | None:
        """What that many of a SKU cost, as the newest copy of that Shopify order knows it."""
        landed = self._landed.get(name, {}).get(sku or "")
        return rounded(quantity * landed) if landed is not None else None

    def _keep(self, name: str, order: Body) -> None:
        age = (net_moment(order["OrderDate"]), order["Guid"])
        if name in self._newest and self._newest[name] > age:
            return
        self._newest[name] = age
        landed: dict[str, Decimal | None] = {}
        for line in sorted(order["SalesOrderLines"], key=lambda line: line["LineNumber"]):
            known = line["AverageLandedPriceAtTimeOfSale"]
            landed.setdefault(line["Product"]["ProductCode"], decimal(known) if known is not None else None)
        self._landed[name] = landed


def is_wholesale(order: Body) -> bool:
    """Whether a Shopify order's buyer is a company."""
    return bool((order["purchasingEntity"] or {}).get("company"))
