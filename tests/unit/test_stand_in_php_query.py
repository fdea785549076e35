"""A query string is read as PHP reads it."""

from __future__ import annotations

import pytest

from masterops_dagster.simulator.php_query import Value, as_list, parse


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("", {}),
        ("a=1&a=2", {"a": "2"}),
        ("status[]=completed&status[]=refunded", {"status": {"0": "completed", "1": "refunded"}}),
        ("status%5B%5D=a&status[7]=b&status[]=c", {"status": {"0": "a", "7": "b", "8": "c"}}),
        ("meta[key]=a&meta[deep][er]=b", {"meta": {"key": "a", "deep": {"er": "b"}}}),
        ("q=a+b%20c%2Bd", {"q": "a b c+d"}),
        ("billing.email=x", {"billing_email": "x"}),
        ("flag&=lost", {"flag": ""}),
        ("name=Zo%C3%AB", {"name": "Zoë"}),
    ],
)
def test_a_query_is_read_as_php_reads_it(query: str, read: dict[str, Value]) -> None:
    assert parse(query) == read


def test_a_list_is_an_array_or_text_with_commas() -> None:
    assert as_list("1, 2,,3") == ["1", "2", "3"]
    assert as_list({"0": "a", "1": "b"}) == ["a", "b"]
