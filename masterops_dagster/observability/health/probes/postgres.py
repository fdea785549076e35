"""Looks at the database: whether it answers, what its connections and sessions are like, whether it stays tidy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import connect, database_url, through_transaction_pooler
from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.reading import ProbeFailed, Reading

CONNECTIONS = """
select
    (select count(*) from pg_stat_activity where backend_type = 'client backend'),
    current_setting('max_connections')::integer,
    pg_is_in_recovery(),
    (select extract(epoch from max(replay_lag)) from pg_stat_replication),
    (select count(*) from pg_stat_replication),
    current_setting('server_version')
"""
TIDINESS = """
with tables as (
    select schemaname || '.' || relname as name, n_dead_tup as dead, n_live_tup + n_dead_tup as rows
    from pg_stat_user_tables
    where n_live_tup + n_dead_tup >= 10000
),
worst as (
    select name, round(100.0 * dead / rows, 1) as dead_share from tables order by dead_share desc, name limit 1
)
select
    (select name from worst),
    (select dead_share from worst),
    (select round(100.0 * max(age(datfrozenxid)) / 2147483647, 2) from pg_database where datallowconn),
    pg_database_size(current_database())
"""
"""Small tables are left out: a few dead rows are a large share of them. Two thousand million transactions after its
oldest row a database takes no more."""

WORKS = "select 1"


def database(check: Check, at: datetime) -> Reading:
    """The database that the settings name."""
    return probe_database(timeout=check.timeout)


def probe_database(url: str | None = None, timeout: timedelta = timedelta(seconds=5)) -> Reading:
    """Connects and asks for the connections in use; usable alone, while nothing else works.

    Raises `DatabaseUnavailable`, `psycopg.Error`, and `ProbeFailed` where it can't be written to.
    """
    began = time.monotonic()
    with _asked(url, timeout) as connection:
        row = connection.execute(CONNECTIONS).fetchone()
    assert row is not None
    used, limit, in_recovery, lag, replicas, version = row
    if in_recovery:
        raise ProbeFailed("it is a replica, which takes no writes: connect to the primary")
    values = {
        "response_ms": round((time.monotonic() - began) * 1000, 1),
        "connections_used": round(100 * used / limit, 1),
    }
    if lag is not None:
        values["replication_lag_s"] = float(lag)
    detail = {"connections": used, "max_connections": limit, "replicas": replicas, "version": version}
    return Reading(values, f"{used} of {limit} connections", detail=detail)


def session(check: Check, at: datetime) -> Reading:
    """Whether each connection has a server process of its own and keeps its locks, as far as the URL promises that."""
    url = database_url()
    if through_transaction_pooler(url):
        with _asked(url, check.timeout) as connection:
            connection.execute(WORKS)
        return Reading({}, "transaction pooler: nothing relies on a session", detail={"mode": "transaction"})
    with (
        _asked(url, check.timeout, timed=False) as connection,
        _asked(url, check.timeout) as another,  # a pooler gives it the server process that the first one had
    ):
        seen = [_process(connection), _process(connection)]
        if len({*seen}) > 1 or _process(another) in seen or _process(connection) not in seen:
            raise ProbeFailed(
                "connections share server processes: what answers at this address is a transaction pooler. Use its "
                "session mode, or the database itself"
            )
        locked = connection.execute("select pg_try_advisory_lock(hashtextextended('masterops health', 0))").fetchone()
        released = connection.execute("select pg_advisory_unlock(hashtextextended('masterops health', 0))").fetchone()
    if locked == (True,) and released != (True,):
        raise ProbeFailed(
            "a lock of the session was lost at once: use the pooler's session mode, or the database itself"
        )
    return Reading({}, "sessions hold", detail={"mode": "session"})


def _process(connection: psycopg.Connection[TupleRow]) -> int:
    row = connection.execute("select pg_backend_pid()", prepare=False).fetchone()
    assert row is not None
    return int(row[0])


def bloat(check: Check, at: datetime) -> Reading:
    """Dead rows in the worst of the larger tables, and how far transaction numbers are used up."""
    with _asked(None, check.timeout) as connection:
        row = connection.execute(TIDINESS).fetchone()
    assert row is not None
    worst, dead_share, used, size = row
    values = {"transaction_ids_used": float(used)}
    if dead_share is not None:
        values["dead_rows"] = float(dead_share)
    said = f"{size / 1024**3:.1f} GiB" + (f"; most dead rows: {worst}, {dead_share} %" if worst else "")
    return Reading(values, said, detail={"worst_table": worst, "database_bytes": size})


@contextmanager
def _asked(url: str | None, timeout: timedelta, *, timed: bool = True) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection of its own, which gives up in time; `timed` makes one transaction of it, as poolers want it."""
    seconds = timeout.total_seconds()
    # a pause in the middle of a connection's life is noticed by the kernel, not by libpq
    patience: dict[str, Any] = {"connect_timeout": max(2, math.floor(seconds)), "tcp_user_timeout": int(seconds * 1000)}
    with connect(url, application_name="masterops health", **patience) as connection:
        if not timed:
            yield connection
            return
        with connection.transaction():
            connection.execute("select set_config('statement_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
            yield connection
