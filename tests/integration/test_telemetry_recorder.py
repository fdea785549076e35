"""Telemetry reaches ops in batches, and no trouble with it reaches the work that it tells of."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.connectors.telemetry import RequestEvent
from masterops_dagster.database import migrations, server
from masterops_dagster.database.connection import connect
from masterops_dagster.observability.correlation import bound
from masterops_dagster.observability.executions.execution import Execution
from masterops_dagster.observability.recorder import LogRow, Recorder
from masterops_dagster.settings import PROJECT_ROOT

Database = psycopg.Connection[TupleRow]

NOW = datetime.now(UTC)
EVENT = RequestEvent(
    occurred_at=NOW,
    system="unleashed",
    account="unleashed_teelixir",
    operation="list SalesOrders",
    method="GET",
    path_template="/SalesOrders/{page}",
    status=200,
    outcome="ok",
    duration_ms=12.3456,
    bytes_received=1024,
    attempts=1,
    budget_wait_ms=0.5,
    correlation_id=None,
)
TOO_LARGE = dataclasses.replace(EVENT, duration_ms=1e12)
"""More than its column holds."""


def count(database: Database, table: str = "api_metrics") -> int:
    row = database.execute(f"select count(*) from ops.{table}").fetchone()
    assert row is not None
    return int(row[0])


def eventually(reached: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(0.02)
    return reached()


def test_every_row_is_there_when_the_recorder_is_closed(database_url: str, database: Database) -> None:
    def work() -> None:
        with bound(run_id="run-1", stream="sales_orders", trace_id="abc"):
            for _ in range(1250):
                recorder.record(EVENT)

    with Recorder(database_url) as recorder:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recorder.record(dataclasses.replace(EVENT, outcome="rejected", status=400, correlation_id="theirs"))
        recorder.log(LogRow(NOW, True, "error", "masterops.test", "said", fields='{"a": 1}'))
        recorder.execution(Execution(NOW, False, "dbt", "node", "model.x", "inv/model.x", detail={"rows": 3}))
    assert recorder.dropped == 0
    assert database.execute(
        "select error, duration_ms::text, run_id, stream, trace_id, status, count(*) from ops.api_metrics"
        " group by 1, 2, 3, 4, 5, 6 order by 1"
    ).fetchall() == [
        (False, "12.346", "run-1", "sales_orders", "abc", 200, 5000),
        (True, "12.346", None, None, None, 400, 1),
    ]
    assert database.execute("select event, fields from ops.integration_logs_errors").fetchall() == [("said", {"a": 1})]
    assert database.execute("select name, status, attempt, detail from ops.workflow_execution_logs").fetchall() == [
        ("model.x", "succeeded", 1, {"rows": 3})
    ]


def test_rows_are_there_within_moments_and_at_once_when_flushed(database_url: str, database: Database) -> None:
    with Recorder(database_url, interval=0.05) as recorder:
        recorder.record(EVENT)
        assert eventually(lambda: count(database) == 1)
    with Recorder(database_url, interval=60) as recorder:
        recorder.record(EVENT)
        assert recorder.flush()
        assert count(database) == 2
        assert recorder.flush(timeout=0), "nothing is held"


def test_without_a_database_the_work_goes_on_and_the_loss_is_counted() -> None:
    recorder = Recorder("postgresql://nobody@127.0.0.1:1/nowhere", capacity=10)
    begun = time.monotonic()
    for _ in range(5000):
        recorder.record(EVENT)
    assert time.monotonic() - begun < 1
    assert recorder.dropped == 4990
    recorder.close(timeout=30)
    assert time.monotonic() - begun < 5, "where no connection was ever made, the end of a program waits for none"
    assert recorder.dropped == 5000


def test_rows_wait_for_a_connection_that_was_cut(database_url: str, database: Database) -> None:
    with Recorder(database_url, interval=0.05, retry_after=0.05) as recorder:
        recorder.record(EVENT)
        assert eventually(lambda: count(database) == 1)
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'masterops telemetry'"
            " and datname = current_database()"
        )
        recorder.record(EVENT)
    assert recorder.dropped == 0
    assert count(database) == 2


def test_while_the_server_is_gone_rows_wait_and_what_found_no_place_is_told_when_it_is_back(tmp_path: Path) -> None:
    running = server.start(tmp_path / "server")
    try:
        migrations.migrate(running.url)
        recorder = Recorder(running.url, capacity=50, interval=0.01, retry_after=0.01)
        recorder.record(EVENT)
        assert recorder.flush()
        server.stop(tmp_path / "server", mode="immediate")
        for number in range(80):
            recorder.record(dataclasses.replace(EVENT, attempts=2 + number))
            time.sleep(0.01)
        assert recorder.dropped == 30
        assert not recorder.flush(timeout=0.1)
        server.start(tmp_path / "server")
        assert recorder.flush(timeout=30)
        recorder.close()
        with connect(running.url) as database:
            kept = database.execute("select attempts from ops.api_metrics order by attempts").fetchall()
            assert kept == [(attempts,) for attempts in range(1, 52)]
            told = database.execute("select level, fields from ops.integration_logs where event = 'telemetry_dropped'")
            assert told.fetchall() == [("warning", {"dropped": 30})]
    finally:
        server.stop(tmp_path / "server", mode="immediate")


def test_a_row_that_the_database_refuses_is_counted_and_harms_no_other(database_url: str, database: Database) -> None:
    with Recorder(database_url) as recorder:
        for event in (EVENT, TOO_LARGE, EVENT, EVENT, TOO_LARGE, EVENT, EVENT):
            recorder.record(event)
        recorder.log(LogRow(NOW, False, "info", "masterops.test", "said", fields="no JSON"))
        recorder.log(LogRow(NOW, False, "info", "masterops.test", "said"))
    assert recorder.dropped == 3
    assert count(database) == 5
    assert database.execute("select event, fields from ops.integration_logs order by event").fetchall() == [
        ("said", {}),
        ("telemetry_dropped", {"dropped": 3}),
    ]


def test_a_month_that_is_missing_is_made_but_none_for_a_moment_out_of_reason(
    database_url: str, database: Database
) -> None:
    later = NOW + timedelta(days=200)
    with Recorder(database_url) as recorder:
        recorder.record(EVENT)
        recorder.record(dataclasses.replace(EVENT, occurred_at=later))
        recorder.record(dataclasses.replace(EVENT, occurred_at=datetime(1970, 1, 1, tzinfo=UTC)))
    assert recorder.dropped == 1
    assert count(database, f"api_metrics_rest_{later:%Y_%m}") == 1
    assert database.execute("select to_regclass('ops.api_metrics_rest_1970_01')").fetchone() == (None,)


def run(code: str, database_url: str, state: Path) -> subprocess.CompletedProcess[str]:
    """A program of its own, with its settings in the environment."""
    environment = {**os.environ, "SUPABASE_DB_URL": database_url, "MASTEROPS_STATE_DIR": str(state)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )


def test_a_program_that_crashes_leaves_what_it_recorded_and_why_it_ended(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    done = run(
        "import structlog\n"
        "from masterops_dagster.observability import correlation, logging\n"
        "logging.configure()\n"
        "with correlation.bound(run_id='run-1', account='unleashed_teelixir'):\n"
        "    structlog.get_logger('masterops.test').info('begun', rows=3)\n"
        "    with correlation.bound(stream='products'):\n"
        "        raise RuntimeError('token=supersecret is wrong')\n",
        database_url,
        tmp_path,
    )
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    begun, crashed = database.execute(
        "select level, event, system, business_key, run_id, error_class, fields from ops.integration_logs"
        " order by occurred_at"
    ).fetchall()
    assert begun == ("info", "begun", "unleashed", "teelixir", "run-1", None, {"rows": 3})
    assert crashed[:2] == ("critical", "the program ended by an exception: token=[redacted] is wrong")
    assert crashed[5] == "RuntimeError"
    assert "Traceback" in crashed[6]["exception"]
    assert "supersecret" not in str(crashed)


def test_a_forked_process_records_for_itself_and_leaves_its_parents_rows_and_connection_alone(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    done = run(
        "import multiprocessing, os, structlog\n"
        "from masterops_dagster.observability import logging\n"
        "from masterops_dagster.observability.recorder import recorder\n"
        "logging.configure()\n"
        "log = structlog.get_logger('masterops.test')\n"
        "def child(): log.info('child')\n"
        "log.info('parent')\n"
        "recorder().flush()\n"
        "held = recorder()\n"
        "log.info('parent again')\n"
        "process = multiprocessing.get_context('fork').Process(target=child)\n"
        "process.start(); process.join()\n"
        "log.info('parent at last')\n"
        "assert held is recorder() and held.dropped == 0\n",
        database_url,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = database.execute("select event from ops.integration_logs order by occurred_at").fetchall()
    assert rows == [("parent",), ("parent again",), ("child",), ("parent at last",)]
