"""Shopify's search syntax means what its documentation says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from masterops_dagster.simulator.shopify.data import COLLECTIONS
from masterops_dagster.simulator.shopify.errors import QueryError
from masterops_dagster.simulator.shopify.search import Search, search
from masterops_dagster.simulator.world.records import Record

NOW = datetime(2026, 11, 24, 18, 0, 0, 500_000, UTC)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def asked(text: str, resource: str = "orders") -> Search:
    return search(text, COLLECTIONS[resource].fields, NOW)


def order(**body: object) -> Record:
    whole = {"id": "gid://shopify/Order/41", "name": "#TX41", "closedAt": None, "cancelledAt": None, "tags": [], **body}
    return Record("gid://shopify/Order/41", 41, NOON, NOON, NOON, False, "", whole)


def finds(text: str, **body: object) -> bool:
    test = asked(text).test
    return test is None or test(order(**body))


def test_moments_are_windows_of_whole_seconds_whatever_joins_them() -> None:
    query = asked("updated_at:>='2026-03-01T12:30:00Z' AND updated_at:<2026-03-02T00:00:00Z").query
    assert (query.modified_from, query.modified_to) == (
        datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
    )
    query = asked("created_at:>\"2026-03-01T12:30:00Z\" created_at:<='2026-03-01T13:00:00+00:00'").query
    assert (query.business_from, query.business_to) == (
        datetime(2026, 3, 1, 12, 30, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 13, 0, 1, tzinfo=UTC),
    )


def test_a_day_is_the_shops_day_and_a_year_its_year() -> None:
    query = asked("created_at:2026-10-04").query  # daylight saving begins in Melbourne: 23 hours
    assert (query.business_from, query.business_to) == (
        datetime(2026, 10, 3, 14, 0, tzinfo=UTC),
        datetime(2026, 10, 4, 13, 0, tzinfo=UTC),
    )
    assert asked("created_at:<=2025").query.business_to == datetime(2025, 12, 31, 13, 0, tzinfo=UTC)
    assert asked("updated_at:<now").query.modified_to == NOW.replace(microsecond=0)


def test_the_comparator_may_stand_inside_the_quotes() -> None:
    assert asked("updated_at:'>=2026-03-01T12:30:00Z'").query.modified_from == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def test_ids_are_found_by_number_by_global_id_and_by_range() -> None:
    assert asked("id:41").query.ids == ("gid://shopify/Order/41",)
    assert asked("id:'gid://shopify/Order/41'").query.ids == ("gid://shopify/Order/41",)
    assert asked("id:>=41").query.after_number == 40
    assert finds("id:<42")
    assert not finds("id:<41")
    assert finds("id:41 OR id:7")
    assert not finds("id:7 OR id:8")


def test_status_follows_from_what_happened_to_the_order() -> None:
    assert finds("status:open")
    assert not finds("status:closed")
    assert finds("status:closed", closedAt="2026-03-02T00:00:00Z")
    assert finds("status:cancelled", cancelledAt="2026-03-02T00:00:00Z")
    assert finds("status:any", cancelledAt="2026-03-02T00:00:00Z")


def test_terms_can_be_negated_joined_and_grouped() -> None:
    assert finds("-status:cancelled name:#TX41")
    assert not finds("NOT name:'#TX41'")
    assert finds("(name:#TX40 OR name:#tx41) AND -tag:vip", tags=["retail"])
    assert not finds("(name:#TX40 OR name:#TX41) -tag:vip", tags=["VIP"])
    assert finds("tag:whole*", tags=["wholesale"])
    assert finds("test:true", test=True)
    assert not finds("test:true", test=False)


def test_a_window_inside_an_alternative_is_tested_record_by_record() -> None:
    assert finds("name:#TX1 OR created_at:>=2026-03-01T12:00:00Z")
    assert not finds("name:#TX1 OR created_at:>2026-03-01T12:00:00Z")


def test_an_unknown_field_is_left_out_and_named() -> None:
    found = asked("colour:red status:open")
    assert [warning["field"] for warning in found.warnings] == ["colour"]
    assert found.test is not None
    assert found.test(order())


def test_a_word_alone_is_looked_for_in_several_fields() -> None:
    assert finds("tx4")
    assert finds("jo@example.com", email="jo@example.com")
    assert not finds("nobody")


def test_a_moment_that_is_none_is_refused() -> None:
    with pytest.raises(QueryError, match="yesterday"):
        asked("updated_at:>yesterday")
