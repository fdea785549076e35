"""A world that is being read into books: what several systems' books need of each other."""

from __future__ import annotations

from functools import cached_property

from masterops_dagster.simulator.world.books.copies import Copies
from masterops_dagster.simulator.world.books.customers import Customers
from masterops_dagster.simulator.world.store import World


class Reading:
    """One world at one moment; what is looked up in it is looked up once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._copies: dict[str, Copies] = {}

    @cached_property
    def customers(self) -> Customers:
        return Customers(self.world)

    def copies(self, business_key: str) -> Copies:
        """Which of a business's orders in Unleashed are copies of orders of its Shopify store."""
        if business_key not in self._copies:
            self._copies[business_key] = Copies(self.world, business_key)
        return self._copies[business_key]
