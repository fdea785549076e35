"""What the world consists of: versions of API records, each visible from one moment of business time to another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

Body = dict[str, Any]
"""A record as its API gives it: JSON types only."""

FOREVER = 2**62
"""`visible_to` of a version that nothing replaces."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def millis(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware moment."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=4_096)
def moment(milliseconds: int) -> datetime:
    """The aware UTC moment of milliseconds since the epoch."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def iso(milliseconds: int) -> str:
    """`2026-03-01T12:30:00.000Z`, as HubSpot writes it."""
    return moment(milliseconds).isoformat(timespec="milliseconds")[:23] + "Z"


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a record. All moments are milliseconds since the epoch.

    An order that is edited at t is two versions: the first `visible_to` t, the second `visible_from` t. `number`
    orders records as their system numbers them. `business_at` is the date by which the API's date window filters.
    """

    account: str
    resource: str
    id: str
    number: int
    visible_from: int
    created_at: int
    business_at: int
    modified_at: int
    body: Body
    visible_to: int = FOREVER
    archived: bool = False
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Association:
    """A pair of HubSpot objects; stored once in each direction."""

    from_type: str
    from_id: str
    to_type: str
    to_id: str
    visible_from: int
    types: tuple[tuple[str, int, str | None], ...]
    """(category, typeId, label) of each association type."""
    visible_to: int = FOREVER


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it can be seen at a moment. Numbers in `body` are Python ints and floats, ready for `json`."""

    id: str
    number: int
    created_at: datetime
    business_at: datetime
    modified_at: datetime
    archived: bool
    parent: str
    body: Body


Order = Literal["number", "business_at", "created_at", "modified_at"]


@dataclass(frozen=True, slots=True)
class Query:
    """Which records, in which order. Everything given must hold; windows are half-open: from ≤ t < to.

    `archived`: live records, archived ones, or (None) both. `parents`: only children of these. `after_number`: only
    numbers above it (HubSpot's `after`, `hs_object_id GT`); `before_number`: only those below. `fields`: dotted paths
    into the body and the values one of which it must have, as text (`{"Customer.CustomerCode": ["ACME"]}`; booleans
    are 0 and 1). `matching`: any test of a body; the rows are then read one by one.
    """

    ids: Collection[str] | None = None
    parents: Collection[str] | None = None
    archived: bool | None = False
    modified_from: datetime | None = None
    modified_to: datetime | None = None
    business_from: datetime | None = None
    business_to: datetime | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    after_number: int | None = None
    before_number: int | None = None
    fields: Mapping[str, Collection[str]] = field(default_factory=dict)
    matching: Callable[[Body], bool] | None = None
    order: Order = "number"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a result, and how many it has in all."""

    records: Sequence[Record]
    total: int
