"""Signals: what the rules look at. Each is one query in `observability/signals`, of what was known at a moment.

A query gets `at` (real time), `business_at`, `parameters` (the rule's, as jsonb) and `streams` (`account.stream`, all
that are read), and returns the columns of `Reading`. A first line `-- needs: kpi.kpis, …` names tables that come into
being later: without them the signal has no readings. `-- past: none` says that its tables know the present only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from masterops_dagster.observability.alerts.rules import SIGNALS_DIR

Connection = psycopg.Connection[TupleRow]

MISSING = "select name from unnest(%s::text[]) as name where to_regclass(name) is null"


@dataclass(frozen=True, slots=True)
class Reading:
    """One subject's value at a moment. `began_at` is since when it has been so, where that is known; real time."""

    subject: str
    system: str | None
    account: str | None
    business_key: str | None
    value: float | None
    detail: Mapping[str, Any]
    began_at: datetime | None


@dataclass(frozen=True, slots=True)
class Signal:
    """A query. `replays` says whether it can be asked about the past."""

    name: str
    sql: bytes
    needs: tuple[str, ...]
    replays: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """When a signal is read: in real and in business time."""

    at: datetime
    business_at: datetime


@cache
def signal(name: str) -> Signal:
    """The signal of that name."""
    sql = (SIGNALS_DIR / f"{name}.sql").read_text()
    needs = re.search(r"^-- needs: (.+)$", sql, re.MULTILINE)
    return Signal(
        name, sql.encode(), tuple(needs[1].split(", ")) if needs else (), re.search("^-- past: none", sql, re.M) is None
    )


def names() -> tuple[str, ...]:
    """All signals."""
    return tuple(sorted(path.stem for path in SIGNALS_DIR.glob("*.sql")))


def missing_tables(connection: Connection, signals: Sequence[Signal]) -> set[str]:
    """Which of the tables that these signals need are not there yet."""
    needed = sorted({table for signal in signals for table in signal.needs})
    return {table for (table,) in connection.execute(MISSING, [needed])} if needed else set()


def read(connection: Connection, signal: Signal, moment: Moment, parameters: Mapping[str, Any]) -> list[Reading]:
    """Its readings. Raises `psycopg.Error` where the query fails."""
    values = {
        "at": moment.at,
        "business_at": moment.business_at,
        "parameters": Jsonb(dict(parameters)),
        "streams": list(_streams()),
    }
    with connection.cursor(row_factory=class_row(Reading)) as cursor:
        return cursor.execute(signal.sql, values).fetchall()


@cache
def _streams() -> tuple[str, ...]:
    from masterops_dagster.sources.catalogue import READ_ACCOUNTS, streams_of

    return tuple(f"{account.key}.{stream.name}" for account in READ_ACCOUNTS for stream in streams_of(account))
