"""How a search is asked, and how it gets past the 10,000 results at which HubSpot stops.

Each page asks for ids above the last one, sorted ascending (`hs_object_id GT last`): as many requests as paging by
`after` takes, no limit, and rows that come, go or change meanwhile neither shift a page nor appear twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from masterops_dagster.connectors.hubspot.models import (
    CREATED_PROPERTY,
    Filter,
    FilterGroup,
    ObjectType,
    Operator,
    SearchRequest,
    Sort,
    next_after,
)

ID = "hs_object_id"

ROOM_IN_BODY = 2_000
"""Characters for the properties in a search: HubSpot refuses a body of more than 3,000."""
ROOM_IN_URL = 6_000
"""Characters for the properties in a listing: HubSpot refuses URLs from about 8,000 on (414)."""

Answer = Mapping[str, object]


class DoesNotAdvance(Exception):
    """A search answered with ids at or below those that it was to go beyond."""


def modified_since(object_type: ObjectType, moment: datetime, properties: Sequence[str]) -> SearchRequest:
    """Objects changed at the moment or later."""
    return _windowed(
        properties, Filter(property_name=object_type.modified_property, operator=Operator.GTE, value=moment)
    )


def created_between(start: datetime, end: datetime, properties: Sequence[str]) -> SearchRequest:
    """Objects created from `start` to `end`, which is included to the millisecond: the caller cuts at `end`."""
    return _windowed(
        properties,
        Filter(property_name=CREATED_PROPERTY, operator=Operator.GTE, value=start),
        Filter(property_name=CREATED_PROPERTY, operator=Operator.LTE, value=end),
    )


def _windowed(properties: Sequence[str], *filters: Filter) -> SearchRequest:
    return SearchRequest(filter_groups=(FilterGroup(filters=filters),), properties=tuple(properties))


def fits(properties: Sequence[str], room: int) -> bool:
    """Whether the names of the properties, each with a comma and two quotes, fit into so many characters."""
    return sum(len(name) + 3 for name in properties) <= room


def walk(request: SearchRequest, ask: Callable[[SearchRequest], Answer]) -> Iterator[Answer]:
    """The answers to a search, page by page, by ascending id, however many there are.

    `request` must leave room for one more filter in each of its groups; its sort and `after` are not used. What is
    changed while the walk is under way may be missed below the id that it has reached: a cursor must not be moved past
    the moment at which the walk began. Raises `DoesNotAdvance` rather than asking for ever.
    """
    last: str | None = None
    while True:
        answer = ask(_above(request, last))
        yield answer
        results = answer.get("results")
        if next_after(answer) is None or not isinstance(results, Sequence) or not results:
            return
        reached = str(results[-1]["id"])
        if last is not None and int(reached) <= int(last):
            raise DoesNotAdvance(f"the search does not advance past id {last}")
        last = reached


def _above(request: SearchRequest, last: str | None) -> SearchRequest:
    groups = request.filter_groups
    if last is not None:
        above = Filter(property_name=ID, operator=Operator.GT, value=last)
        groups = tuple(FilterGroup(filters=(*group.filters, above)) for group in groups or (FilterGroup(filters=()),))
    return SearchRequest(
        filter_groups=groups,
        sorts=(Sort(property_name=ID),),
        properties=request.properties,
        limit=request.limit,
        query=request.query,
    )
