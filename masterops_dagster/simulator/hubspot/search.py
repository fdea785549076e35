"""CRM search: filter groups, sorts, the cap at 10,000 results.

Filters on id, creation, modification and e-mail become part of the world's query; the rest is a test of each record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from masterops_dagster.simulator.hubspot import values
from masterops_dagster.simulator.hubspot.errors import invalid
from masterops_dagster.simulator.hubspot.requests import Condition, Scalar, SearchRequest, SortRule
from masterops_dagster.simulator.hubspot.schema import Definitions, ObjectType
from masterops_dagster.simulator.world.records import Body, Order, Page, Query, Record
from masterops_dagster.simulator.world.store import World

MAX_GROUPS, MAX_FILTERS_PER_GROUP, MAX_FILTERS = 5, 6, 18
MAX_LIMIT = 200
MAX_RESULTS = 10_000

OPERATORS = (
    "EQ",
    "NEQ",
    "LT",
    "LTE",
    "GT",
    "GTE",
    "BETWEEN",
    "IN",
    "NOT_IN",
    "HAS_PROPERTY",
    "NOT_HAS_PROPERTY",
    "CONTAINS_TOKEN",
    "NOT_CONTAINS_TOKEN",
)

_TICK = timedelta(milliseconds=1)
Test = Callable[[Body], bool]


@dataclass(frozen=True, slots=True)
class Search:
    """A search request that was understood."""

    query: Query
    sort_property: tuple[str, str] | None
    """Name and type of a property by which the world can't sort; None where `query.order` does it."""
    descending: bool
    properties: tuple[str, ...]
    limit: int
    after: int

    def until(self, indexed: datetime) -> Search:
        """The same search on an index that knows nothing of what changed after that moment."""
        end = _earlier(self.query.modified_to, indexed)
        return replace(self, query=replace(self.query, modified_to=end))

    def run(self, world: World, kind: ObjectType) -> Page:
        """The records of this page, and the total."""
        if self.sort_property is None:
            return world.page("hubspot", kind.name, self.query, offset=self.after, limit=self.limit)
        name, value_type = self.sort_property
        with_value: list[tuple[Any, Record]] = []
        without: list[Record] = []
        for record in world.scan("hubspot", kind.name, self.query):
            held = record.body["properties"].get(name)
            try:
                key = values.comparable(value_type, held) if held else None
            except ValueError:
                key = None
            if key is None:
                without.append(record)
            else:
                with_value.append((key, record))
        with_value.sort(key=lambda pair: pair[0], reverse=self.descending)
        found = [record for _, record in with_value] + without
        return Page(found[self.after : self.after + self.limit], len(found))


def understood(request: SearchRequest, kind: ObjectType, definitions: Definitions) -> Search:
    """Raises `ApiError` 400 for what HubSpot refuses."""
    limit, after = _paging(request)
    known = definitions.of(kind)
    groups = [[_filter(one, known) for one in group.filters] for group in request.filter_groups or ()]
    if len(groups) > MAX_GROUPS:
        raise invalid(f"Too many filterGroups: {len(groups)}. The maximum is {MAX_GROUPS}.")
    if any(len(group) > MAX_FILTERS_PER_GROUP for group in groups) or sum(map(len, groups)) > MAX_FILTERS:
        raise invalid(f"Too many filters: at most {MAX_FILTERS_PER_GROUP} in a group and {MAX_FILTERS} in all.")
    tests: list[Test] = []
    query = Query()
    if len(groups) == 1:
        query, rest = _pushed_down(groups[0], kind)
        tests.extend(one.test for one in rest)
    elif groups:
        tests.append(_any_of([[one.test for one in group] for group in groups]))
    if text := (request.query or "").lower():
        tests.append(lambda body: any(text in str(value).lower() for value in body["properties"].values() if value))
    if tests:
        query = replace(query, matching=lambda body: all(test(body) for test in tests))
    order, sort_property, descending = _sort(request.sorts or (), kind, known)
    return Search(
        query=replace(query, order=order, descending=descending and sort_property is None),
        sort_property=sort_property,
        descending=descending,
        properties=request.properties or (),
        limit=limit,
        after=after,
    )


