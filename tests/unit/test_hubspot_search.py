"""HubSpot searches: the bounds that HubSpot sets, and the walk past 10,000 results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from masterops_dagster.connectors.hubspot import Filter, FilterGroup, ObjectType, Operator, SearchRequest, search


def equals(name: str, value: str) -> Filter:
    return Filter(property_name=name, operator=Operator.EQ, value=value)


class Index:
    """A search index that behaves as HubSpot's: numeric ids, 10,000 results at most, 18 filters."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = set(ids)
        self.requests: list[SearchRequest] = []

    def ask(self, request: SearchRequest) -> Mapping[str, object]:
        self.requests.append(request)
        assert request.after is None, "paging by `after` ends at 10,000"
        floor = next(
            (int(f.value or 0) for g in request.filter_groups for f in g.filters if f.property_name == "hs_object_id"),
            0,
        )
        found = sorted(one for one in self.ids if one > floor)
        page = found[: request.limit]
        paging = {"next": {"after": str(len(page))}} if len(found) > len(page) else None
        answer: dict[str, object] = {"total": len(found), "results": [{"id": str(one)} for one in page]}
        return {**answer, "paging": paging} if paging else answer

    def walked(self, request: SearchRequest | None = None) -> list[int]:
        pages = search.walk(request or SearchRequest(), self.ask)
        return [int(item["id"]) for page in pages for item in page["results"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("size", "requests"), [(0, 1), (1, 1), (199, 1), (200, 1), (201, 2), (10_000, 50), (25_001, 126)]
)
def test_every_result_is_walked_once_in_as_few_requests_as_pages(size: int, requests: int) -> None:
    index = Index(range(1, size + 1))
    assert index.walked() == list(range(1, size + 1))
    assert len(index.requests) == requests


def test_ids_of_different_length_are_walked_in_numeric_order() -> None:
    ids = [7, 99, 100, 1_000, 99_999, 100_000]
    assert Index(ids).walked(SearchRequest(limit=1)) == ids


def test_rows_that_come_and_go_meanwhile_neither_shift_nor_repeat_others() -> None:
    index = Index(range(1, 1_001))
    seen: list[int] = []
    for number, page in enumerate(search.walk(SearchRequest(limit=100), index.ask)):
        seen += [int(item["id"]) for item in page["results"]]  # type: ignore[attr-defined]
        index.ids.discard(number * 100 + 50)
        index.ids.add(2_000 + number)
    assert len(seen) == len(set(seen))
    assert set(range(1, 1_001)) <= set(seen) | {number * 100 + 50 for number in range(10)}


def test_each_group_gets_the_floor_because_any_group_may_match() -> None:
    groups = tuple(FilterGroup(filters=(equals("city", city),)) for city in ("Melbourne", "Sydney"))
    index = Index(range(1, 4))
    index.walked(SearchRequest(filter_groups=groups, limit=2))
    for group, city in zip(index.requests[1].filter_groups, ("Melbourne", "Sydney"), strict=True):
        assert [f.property_name for f in group.filters] == ["city", "hs_object_id"]
        assert group.filters[0].value == city
        assert group.filters[1].value == "2"


def test_an_index_that_repeats_itself_is_an_error_and_not_an_endless_loop() -> None:
    def stuck(request: SearchRequest) -> Mapping[str, object]:
        return {"results": [{"id": "5"}], "paging": {"next": {"after": "1"}}}

    with pytest.raises(search.DoesNotAdvance):
        list(search.walk(SearchRequest(), stuck))


def test_bounds_that_hubspot_would_refuse_are_refused_before_sending() -> None:
    def group(filters: int) -> FilterGroup:
        return FilterGroup(filters=tuple(equals("city", str(n)) for n in range(filters)))

    SearchRequest(filter_groups=(group(6), group(6), group(6)))
    for groups in ((group(1),) * 6, (group(7),), (group(6), group(6), group(6), group(1))):
        with pytest.raises(ValidationError):
            SearchRequest(filter_groups=groups)
    with pytest.raises(ValidationError):
        SearchRequest(limit=201)


@pytest.mark.parametrize(
    ("object_type", "name"),
    [(ObjectType.CONTACTS, "lastmodifieddate"), (ObjectType.DEALS, "hs_lastmodifieddate")],
)
def test_contacts_name_their_modification_date_unlike_the_other_types(object_type: ObjectType, name: str) -> None:
    body = search.modified_since(object_type, datetime(2026, 3, 1, 1, 2, 3, 4999, UTC), ["email"]).body()
    assert body["filterGroups"] == [
        {"filters": [{"propertyName": name, "operator": "GTE", "value": "1772326923004"}]},
    ]
    assert body["properties"] == ["email"]


def test_a_moment_without_a_timezone_is_refused() -> None:
    with pytest.raises(ValidationError, match="no timezone"):
        search.modified_since(ObjectType.DEALS, datetime(2026, 3, 1), [])  # noqa: DTZ001
