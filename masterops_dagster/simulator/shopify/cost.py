"""What a document costs, in points, as Shopify calculates it.

An object costs 1, a list of objects as much as one of them, scalars, enums, money and page info nothing, a mutation 10;
an interface or union as much as its dearest possibility. A connection costs 2 and its node as many times as its size
says, where the size grows with the logarithm of `first` (or `last`): 1 for 1, 4 for 10, 6 for 25, 9 for 100, 11 for
250. These figures agree with the requested costs that Shopify reported for ten documents of the public connector
microsoft/BCApps in its audit of API version 2025-07, and with those in its developers' forum (topic 23101).

The actual cost follows the same rules over what came back: an object that is null costs 1 without what would be in
it, a connection the mean of its nodes at the size of their number. How Shopify rounds that mean is not published;
here it is rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MUTATION = 10
SINGLE_QUERY_MAXIMUM = 1_000
FREE_TYPES = frozenset({"MoneyBag", "MoneyV2", "PageInfo"})


@dataclass(frozen=True, slots=True)
class Part:
    """A composite field of a selection: its own points, its size where it is a connection, what is selected in it."""

    points: int
    below: Mapping[str, Part]
    size: int | None = None

    @property
    def requested(self) -> int:
        """Points before anything is looked up."""
        inside = sum(part.requested for part in self.below.values())
        return self.points + inside if self.size is None else 2 + size_points(self.size) * (1 + inside)


def size_points(count: int) -> int:
    """How many times a connection of so many pays for its node."""
    return max(1, math.floor(2 * math.log(count))) if count > 0 else 0


def actual(part: Part, value: Any) -> int:
    """Points for what came back in that field."""
    if part.size is not None:
        return _actual_connection(part, value)
    if value is None:
        return part.points
    if isinstance(value, list):
        return part.points + max((_inside(part, one) for one in value), default=0)
    return part.points + _inside(part, value)


def _actual_connection(part: Part, value: Any) -> int:
    if value is None:
        return 1
    nodes = value.get("nodes")
    if nodes is None:
        nodes = [edge.get("node") for edge in value.get("edges") or ()]
    if not nodes:
        return 2
    points = sum(1 + _inside(part, node) for node in nodes)
    return 2 + math.ceil(size_points(len(nodes)) * points / len(nodes))


def _inside(part: Part, value: Any) -> int:
    if not part.below or not isinstance(value, dict):
        return 0
    return sum(actual(below, value[key]) for key, below in part.below.items() if key in value)
