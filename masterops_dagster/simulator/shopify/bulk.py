"""Bulk operations: a query without paging, run in the background over everything, its result a file of JSON lines.

A node of a nested connection has a line of its own behind its parent's, with `__parentId`; `groupObjects` puts it
right behind. Operations and results lie in a folder, so that a restart forgets none; one that was running then has
failed. Results go after seven days of business time.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from graphql import FieldNode, GraphQLObjectType, get_named_type, is_list_type, is_non_null_type, is_object_type

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.shopify.data import Data
from masterops_dagster.simulator.shopify.documents import Invalid, Prepared, prepare
from masterops_dagster.simulator.shopify.errors import QueryError
from masterops_dagster.simulator.shopify.execution import Compiler, Found, NullInNonNull, Project, Sink
from masterops_dagster.simulator.world.records import Body
from masterops_dagster.simulator.world.store import World

log = logging.getLogger("masterops.simulator")

MOST_CONNECTIONS = 5
MOST_NESTED = 2
MOST_AT_ONCE = 5
KEPT = timedelta(days=7)
FIRST_NUMBER = 7_300_000_000_001
INTERNAL_ERROR: str | None = "INTERNAL_SERVER_ERROR"
UNFINISHED = ("CREATED", "RUNNING", "CANCELING")
TOGETHER = 100
"""How many root objects are written before their children, unless these are grouped."""


@dataclass(slots=True)
class Operation:
    """One bulk operation; `result` is the name of its file, which nobody can guess."""

    number: int
    query: str
    grouped: bool
    createdAt: str  # noqa: N815 as the API names it
    result: str
    status: str = "CREATED"
    completedAt: str | None = None  # noqa: N815
    errorCode: str | None = None  # noqa: N815
    objectCount: int = 0  # noqa: N815
    rootObjectCount: int = 0  # noqa: N815
    fileSize: int | None = None  # noqa: N815


@dataclass(slots=True)
class Writer:
    """Writes lines and counts them."""

    file: BinaryIO
    operation: Operation
    encode: msgspec.json.Encoder = field(default_factory=lambda: msgspec.json.Encoder(decimal_format="number"))

    def line(self, body: Body) -> None:
        self.file.write(self.encode.encode(body) + b"\n")
        self.operation.objectCount += 1


class BulkOperations:
    """The bulk operations of one store."""

    def __init__(self, account: Account, world: World, base_url: str) -> None:
        self._account = account
        self._world = world
        self._base_url = base_url
        self._directory = world.directory / "shopify_bulk" / account.key
        self._lock = threading.Lock()
        self._operations: dict[int, Operation] | None = None

    # ---- the API

    def run(self, arguments: Mapping[str, Any]) -> Body:
        """The payload of `bulkOperationRunQuery`."""
        if objections := [*_objections(arguments["query"], Data(self._account, self._world, deepest=0))]:
            errors = [{"field": ["query"], "message": message, "code": "INVALID"} for message in objections]
            return {"bulkOperation": None, "userErrors": errors}
        now = self._world.now()
        with self._lock:
            known = self._known()
            running = [one for one in known.values() if one.status in UNFINISHED]
            if len(running) >= MOST_AT_ONCE:
                message = (
                    f"The limit of {MOST_AT_ONCE} bulk query operations at a time is reached for this app and shop."
                )
                return {
                    "bulkOperation": None,
                    "userErrors": [{"field": None, "message": message, "code": "LIMIT_REACHED"}],
                }
            self._forget_old(now)
            number = max(known, default=FIRST_NUMBER - 1) + 1
            operation = Operation(
                number, arguments["query"], bool(arguments["groupObjects"]), _stamp(now), secrets.token_urlsafe(24)
            )
            known[number] = operation
            self._save(operation)
            body = self._body(operation)
        threading.Thread(target=self._work, args=(operation,), name=f"bulk-{number}", daemon=True).start()
        return {"bulkOperation": body, "userErrors": []}

    def cancel(self, arguments: Mapping[str, Any]) -> Body:
        """The payload of `bulkOperationCancel`."""
        with self._lock:
            operation = self._find(arguments["id"])
            if operation is None:
                error = {"field": ["id"], "message": "Bulk operation does not exist"}
                return {"bulkOperation": None, "userErrors": [error]}
            if operation.status not in UNFINISHED:
                message = f"A bulk operation cannot be canceled when it is {operation.status.lower()}"
                return {"bulkOperation": self._body(operation), "userErrors": [{"field": None, "message": message}]}
            operation.status = "CANCELING"
            self._save(operation)
            return {"bulkOperation": self._body(operation), "userErrors": []}

    def get(self, id: str) -> Body | None:
        with self._lock:
            operation = self._find(id)
            return None if operation is None else self._body(operation)

    def all(self, arguments: Mapping[str, Any]) -> list[Body]:
        """The newest last; `query` may ask for a status."""
        status = re.search(r"status:['\"]?(\w+)", arguments.get("query") or "")
        wanted = status[1].upper() if status else ""
        with self._lock:
            return [self._body(one) for one in self._known().values() if not wanted or one.status == wanted]

    def result(self, name: str) -> Path | None:
        """The file behind a `url`."""
        with self._lock:
            finished = any(one.result == name and one.status == "COMPLETED" for one in self._known().values())
        path = self._directory / f"{name}.jsonl"
        return path if finished and path.exists() else None

    # ---- keeping

    def _known(self) -> dict[int, Operation]:
        if self._operations is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._operations = {}
            for path in sorted(self._directory.glob("*.json")):
                operation = Operation(**msgspec.json.decode(path.read_bytes()))
                self._operations[operation.number] = operation
                if operation.status in UNFINISHED:
                    self._end(operation, "FAILED", INTERNAL_ERROR)
        return self._operations

    def _find(self, id: str) -> Operation | None:
        number = id.removeprefix("gid://shopify/BulkOperation/")
        return self._known().get(int(number)) if number.isdecimal() else None

    def _save(self, operation: Operation) -> None:
        path = self._directory / f"{operation.number}.json"
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(asdict(operation)))
        draft.replace(path)

    def _end(self, operation: Operation, status: str, error: str | None = None) -> None:
        operation.status, operation.errorCode, operation.completedAt = status, error, _stamp(self._world.now())
        if status != "COMPLETED":
            (self._directory / f"{operation.result}.jsonl").unlink(missing_ok=True)
        self._save(operation)

    def _forget_old(self, now: datetime) -> None:
        for operation in self._known().values():
            if operation.completedAt and datetime.fromisoformat(operation.completedAt) < now - KEPT:
                (self._directory / f"{operation.result}.jsonl").unlink(missing_ok=True)

    def _body(self, operation: Operation) -> Body:
        has_result = operation.status == "COMPLETED" and operation.objectCount > 0
        there = has_result and (self._directory / f"{operation.result}.jsonl").exists()
        return {
            **asdict(operation),
            "id": f"gid://shopify/BulkOperation/{operation.number}",
            "type": "QUERY",
            "url": f"{self._base_url}/bulk-results/{operation.result}.jsonl" if there else None,
            "partialDataUrl": None,
        }

    # ---- running

    def _work(self, operation: Operation) -> None:
        with self._lock:
            if operation.status == "CREATED":
                operation.status = "RUNNING"
        path = self._directory / f"{operation.result}.jsonl"
        outcome, error = "FAILED", INTERNAL_ERROR
        try:
            with path.open("wb") as file:
                complete = self._write(Writer(file, operation))
                operation.fileSize = file.tell()
            outcome, error = "COMPLETED" if complete else "CANCELED", None
        except (QueryError, NullInNonNull) as failure:
            log.warning("bulk operation %s of %s failed: %s", operation.number, self._account.key, failure)
        finally:
            with self._lock:
                self._end(operation, outcome, error)

    def _write(self, writer: Writer) -> bool:
        """False if it was cancelled meanwhile."""
        operation = writer.operation
        data = Data(self._account, self._world, deepest=0)
        sink = Sink()
        prepared = prepare(operation.query, None, {}, data, sink)
        for name, arguments, project in _roots(prepared):
            bodies = iter(data.all(name, arguments))
            while chunk := list(
                itertools.islice(_projected(bodies, project, sink), 1 if operation.grouped else TOGETHER)
            ):
                if operation.status == "CANCELING":
                    return False
                for line, _ in chunk:
                    writer.line(line)
                    operation.rootObjectCount += 1
                _write_children([each for _, found in chunk for each in found], writer, sink)
        return True


def _projected(bodies: Iterator[Body], project: Project, sink: Sink) -> Iterator[tuple[Body, Found]]:
    """Each node's line with what hangs on it."""
    for body in bodies:
        sink.parent = body["id"]
        line = project(body, None)
        found, sink.found = sink.found, []
        yield line, found


