"""The HubSpot connector: the CRM's objects for ingest (whole, changed, created, archived) and its typed operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from masterops_dagster.connectors.base import Page, Record, Reply
from masterops_dagster.connectors.errors import Rejected
from masterops_dagster.connectors.hubspot import batch, search
from masterops_dagster.connectors.hubspot.api import PAGE_SIZE, HubSpotApi, moment
from masterops_dagster.connectors.hubspot.batch import AssociationTarget, BatchInput, BatchResult
from masterops_dagster.connectors.hubspot.models import (
    Association,
    HubSpotError,
    HubSpotObject,
    ObjectPage,
    ObjectType,
    Owner,
    Pipeline,
    Properties,
    PropertyDefinition,
    SearchRequest,
    next_after,
)

MAX_ASSOCIATION_INPUTS = 1_000
"""Of one request for associations."""

OBJECT_TYPES = frozenset(str(member) for member in ObjectType)

_Model = TypeVar("_Model", bound=BaseModel)


class HubSpot(HubSpotApi):
    """One HubSpot account, for ingest by `read`, `read_children`, `count` and `keys`, and for typed operations.

    Resources: `contacts`, `companies`, `deals`, `products`, `line_items`; `owners`; `pipelines/deals`; `properties`
    (the definitions of all five object types); and for `read_children` `associations/{from}/{to}`. Merged objects
    exist only as their survivor, which names them in `hs_merged_object_ids`. Archived ones are kept for about 90 days.
    """

    # ---- ingest

    def read(
        self,
        resource: str,
        *,
        modified_since: datetime | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        properties: Sequence[str] = (),
        archived: bool = False,
    ) -> Iterator[Page]:
        """Records of a resource: all, or of objects those modified since a moment, or created in [from, to).

        All are listed (100 a request); the other two are searched (200 a request, 5 requests a second, behind writes
        by seconds to minutes). A search goes by ids: what is modified meanwhile may be missed, so a cursor must not be
        moved past the moment at which the reading began. Creation is searched by `createdate` and held against
        `createdAt`, which is the same unless a person changed the former. Archived objects can't be searched: they
        are listed, and filtered here, where being archived counts as being modified. `properties` of objects:
        HubSpot's default ones, if none are named. Raises `ValueError` for a resource or a combination that doesn't
        exist.
        """
        windowed = modified_since is not None or created_from is not None or created_to is not None
        if modified_since is not None and (created_from is not None or created_to is not None):
            raise ValueError("ask either for what was modified or for what was created")
        if (created_from is None) != (created_to is None):
            raise ValueError("a window of creation has a beginning and an end")
        if resource not in OBJECT_TYPES:
            if windowed:
                raise ValueError(f"{resource} is read whole: HubSpot has no modification or creation filter for it")
            return self._read_whole(resource, archived)
        object_type = ObjectType(resource)
        pages: Iterator[Page]
        if archived or not windowed:
            pages = (Page(items) for items in self._list(object_type, properties, archived))
        elif modified_since is not None:
            pages = self._search(object_type, search.modified_since(object_type, modified_since, properties))
        else:
            assert created_from is not None
            assert created_to is not None
            request = search.created_between(created_from, created_to, properties)
            pages = self._search(object_type, request)
        if modified_since is not None and archived:
            return _kept(pages, lambda record: _changed_since(record, modified_since))
        if created_from is not None and created_to is not None:
            return _kept(pages, lambda record: _created_within(record, created_from, created_to))
        return pages

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """The associations of these objects as `{from_id, to_id, association_types}`, ids as strings.

        1,000 objects a request, several requests at once; an object with more associations than HubSpot puts into one
        answer is asked for again until all are there. Objects without any, or gone meanwhile, yield nothing.
        """
        kind, _, pair = resource.partition("/")
        from_type, _, to_type = pair.partition("/")
        if kind != "associations" or from_type not in OBJECT_TYPES or to_type not in OBJECT_TYPES:
            raise ValueError(f"unknown resource {resource!r}: associations/{{from}}/{{to}} has children")
        ids = list(dict.fromkeys(str(parent) for parent in parent_ids))
        chunks = [ids[start : start + MAX_ASSOCIATION_INPUTS] for start in range(0, len(ids), MAX_ASSOCIATION_INPUTS)]
        found = self.in_order(
            lambda chunk: self._associations(ObjectType(from_type), ObjectType(to_type), chunk), chunks
        )
        return (Page(records) for records in found if records)

    def count(self, resource: str) -> int | None:
        """How many objects that are not archived HubSpot's search has; None for what can't be searched.

        The search's index is behind writes by seconds to minutes.
        """
        if resource not in OBJECT_TYPES:
            return None
        object_type = ObjectType(resource)
        total = self.search_page(object_type, SearchRequest(limit=1, properties=(search.ID,))).get("total")
        if not isinstance(total, int):
            raise self.malformed(f"search {object_type}", "the answer has no total")
        return total

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """The ids of all objects that are not archived, a page at a time; of `properties` (object type, name)."""
        if resource in OBJECT_TYPES:
            for items in self._list(ObjectType(resource), (search.ID,), archived=False):
                yield [item["id"] for item in items]
        else:
            for page in self._read_whole(resource, archived=False):
                yield [(r["objectType"], r["name"]) if resource == "properties" else r["id"] for r in page.items]

    def identity(self) -> str:
        """The account's portal id (HubSpot also says Hub ID)."""
        operation = "read the account's details"
        template = f"/account-info/{self.api_version}/details"
        portal_id = self.body(self.request("GET", template, operation=operation), operation).get("portalId")
        if not isinstance(portal_id, int):
            raise self.malformed(operation, "there is no portalId")
        return f"HubSpot portal {portal_id}"

    def _read_whole(self, resource: str, archived: bool) -> Iterator[Page]:
        kind, _, object_type = resource.partition("/")
        archived_only = {"archived": _flag(archived)}
        if resource == "owners":
            pages = self.listing("owners", operation="list owners", params={"limit": PAGE_SIZE, **archived_only})
            return (Page(items) for items in pages)
        if resource == "properties":
            return self._read_definitions(archived_only)
        if kind == "pipelines" and object_type in OBJECT_TYPES and not archived:
            path = {"object_type": object_type}
            pages = self.listing("pipelines", "/{object_type}", operation=f"list {object_type} pipelines", path=path)
            return (Page(items) for items in pages)
        raise ValueError(f"unknown resource {resource!r}{' of archived records' if archived else ''}")

    def _read_definitions(self, params: Mapping[str, str]) -> Iterator[Page]:
        for object_type in ObjectType:
            operation = f"list {object_type} properties"
            path = {"object_type": object_type}
            for items in self.listing(
                "properties", "/{object_type}", operation=operation, path=path, params=params, key="name"
            ):
                yield Page([{"objectType": str(object_type), **item} for item in items])

    def _list(self, object_type: ObjectType, properties: Sequence[str], archived: bool) -> Iterator[list[Record]]:
        """Pages of a listing. Properties that don't fit into the URL are read by batch, page by page."""
        whole = search.fits(properties, search.ROOM_IN_URL)
        params: dict[str, str | int] = {"limit": PAGE_SIZE, "archived": _flag(archived)}
        if properties:
            params["properties"] = ",".join(properties if whole else (search.ID,))
        path = {"object_type": object_type}
        pages = self.listing("objects", "/{object_type}", operation=f"list {object_type}", path=path, params=params)
        for items in pages:
            yield items if whole else self._filled(object_type, items, properties, archived)

    def _search(self, object_type: ObjectType, request: SearchRequest) -> Iterator[Page]:
        """Pages of a search; `total` is of the whole search. Properties that don't fit are read by batch."""
        properties = request.properties
        whole = search.fits(properties, search.ROOM_IN_BODY)
        asked = request if whole else request.model_copy(update={"properties": (search.ID,)})
        total: int | None = None
        for answer in self.search_pages(object_type, asked):
            items = self.records(answer, f"search {object_type}", "id")
            found = answer.get("total")
            total = found if total is None and isinstance(found, int) else total
            if items:
                yield Page(items if whole else self._filled(object_type, items, properties, archived=False), total)

    def _filled(
        self, object_type: ObjectType, items: Sequence[Record], properties: Sequence[str], archived: bool
    ) -> list[Record]:
        """The same objects with all these properties, 100 a request; what is gone meanwhile is left out."""
        records: list[Record] = []
        for start in range(0, len(items), batch.MAX_INPUTS):
            inputs = [{"id": item["id"]} for item in items[start : start + batch.MAX_INPUTS]]
            operation = f"batch read {object_type}"
            reply = self._batch_request(
                object_type, "read", {"inputs": inputs, "properties": list(properties)}, archived
            )
            answer = self.body(reply, operation)
            self._raise_for_errors(answer, operation)
            records += self.records(answer, operation, "id")
        return records

    def _associations(self, from_type: ObjectType, to_type: ObjectType, ids: Sequence[str]) -> list[Record]:
        operation = f"read associations {from_type} to {to_type}"
        waiting: list[dict[str, str]] = [{"id": one} for one in ids]
        records: list[Record] = []
        while waiting:
            reply = self.call(
                "POST",
                "associations",
                "/{from_type}/{to_type}/batch/read",
                operation=operation,
                path={"from_type": from_type, "to_type": to_type},
                json={"inputs": waiting},
                repeatable=True,
            )
            answer = self.body(reply, operation)
            self._raise_for_errors(answer, operation)
            waiting = []
            for result in self.records(answer, operation, "from"):
                origin, targets = result.get("from"), result.get("to")
                if not isinstance(origin, dict) or not isinstance(targets, list):
                    raise self.malformed(operation, "a result has no `from` or no `to`")
                from_id = str(origin["id"])
                records += [
                    {
                        "from_id": from_id,
                        "to_id": str(target["toObjectId"]),
                        "association_types": target.get("associationTypes", []),
                    }
                    for target in targets
                ]
                if (after := next_after(result)) is not None:
                    if not targets:
                        raise self.malformed(operation, f"object {from_id} has a next page after an empty one")
                    waiting.append({"id": from_id, "after": after})
        return records

    def _raise_for_errors(self, answer: Mapping[str, object], operation: str) -> None:
        """A 207 names what is gone, or has no associations, as errors: those are answers. Others are raised."""
        errors = answer.get("errors")
        for item in errors if isinstance(errors, list) else ():
            found = item if isinstance(item, dict) else {}
            nothing = "NO_ASSOCIATIONS_FOUND" in str(found.get("subCategory"))
            if found.get("category") != "OBJECT_NOT_FOUND" and not nothing:
                raise self.failure(Rejected, self._model(HubSpotError, item, operation), operation)

    # ---- typed operations: one object

    def get(
        self,
        object_type: ObjectType,
        object_id: str,
        *,
        properties: Sequence[str] = (),
        id_property: str | None = None,
        archived: bool = False,
    ) -> HubSpotObject:
        """One object by id, or by the value of a unique property. Raises `NotFound`.

        The id of a merged object answers with its survivor, whose `id` is another, or not at all.
        """
        if not search.fits(properties, search.ROOM_IN_URL):
            (outcome,) = self.batch_read(
                object_type, [object_id], properties=properties, id_property=id_property, archived=archived
            ).outcomes
            if outcome.object is None:
                raise outcome.error or self.malformed(f"get {object_type}", "the answer has no object")
            return outcome.object
        params: dict[str, str | int] = {"archived": _flag(archived)}
        if properties:
            params["properties"] = ",".join(properties)
        if id_property is not None:
            params["idProperty"] = id_property
        operation = f"get {object_type}"
        path = {"object_type": object_type, "id": object_id}
        reply = self.call("GET", "objects", "/{object_type}/{id}", operation=operation, path=path, params=params)
        return self._parsed(HubSpotObject, reply, operation)

    def create(
        self, object_type: ObjectType, properties: Properties, associations: Sequence[AssociationTarget] = ()
    ) -> HubSpotObject:
        """A new object. Raises `Conflict` if a unique value (a contact's e-mail) exists already; HubSpot's message
        names the id that has it. Not repeated where it is unknown whether HubSpot acted on it."""
        body = BatchInput(properties=dict(properties), associations=tuple(associations)).body()
        operation = f"create {object_type}"
        path = {"object_type": object_type}
        reply = self.call("POST", "objects", "/{object_type}", operation=operation, path=path, json=body)
        return self._parsed(HubSpotObject, reply, operation)

    def update(
        self, object_type: ObjectType, object_id: str, properties: Properties, *, id_property: str | None = None
    ) -> HubSpotObject:
        """Set these properties and leave the others; None clears one. Safe to repeat. Raises `NotFound`, `Rejected`."""
        operation = f"update {object_type}"
        reply = self.call(
            "PATCH",
            "objects",
            "/{object_type}/{id}",
            operation=operation,
            path={"object_type": object_type, "id": object_id},
            params=None if id_property is None else {"idProperty": id_property},
            json=BatchInput(properties=dict(properties)).body(),
            repeatable=True,
        )
        return self._parsed(HubSpotObject, reply, operation)

    def archive(self, object_type: ObjectType, object_id: str) -> None:
        """Into HubSpot's recycling bin, from which a person can restore it for 90 days. Safe to repeat."""
        path = {"object_type": object_type, "id": object_id}
        self.call("DELETE", "objects", "/{object_type}/{id}", operation=f"archive {object_type}", path=path)

    def merge(self, object_type: ObjectType, primary_id: str, merged_id: str) -> HubSpotObject:
        """Merge `merged_id` into `primary_id`; can't be undone. Go on with the id of the answer: it may be a third.

        The primary's values win, and what was merged can't be found under its id in listings and searches any more.
        """
        operation = f"merge {object_type}"
        body = {"primaryObjectId": primary_id, "objectIdToMerge": merged_id}
        path = {"object_type": object_type}
        reply = self.call("POST", "objects", "/{object_type}/merge", operation=operation, path=path, json=body)
        return self._parsed(HubSpotObject, reply, operation)

    # ---- typed operations: many objects

    def list_objects(
        self,
        object_type: ObjectType,
        *,
        properties: Sequence[str] = (),
        archived: bool = False,
        limit: int = PAGE_SIZE,
        after: str | None = None,
    ) -> ObjectPage:
        """One page of all objects, at most 100, in the order of ids; `after` of the page before leads on."""
        whole = search.fits(properties, search.ROOM_IN_URL)
        params: dict[str, str | int] = {"limit": limit, "archived": _flag(archived)}
        if properties and whole:
            params["properties"] = ",".join(properties)
        if after is not None:
            params["after"] = after
        operation = f"list {object_type}"
        path = {"object_type": object_type}
        reply = self.call("GET", "objects", "/{object_type}", operation=operation, path=path, params=params)
        answer = self.body(reply, operation)
        if not whole:
            items = self.records(answer, operation, "id")
            answer = {**answer, "results": self._filled(object_type, items, properties, archived)}
        return self._model(ObjectPage, answer, operation)

    def search(self, object_type: ObjectType, request: SearchRequest) -> ObjectPage:
        """One page of a search. Raises `Rejected` past the 10,000th result."""
        return self._model(ObjectPage, self.search_page(object_type, request), f"search {object_type}")

    def search_all(self, object_type: ObjectType, request: SearchRequest) -> Iterator[HubSpotObject]:
        """All results of a search, however many, in the order of ids; leave one filter free in each group."""
        for page in self._search(object_type, request):
            for item in page.items:
                yield self._model(HubSpotObject, item, f"search {object_type}")

    def batch_read(
        self,
        object_type: ObjectType,
        ids: Iterable[str],
        *,
        properties: Sequence[str] = (),
        id_property: str | None = None,
        archived: bool = False,
    ) -> BatchResult:
        """Objects by id, or by the value of a unique property, which is then asked for as well."""
        names = [*properties, *([id_property] if id_property is not None and id_property not in properties else [])]
        fields = {"properties": names, **({} if id_property is None else {"idProperty": id_property})}
        return self._batch(object_type, "read", [BatchInput(id=one) for one in ids], fields, id_property, archived)

    def batch_create(self, object_type: ObjectType, inputs: Sequence[BatchInput]) -> BatchResult:
        """New objects. Not repeated where it is unknown whether HubSpot acted: such inputs fail as `Unavailable`."""
        return self._batch(object_type, "create", inputs)

    def batch_update(
        self, object_type: ObjectType, inputs: Sequence[BatchInput], *, id_property: str | None = None
    ) -> BatchResult:
        """Set properties of existing objects, each named by its id or the value of `id_property`."""
        return self._batch(object_type, "update", inputs, id_property=id_property)

    def batch_upsert(self, object_type: ObjectType, inputs: Sequence[BatchInput], *, id_property: str) -> BatchResult:
        """Create or update by a unique property (`email` on contacts); an outcome's `object.new` says which.

        The property has to be among the properties too: it is added where it is missing.
        """
        complete = [
            given.model_copy(update={"properties": {id_property: given.id, **(given.properties or {})}})
            for given in inputs
        ]
        return self._batch(object_type, "upsert", complete, id_property=id_property)

    def batch_archive(self, object_type: ObjectType, ids: Iterable[str]) -> BatchResult:
        """Into the recycling bin. HubSpot answers nothing: what is not there counts as archived."""
        return self._batch(object_type, "archive", [BatchInput(id=one) for one in ids])

    def _batch(
        self,
        object_type: ObjectType,
        verb: str,
        inputs: Sequence[BatchInput],
        fields: Mapping[str, object] | None = None,
        id_property: str | None = None,
        archived: bool = False,
    ) -> BatchResult:
        traced = verb in {"create", "update", "upsert"}

        def send(chunk: Sequence[tuple[int, BatchInput]]) -> Record | None:
            bodies = [
                given.body(str(index) if traced else None, id_property if traced else None) for index, given in chunk
            ]
            reply = self._batch_request(object_type, verb, {**(fields or {}), "inputs": bodies}, archived)
            return None if reply.data is None else self.body(reply, f"batch {verb} {object_type}")

        operation = batch.Operation(
            self.system, self.account, f"batch {verb} {object_type}", id_property, answers_objects=verb != "archive"
        )
        return batch.run(operation, inputs, send)

    def _batch_request(self, object_type: ObjectType, verb: str, body: Record, archived: bool) -> Reply:
        return self.call(
            "POST",
            "objects",
            f"/{{object_type}}/batch/{verb}",
            operation=f"batch {verb} {object_type}",
            path={"object_type": object_type},
            params={"archived": "true"} if archived else None,
            json=body,
            repeatable=verb != "create",
        )

    # ---- typed operations: associations, owners, pipelines, properties

    def associations(
        self, from_type: ObjectType, to_type: ObjectType, ids: Sequence[str | int]
    ) -> Iterator[Association]:
        """The associations of these objects with objects of the other type."""
        operation = f"read associations {from_type} to {to_type}"
        for page in self.read_children(f"associations/{from_type}/{to_type}", ids):
            for record in page.items:
                pair = {"from_id": record["from_id"], "to_id": record["to_id"], "types": record["association_types"]}
                yield self._model(Association, pair, operation)

    def associate(self, from_type: ObjectType, to_type: ObjectType, pairs: Sequence[tuple[str, str]]) -> None:
        """Associate objects, given as (from id, to id), without a label. Safe to repeat.

        Raises `Rejected` if HubSpot refuses one; the others of its thousand may be associated already.
        """
        inputs = [{"from": {"id": one}, "to": {"id": other}} for one, other in pairs]
        self._write_associations(from_type, to_type, "associate/default", inputs)

    def dissociate(self, from_type: ObjectType, to_type: ObjectType, pairs: Sequence[tuple[str, str]]) -> None:
        """Remove all associations, labelled ones too, between these pairs of (from id, to id). Safe to repeat."""
        inputs = [{"from": {"id": one}, "to": [{"id": other}]} for one, other in pairs]
        self._write_associations(from_type, to_type, "archive", inputs)

    def _write_associations(
        self, from_type: ObjectType, to_type: ObjectType, verb: str, inputs: Sequence[Mapping[str, object]]
    ) -> None:
        operation = f"{verb.partition('/')[0]} associations {from_type} to {to_type}"
        for start in range(0, len(inputs), MAX_ASSOCIATION_INPUTS):
            reply = self.call(
                "POST",
                "associations",
                f"/{{from_type}}/{{to_type}}/batch/{verb}",
                operation=operation,
                path={"from_type": from_type, "to_type": to_type},
                json={"inputs": inputs[start : start + MAX_ASSOCIATION_INPUTS]},
                repeatable=True,
            )
            errors = None if reply.data is None else self.body(reply, operation).get("errors")
            if isinstance(errors, list) and errors:
                raise self.failure(Rejected, self._model(HubSpotError, errors[0], operation), operation)

    def owners(self, *, archived: bool = False) -> Iterator[Owner]:
        """The users to whom records can be assigned."""
        return self._models(Owner, self._read_whole("owners", archived), "list owners")

    def pipelines(self, object_type: ObjectType) -> Iterator[Pipeline]:
        """The pipelines of an object type with their stages."""
        return self._models(Pipeline, self._read_whole(f"pipelines/{object_type}", archived=False), "list pipelines")

    def property_definitions(self, object_type: ObjectType, *, archived: bool = False) -> Iterator[PropertyDefinition]:
        """The properties of an object type: their types, and the options of enumerations."""
        operation = f"list {object_type} properties"
        params = {"archived": _flag(archived)}
        path = {"object_type": object_type}
        pages = self.listing("properties", "/{object_type}", operation=operation, path=path, params=params, key="name")
        return self._models(PropertyDefinition, (Page(items) for items in pages), operation)

    # ---- shapes

    def _parsed(self, model: type[_Model], reply: Reply, operation: str) -> _Model:
        return self._model(model, self.body(reply, operation), operation)

    def _models(self, model: type[_Model], pages: Iterable[Page], operation: str) -> Iterator[_Model]:
        return (self._model(model, item, operation) for page in pages for item in page.items)

    def _model(self, model: type[_Model], data: object, operation: str) -> _Model:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, fault["loc"])) or model.__name__ for fault in error.errors())
            raise self.malformed(operation, f"the answer is no {model.__name__}: see {places}") from error


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _kept(pages: Iterable[Page], wanted: Callable[[Record], bool]) -> Iterator[Page]:
    for page in pages:
        items = [record for record in page.items if wanted(record)]
        if items:
            yield Page(items, page.total)


def _changed_since(record: Record, since: datetime) -> bool:
    """Modified or archived since then; a record without a date that can be read is kept."""
    changes = [found for name in ("updatedAt", "archivedAt") if (found := moment(record.get(name))) is not None]
    return not changes or max(changes) >= since


def _created_within(record: Record, start: datetime, end: datetime) -> bool:
    """A record whose `createdAt` can't be read is kept: better twice than never."""
    created = moment(record.get("createdAt"))
    return created is None or start <= created < end
