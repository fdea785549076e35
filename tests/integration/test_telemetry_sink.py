"""Request events reach ops.api_metrics, and no trouble with it reaches the load."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, datetime

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.connectors.telemetry import RequestEvent
from masterops_dagster.observability.telemetry import PostgresTelemetrySink

EVENT = RequestEvent(
    occurred_at=datetime(2026, 11, 24, 3, 0, tzinfo=UTC),
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


def count(database: psycopg.Connection[TupleRow]) -> int:
    row = database.execute("select count(*) from ops.api_metrics").fetchone()
    assert row is not None
    return int(row[0])


def test_every_event_is_there_when_the_sink_is_closed(
    database_url: str, database: psycopg.Connection[TupleRow]
) -> None:
    with PostgresTelemetrySink(database_url, run_id="run-1") as sink:
        threads = [threading.Thread(target=lambda: [sink.record(EVENT) for _ in range(1250)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sink.dropped == 0
    assert count(database) == 5000
    row = database.execute(
        "select occurred_at, duration_ms::text, run_id, status from ops.api_metrics limit 1"
    ).fetchone()
    assert row == (EVENT.occurred_at, "12.346", "run-1", 200)


def test_events_are_there_within_moments_while_the_load_runs(
    database_url: str, database: psycopg.Connection[TupleRow]
) -> None:
    with PostgresTelemetrySink(database_url, interval=0.05) as sink:
        sink.record(EVENT)
        deadline = time.monotonic() + 5
        while count(database) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert count(database) == 1


def test_without_a_database_the_load_goes_on_and_the_loss_is_counted() -> None:
    sink = PostgresTelemetrySink("postgresql://nobody@127.0.0.1:1/nowhere", capacity=10)
    begun = time.monotonic()
    for _ in range(5000):
        sink.record(EVENT)
    assert time.monotonic() - begun < 1
    sink.close(timeout=0.2)
    assert sink.dropped == 5000


def test_events_wait_for_a_connection_that_was_cut(database_url: str, database: psycopg.Connection[TupleRow]) -> None:
    with PostgresTelemetrySink(database_url, interval=0.05) as sink:
        sink.record(EVENT)
        deadline = time.monotonic() + 5
        while count(database) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'masterops telemetry'"
            " and datname = current_database()"
        )
        sink.record(EVENT)
    assert sink.dropped == 0
    assert count(database) == 2


def test_an_event_that_the_database_refuses_is_counted_and_harms_no_later_one(
    database_url: str, database: psycopg.Connection[TupleRow]
) -> None:
    with PostgresTelemetrySink(database_url, interval=0.02) as sink:
        sink.record(dataclasses.replace(EVENT, correlation_id="\0"))
        deadline = time.monotonic() + 5
        while sink.dropped == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        sink.record(EVENT)
    assert sink.dropped == 1
    assert count(database) == 1
