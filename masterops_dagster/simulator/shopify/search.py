"""Shopify's search syntax in `query:` arguments: `updated_at:>='2026-03-01T00:00:00Z' AND -status:cancelled`.

Terms are joined by spaces, `AND` or `OR`, negated by `-` or `NOT`, grouped by parentheses. A field that a resource
doesn't have is left out of the search and named in a warning, as Shopify does. Days without a time zone are the
shop's: Melbourne's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.shopify.errors import QueryError
from masterops_dagster.simulator.world.records import Body, Query, Record

Test = Callable[[Record], bool]
Values = Callable[[Body], "list[Any]"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<word>AND|OR|NOT)(?=[\s(])|(?P<minus>-)?
    (?:(?P<field>[A-Za-z_][\w.]*)\s*:\s*(?P<comparator><=|>=|<|>)?\s*)?
    (?:'(?P<single>(?:\\.|[^'\\])*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^\s()"']+)))""",
    re.VERBOSE,
)
_ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Term:
    """`field` is empty for a word that is looked for everywhere."""

    field: str
    comparator: str
    value: str


@dataclass(frozen=True, slots=True)
class Node:
    """`and`, `or` or `not` of what is below, or a term."""

    kind: str
    terms: tuple[Node, ...] = ()
    term: Term = Term("", "", "")


@dataclass(frozen=True, slots=True)
class Fields:
    """What can be searched in a resource: where a field's values are, and which moments a record has."""

    values: Mapping[str, Values]
    moments: Mapping[str, str] = field(default_factory=dict)
    """Search field → `business`, `modified`: filtered by the world's own dates."""
    words: tuple[str, ...] = ()
    """Where a word without a field is looked for."""
    kind: str = ""
    """The GraphQL type of what the world has stored; empty for what follows from other records."""


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed query: the world's part of it, what is left to test, and the warnings."""

    query: Query
    test: Test | None
    warnings: tuple[dict[str, str], ...] = ()


def search(text: str | None, fields: Fields, now: datetime) -> Search:
    """Raises `QueryError` where a moment can't be read."""
    if not text or not text.strip():
        return Search(Query(), None)
    warnings: list[dict[str, str]] = []
    query, rest = Query(), []
    for node in _conjuncts(_parse(text)):
        narrowed = _narrowed(query, node.term, fields, now) if node.kind == "term" else None
        if narrowed is not None:
            query = narrowed
        else:
            test = _test(node, fields, now, warnings)
            if test is not None:
                rest.append(test)
    return Search(query, (lambda record: all(test(record) for test in rest)) if rest else None, tuple(warnings))


# ---- reading