def _paging(request: SearchRequest) -> tuple[int, int]:
    limit, after = request.limit, str(request.after or "0")
    if not 0 <= limit <= MAX_LIMIT:
        raise invalid(f"limit must be between 0 and {MAX_LIMIT}, not {limit}")
    if not after.isdecimal():
        raise invalid(f"after must be a number, not {after!r}")
    if int(after) + limit > MAX_RESULTS:
        raise invalid(f"The search endpoint returns at most {MAX_RESULTS} results; after={after}, limit={limit}.")
    return limit, int(after)


# ---- filters


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on one property."""

    name: str
    kind: str
    operator: str
    value: str
    high_value: str
    values: tuple[str, ...]

    def test(self, body: Body) -> bool:
        """Whether a record fulfils it. A record without the property fulfils only negations."""
        held = body["properties"].get(self.name)
        if held is None or held == "":
            return self.operator in ("NOT_HAS_PROPERTY", "NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN")
        match self.operator:
            case "HAS_PROPERTY":
                return True
            case "NOT_HAS_PROPERTY":
                return False
            case "CONTAINS_TOKEN":
                return self._contains(held)
            case "NOT_CONTAINS_TOKEN":
                return not self._contains(held)
        try:
            return self._compare(values.comparable(self.kind, held))
        except ValueError:
            return self.operator in ("NEQ", "NOT_IN")

    def _compare(self, held: Any) -> bool:
        match self.operator:
            case "EQ":
                return bool(held == self._wanted(self.value))
            case "NEQ":
                return bool(held != self._wanted(self.value))
            case "LT":
                return bool(held < self._wanted(self.value))
            case "LTE":
                return bool(held <= self._wanted(self.value))
            case "GT":
                return bool(held > self._wanted(self.value))
            case "GTE":
                return bool(held >= self._wanted(self.value))
            case "BETWEEN":
                return bool(self._wanted(self.value) <= held <= self._wanted(self.high_value))
            case "IN":
                return held in [self._wanted(value) for value in self.values]
            case _:
                return held not in [self._wanted(value) for value in self.values]

    def _wanted(self, value: str) -> Any:
        return values.comparable(self.kind, value)

    def _contains(self, held: str) -> bool:
        """Tokens are what stands between spaces and punctuation; `*` stands for any characters within one."""
        pattern = ".*".join(re.escape(part) for part in self.value.lower().split("*"))
        tokens = [held.lower(), *re.split(r"[\s@.,;:/_-]+", held.lower())]
        return any(re.fullmatch(pattern, token) for token in tokens)


def _filter(given: Condition, known: Mapping[str, Mapping[str, Any]]) -> Filter:
    name, operator = given.property_name, given.operator
    if operator not in OPERATORS:
        raise invalid(f"{operator} is not a valid operator. Valid ones: {', '.join(OPERATORS)}")
    if name not in known:
        raise invalid(f"Property '{name}' does not exist", errors=[{"message": f"Property '{name}' does not exist"}])
    made = Filter(
        name=name,
        kind=str(known[name]["type"]),
        operator=operator,
        value=values.text(given.value) or "",
        high_value=values.text(given.high_value) or "",
        values=tuple(values.text(value) or "" for value in given.values or ()),
    )
    _check_operands(made, given)
    return made


def _check_operands(made: Filter, given: Condition) -> None:
    operands: dict[str, Sequence[Scalar] | None]
    match made.operator:
        case "HAS_PROPERTY" | "NOT_HAS_PROPERTY":
            return
        case "IN" | "NOT_IN":
            operands = {"values": given.values}
        case "BETWEEN":
            operands = {"value": _one(given.value), "highValue": _one(given.high_value)}
        case _:
            operands = {"value": _one(given.value)}
    for name, found in operands.items():
        if found is None:
            raise invalid(f"operator {made.operator} of {made.name} requires {name}")
        if made.operator.endswith("CONTAINS_TOKEN"):
            continue
        for operand in found:
            try:
                values.comparable(made.kind, values.text(operand) or "")
            except ValueError as error:
                raise invalid(f"{made.name}: {error}") from error


def _one(value: Scalar) -> tuple[Scalar] | None:
    return None if value is None else (value,)


def _pushed_down(filters: Sequence[Filter], kind: ObjectType) -> tuple[Query, list[Filter]]:
    """What the world's indexes can find, and the filters that remain to be tested."""
    query, rest = Query(), []
    for one in filters:
        pushed = _push(query, one, kind)
        if pushed is None:
            rest.append(one)
        else:
            query = pushed
    return query, rest