def _write_children(found: Found, writer: Writer, sink: Sink) -> None:
    while found:
        deeper: Found = []
        for parent, children, project in found:
            for child in children:
                sink.parent = parent
                writer.line({**project(child, None), "__parentId": parent})
                deeper.extend(sink.found)
                sink.found = []
        found = deeper


def _roots(prepared: Prepared) -> Iterator[tuple[str, dict[str, Any], Project]]:
    """The connections of the query, with how their nodes are projected."""
    compiler = prepared.compiler
    for nodes in prepared.fields.values():
        name = nodes[0].name.value
        definition = prepared.root.fields[name]
        named = get_named_type(definition.type)
        yield name, compiler.arguments(definition, nodes[0]), compiler.object(*compiler.nodes_of(named, nodes))


# ---- what may be asked


def _objections(query: str, data: Data) -> Iterator[str]:
    """Why a query can't be run in bulk."""
    try:
        prepared = prepare(query, None, {}, data)
    except Invalid as error:
        yield f"Invalid bulk query: {error}"
        return
    if prepared.is_mutation or prepared.operation.variable_definitions:
        yield "Invalid bulk query: it must be one query without variables."
        return
    walk = _Walk(prepared.compiler)
    for nodes in prepared.fields.values():
        name = nodes[0].name.value
        if name in ("node", "nodes"):
            yield "Bulk queries cannot contain a top-level `node` or `nodes` field."
            return
        if not name.startswith("__"):
            walk.field(prepared.root, nodes, depth=0, in_list=False, parent_has_id=True)
    yield from walk.objections()