def _parse(text: str) -> Node:
    tokens: list[re.Match[str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            position += 1  # a stray quote; Shopify overlooks it
            continue
        tokens.append(match)
        position = match.end()
    tokens.reverse()
    return _alternatives(tokens)


def _alternatives(tokens: list[re.Match[str]]) -> Node:
    found = [_sequence(tokens)]
    while tokens and tokens[-1]["word"] == "OR":
        tokens.pop()
        found.append(_sequence(tokens))
    return found[0] if len(found) == 1 else Node("or", tuple(found))


def _sequence(tokens: list[re.Match[str]]) -> Node:
    found: list[Node] = []
    while tokens and tokens[-1]["word"] != "OR" and not tokens[-1]["close"]:
        token = tokens.pop()
        if token["word"] == "AND":
            continue
        negated = bool(token["minus"]) or token["word"] == "NOT"
        if token["word"] == "NOT":
            if not tokens:
                break
            token = tokens.pop()
        if token["open"]:
            node = _alternatives(tokens)
            if tokens and tokens[-1]["close"]:
                tokens.pop()
        else:
            value = next(token[name] for name in ("single", "double", "bare") if token[name] is not None)
            value = re.sub(r"\\(.)", r"\1", value)
            comparator = token["comparator"] or ""
            if token["field"] and not comparator and (quoted := re.match(r"(<=|>=|<|>)\s*(.*)", value)):
                comparator, value = quoted.groups()
            node = Node("term", term=Term(token["field"] or "", comparator, value))
        found.append(Node("not", (node,)) if negated else node)
    return Node("and", tuple(found))


def _conjuncts(node: Node) -> list[Node]:
    if node.kind != "and":
        return [node]
    return [each for below in node.terms for each in _conjuncts(below)]


# ---- asking the world


def _narrowed(query: Query, term: Term, fields: Fields, now: datetime) -> Query | None:
    """The query with the term in it; None if the world can't filter by that."""
    if term.field == "id" and fields.kind and term.value.rpartition("/")[2].isdecimal():
        number = int(term.value.rpartition("/")[2])
        if not term.comparator and query.ids is None:
            return replace(query, ids=(f"gid://shopify/{fields.kind}/{number}",))
        if term.comparator == ">":
            return replace(query, after_number=max(number, query.after_number or 0))
        if term.comparator == ">=":
            return replace(query, after_number=max(number - 1, query.after_number or 0))
        return None
    column = fields.moments.get(term.field)
    if column is None or term.value == "*":
        return None
    since, until = window(term, now)
    for name, value, tighter in ((f"{column}_from", since, max), (f"{column}_to", until, min)):
        if value is not None:
            known = getattr(query, name)
            query = replace(query, **{name: value if known is None else tighter(known, value)})  # type: ignore[arg-type]
    return query


def window(term: Term, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From ≤ t < to, in whole seconds, which is how Shopify keeps moments."""
    first, after = _span(term.value, now)
    match term.comparator:
        case ">":
            return after, None
        case ">=":
            return first, None
        case "<":
            return None, first
        case "<=":
            return None, after
        case _:
            return first, after


def _span(value: str, now: datetime) -> tuple[datetime, datetime]:
    """What a value covers: a second, a day, a month or a year."""
    if value == "now":
        moment = now.replace(microsecond=0)
        return moment, moment + _ONE_SECOND
    if match := re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", value):
        year, month, day = (int(part) if part else None for part in match.groups())
        first = datetime(year or 1, month or 1, day or 1, tzinfo=MELBOURNE)
        if day:
            after = first + timedelta(days=1)
        elif month:
            after = (first + timedelta(days=32)).replace(day=1)
        else:
            after = first.replace(year=first.year + 1)
        return first.astimezone(UTC), after.astimezone(UTC)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise QueryError(f"Invalid timestamp for query: {value}", "BAD_REQUEST") from None
    moment = (moment.replace(tzinfo=MELBOURNE) if moment.tzinfo is None else moment).astimezone(UTC)
    moment = moment.replace(microsecond=0)
    return moment, moment + _ONE_SECOND


# ---- testing records


def _test(node: Node, fields: Fields, now: datetime, warnings: list[dict[str, str]]) -> Test | None:
    if node.kind == "term":
        return _term(node.term, fields, now, warnings)
    below = [test for each in node.terms if (test := _test(each, fields, now, warnings)) is not None]
    if not below:
        return None
    match node.kind:
        case "not":
            return lambda record: not below[0](record)
        case "or":
            return lambda record: any(test(record) for test in below)
        case _:
            return lambda record: all(test(record) for test in below)


def _term(term: Term, fields: Fields, now: datetime, warnings: list[dict[str, str]]) -> Test | None:
    if not term.field:
        word = term.value.casefold().rstrip("*")
        return lambda record: any(
            word in str(value).casefold() for name in fields.words for value in fields.values[name](record.body)
        )
    if term.field in fields.moments:
        since, until = window(term, now)
        attribute = f"{fields.moments[term.field]}_at"
        return lambda record: _within(getattr(record, attribute), since, until)
    values = fields.values.get(term.field)
    if values is None:
        warnings.append({"field": term.field, "message": "Invalid search field for this query."})
        return None
    return lambda record: any(_holds(value, term) for value in values(record.body))


def _within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or moment >= since) and (until is None or moment < until)


def _holds(value: Any, term: Term) -> bool:
    if value is None:
        return False
    text, wanted = str(value).casefold(), term.value.casefold()
    if isinstance(value, bool):
        return text == wanted
    if term.comparator:
        return _compared(text.rpartition("/")[2], term.comparator, wanted.rpartition("/")[2])
    if wanted.endswith("*"):
        return text.startswith(wanted[:-1])
    return text == wanted or ("gid://" in text and text.rpartition("/")[2] == wanted.rpartition("/")[2])


def _compared(text: str, comparator: str, wanted: str) -> bool:
    try:
        left, right = float(text), float(wanted)
    except ValueError:
        return False
    match comparator:
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case _:
            return left <= right
