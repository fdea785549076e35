"""CRM objects: list, get, create, update, archive, merge, search and batches, read item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.hubspot import search, values
from masterops_dagster.simulator.hubspot.errors import (
    ApiError,
    already_exists,
    invalid,
    not_found,
    some_not_found,
)
from masterops_dagster.simulator.hubspot.requests import (
    BatchArchive,
    BatchCreate,
    BatchRead,
    BatchUpdate,
    Create,
    GdprDelete,
    Merge,
    Scalar,
    SearchRequest,
    Update,
    UpdateById,
)
from masterops_dagster.simulator.hubspot.schema import (
    ALWAYS_RETURNED,
    ASSOCIATION_TYPES,
    Definitions,
    ObjectType,
    object_type,
)
from masterops_dagster.simulator.limits import Policies
from masterops_dagster.simulator.replies import json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world.records import Query, Record
from masterops_dagster.simulator.world.store import DuplicateValue, UnknownRecord, World

MAX_PAGE = 100
MAX_BATCH = 100
ASSOCIATIONS_PER_OBJECT = 100
"""How many associations of one type a listed object shows before `paging` says that there are more."""

Input = TypeVar("Input")
Item = TypeVar("Item", Create, UpdateById)


class Objects:
    """The handlers under `/objects`."""

    def __init__(self, account: Account, world: World, definitions: Definitions, policies: Policies) -> None:
        self._account = account
        self._world = world
        self._definitions = definitions
        self._policies = policies

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/objects/{type}", self.list_page)
        routes.add("POST", "/objects/{type}", self.create)
        routes.add("POST", "/objects/{type}/search", self.search)
        routes.add("POST", "/objects/{type}/merge", self.merge)
        routes.add("POST", "/objects/{type}/gdpr-delete", self.gdpr_delete)
        routes.add("POST", "/objects/{type}/batch/read", self.batch_read)
        routes.add("POST", "/objects/{type}/batch/create", self.batch_create)
        routes.add("POST", "/objects/{type}/batch/update", self.batch_update)
        routes.add("POST", "/objects/{type}/batch/upsert", self.batch_upsert)
        routes.add("POST", "/objects/{type}/batch/archive", self.batch_archive)
        routes.add("GET", "/objects/{type}/{id}", self.get)
        routes.add("PATCH", "/objects/{type}/{id}", self.update)
        routes.add("DELETE", "/objects/{type}/{id}", self.archive)

    # ---- one and many

    def list_page(self, call: Call, type: str) -> Response:
        kind = object_type(type)
        limit, after = page_of(call, default=10, maximum=MAX_PAGE)
        query = Query(archived=_flag(call, "archived"), after_number=after)
        found = list(islice(self._world.scan(self._account.key, kind.name, query), limit + 1))
        results = self._shown(kind, found[:limit], _names(call, "properties"))
        self._add_associations(kind, results, _names(call, "associations"))
        answer: dict[str, Any] = {"results": results}
        if len(found) > limit:
            answer["paging"] = next_page(call, results[-1]["id"])
        return json_reply(answer)

    def get(self, call: Call, type: str, id: str) -> Response:
        kind = object_type(type)
        record = self._found(kind, id, call.argument("idProperty"), archived=_flag(call, "archived"))
        if record is None:
            raise not_found(id)
        results = self._shown(kind, [record], _names(call, "properties"))
        self._add_associations(kind, results, _names(call, "associations"))
        return json_reply(results[0])

    def search(self, call: Call, type: str) -> Response:
        kind = object_type(type)
        request = search.understood(call.read(SearchRequest), kind, self._definitions)
        lag = self._policies.of(self._account).search_lag_seconds
        if lag:
            request = request.until(self._world.now() - timedelta(seconds=lag))
        page = request.run(self._world, kind)
        answer: dict[str, Any] = {
            "total": page.total,
            "results": self._shown(kind, page.records, request.properties),
        }
        after = request.after + len(page.records)
        if page.records and after < page.total:
            answer["paging"] = next_page(call, str(after))
        return json_reply(answer)

    # ---- writes

    def create(self, call: Call, type: str) -> Response:
        kind = object_type(type)
        with self._world.transaction():
            record = self._create(kind, call.read(Create))
        return json_reply(self._shown(kind, [record], ())[0], 201)

    def update(self, call: Call, type: str, id: str) -> Response:
        kind = object_type(type)
        properties = self._accepted(kind, call.read(Update).properties)
        with self._world.transaction():
            record = self._found(kind, id, call.argument("idProperty"))
            if record is None:
                raise not_found(id)
            record = self._update(kind, record.id, properties)
        return json_reply(self._shown(kind, [record], tuple(properties))[0])

    def archive(self, call: Call, type: str, id: str) -> Response:
        """204 also where there is nothing (any more)."""
        self._archive(object_type(type), id)
        return Response(status_code=204)

    def merge(self, call: Call, type: str) -> Response:
        kind, request = object_type(type), call.read(Merge)
        primary, merged = str(request.primary_object_id), str(request.object_id_to_merge)
        if primary == merged:
            raise invalid("Cannot merge an object with itself.")
        try:
            record = self._world.merge(kind.name, primary, merged)
        except UnknownRecord:
            missing = [id for id in (primary, merged) if self._found(kind, id) is None]
            raise not_found(", ".join(missing)) from None
        return json_reply(self._shown(kind, [record], ())[0])

    def gdpr_delete(self, call: Call, type: str) -> Response:
        """Deletes for good, archived objects too; 204 also where there is nothing."""
        kind, request = object_type(type), call.read(GdprDelete)
        record = self._found(kind, str(request.object_id), request.id_property, archived=None)
        if record is not None:
            self._world.erase(kind.name, record.id)
        return Response(status_code=204)

    # ---- batches

    def batch_read(self, call: Call, type: str) -> Response:
        kind, request = object_type(type), call.read(BatchRead)
        ids = [str(item.id) for item in _within_batch(request.inputs)]
        batch = Batch(call, kind)
        archived = _flag(call, "archived")
        if request.id_property in (None, "hs_object_id"):
            page = self._world.page(self._account.key, kind.name, Query(ids=ids, archived=archived), limit=len(ids))
            found: Iterable[Record | None] = map({record.id: record for record in page.records}.get, ids)
        else:
            found = (self._found(kind, id, request.id_property, archived=archived) for id in ids)
        for id, record in zip(ids, found, strict=True):
            batch.read(id, record)
        return batch.answer(200, lambda records: self._shown(kind, records, request.properties or ()))

    def batch_create(self, call: Call, type: str) -> Response:
        kind = object_type(type)
        inputs = call.read(BatchCreate).inputs
        return self._write_batch(call, kind, 201, inputs, lambda item: (self._create(kind, item), True))

    def batch_update(self, call: Call, type: str) -> Response:
        kind = object_type(type)

        def update(item: UpdateById) -> tuple[Record, bool]:
            record = self._found(kind, str(item.id), item.id_property)
            if record is None:
                raise some_not_found(kind.singular, [str(item.id)])
            return self._update(kind, record.id, self._accepted(kind, item.properties)), False

        return self._write_batch(call, kind, 200, call.read(BatchUpdate).inputs, update)

    def batch_upsert(self, call: Call, type: str) -> Response:
        kind = object_type(type)

        def upsert(item: UpdateById) -> tuple[Record, bool]:
            record = self._found(kind, str(item.id), item.id_property)
            if record is not None:
                return self._update(kind, record.id, self._accepted(kind, item.properties)), False
            if item.id_property is None or item.id_property == "hs_object_id":
                raise some_not_found(kind.singular, [str(item.id)])
            return self._create(kind, Create({item.id_property: item.id, **item.properties})), True

        return self._write_batch(call, kind, 200, call.read(BatchUpdate).inputs, upsert, show_new=True)

    def batch_archive(self, call: Call, type: str) -> Response:
        kind = object_type(type)
        with self._world.transaction():
            for item in _within_batch(call.read(BatchArchive).inputs):
                self._archive(kind, str(item.id))
        return Response(status_code=204)

    def _write_batch(
        self,
        call: Call,
        kind: ObjectType,
        success: int,
        inputs: Sequence[Item],
        write: Callable[[Item], tuple[Record, bool]],
        *,
        show_new: bool = False,
    ) -> Response:
        """Writes each input that can be written. What isn't there is an error of its own; invalid or conflicting
        inputs fail the batch as a whole, unless every input carries an `objectWriteTraceId`."""
        traced = all(item.object_write_trace_id for item in _within_batch(inputs))
        batch = Batch(call, kind)
        with self._world.transaction():
            for index, item in enumerate(inputs):
                if batch.struck(index, len(inputs)):
                    batch.fail(_internal_error(item), item)
                    continue
                try:
                    batch.wrote(*write(item))
                except ApiError as error:
                    if not traced and error.status != 207:
                        raise
                    batch.fail(error, item)
        return batch.answer(success, lambda records: self._shown(kind, records, ()), show_new=show_new)

    # ---- inside

    def _found(
        self, kind: ObjectType, id: str, id_property: str | None = None, *, archived: bool | None = False
    ) -> Record | None:
        if id_property in (None, "", "hs_object_id"):
            return self._world.get(self._account.key, kind.name, id, archived=archived)
        definition = self._definitions.of(kind).get(str(id_property))
        if definition is None or not (definition.get("hasUniqueValue") or id_property == "email"):
            raise invalid(f"Property '{id_property}' is not a unique identifier of {kind.name}.")
        return self._world.find(kind.name, str(id_property), id)

    def _accepted(self, kind: ObjectType, properties: Mapping[str, Scalar]) -> dict[str, str | None]:
        accepted = values.accepted(self._definitions.of(kind), properties)
        return {**accepted, **self._definitions.following(kind, accepted)}

    def _create(self, kind: ObjectType, item: Create) -> Record:
        try:
            record = self._world.create(kind.name, self._accepted(kind, item.properties))
        except DuplicateValue as duplicate:
            raise already_exists(kind.singular.capitalize(), duplicate.existing_id) from duplicate
        for association in item.associations:
            types = [(one.association_category, one.association_type_id, None) for one in association.types]
            for to_type in _types_at_the_other_end(kind, types):
                self._world.associate(kind.name, record.id, to_type, str(association.to.id), types)
        return record

    def _update(self, kind: ObjectType, id: str, properties: Mapping[str, str | None]) -> Record:
        try:
            return self._world.update(kind.name, id, properties)
        except DuplicateValue as duplicate:
            raise already_exists(kind.singular.capitalize(), duplicate.existing_id) from duplicate

    def _archive(self, kind: ObjectType, id: str) -> None:
        if self._found(kind, id) is not None:
            self._world.archive(kind.name, id)

    def _shown(self, kind: ObjectType, records: Iterable[Record], names: Sequence[str]) -> list[dict[str, Any]]:
        """Records with the properties asked for, or the default ones; a known property without value is null."""
        known = self._definitions.of(kind)
        if names:
            wanted = [
                name for name in dict.fromkeys((*ALWAYS_RETURNED, kind.modified_property, *names)) if name in known
            ]
        else:
            wanted = list(kind.default_properties)
        wanted.sort()
        shown = []
        for record in records:
            properties = record.body["properties"]
            shown.append({**record.body, "properties": {name: properties.get(name) for name in wanted}})
        return shown

    def _add_associations(self, kind: ObjectType, results: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
        for other in map(object_type, names):
            found = self._world.associations(kind.name, other.name, [result["id"] for result in results])
            for result in results:
                pairs = [
                    {"id": end.to_id, "type": f"{kind.singular}_to_{other.singular}"}
                    for end in found.get(result["id"], [])
                ]
                if pairs:
                    entry: dict[str, Any] = {"results": pairs[:ASSOCIATIONS_PER_OBJECT]}
                    if len(pairs) > ASSOCIATIONS_PER_OBJECT:
                        entry["paging"] = {"next": {"after": pairs[ASSOCIATIONS_PER_OBJECT]["id"], "link": ""}}
                    result.setdefault("associations", {})[other.name] = entry


class Batch:
    """A batch in the making: what worked, what failed, when it began."""

    def __init__(self, call: Call, kind: ObjectType) -> None:
        self._kind = kind
        self._fault = call.partial_batch
        self._started = datetime.now(UTC)
        self._records: list[tuple[Record, bool]] = []
        self._errors: list[dict[str, Any]] = []
        self._missing: list[str] = []

    def struck(self, index: int, size: int) -> bool:
        """Whether a fault makes this input fail: every third one, and at least one."""
        if self._fault is None:
            return False
        return (index + self._fault.number) % 3 == 0 or (size < 3 and index == 0)

    def wrote(self, record: Record, new: bool) -> None:
        self._records.append((record, new))

    def read(self, id: str, record: Record | None) -> None:
        """What wasn't found is listed in one error."""
        if record is None:
            self._missing.append(id)
        elif all(record.id != known.id for known, _ in self._records):
            self._records.append((record, False))

    def fail(self, error: ApiError, item: Create | UpdateById) -> None:
        entry = error.item()
        if item.object_write_trace_id:
            entry["context"] = {**entry.get("context", {}), "objectWriteTraceId": [item.object_write_trace_id]}
        self._errors.append(entry)

    def answer(
        self, success: int, show: Callable[[Iterable[Record]], Sequence[dict[str, Any]]], *, show_new: bool = False
    ) -> Response:
        """`success`, or 207 with the errors."""
        if self._missing:
            self._errors.append(some_not_found(self._kind.singular, self._missing).item())
        results = show(record for record, _ in self._records)
        if show_new:
            for result, (_, new) in zip(results, self._records, strict=True):
                result["new"] = new
        return batch_reply(success, results, self._errors, self._started)


