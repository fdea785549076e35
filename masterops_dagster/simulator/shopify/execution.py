"""Runs a validated document over plain JSON bodies.

graphql-core parses, validates and coerces; what a document selects of a type is then compiled once per request into
one function over a dict, several times as fast as its field-by-field executor, which answers introspection only. A
selected field is the body's key of that name, unless `derived` says otherwise; a connection slices the body's list.
What is null where the schema forbids it makes its nearest nullable ancestor null and leaves an error with its path.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import collect_sub_fields
from graphql.execution.values import get_argument_values

from masterops_dagster.simulator.shopify import cost
from masterops_dagster.simulator.shopify.errors import QueryError, internal_error
from masterops_dagster.simulator.world.records import Body

MAX_PAGE = 250

Path = tuple[Any, ...] | None
"""The way to a value, innermost first: `(("orders", …), "nodes")` linked from the end."""

Project = Callable[[Any, Path], Any]
Derive = Callable[[Body, Mapping[str, Any]], Any]


class Derived(NamedTuple):
    """A field that no body holds as such: how it follows from a body and arguments, and the keys that this takes."""

    of: Derive
    needs: tuple[str, ...] = ()


Complete = Callable[[str, Body], Body]
"""The whole object of that type that a body names, which may hold no more than its id."""


class NullInNonNull(Exception):
    """A field that may not be null is. It ends at the nearest field that may."""

    def __init__(self, type_name: str, field_name: str, path: Path) -> None:
        super().__init__(f"Cannot return null for non-nullable field {type_name}.{field_name}")
        self.path = path


Found = list[tuple[str, Sequence[Body], Project]]
"""Connections of nodes: the id of what each hangs on, its nodes, how these are projected."""


@dataclass(slots=True)
class Sink:
    """Where a bulk operation finds the connections of the nodes that it projects."""

    found: Found = field(default_factory=list)
    parent: str = ""


@dataclass(slots=True)
class Compiler:
    """Compiles the selections of one request, with its variables."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: dict[str, Any]
    derived: Mapping[tuple[str, str], Derived]
    complete: Complete
    references: frozenset[str]
    sink: Sink | None = None
    """Set for a bulk operation."""
    fails: Callable[[], bool] = lambda: False
    """Whether the next object that may be null can't be had; for a fault."""
    errors: list[dict[str, Any]] = field(default_factory=list)

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        return get_argument_values(definition, node, self.variables)

    def part(self, parent: GraphQLObjectType, name: str, nodes: list[FieldNode]) -> cost.Part | None:
        """What a field costs; None for scalars, which cost nothing."""
        definition = parent.fields[name]
        named = get_named_type(definition.type)
        if is_leaf_type(named):
            return None
        if named.name.endswith("Connection"):
            arguments = self.arguments(definition, nodes[0])
            return cost.Part(0, self._costs(*self.nodes_of(named, nodes)), _size(arguments))
        points = 0 if named.name in cost.FREE_TYPES else 1
        possible = self.schema.get_possible_types(named) if is_abstract_type(named) else [named]
        dearest: dict[str, cost.Part] = {}
        for one in possible:
            below = self._costs(one, nodes)
            if sum(part.requested for part in below.values()) >= sum(part.requested for part in dearest.values()):
                dearest = below
        return cost.Part(points, dearest)

    def _costs(self, named: GraphQLObjectType, nodes: list[FieldNode]) -> dict[str, cost.Part]:
        found = {}
        for key, below in self.fields_of(named, nodes).items():
            name = below[0].name.value
            if not name.startswith("__") and (part := self.part(named, name, below)) is not None:
                found[key] = part
        return found

    def fields_of(self, named: GraphQLObjectType, nodes: list[FieldNode]) -> dict[str, list[FieldNode]]:
        """What these fields select of a type, by the keys of the answer."""
        return collect_sub_fields(self.schema, self.fragments, self.variables, named, nodes)

    def nodes_of(
        self, connection: GraphQLObjectType, nodes: list[FieldNode]
    ) -> tuple[GraphQLObjectType, list[FieldNode]]:
        """A connection's node type, and the fields that select it: `nodes` and `edges { node }`, by any alias."""
        found: list[FieldNode] = []
        for below in self.fields_of(connection, nodes).values():
            if below[0].name.value == "nodes":
                found.extend(below)
            elif below[0].name.value == "edges":
                edge = get_named_type(connection.fields["edges"].type)
                assert isinstance(edge, GraphQLObjectType)
                for inner in self.fields_of(edge, below).values():
                    if inner[0].name.value == "node":
                        found.extend(inner)
        named = get_named_type(connection.fields["nodes"].type)
        assert isinstance(named, GraphQLObjectType)
        return named, found

    # ---- projections

    def value(self, type: GraphQLOutputType, nodes: list[FieldNode], arguments: Mapping[str, Any]) -> Project | None:
        """How a value of that type is given back; None for as it is."""
        nullable = type.of_type if isinstance(type, GraphQLNonNull) else type
        if isinstance(nullable, GraphQLList):
            inner = nullable.of_type
            each = self.value(inner, nodes, {})
            most = arguments.get("first")
            if each is None:
                return (lambda items, path: items[:most]) if most is not None else None
            return self._list(each, most, nullable=not isinstance(inner, GraphQLNonNull))
        named = get_named_type(type)
        if is_leaf_type(named):
            return _text if named.name in ("UnsignedInt64", "Money", "Decimal") else None
        if is_abstract_type(named):
            return self._abstract(nodes)
        assert isinstance(named, GraphQLObjectType)
        if named.name.endswith("Connection"):
            return self._connection(named, nodes, arguments)
        return self.object(named, nodes)

    def _list(self, each: Project, most: int | None, *, nullable: bool) -> Project:
        def project(items: list[Any], path: Path) -> list[Any]:
            if nullable:
                return [self._or_null(each, item, (path, i)) for i, item in enumerate(items[:most])]
            return [each(item, (path, i)) for i, item in enumerate(items[:most])]

        return project

    def _or_null(self, project: Project, value: Any, path: Path) -> Any:
        if value is None:
            return None
        try:
            return project(value, path)
        except NullInNonNull as error:
            self.note(error)
            return None

    def note(self, error: NullInNonNull) -> None:
        """Puts the error where the answer shows it."""
        extensions = {"code": "INTERNAL_SERVER_ERROR"}
        self.errors.append({"message": str(error), "path": path_of(error.path), "extensions": extensions})

    def _abstract(self, nodes: list[FieldNode]) -> Project:
        projects: dict[str, Project] = {}

        def project(value: Body, path: Path) -> Any:
            name = type_of(value)
            if name not in projects:
                concrete = self.schema.type_map[name]
                assert isinstance(concrete, GraphQLObjectType)
                projects[name] = self.object(concrete, nodes)
            return projects[name](value, path)

        return project

    def object(self, named: GraphQLObjectType, nodes: list[FieldNode]) -> Project:
        """A dict of what is selected, from a body of that type."""
        entries: list[tuple[str, str, Derive | None, Mapping[str, Any], Project | None, bool]] = []
        connections: list[tuple[str, Derive | None, Mapping[str, Any], Project]] = []
        needed: set[str] = set()
        type_name = named.name
        constants: dict[str, str] = {}
        for key, below in self.fields_of(named, nodes).items():
            name = below[0].name.value
            if name == "__typename":
                constants[key] = type_name
                entries.append((key, name, lambda source, arguments: type_name, {}, None, False))
                continue
            definition = named.fields[name]
            arguments = self.arguments(definition, below[0])
            derived = self.derived.get((type_name, name))
            derive = None if derived is None else derived.of
            needed.update((name,) if derived is None else derived.needs)
            connection = get_named_type(definition.type)
            if self.sink is not None and connection.name.endswith("Connection"):
                each = self.object(*self.nodes_of(connection, below))
                connections.append((name, derive, arguments, each))
                continue
            strict = is_non_null_type(definition.type)
            entries.append((key, name, derive, arguments, self.value(definition.type, below, arguments), strict))
        completes = type_name in self.references
        complete, sink = self.complete, self.sink

        def project(source: Body, path: Path) -> Body:
            if completes and not needed <= source.keys():
                source = complete(type_name, source)
            out: Body = {}
            for key, name, derive, arguments, inner, strict in entries:
                value = source.get(name) if derive is None else derive(source, arguments)
                if value is None:
                    if strict:
                        raise NullInNonNull(type_name, name, (path, key))
                    out[key] = None
                elif inner is None:
                    out[key] = value
                elif strict:
                    out[key] = inner(value, (path, key))
                elif isinstance(value, dict) and self.fails():
                    self.errors.append({**internal_error().body(), "path": path_of((path, key))})
                    out[key] = None
                else:
                    try:
                        out[key] = inner(value, (path, key))
                    except NullInNonNull as error:
                        self.note(error)
                        out[key] = None
            for name, derive, arguments, each in connections:
                assert sink is not None
                children = source.get(name) if derive is None else derive(source, arguments)
                sink.found.append((source.get("id") or sink.parent, children or (), each))
            return out

        return project

    def _connection(self, named: GraphQLObjectType, nodes: list[FieldNode], arguments: Mapping[str, Any]) -> Project:
        part = Slice.of(arguments)
        whole = self.object(named, nodes)
        edges = any(below[0].name.value == "edges" for below in self.fields_of(named, nodes).values())

        def project(value: Any, path: Path) -> Any:
            return whole(part.connection(value, edges=edges) if isinstance(value, list) else value, path)

        return project


