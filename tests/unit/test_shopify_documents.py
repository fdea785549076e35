"""Every GraphQL document is one that Shopify's published schema takes, in the version that the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import NoDeprecatedCustomRule

from masterops_dagster.connectors import shopify
from masterops_dagster.connectors.shopify.documents import bulk_document, document
from masterops_dagster.connectors.shopify.resources import REFUND_LINES, RESOURCES

FOLDER = Path(shopify.__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.graphql"))
BULK = sorted(resource.bulk for resource in RESOURCES.values() if resource.bulk)
SEARCH = "created_at:>='2026-03-01T00:00:00Z' name:\"a\\b\""


def test_the_documents_are_there() -> None:
    assert len(NAMES) > 25
    for resource in RESOURCES.values():
        nested = resource.nested.more if resource.nested else None
        used = {resource.document, resource.count, resource.keys, resource.bulk, nested} - {None}
        assert used <= set(NAMES)
    assert REFUND_LINES.more in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_valid_and_asks_for_nothing_deprecated(
    name: str, published_shopify_schema: GraphQLSchema
) -> None:
    found = validate(published_shopify_schema, parse(document(name)), [*specified_rules, NoDeprecatedCustomRule])
    assert [error.message for error in found] == []


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_document_is_valid_once_its_search_is_filled_in(
    name: str, published_shopify_schema: GraphQLSchema
) -> None:
    parsed = parse(bulk_document(name, SEARCH))
    assert validate(published_shopify_schema, parsed) == []
    (operation,) = parsed.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert not operation.variable_definitions
    (root,) = operation.selection_set.selections
    assert isinstance(root, FieldNode)
    assert root.arguments[0].value.to_dict()["value"] == SEARCH


@pytest.mark.parametrize("name", BULK)
def test_pages_and_bulk_operations_ask_for_the_same(name: str) -> None:
    resource = next(resource for resource in RESOURCES.values() if resource.bulk == name)
    paged, bulk = (_asked(parse(document(one))) for one in (resource.document, name))
    assert _without(paged, {"nodes", "pageInfo", "hasNextPage", "endCursor"}) == _without(bulk, {"edges", "node"})


def test_an_order_by_itself_is_asked_for_as_in_a_list() -> None:
    of_list = {path[2:] for path in _asked(parse(document("orders"))) if path[:2] == ("orders", "nodes")}
    assert {path[1:] for path in _asked(parse(document("order"))) if path[0] == "order"} == of_list


@pytest.mark.parametrize("name", ["orders", "products", "inventory_levels", "abandoned_checkouts"])
def test_what_is_read_on_is_asked_for_as_what_came_first(name: str) -> None:
    nested = RESOURCES[name].nested
    assert nested is not None
    first = {path[path.index(nested.field) :] for path in _asked(parse(document(name))) if nested.field in path}
    more = {path[path.index(nested.field) :] for path in _asked(parse(document(nested.more))) if nested.field in path}
    assert first == more


def _asked(parsed: DocumentNode) -> set[tuple[str, ...]]:
    """The paths of all fields."""
    (operation,) = parsed.definitions
    assert isinstance(operation, OperationDefinitionNode)
    return set(_paths(operation.selection_set, ()))


def _paths(selections: SelectionSetNode, above: tuple[str, ...]) -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []
    for selection in selections.selections:
        here = (*above, selection.name.value) if isinstance(selection, FieldNode) else above
        if isinstance(selection, FieldNode):
            paths.append(here)
        if (below := getattr(selection, "selection_set", None)) is not None:
            paths += _paths(below, here)
    return paths


def _without(paths: set[tuple[str, ...]], names: set[str]) -> set[tuple[str, ...]]:
    return {tuple(part for part in path if part not in names) for path in paths}
