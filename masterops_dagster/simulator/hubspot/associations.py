"""Associations in the v4 form: pairs of objects with typed, possibly labelled links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.hubspot.errors import ApiError, invalid, not_found
from masterops_dagster.simulator.hubspot.objects import batch_reply, next_page, page_of
from masterops_dagster.simulator.hubspot.requests import (
    AssociationSpec,
    BatchAssociationsRead,
    BatchEnds,
    BatchPairs,
)
from masterops_dagster.simulator.hubspot.schema import DEFAULT_ASSOCIATIONS, ObjectType, object_type, seen_from
from masterops_dagster.simulator.replies import json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world.store import AssociationTo, World

MAX_READ_INPUTS = 1000
MAX_WRITE_INPUTS = 2000
MAX_PAGE = 500

Input = TypeVar("Input")
Kinds = list[tuple[str, int, str | None]]


class Associations:
    """The handlers under `/associations` and `/objects/…/associations`."""

    def __init__(self, account: Account, world: World) -> None:
        self._account = account
        self._world = world

    def add_to(self, routes: Routes) -> None:
        routes.add("POST", "/associations/{type}/{to}/batch/read", self.batch_read)
        routes.add("POST", "/associations/{type}/{to}/batch/create", self.batch_create)
        routes.add("POST", "/associations/{type}/{to}/batch/archive", self.batch_archive)
        routes.add("POST", "/associations/{type}/{to}/batch/associate/default", self.batch_default)
        routes.add("GET", "/objects/{type}/{id}/associations/{to}", self.list_of)
        routes.add("PUT", "/objects/{type}/{id}/associations/default/{to}/{to_id}", self.put_default)
        routes.add("PUT", "/objects/{type}/{id}/associations/{to}/{to_id}", self.put)
        routes.add("DELETE", "/objects/{type}/{id}/associations/{to}/{to_id}", self.delete)

    def batch_read(self, call: Call, type: str, to: str) -> Response:
        """Objects without associations are errors of a 207, as on the real system."""
        started, kind, other = datetime.now(UTC), object_type(type), object_type(to)
        inputs = _within(call.read(BatchAssociationsRead).inputs, MAX_READ_INPUTS)
        after = {str(item.id): _cursor(item.after) for item in inputs}
        found = self._world.associations(kind.name, other.name, list(after))
        results = []
        for id, ends in found.items():
            rest = [end for end in ends if int(end.to_id) > after[id]]
            result: dict[str, Any] = {"from": {"id": id}, "to": _listed(kind, other, rest[:MAX_PAGE])}
            if len(rest) > MAX_PAGE:
                result["paging"] = {"next": {"after": rest[MAX_PAGE - 1].to_id, "link": call.url}}
            results.append(result)
        errors = [_none_found(kind, other, id).item() for id in after if id not in found]
        return batch_reply(200, results, errors, started)

    def batch_create(self, call: Call, type: str, to: str) -> Response:
        started, kind, other = datetime.now(UTC), object_type(type), object_type(to)
        results, errors = [], []
        with self._world.transaction():
            for pair in _within(call.read(BatchPairs).inputs, MAX_WRITE_INPUTS):
                ends = str(pair.from_.id), str(pair.to.id)
                try:
                    results.append(self._associate(kind, ends[0], other, ends[1], _kinds(pair.types)))
                except ApiError as error:
                    if error.status != 404:
                        raise
                    errors.append(error.item())
        return batch_reply(201, results, errors, started)

    def batch_default(self, call: Call, type: str, to: str) -> Response:
        started, kind, other = datetime.now(UTC), object_type(type), object_type(to)
        results: list[dict[str, Any]] = []
        with self._world.transaction():
            for pair in _within(call.read(BatchPairs).inputs, MAX_WRITE_INPUTS):
                results.extend(self._associate_default(kind, str(pair.from_.id), other, str(pair.to.id)))
        return batch_reply(200, results, [], started)

    def batch_archive(self, call: Call, type: str, to: str) -> Response:
        kind, other = object_type(type), object_type(to)
        with self._world.transaction():
            for item in _within(call.read(BatchEnds).inputs, MAX_WRITE_INPUTS):
                for end in item.to:
                    self._world.dissociate(kind.name, str(item.from_.id), other.name, str(end.id))
        return Response(status_code=204)

    def list_of(self, call: Call, type: str, id: str, to: str) -> Response:
        kind, other = object_type(type), object_type(to)
        limit, after = page_of(call, default=MAX_PAGE, maximum=MAX_PAGE)
        self._expect(kind, id)
        ends = self._world.associations(kind.name, other.name, [id]).get(id, [])
        rest = [end for end in ends if int(end.to_id) > (after or 0)]
        answer: dict[str, Any] = {"results": _listed(kind, other, rest[:limit])}
        if len(rest) > limit:
            answer["paging"] = next_page(call, rest[limit - 1].to_id)
        return json_reply(answer)

    def put(self, call: Call, type: str, id: str, to: str, to_id: str) -> Response:
        with self._world.transaction():
            kinds = _kinds(call.read(tuple[AssociationSpec, ...]))
            made = self._associate(object_type(type), id, object_type(to), to_id, kinds)
        return json_reply(made, 201)

    def put_default(self, call: Call, type: str, id: str, to: str, to_id: str) -> Response:
        started = datetime.now(UTC)
        with self._world.transaction():
            results = self._associate_default(object_type(type), id, object_type(to), to_id)
        return batch_reply(200, results, [], started)

    def delete(self, call: Call, type: str, id: str, to: str, to_id: str) -> Response:
        self._world.dissociate(object_type(type).name, id, object_type(to).name, to_id)
        return Response(status_code=204)

    # ---- inside

    def _expect(self, kind: ObjectType, id: str) -> None:
        if self._world.get(self._account.key, kind.name, id) is None:
            raise not_found(id)

    def _associate(self, kind: ObjectType, id: str, other: ObjectType, to_id: str, kinds: Kinds) -> dict[str, Any]:
        self._expect(kind, id)
        self._expect(other, to_id)
        self._world.associate(kind.name, id, other.name, to_id, kinds)
        return {
            "fromObjectTypeId": kind.type_id,
            "fromObjectId": int(id),
            "toObjectTypeId": other.type_id,
            "toObjectId": int(to_id),
            "labels": [label for _, _, label in kinds if label],
        }

    def _associate_default(self, kind: ObjectType, id: str, other: ObjectType, to_id: str) -> Sequence[dict[str, Any]]:
        """Both directions, as HubSpot answers."""
        type_id = DEFAULT_ASSOCIATIONS.get((kind.name, other.name))
        if type_id is None:
            raise invalid(f"There is no default association from {kind.name} to {other.name}.")
        self._associate(kind, id, other, to_id, [("HUBSPOT_DEFINED", type_id, None)])
        there = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
        back = {**there, "associationTypeId": DEFAULT_ASSOCIATIONS[other.name, kind.name]}
        return [
            {"from": {"id": id}, "to": {"id": to_id}, "associationSpec": there},
            {"from": {"id": to_id}, "to": {"id": id}, "associationSpec": back},
        ]


def _listed(kind: ObjectType, other: ObjectType, ends: Sequence[AssociationTo]) -> list[dict[str, Any]]:
    return [
        {
            "toObjectId": int(end.to_id),
            "associationTypes": [
                {"category": category, "typeId": seen_from(kind.name, other.name, type_id), "label": label}
                for category, type_id, label in end.types
            ],
        }
        for end in ends
    ]


def _none_found(kind: ObjectType, other: ObjectType, id: str) -> ApiError:
    return ApiError(
        207,
        f"No {other.singular} is associated with {kind.singular} {id}.",
        "OBJECT_NOT_FOUND",
        subCategory="crm.associations.NO_ASSOCIATIONS_FOUND",
        context={"fromObjectId": [id], "fromObjectType": [kind.singular], "toObjectType": [other.singular]},
    )


def _within(inputs: Sequence[Input], maximum: int) -> Sequence[Input]:
    if len(inputs) > maximum:
        raise invalid(f"The maximum number of inputs supported in a batch request is {maximum}.")
    return inputs


def _cursor(after: str | int | None) -> int:
    if after is not None and not str(after).isdecimal():
        raise invalid(f"after must be a number, not {after}")
    return int(after or 0)


def _kinds(types: Sequence[AssociationSpec]) -> Kinds:
    if not types:
        raise invalid('Some required fields were not set: ["types"]')
    return [(one.association_category, one.association_type_id, None) for one in types]
