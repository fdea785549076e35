"""What each business has done, taken from the records of each of its systems, for the true figures.

A module per system turns one account's records into `Books`; a system joins by an entry in `SYSTEMS`. Nothing here is
shared with the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable

from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, Account
from masterops_dagster.simulator.world.books import bigcommerce, hubspot, shopify, unleashed, woocommerce
from masterops_dagster.simulator.world.books.common import Books
from masterops_dagster.simulator.world.books.reading import Reading
from masterops_dagster.simulator.world.store import World

SYSTEMS: dict[str, Callable[[Reading, Account], Books]] = {
    "shopify": shopify.books,
    "bigcommerce": bigcommerce.books,
    "unleashed": unleashed.books,
    "woocommerce": woocommerce.books,
}
"""The systems that sell, and how their accounts are read."""


def books_of(world: World) -> dict[str, list[Books]]:
    """By business: the books of each of its accounts, and of what its sales people closed."""
    reading = Reading(world)
    found: dict[str, list[Books]] = {business.key: [] for business in BUSINESSES}
    for account in ACCOUNTS:
        if account.business_key is not None and account.system in SYSTEMS:
            found[account.business_key].append(SYSTEMS[account.system](reading, account))
    for own in hubspot.books(world):
        found[own.business_key].append(own)
    return found
