"""GraphQL documents, parsed and validated once, and run for one store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    execute,
    is_non_null_type,
    parse,
    validate,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import get_variable_values

from masterops_dagster.simulator.shopify import cost
from masterops_dagster.simulator.shopify.data import REFERENCES, Data
from masterops_dagster.simulator.shopify.errors import QueryError
from masterops_dagster.simulator.shopify.execution import Compiler, NullInNonNull, Sink, graphql_error
from masterops_dagster.simulator.shopify.fields import derived_fields
from masterops_dagster.simulator.shopify.schema import admin_schema
from masterops_dagster.simulator.world.records import Body

Resolve = Callable[[str, Mapping[str, Any]], Any]
"""The value of a root field, by its name and arguments. Raises `QueryError`."""


class Invalid(Exception):
    """A document or its variables can't be used; `errors` as the answer shows them."""

    def __init__(self, errors: list[Body]) -> None:
        super().__init__("; ".join(error["message"] for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document."""

    source: DocumentNode
    operations: Mapping[str, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The one to run. Raises `Invalid` where that isn't clear."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise Invalid([{"message": "An operation name is required"}])
        if name not in self.operations:
            raise Invalid([{"message": f'No operation named "{name}"'}])
        return self.operations[name]


@lru_cache(maxsize=512)
def document(text: str) -> Document:
    """Parses and validates. Raises `Invalid`."""
    try:
        source = parse(text)
    except GraphQLError as error:
        raise Invalid([graphql_error(error)]) from None
    if errors := validate(admin_schema(), source):
        raise Invalid([_as_shopify_says(error) for error in errors])
    operations: dict[str, OperationDefinitionNode] = {}
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in source.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations[definition.name.value if definition.name else ""] = definition
        elif isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
    if not operations:
        raise Invalid([{"message": "No operation to run"}])
    return Document(source, operations, fragments)


def _as_shopify_says(error: GraphQLError) -> Body:
    """Shopify runs graphql-ruby, which words an unknown field in its own way."""
    body = graphql_error(error)
    node = error.nodes[0] if error.nodes else None
    if isinstance(node, FieldNode) and error.message.startswith("Cannot query field"):
        field_name, type_name = node.name.value, error.message.split("'")[3]
        body["message"] = f"Field '{field_name}' doesn't exist on type '{type_name}'"
        body["extensions"] = {"code": "undefinedField", "typeName": type_name, "fieldName": field_name}
    return body


@dataclass(slots=True)
class Prepared:
    """One request's operation with its variables, not yet run."""

    document: Document
    operation: OperationDefinitionNode
    compiler: Compiler
    root: GraphQLObjectType
    fields: dict[str, list[FieldNode]]
    parts: dict[str, cost.Part] = field(default_factory=dict)

    @property
    def is_mutation(self) -> bool:
        return self.operation.operation is OperationType.MUTATION

    @property
    def requested_cost(self) -> int:
        if self.is_mutation:
            return cost.MUTATION * len(self.fields)
        return sum(part.requested for part in self.parts.values())

    def actual_cost(self, data: Body | None) -> int:
        """What came back, in points; a document that failed altogether costs nothing."""
        if data is None:
            return 0
        if self.is_mutation:
            return cost.MUTATION * len(self.fields)
        return sum(cost.actual(part, data[key]) for key, part in self.parts.items() if key in data)

    def run(self, resolve: Resolve) -> tuple[Body | None, list[Body]]:
        """Data and errors."""
        if any(nodes[0].name.value in ("__schema", "__type") for nodes in self.fields.values()):
            result = execute(
                admin_schema(), self.document.source, variable_values=self.compiler.variables, operation_name=self._name
            )
            return result.data, [graphql_error(error) for error in result.errors or ()]  # type: ignore[union-attr]
        data: Body = {}
        errors = self.compiler.errors
        for key, nodes in self.fields.items():
            name = nodes[0].name.value
            if name == "__typename":
                data[key] = self.root.name
                continue
            definition = self.root.fields[name]
            strict = is_non_null_type(definition.type)
            try:
                arguments = self.compiler.arguments(definition, nodes[0])
                value = resolve(name, arguments)
                project = self.compiler.value(definition.type, nodes, arguments)
                data[key] = value if value is None or project is None else project(value, (None, key))
                failed = value is None and strict
            except QueryError as error:
                errors.append({**error.body(), "path": [key]})
                failed = True
            except NullInNonNull as error:
                self.compiler.note(error)
                failed = True
            if failed and strict:
                return None, errors
            data.setdefault(key, None)
        return data, errors

    @property
    def _name(self) -> str | None:
        return self.operation.name.value if self.operation.name else None


def prepare(
    text: str, operation_name: str | None, variables: Mapping[str, Any], data: Data, sink: Sink | None = None
) -> Prepared:
    """Raises `Invalid`, `QueryError`."""
    found = document(text)
    operation = found.operation(operation_name)
    schema = admin_schema()
    coerced = get_variable_values(schema, operation.variable_definitions or (), dict(variables))
    if isinstance(coerced, list):
        raise Invalid([{**graphql_error(error), "extensions": {"code": "INVALID_VARIABLE"}} for error in coerced])
    compiler = Compiler(schema, found.fragments, coerced, derived_fields(data.levels), data.complete, REFERENCES, sink)
    root = schema.mutation_type if operation.operation is OperationType.MUTATION else schema.query_type
    if root is None or operation.operation is OperationType.SUBSCRIPTION:
        raise Invalid([{"message": "Schema is not configured for subscriptions"}])
    fields = collect_fields(schema, found.fragments, coerced, root, operation.selection_set)
    prepared = Prepared(found, operation, compiler, root, fields)
    if not prepared.is_mutation:
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if not name.startswith("__") and (part := compiler.part(root, name, nodes)) is not None:
                prepared.parts[key] = part
    return prepared
