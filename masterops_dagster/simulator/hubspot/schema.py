"""What HubSpot knows of itself: object types, default properties, association types, the account's own definitions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from masterops_dagster.simulator.hubspot.errors import ApiError
from masterops_dagster.simulator.world.records import Query
from masterops_dagster.simulator.world.store import World


@dataclass(frozen=True, slots=True)
class ObjectType:
    """`name` is the plural of the paths, `singular` the one of messages; `default_properties` come unasked."""

    name: str
    singular: str
    type_id: str
    default_properties: tuple[str, ...]

    @property
    def modified_property(self) -> str:
        return "lastmodifieddate" if self.name == "contacts" else "hs_lastmodifieddate"


_COMMON = ("createdate", "hs_lastmodifieddate", "hs_object_id")

OBJECT_TYPES = (
    ObjectType(
        "contacts",
        "contact",
        "0-1",
        ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    ),
    ObjectType("companies", "company", "0-2", (*_COMMON, "domain", "name")),
    ObjectType("deals", "deal", "0-3", (*_COMMON, "amount", "closedate", "dealname", "dealstage", "pipeline")),
    ObjectType("tickets", "ticket", "0-5", _COMMON),
    ObjectType("products", "product", "0-7", (*_COMMON, "description", "name", "price")),
    ObjectType("line_items", "line_item", "0-8", (*_COMMON, "amount", "hs_product_id", "quantity")),
    ObjectType("orders", "order", "0-123", _COMMON),
)

_BY_ALIAS = {alias: kind for kind in OBJECT_TYPES for alias in (kind.name, kind.singular, kind.type_id)}

ALWAYS_RETURNED = ("createdate", "hs_object_id")
"""With the modification date: what comes even when other properties are asked for."""


def object_type(alias: str) -> ObjectType:
    """By plural, singular or type id. Raises `ApiError` 400."""
    kind = _BY_ALIAS.get(alias.lower())
    if kind is None:
        raise ApiError(400, f"Unable to infer object type from: {alias}", "VALIDATION_ERROR")
    return kind


ASSOCIATION_TYPES: Mapping[int, tuple[str, str]] = {
    1: ("contacts", "companies"),
    2: ("companies", "contacts"),
    3: ("deals", "contacts"),
    4: ("contacts", "deals"),
    5: ("deals", "companies"),
    6: ("companies", "deals"),
    19: ("deals", "line_items"),
    20: ("line_items", "deals"),
    279: ("contacts", "companies"),
    280: ("companies", "contacts"),
    341: ("deals", "companies"),
    342: ("companies", "deals"),
}
"""HubSpot-defined association types by id, with their direction. 1, 2, 5 and 6 are labelled Primary."""

OPPOSITE = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 19: 20, 20: 19, 279: 280, 280: 279, 341: 342, 342: 341}
"""The type by which the other end sees the same association."""

DEFAULT_ASSOCIATIONS = {
    ("contacts", "companies"): 279,
    ("companies", "contacts"): 280,
    ("deals", "contacts"): 3,
    ("contacts", "deals"): 4,
    ("deals", "companies"): 341,
    ("companies", "deals"): 342,
    ("deals", "line_items"): 19,
    ("line_items", "deals"): 20,
}


def seen_from(from_type: str, to_type: str, type_id: int) -> int:
    """The association type's id as seen from `from_type`; the world keeps one id for both ends."""
    return OPPOSITE[type_id] if ASSOCIATION_TYPES.get(type_id) == (to_type, from_type) else type_id


class Definitions:
    """The account's own property definitions by object type, read from the world anew every few seconds."""

    MAX_AGE_SECONDS = 5.0

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[str, tuple[float, dict[str, dict[str, Any]]]] = {}

    def of(self, kind: ObjectType) -> Mapping[str, dict[str, Any]]:
        """HubSpot's definitions by property name."""
        read_at, definitions = self._known.get(kind.name, (0.0, {}))
        if time.monotonic() - read_at > self.MAX_AGE_SECONDS or not definitions:
            rows = self._world.scan("hubspot", "properties", Query(parents=(kind.name,)))
            definitions = {row.body["name"]: row.body for row in rows}
            self._known[kind.name] = (time.monotonic(), definitions)
        return definitions

    def following(self, kind: ObjectType, properties: Mapping[str, str | None]) -> dict[str, str | None]:
        """What HubSpot sets by itself when these are set: whether a deal is closed and won, by its stage."""
        if kind.name != "deals" or not properties.get("dealstage"):
            return {}
        for pipeline in self._world.scan("hubspot", "pipelines", Query(parents=(kind.name,))):
            for stage in pipeline.body["stages"]:
                if stage["id"] == properties["dealstage"]:
                    closed = stage["metadata"]["isClosed"]
                    won = closed == "true" and float(stage["metadata"]["probability"]) == 1
                    return {"hs_is_closed": closed, "hs_is_closed_won": "true" if won else "false"}
        return {}
