"""Signals: each runs on an empty database and on one with rows, says what it should, and leaves out the future."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.observability.alerts import load_rules, signals
from masterops_dagster.observability.alerts.evaluation import parameters_of
from masterops_dagster.observability.alerts.rules import ENGINE
from masterops_dagster.observability.alerts.signals import Moment, Reading
from masterops_dagster.observability.alerts.states import judge
from tests.alerting import AT, History

Connection = psycopg.Connection[TupleRow]


def parameters(signal: str) -> Any:
    return next(parameters_of(rule) for rule in load_rules() if rule.signal == signal)


def read(connection: Connection, signal: str, at: datetime = AT) -> dict[str, Reading]:
    found = signals.read(connection, signals.signal(signal), Moment(at, at), parameters(signal))
    return {reading.subject: reading for reading in found}


def test_every_signal_has_a_rule_and_every_rule_a_signal() -> None:
    assert {rule.signal for rule in load_rules()} == {*signals.names(), ENGINE}


def test_every_signal_says_nothing_on_a_migrated_empty_database(database: Connection) -> None:
    History(database).empty_warehouse()
    for name in signals.names():
        assert read(database, name) == {}, name


def test_tables_that_are_not_there_yet_are_named(database: Connection) -> None:
    all_signals = [signals.signal(name) for name in signals.names()]
    assert signals.missing_tables(database, all_signals) == {
        "marts.fct_orders", "kpi.kpis", "kpi.definitions", "kpi.kpi_freshness",
    }  # fmt: skip


@pytest.fixture
def busy(database: Connection) -> Connection:
    """A database with some of everything that goes wrong."""
    History(database).everything_wrong()
    return database


def test_every_signal_sees_what_is_wrong_and_every_message_is_complete(busy: Connection) -> None:
    for name in signals.names():
        found = read(busy, name)
        assert found, name
        for reading in found.values():
            assert isinstance(reading.value, float), name
            assert isinstance(reading.detail, dict), name
    silent = []
    for rule in load_rules():
        if rule.signal == ENGINE:
            continue
        readings = signals.read(busy, signals.signal(rule.signal), Moment(AT, AT), parameters_of(rule))
        bad = [one for reading in readings if (one := judge(rule, reading))]
        if not bad:
            silent.append(rule.id)
        for one in bad:
            assert "unknown" not in one.message, (rule.id, one.message)
    assert silent == []


def test_every_signal_that_replays_knows_nothing_of_what_came_later(busy: Connection) -> None:
    before = AT - timedelta(days=60)
    for rule in load_rules():
        if rule.signal != ENGINE and signals.signal(rule.signal).replays:
            found = read(busy, rule.signal, before).values()
            assert [one for reading in found if (one := judge(rule, reading))] == [], rule.id


def test_every_signal_is_quick(busy: Connection) -> None:
    """20 ms of the server's processor: what waits for other programs of this machine doesn't count."""
    busy.execute("analyze ops.api_metrics, ops.loads, ops.workflow_execution_logs, ops.health_checks, marts.fct_orders")
    backend = psutil.Process(busy.info.backend_pid)
    for name in signals.names():
        read(busy, name)
        before = backend.cpu_times()
        for _ in range(5):
            read(busy, name)
        after = backend.cpu_times()
        assert (after.user + after.system - before.user - before.system) / 5 < 0.02, name
