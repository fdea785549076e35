"""Which records a day brings; always the same for a seed, scale and start."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import date

from masterops_dagster.simulator.world import bigcommerce, hubspot, intake, n8n, shopify, unleashed, woocommerce
from masterops_dagster.simulator.world.records import Association, Version
from masterops_dagster.simulator.world.rhythm import Plan


def base(plan: Plan, imported: Set[str]) -> Iterator[Version | Association]:
    """What is there when history begins. Businesses whose shop history was imported get no shop of their own."""
    yield from hubspot.base(plan)
    for business_key in unleashed.CHANNELS:
        if business_key not in imported:
            yield from unleashed.base(plan, business_key)
            yield from shopify.base(plan, business_key)
    if woocommerce.BUSINESS not in imported:
        yield from woocommerce.base(plan)
    if bigcommerce.BUSINESS not in imported:
        yield from bigcommerce.base(plan)
    yield from n8n.base(plan)


def day(plan: Plan, imported: Set[str], day: date) -> Iterator[Version | Association]:
    """What one Melbourne day brings, with all that later becomes of it."""
    yield from hubspot.day(plan, day)
    for business_key in unleashed.CHANNELS:
        if business_key not in imported:
            yield from intake.day(plan, business_key, day)
            yield from unleashed.day(plan, business_key, day)
    if woocommerce.BUSINESS not in imported:
        yield from woocommerce.day(plan, day)
    if bigcommerce.BUSINESS not in imported:
        yield from bigcommerce.day(plan, day)
    yield from n8n.day(plan, day)
