import pytest

from masterops_dagster.businesses import ACCOUNTS, account
from masterops_dagster.sources import dbt_sources
from masterops_dagster.sources.catalogue import asset_key, children, stream, streams_of, table_columns
from masterops_dagster.sources.stream import Mode


def test_the_committed_dbt_sources_are_what_the_stream_tables_say_today():
    assert dbt_sources.SOURCES_FILE.read_text() == dbt_sources.render(), (
        "run: python -m masterops_dagster.sources.dbt_sources"
    )


@pytest.mark.parametrize("of", ACCOUNTS, ids=lambda a: a.key)
def test_every_stream_names_only_columns_and_parents_that_exist(of):
    for s in streams_of(of):
        names = [c.name for c in table_columns(s)]
        assert len(names) == len(set(names)), f"{s.name}: a column twice"
        assert set(s.key) <= set(names)
        for pointer in (s.modified, s.business_date, s.parent_key):
            assert pointer is None or pointer in names
        if s.parent:
            parent = stream(of, s.parent)
            assert streams_of(of).index(parent) < streams_of(of).index(s)
            assert s in children(of, parent)
            assert bool(s.items) != bool(s.resource)
            assert parent.modified
            assert len(parent.key) == 1
        elif s.mode is Mode.INCREMENTAL:
            assert s.modified
            assert len(s.key) == 1
        else:
            assert s.business_date is None
        assert "__" not in s.name


def test_a_stream_is_found_by_name_and_an_unknown_one_lists_the_known():
    teelixir = account("unleashed_teelixir")
    assert asset_key(teelixir, stream(teelixir, "sales_orders")) == ("raw", "unleashed", "teelixir", "sales_orders")
    with pytest.raises(KeyError, match="sales_orders"):
        stream(teelixir, "sales_order")
