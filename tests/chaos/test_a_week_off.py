"""Days on which nothing ran are caught up by one refresh; old snapshots may go, and no figure changes by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.sources.catalogue import streams_of
from masterops_dagster.sources.retention import forget_deleted, thin_snapshots
from tests.refreshing import Platform
from tests.truth_and_kpis import Comparison

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

DAYS_OFF = 9
REQUESTS_AT_ONCE = {"hubspot": 100, "unleashed": 300, "bigcommerce": 150}
"""What each system lets through without a pause: the first window of its budget."""

LOADS = """
select account, sum(requests)::int, sum(rows)::int
from ops.loads
where load_id > %s
group by account
"""
OFF = """
select distinct on (account, stream) account, stream, source_count, our_count
from ops.reconciliations
order by account, stream, reconciliation_id desc
"""
STOCK = """
select business_key, kpi, grain, period_start, value
from kpi.kpis
where kpi in ('stock_value', 'stock_outs', 'stock_cover')
order by 1, 2, 3, 4
"""


@pytest.fixture(scope="module")
def compared(platform: Platform) -> Comparison:
    """The platform after its first load, whose figures are true."""
    platform.refresh()
    comparison = Comparison(platform)
    assert comparison.differences() == []
    return comparison


def last_load(platform: Platform) -> int:
    row = platform.connection.execute("select max(load_id) from ops.loads").fetchone()
    assert row is not None
    return int(row[0])


def test_after_nine_days_off_one_refresh_brings_all_of_them_within_the_budgets(
    compared: Comparison, platform: Platform
) -> None:
    first = {account: rows for account, _, rows in platform.connection.execute(LOADS, [0])}
    left_off = clock.today()
    before = last_load(platform)
    platform.new_days(DAYS_OFF)

    platform.refresh()

    assert clock.today() - left_off >= timedelta(days=DAYS_OFF)
    assert compared.differences() == []
    assert [row for row in platform.connection.execute(OFF) if row[2] != row[3]] == []
    loads = {account: (requests, rows) for account, requests, rows in platform.connection.execute(LOADS, [before])}
    assert set(loads) == {account.key for account in ACCOUNTS if streams_of(account)}
    for account in ACCOUNTS:
        if account.system in REQUESTS_AT_ONCE:
            requests, rows = loads[account.key]
            assert requests <= REQUESTS_AT_ONCE[account.system], account.key
            assert rows < first[account.key], account.key


def test_a_run_after_days_off_covers_as_many_days_as_dagster_bears() -> None:
    from masterops_dagster.defs.partitions import LONGEST_RANGE, RANGE_END_TAG, RANGE_START_TAG, live_tags

    now = datetime.now(UTC)
    tags = live_tags(now - timedelta(days=DAYS_OFF))
    start, end = (datetime.fromisoformat(tags[tag]) for tag in (RANGE_START_TAG, RANGE_END_TAG))
    assert end - start == LONGEST_RANGE


def test_old_snapshots_may_go_and_no_figure_changes(compared: Comparison, platform: Platform) -> None:
    for _ in range(2):
        platform.new_days(4)
        platform.refresh()
        assert compared.differences() == []
    before = platform.connection.execute(STOCK).fetchall()
    assert len({row[3] for row in before if row[2] == "day"}) >= 3

    thinned = thin_snapshots(timedelta(days=1))
    forget_deleted(timedelta(days=1))
    platform.build()
    platform.dbt("run", "--full-refresh", "--select", "fct_inventory_daily")
    platform.build()

    assert sum(thinned.values()) > 0
    assert platform.connection.execute(STOCK).fetchall() == before
    assert compared.differences() == []