def batch_reply(
    success: int, results: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]], started: datetime
) -> Response:
    """The envelope of every batch answer; 207 where there are errors."""
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if errors:
        answer |= {"numErrors": len(errors), "errors": errors}
    answer |= {"startedAt": _stamp(started), "completedAt": _stamp(datetime.now(UTC))}
    return json_reply(answer, 207 if errors else success)


def page_of(call: Call, *, default: int, maximum: int) -> tuple[int, int | None]:
    """`limit` and `after` of a list. Raises `ApiError` 400."""
    limit, after = call.argument("limit", str(default)), call.argument("after")
    if not limit.isdecimal() or not 0 < int(limit) <= maximum:
        raise invalid(f"limit must be between 1 and {maximum}, not {limit}")
    if after and not after.isdecimal():
        raise invalid(f"after must be a number, not {after}")
    return int(limit), int(after) if after else None


def next_page(call: Call, after: str) -> dict[str, Any]:
    """`paging`, with the link that repeats the request's arguments."""
    arguments = [(name, value) for name, found in call.arguments.items() if name != "after" for value in found]
    return {"next": {"after": after, "link": f"{call.url}?{urlencode([*arguments, ('after', after)])}"}}


def _types_at_the_other_end(kind: ObjectType, types: Sequence[tuple[str, int, None]]) -> set[str]:
    ends = set()
    for _, type_id, _ in types:
        if type_id not in ASSOCIATION_TYPES or ASSOCIATION_TYPES[type_id][0] != kind.name:
            raise invalid(f"Association type {type_id} is not valid from {kind.name}.")
        ends.add(ASSOCIATION_TYPES[type_id][1])
    return ends


def _within_batch(inputs: Sequence[Input]) -> Sequence[Input]:
    if len(inputs) > MAX_BATCH:
        raise invalid(f"The maximum number of inputs supported in a batch request is {MAX_BATCH}.")
    return inputs


def _internal_error(item: Create | UpdateById) -> ApiError:
    """What a fault makes of an item."""
    named = item.id if isinstance(item, UpdateById) else item.properties.get("email") or item.properties.get("name")
    return ApiError(207, "internal error", "INTERNAL_ERROR", context={"ids": [str(named)]})


def _names(call: Call, argument: str) -> tuple[str, ...]:
    """Names separated by commas, or the argument repeated."""
    return tuple(name for value in call.arguments.get(argument, ()) for name in value.split(",") if name)


def _flag(call: Call, argument: str) -> bool:
    return call.argument(argument).lower() == "true"


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