def _push(query: Query, one: Filter, kind: ObjectType) -> Query | None:
    if one.name == "hs_object_id":
        return _push_id(query, one)
    if one.name == "email" and one.operator in ("EQ", "IN"):
        wanted = one.values if one.operator == "IN" else (one.value,)
        return replace(query, fields={**query.fields, "properties.email": [value.lower() for value in wanted]})
    if one.name not in ("createdate", kind.modified_property):
        return None
    low, high = _window(one)
    if low is None and high is None:
        return None
    if one.name == "createdate":
        return replace(query, created_from=_later(query.created_from, low), created_to=_earlier(query.created_to, high))
    return replace(query, modified_from=_later(query.modified_from, low), modified_to=_earlier(query.modified_to, high))


def _push_id(query: Query, one: Filter) -> Query | None:
    match one.operator:
        case "EQ":
            return replace(query, ids=(one.value,)) if query.ids is None else None
        case "IN":
            return replace(query, ids=one.values) if query.ids is None else None
        case "GT" | "GTE" if one.value.isdecimal():
            after = int(one.value) - (one.operator == "GTE")
            return replace(query, after_number=max(after, query.after_number or 0))
        case _:
            return None


def _window(one: Filter) -> tuple[datetime | None, datetime | None]:
    """The half-open window of whole milliseconds within which a moment fulfils the filter."""
    match one.operator:
        case "EQ":
            return _moment(one.value), _moment(one.value) + _TICK
        case "GT":
            return _moment(one.value) + _TICK, None
        case "GTE":
            return _moment(one.value), None
        case "LT":
            return None, _moment(one.value)
        case "LTE":
            return None, _moment(one.value) + _TICK
        case "BETWEEN":
            return _moment(one.value), _moment(one.high_value) + _TICK
        case _:
            return None, None


def _moment(value: str) -> datetime:
    return values.moment(value).astimezone(UTC)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _any_of(groups: Sequence[Sequence[Test]]) -> Test:
    return lambda body: any(all(test(body) for test in tests) for tests in groups)


# ---- sorting


def _sort(
    sorts: Sequence[SortRule | str], kind: ObjectType, known: Mapping[str, Mapping[str, Any]]
) -> tuple[Order, tuple[str, str] | None, bool]:
    """By creation, oldest first, unless asked otherwise; only the first sort counts."""
    if not sorts:
        return "created_at", None, False
    name, descending = _sort_rule(sorts[0])
    orders: dict[str, Order] = {
        "hs_object_id": "number",
        "createdate": "created_at",
        kind.modified_property: "modified_at",
    }
    if name in orders:
        return orders[name], None, descending
    if name not in known:
        raise invalid(f"Property '{name}' does not exist")
    return "number", (name, str(known[name]["type"])), descending


def _sort_rule(rule: SortRule | str) -> tuple[str, bool]:
    if isinstance(rule, SortRule):
        return rule.property_name, rule.direction.upper() == "DESCENDING"
    return rule.removeprefix("-"), rule.startswith("-")
