"""Raw assets as Dagster runs them: live by tag, a backfill otherwise; what a run read stands in ops.loads.

Dagster is imported by the tests, since every test process imports this module and only one runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterops_dagster import clock
from masterops_dagster.businesses import account

if TYPE_CHECKING:
    import dagster as dg

SHOP = account("woocommerce_red_hill_fresh")


def asset(stream: str) -> dg.AssetKey:
    """One of the shop's."""
    import dagster as dg

    return dg.AssetKey(["raw", "woocommerce", "red_hill_fresh", stream])


@pytest.fixture
def instance():
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(instance, tags=None):
    """One run of the shop's assets, in this process; live without tags."""
    import dagster as dg

    from masterops_dagster.defs.ingestion import all_raw_assets
    from masterops_dagster.defs.partitions import live_tags

    assets = [made for made in all_raw_assets() if made.op.name.startswith(SHOP.key)]
    job = dg.Definitions(
        assets=assets, jobs=[dg.define_asset_job("load", executor_def=dg.in_process_executor)]
    ).resolve_job_def("load")
    return job.execute_in_process(instance=instance, tags=tags or live_tags(None))


def test_a_live_run_loads_all_and_a_backfill_of_march_reads_march_and_nothing_else(connected, database, instance):
    assert run(instance).success
    assert database.execute("select distinct kind, simulated from ops.loads").fetchall() == [("live", True)]
    cursor = database.execute("select watermark from ops.cursors where stream = 'orders'").fetchone()
    before = dict(database.execute("select id, _load_id from raw_woocommerce_red_hill_fresh.orders").fetchall())
    event = instance.get_latest_materialization_event(asset("orders")).asset_materialization
    assert event.metadata["dagster/row_count"].value == len(before)
    assert instance.get_materialized_partitions(asset("orders")) == {clock.today().isoformat()}

    year = clock.today().year if clock.today().month > 3 else clock.today().year - 1
    march = {
        "dagster/asset_partition_range_start": f"{year}-03-01",
        "dagster/asset_partition_range_end": f"{year}-03-31",
    }
    assert run(instance, march).success

    loads = "select distinct kind, window_start, window_end from ops.loads where kind <> 'live' and stream = 'orders'"
    (kind, start, end), *others = database.execute(loads).fetchall()
    assert others == []
    assert kind == "backfill"
    assert [clock.business_day(start).isoformat(), clock.business_day(end).isoformat()] == [
        f"{year}-03-01",
        f"{year}-04-01",
    ]
    after = database.execute(
        "select id, _load_id, date_created_at from raw_woocommerce_red_hill_fresh.orders"
    ).fetchall()
    read_again = {order for order, load, _ in after if load != before.get(order)}
    of_march = {
        order
        for order, _, placed in after
        if f"{year}-03-01" <= clock.business_day(placed).isoformat() <= f"{year}-03-31"
    }
    assert read_again == of_march
    assert of_march
    assert database.execute("select watermark from ops.cursors where stream = 'orders'").fetchone() == cursor
    days = instance.get_materialized_partitions(asset("orders"))
    assert {day for day in days if day.startswith(f"{year}-03")} == {f"{year}-03-{day:02}" for day in range(1, 32)}


def test_days_before_a_first_load_count_as_materialised_once_history_is_recorded(connected, instance, monkeypatch):
    import dagster as dg

    from masterops_dagster.defs import history

    assert run(instance).success
    monkeypatch.setattr(history, "ACCOUNTS", [SHOP])
    monkeypatch.setattr(
        history, "DAYS", dg.DailyPartitionsDefinition(clock.today().replace(day=1).isoformat(), end_offset=1)
    )
    assert history.history.execute_in_process(instance=instance).success
    days = instance.get_materialized_partitions(asset("orders"))
    assert {clock.today().replace(day=1).isoformat(), clock.today().isoformat()} <= days
    assert instance.get_materialized_partitions(asset("customers")) == set()
    recorded = instance.fetch_materializations(asset("orders"), limit=1000).records
    assert history.history.execute_in_process(instance=instance).success
    again = instance.fetch_materializations(asset("orders"), limit=1000).records
    assert len(again) == len(recorded)


def test_a_row_that_could_not_be_loaded_is_a_warning_on_its_asset(connected, database, instance):
    database.execute(
        "insert into ops.dead_letters (account, stream, external_id, column_name, reason, payload, status)"
        " values (%s, 'orders', '1', 'total', 'not a number', '{}', 'open')",
        [SHOP.key],
    )
    result = run(instance)
    assert result.success
    checks = [check for check in result.get_asset_check_evaluations() if check.asset_key == asset("orders")]
    check = next(check for check in checks if check.check_name == "no_dead_letters")
    assert not check.passed
    assert check.severity.value == "WARN"


def test_partitions_are_melbourne_days_and_end_with_today():
    from masterops_dagster.defs.partitions import DAYS

    keys = DAYS.get_partition_keys()
    assert keys[0] == "2025-07-01"
    assert DAYS.timezone == "Australia/Melbourne"