def _text(value: Any, path: Path) -> str:
    """Scalars that are numbers in strings."""
    return value if isinstance(value, str) else str(value)


def type_of(value: Body) -> str:
    """The GraphQL type of a body whose field has an interface's or a union's type."""
    if "company" in value and "location" in value:
        return "PurchasingCompany"
    return str(value["id"]).split("/")[3]


def path_of(path: Path) -> list[Any]:
    """From the outside in."""
    found: list[Any] = []
    while path is not None:
        path, key = path
        found.append(key)
    return found[::-1]


# ---- connections


def _size(arguments: Mapping[str, Any]) -> int:
    return int(arguments.get("first") or arguments.get("last") or 0)


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a connection is wanted, checked as Shopify checks it."""

    size: int
    backwards: bool = False
    after: str | None = None
    before: str | None = None
    reverse: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Slice:
        """Raises `QueryError`."""
        if (arguments.get("first") is None) == (arguments.get("last") is None):
            raise QueryError("you must provide one of first or last", "BAD_REQUEST")
        name = "last" if arguments.get("first") is None else "first"
        size = int(arguments[name])
        if not 0 <= size <= MAX_PAGE:
            raise QueryError(f"{name} must be between 0 and {MAX_PAGE}, was {size}", "BAD_REQUEST")
        reverse = bool(arguments.get("reverse"))
        return cls(size, name == "last", arguments.get("after"), arguments.get("before"), reverse)

    def connection(self, items: list[Body], *, edges: bool) -> Body:
        """That part of a list that is at hand; with a cursor for each node only where `edges` are wanted."""
        items = items[::-1] if self.reverse else items
        start, end = 0, len(items)
        if self.after is not None:
            start = _position(items, self.after) + 1
        if self.before is not None:
            end = _position(items, self.before)
        first, last = (max(start, end - self.size), end) if self.backwards else (start, min(end, start + self.size))
        shown = items[first:last]
        marked = range(len(shown)) if edges else {0, len(shown) - 1} & set(range(len(shown)))
        cursors = ["" if i not in marked else cursor_of(last_id=_mark(item, first + i)) for i, item in enumerate(shown)]
        return connection(shown, cursors, has_next=last < len(items), has_previous=first > 0)


def connection(nodes: Sequence[Body], cursors: Sequence[str], *, has_next: bool, has_previous: bool) -> Body:
    """The body of a connection object."""
    return {
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": has_next,
            "hasPreviousPage": has_previous,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def cursor_of(**where: Any) -> str:
    return base64.b64encode(json.dumps(where, separators=(",", ":")).encode()).decode()


def cursor_content(cursor: str) -> dict[str, Any]:
    """Raises `QueryError` for what is no cursor of this API."""
    try:
        content = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError):
        content = None
    if not isinstance(content, dict) or "last_id" not in content:
        raise QueryError("Invalid cursor for current pagination sort.", "BAD_REQUEST")
    return content


def _position(items: Sequence[Body], cursor: str) -> int:
    wanted = cursor_content(cursor)["last_id"]
    for place, item in enumerate(items):
        if _mark(item, place) == wanted:
            return place
    raise QueryError("Invalid cursor for current pagination sort.", "BAD_REQUEST")


def _mark(item: Body, place: int) -> str:
    """What a cursor remembers of an item: its id, or its place where it has none."""
    return str(item.get("id") or place).rpartition("/")[2]


def graphql_error(error: GraphQLError) -> Body:
    """An error of parsing, validation or coercion as it stands in `errors`."""
    locations = [{"line": at.line, "column": at.column} for at in error.locations or ()]
    return {"message": error.message, "locations": locations}
