"""The deals that the CRM closed, by the business that they were for."""

from __future__ import annotations

from datetime import datetime

from masterops_dagster.businesses import BUSINESSES
from masterops_dagster.simulator.world.books.common import Books, Deal, day_of
from masterops_dagster.simulator.world.store import World


def books(world: World) -> list[Books]:
    """One per business; archived deals don't count."""
    found = {business.key: Books(business.key, "hubspot") for business in BUSINESSES}
    for record in world.scan("hubspot", "deals"):
        properties = record.body["properties"]
        key, closed = properties.get("source_business"), properties.get("closedate")
        if key in found and closed and properties.get("hs_is_closed") == "true":
            day = day_of(datetime.fromisoformat(closed))
            found[key].deals.append(Deal(day, properties.get("hs_is_closed_won") == "true"))
    return list(found.values())
