"""Telemetry is split by months: the next ones are made in time, the old ones dropped, and what isn't over stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import connect
from masterops_dagster.defs.schedules import purge_telemetry
from masterops_dagster.observability import partitions
from masterops_dagster.settings import settings

Database = psycopg.Connection[TupleRow]

AT = datetime(2026, 11, 28, 3, 15, tzinfo=UTC)
RANGES = {
    "alerts",
    "api_metrics_errors",
    "api_metrics_rest",
    "health_checks_errors",
    "health_checks_rest",
    "incidents",
    "integration_logs_errors",
    "integration_logs_rest",
    "notifications",
    "workflow_execution_logs_errors",
    "workflow_execution_logs_rest",
}


def months(database: Database) -> set[str]:
    rows = database.execute(
        "select relname from pg_class where relnamespace = 'ops'::regnamespace and relkind = 'r'"
        " and relispartition order by 1"
    )
    return {name for (name,) in rows.fetchall()}


@pytest.fixture(scope="module")
def two_years(module_database_url: str) -> str:
    """The URL of a database with two years of months, which all tests share: making and copying them takes long."""
    with connect(module_database_url) as database:
        database.execute("select ops.ensure_partitions(%s, %s)", [AT - timedelta(days=730), AT])
    return module_database_url


@pytest.fixture
def database_url(two_years: str) -> str:
    return two_years


@pytest.fixture
def aged(state_dir: Path, database: Database) -> Iterator[Database]:
    """Two years of months; what a test does to them is undone."""
    with database.transaction(force_rollback=True):
        yield database


def keep(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("MASTEROPS_TELEMETRY_RETENTION_BY_TABLE", days)
    settings.cache_clear()


def test_this_month_and_the_next_are_made_of_every_table(aged: Database) -> None:
    for at in (datetime(2031, 1, 31, 23, 59, tzinfo=UTC), datetime(2031, 11, 30, 15, 0, tzinfo=UTC)):
        assert partitions.ready(aged, at) == 2 * len(RANGES)
        assert partitions.ready(aged, at) == 0
    made = months(aged)
    assert {f"{table}_2031_{month}" for table in RANGES for month in ("01", "02", "11", "12")} <= made


def test_a_month_is_dropped_once_its_last_moment_is_older_than_its_table_is_kept(aged: Database) -> None:
    dropped = partitions.drop_old(aged, AT)
    left = months(aged)
    assert {f"api_metrics_rest_2026_{month}" for month in ("08", "09", "10", "11")} <= left, "90 days reach into August"
    assert "api_metrics_rest_2026_07" in dropped.months
    assert not {name for name in left if "_rest_2025" in name}
    for table in ("api_metrics_errors", "alerts", "incidents", "notifications", "integration_logs_errors"):
        assert f"{table}_2025_10" in left, "400 days reach into October 2025"
        assert f"{table}_2025_09" in dropped.months
    assert partitions.drop_old(aged, AT).months == []


def test_a_table_can_be_kept_for_longer_or_shorter(aged: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(monkeypatch, '{"api_metrics": 30, "integration_logs_errors": 500, "incidents": 40}')
    partitions.drop_old(aged, AT)
    left = months(aged)
    assert "api_metrics_rest_2026_10" in left
    assert "api_metrics_rest_2026_09" not in left
    assert "api_metrics_errors_2025_10" in left, "errors have a name of their own"
    assert "integration_logs_errors_2025_07" in left
    assert "integration_logs_rest_2026_07" not in left
    assert "incidents_2026_09" not in left


@pytest.mark.parametrize(
    ("given", "said"),
    [('{"api_metric": 9}', "'api_metric'.* there are alerts, api_metrics, "), ('{"alerts": 0}', "1 is the least")],
)
def test_a_wrong_table_or_time_is_told_before_anything_is_dropped(
    aged: Database, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    before = months(aged)
    keep(monkeypatch, given)
    with pytest.raises(partitions.BadRetention, match=said):
        partitions.drop_old(aged, AT)
    assert months(aged) == before


def test_what_is_not_over_stays_however_old(aged: Database) -> None:
    def incident(at: datetime, state: str) -> object:
        row = aged.execute(
            "insert into ops.incidents (opened_at, began_at, cause, rule_id, title, severity, state)"
            " values (%s, %s, 'c', 'r', 't', 'warning', %s) returning incident_id",
            [at, at, state],
        ).fetchone()
        assert row is not None
        aged.execute(
            "insert into ops.alerts (occurred_at, rule_id, fingerprint, incident_id, to_state, severity, subject,"
            " message) values (%s, 'r', 'f', %s, 'firing', 'warning', 's', 'm')",
            [at, row[0]],
        )
        return row[0]

    def notification(at: datetime, state: str, incident_id: object = None) -> None:
        aged.execute(
            "insert into ops.notifications"
            " (created_at, incident_id, kind, contact, channels, channel, deduplication_key, content, state,"
            " next_attempt_at) values (%s, %s, 'opened', 'c', '[]', 'slack', 'k', '{}', %s, %s)",
            [at, incident_id, state, at],
        )

    january, february, march, april = (datetime(2025, month, 10, tzinfo=UTC) for month in (1, 2, 3, 4))
    notification(january, "sent", incident(january, "open"))
    notification(february, "sent", incident(february, "resolved"))
    notification(march, "waiting")
    notification(april, "failed")
    dropped = partitions.drop_old(aged, AT)
    assert set(dropped.kept) == {
        "incidents_2025_01",
        "alerts_2025_01",
        "notifications_2025_01",
        "notifications_2025_03",
    }
    assert {"incidents_2025_02", "alerts_2025_02", "notifications_2025_02", "notifications_2025_04"} <= set(
        dropped.months
    )
    assert "kept for what is not over: alerts_2025_01" in dropped.said


def test_a_month_that_somebody_reads_is_left_for_the_next_time(
    aged: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_WAIT", "set local lock_timeout = '50ms'")
    with psycopg.connect(database_url) as reader:
        reader.execute("select count(*) from ops.api_metrics_rest_2025_01")
        dropped = partitions.drop_old(aged, AT)
    assert dropped.busy == ["api_metrics_rest_2025_01"]
    assert partitions.drop_old(aged, AT).months == ["api_metrics_rest_2025_01"]


def test_the_nightly_job_makes_and_drops_months(state_dir: Path, database: Database) -> None:
    database.execute("drop table ops.alerts_2026_12")
    purge_telemetry(dg.build_op_context())
    left = months(database)
    assert f"api_metrics_rest_{datetime.now(UTC) + timedelta(days=20):%Y_%m}" in left
    assert "api_metrics_rest_2025_01" not in left
