"""What is old goes, what is still read stays: raw snapshots and rows, telemetry, dead letters, files of runs."""

from __future__ import annotations

import os
import re
import time
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS, account
from masterops_dagster.database.dbt import PROJECT_DIR
from masterops_dagster.database.retention import purge_dead_letters, purge_reconciliations
from masterops_dagster.observability.run_files import delete_old
from masterops_dagster.sources import raw_tables
from masterops_dagster.sources.catalogue import streams_of
from masterops_dagster.sources.retention import STILL_READ, forget_deleted, thin_snapshots

UNLEASHED = account("unleashed_teelixir")


def test_of_old_snapshots_the_last_of_each_month_stays_and_of_young_ones_every_day(
    state_dir: Path, database: psycopg.Connection[TupleRow]
) -> None:
    raw_tables.prepare(database, UNLEASHED)
    today = clock.business_day(clock.now())
    days = [today - timedelta(days=back) for back in range(200)]
    unread = [day for day in days if (day + timedelta(days=1)).day == 1][2]  # a month's end on which nothing was read
    days.remove(unread)
    for day in days:
        database.execute(
            "insert into raw_unleashed_teelixir.stock_on_hand (snapshot_date, product_guid, warehouse_code)"
            " values (%s, 'a', 'W'), (%s, 'b', 'W')",
            [day, day],
        )
    deleted = thin_snapshots(timedelta(days=60))
    left = database.execute(
        "select snapshot_date, count(*) from raw_unleashed_teelixir.stock_on_hand group by 1 order by 1 desc"
    ).fetchall()
    ends: dict[tuple[int, int], date] = {}
    for day in days:
        ends.setdefault((day.year, day.month), day)
    expected = [day for day in days if day >= today - timedelta(days=60) or day in ends.values()]
    assert left == [(day, 2) for day in expected]
    assert unread - timedelta(days=1) in expected
    assert deleted == {"raw_unleashed_teelixir.stock_on_hand": (len(days) - len(expected)) * 2}
    assert thin_snapshots(timedelta(days=60)) == {"raw_unleashed_teelixir.stock_on_hand": 0}


def test_rows_deleted_long_ago_go_but_for_those_that_the_warehouse_still_reads(
    state_dir: Path, database: psycopg.Connection[TupleRow]
) -> None:
    for one in ("unleashed_teelixir", "hubspot"):
        raw_tables.prepare(database, account(one))
    now = clock.now()
    for guid, gone in (("there", None), ("lately", now - timedelta(days=10)), ("long", now - timedelta(days=50))):
        database.execute(
            "insert into raw_unleashed_teelixir.sales_orders (guid, _deleted_at) values (%s, %s)", [guid, gone]
        )
    database.execute("insert into raw_hubspot.contacts (id, _deleted_at) values (1, '2020-01-01')")
    deleted = forget_deleted(timedelta(days=30))
    left = database.execute("select guid from raw_unleashed_teelixir.sales_orders order by guid").fetchall()
    assert left == [("lately",), ("there",)]
    assert deleted["raw_unleashed_teelixir.sales_orders"] == 1
    assert database.execute("select count(*) from raw_hubspot.contacts").fetchone() == (1,)


def test_every_staging_view_leaves_deleted_rows_out_but_for_those_that_are_kept() -> None:
    read = set()
    for one in ACCOUNTS:
        for stream in streams_of(one):
            for view in (PROJECT_DIR / "models" / "staging" / one.system).glob("*.sql"):
                text = view.read_text()
                leaves_out = "_deleted_at is null" in text and "_deleted_at is null or" not in text
                if re.search(rf"'{one.system}', *'{stream.name}'", text) and not leaves_out:
                    read.add((one.system, stream.name))
    assert read == STILL_READ


def test_old_reconciliations_and_resolved_dead_letters_go_and_open_ones_and_the_ledger_stay(
    state_dir: Path, database: psycopg.Connection[TupleRow]
) -> None:
    for days in (100, 10):
        row = database.execute(
            "insert into ops.loads (account, stream, kind, started_at)"
            " values ('a', 's', 'live', now() - make_interval(days => %s)) returning load_id",
            [days],
        ).fetchone()
        assert row is not None
        database.execute(
            "insert into ops.reconciliations (account, stream, checked_at, source_count, our_count, method, load_id)"
            " values ('a', 's', now() - make_interval(days => %s), 1, 1, 'count', %s)",
            [days, row[0]],
        )
        for status in ("open", "replayed", "discarded"):
            database.execute(
                "insert into ops.dead_letters"
                " (account, stream, reason, payload, load_id, status, created_at, resolved_at)"
                " values ('a', 's', 'r', '{}', %(load)s, %(status)s, now() - make_interval(days => %(days)s),"
                " case when %(status)s <> 'open' then now() - make_interval(days => %(days)s) end)",
                {"load": row[0], "status": status, "days": days},
            )
    assert purge_reconciliations(timedelta(days=30)) == 1
    assert purge_dead_letters(timedelta(days=30)) == 2
    statuses = database.execute("select status, count(*) from ops.dead_letters group by 1 order by 1").fetchall()
    assert statuses == [("discarded", 1), ("open", 2), ("replayed", 1)]
    assert database.execute("select count(*) from ops.loads").fetchone() == (2,)


@pytest.mark.parametrize("old", [True, False])
def test_files_of_old_runs_go_and_nothing_else(tmp_path: Path, old: bool) -> None:
    home, target = tmp_path / "dagster", tmp_path / "target"
    logs = home / "storage" / "1f0c" / "compute_logs"
    mixed = home / "storage" / "2e0d" / "compute_logs"
    artifacts = target / "marts-128a3c6-7aabf24"
    kept = [mixed.parent / "value", target / "manifest.json", target / "compiled" / "x.sql", home / "dagster.yaml"]
    files = [logs / "x.err", mixed / "x.err", artifacts / "run" / "m.sql"]
    for file in (*files, *kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    if old:
        long_ago = time.time() - 30 * 86400
        for path in (*home.rglob("*"), *target.rglob("*")):
            os.utime(path, (long_ago, long_ago))
    assert delete_old(timedelta(days=14), dagster_home=home, dbt_target=target) == (3 if old else 0)
    assert [file.exists() for file in files] == [not old] * 3
    assert logs.parent.exists() is not old
    assert all(path.exists() for path in kept)