@dataclass(slots=True)
class _Walk:
    """Counts connections and how deep they lie."""

    compiler: Compiler
    connections: int = 0
    deepest: int = 0
    inside_list: bool = False
    without_id: list[str] = field(default_factory=list)
    other_roots: list[str] = field(default_factory=list)

    def field(
        self, parent: GraphQLObjectType, nodes: list[FieldNode], *, depth: int, in_list: bool, parent_has_id: bool
    ) -> None:
        definition = parent.fields[nodes[0].name.value]
        named = get_named_type(definition.type)
        name = nodes[0].name.value
        if named.name.endswith("Connection"):
            self.connections += 1
            self.deepest = max(self.deepest, depth)
            self.inside_list |= in_list
            if not parent_has_id:
                self.without_id.append(name)
            node_type, inner = self.compiler.nodes_of(named, nodes)
            self._below(node_type, inner, depth + 1, in_list, name)
        elif is_object_type(named):
            if depth == 0:
                self.other_roots.append(name)
            kind = definition.type.of_type if is_non_null_type(definition.type) else definition.type
            self._below(named, nodes, depth, in_list or is_list_type(kind), None)

    def _below(
        self, named: GraphQLObjectType, nodes: list[FieldNode], depth: int, in_list: bool, connection: str | None
    ) -> None:
        selected = self.compiler.fields_of(named, nodes)
        has_id = connection is None or any(
            key == "id" and below[0].name.value == "id" for key, below in selected.items()
        )
        for below in selected.values():
            if not below[0].name.value.startswith("__"):
                self.field(named, below, depth=depth, in_list=in_list, parent_has_id=has_id)

    def objections(self) -> Iterator[str]:
        if not self.connections:
            yield "Bulk queries must contain at least one connection."
        if self.connections > MOST_CONNECTIONS:
            yield f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections."
        if self.deepest > MOST_NESTED:
            yield f"Bulk queries cannot contain connections with a nesting depth greater than {MOST_NESTED}."
        if self.inside_list:
            yield "Queries that contain a connection field within a list field are not currently supported."
        if self.without_id:
            yield (
                "The parent 'node' field for a nested connection must select the 'id' field without an alias and must "
                f"be of 'ID' return type. Connection fields without 'id': {', '.join(self.without_id)}."
            )
        if self.other_roots and self.connections:
            yield f"This stand-in runs connections at the top of a bulk query only, not {', '.join(self.other_roots)}."


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
