"""The bodies that HubSpot takes. A body of another shape is a `msgspec.ValidationError`, which becomes a 400."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct, field

Scalar: TypeAlias = str | int | float | bool | None
Id: TypeAlias = str | int


class Request(Struct, frozen=True, rename="camel"):
    """Fields are camelCase on the wire; unknown ones are ignored, as HubSpot does."""


class ObjectId(Request, frozen=True):
    id: Id


class AssociationSpec(Request, frozen=True):
    association_type_id: int
    association_category: str = "HUBSPOT_DEFINED"


class AssociationInput(Request, frozen=True):
    to: ObjectId
    types: tuple[AssociationSpec, ...]


# ---- objects


class Create(Request, frozen=True):
    properties: dict[str, Scalar]
    associations: tuple[AssociationInput, ...] = ()
    object_write_trace_id: str | None = None


class Update(Request, frozen=True):
    properties: dict[str, Scalar]


class UpdateById(Request, frozen=True):
    """An input of batch update and upsert; `id` is a value of `id_property`, the object's id without it."""

    id: Id
    properties: dict[str, Scalar]
    id_property: str | None = None
    object_write_trace_id: str | None = None


class BatchCreate(Request, frozen=True):
    inputs: tuple[Create, ...]


class BatchUpdate(Request, frozen=True):
    inputs: tuple[UpdateById, ...]


class BatchArchive(Request, frozen=True):
    inputs: tuple[ObjectId, ...]


class BatchRead(Request, frozen=True):
    inputs: tuple[ObjectId, ...]
    properties: tuple[str, ...] | None = None
    id_property: str | None = None


class Merge(Request, frozen=True):
    primary_object_id: Id
    object_id_to_merge: Id


class GdprDelete(Request, frozen=True):
    object_id: Id
    id_property: str | None = None


# ---- search


class Condition(Request, frozen=True):
    property_name: str
    operator: str
    value: Scalar = None
    high_value: Scalar = None
    values: tuple[Scalar, ...] | None = None


class FilterGroup(Request, frozen=True):
    filters: tuple[Condition, ...]


class SortRule(Request, frozen=True):
    property_name: str
    direction: str = "ASCENDING"


class SearchRequest(Request, frozen=True):
    filter_groups: tuple[FilterGroup, ...] | None = None
    sorts: tuple[SortRule | str, ...] | None = None
    properties: tuple[str, ...] | None = None
    query: str | None = None
    limit: int = 10
    after: Id | None = None


# ---- associations


class AssociationsOf(Request, frozen=True):
    id: Id
    after: Id | None = None


class Pair(Request, frozen=True):
    from_: ObjectId = field(name="from")
    to: ObjectId
    types: tuple[AssociationSpec, ...] = ()


class Ends(Request, frozen=True):
    from_: ObjectId = field(name="from")
    to: tuple[ObjectId, ...]


class BatchAssociationsRead(Request, frozen=True):
    inputs: tuple[AssociationsOf, ...]


class BatchPairs(Request, frozen=True):
    inputs: tuple[Pair, ...]


class BatchEnds(Request, frozen=True):
    inputs: tuple[Ends, ...]
