"""One harvest: what ended since the last one is taken over, each execution once; what runs now is kept true.

A source's position and its rows are written in one transaction, under the lock of its row in `ops.harvests`: a harvest
that is killed has written nothing, and of two at once one leaves the source to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from masterops_dagster.database.connection import DatabaseUnavailable, connect
from masterops_dagster.database.connection import dagster_url as configured_dagster_url
from masterops_dagster.observability.executions import dagster_runs, dagster_ticks, n8n
from masterops_dagster.observability.executions.books import Connection

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10


@dataclass(slots=True)
class Harvested:
    """`rows` are executions that were taken over, `running` those that run or wait now, as far as this harvest looked.

    `problems` says, a line each, which source could not be read; what is known of it stays as it was.
    """

    rows: int = 0
    running: int = 0
    problems: list[str] = field(default_factory=list)


def harvest(connection: Connection, at: datetime, *, dagster_url: str | None = None) -> Harvested:
    """Takes over runs, steps and ticks from Dagster's storage and executions from n8n's raw tables.

    Of sensors' ticks only those that failed or requested runs are kept, of schedules' all that ended. `at` is real
    time; what ended longer ago than telemetry is kept is left out. `dagster_url` is that of Dagster's storage, by
    default the settings'.
    """
    done = Harvested()
    _part(done, "Dagster's storage", lambda: _dagster(connection, at, dagster_url, done))
    _part(done, "n8n's executions", lambda: _n8n(connection, at, done))
    return done


def _dagster(connection: Connection, at: datetime, url: str | None, done: Harvested) -> None:
    with connect(
        url or configured_dagster_url(),
        application_name="masterops harvest",
        connect_timeout=CONNECT_SECONDS,
        options=f"-c statement_timeout={STATEMENT_SECONDS}s",
    ) as storage:
        with connection.transaction():
            rows, running = dagster_runs.take_over(connection, storage, at)
        done.rows += rows
        done.running += running
        with connection.transaction():
            done.rows += dagster_ticks.take_over(connection, storage, at)


def _n8n(connection: Connection, at: datetime, done: Harvested) -> None:
    with connection.transaction():
        rows, running = n8n.take_over(connection, at)
    done.rows += rows
    done.running += running


def _part(done: Harvested, source: str, work: Callable[[], None]) -> None:
    try:
        work()
    except (psycopg.Error, DatabaseUnavailable) as error:
        said = str(error).strip().partition("\n")[0]
        done.problems.append(f"{source} could not be read: {type(error).__name__}: {said}")
