"""What the database knows that the page is about, read in one transaction: nothing is judged here.

What moves slowly (90 days of uptime, a day of response times) is read once a minute, the rest each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, class_row

from masterops_dagster.observability import leases
from masterops_dagster.observability.alerts.timeline import Entry, timeline
from masterops_dagster.observability.health.maintenance import Maintenance, maintenance
from masterops_dagster.observability.health.uptime import Day, Uptime, all_daily, uptimes
from masterops_dagster.observability.incidents import Incident, incident, unresolved

Connection = psycopg.Connection[TupleRow]

HALF_HOURS = 48
SLOW = timedelta(seconds=60)
TIMELINES = 12
"""Of so many open incidents the page tells the time line; there seldom are two."""
MONITOR = "monitor"
LEADING = {"postgres": "database", "dagster": "dagster_daemons"}
"""The check that says whether a part of the platform is up at all."""

SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class CheckState:
    """A row of `ops.health_states`."""

    check_id: str
    system: str | None
    account: str | None
    business_key: str | None
    status: str
    since: datetime
    last_checked_at: datetime | None
    response_ms: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Read:
    """How far an account has been read, in business time; None before its first load."""

    account: str
    read_up_to: datetime | None
    streams: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class KpiRead:
    """Up to when the figures of a KPI at a level are complete, in business time."""

    kpi: str
    label: str
    business_key: str
    loaded_until: datetime | None


@dataclass(frozen=True, slots=True)
class Running:
    """Something that runs now. `run_id` is the Dagster run that it belongs to, if any."""

    source: str
    kind: str
    name: str
    execution_id: str
    run_id: str | None
    account: str | None
    status: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """Something that ended badly."""

    source: str
    kind: str
    name: str
    execution_id: str
    run_id: str
    started_at: datetime
    error_class: str | None


@dataclass(frozen=True, slots=True)
class History:
    """By check id. Response times are medians of half hours, the last of which is now; None where nothing answered."""

    read_at: datetime
    days: Mapping[str, Sequence[Day]]
    uptimes: Mapping[str, Uptime]
    trends: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the page shows, as of `at`. `kpis` is None before the first build."""

    at: datetime
    business_at: datetime
    monitor: leases.Holder | None
    checks: Sequence[CheckState]
    maintenance: Sequence[Maintenance]
    history: History
    open: Sequence[Incident]
    timelines: Mapping[UUID, Sequence[Entry]]
    recent: Sequence[Incident]
    data: Sequence[Read]
    kpis: Sequence[KpiRead] | None
    running: Sequence[Running]


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """One incident with what happened in it."""

    incident: Incident
    entries: Sequence[Entry]
    failed: Sequence[Failed]


def gather(connection: Connection, at: datetime, business_at: datetime, before: History | None = None) -> Facts:
    """Reads everything; `before` is taken for the slow part while it is fresh enough."""
    checks = _rows(connection, CheckState, "checks", at)
    fresh = before is not None and at - before.read_at < SLOW and _covers(before, checks)
    history = before if before is not None and fresh else _history(connection, checks, at)
    incidents = unresolved(connection)
    return Facts(
        at=at,
        business_at=business_at,
        monitor=leases.holder_of(connection, MONITOR),
        checks=checks,
        maintenance=maintenance(connection, at),
        history=history,
        open=incidents,
        timelines={one.incident_id: timeline(connection, one.incident_id) for one in incidents[:TIMELINES]},
        recent=_rows(connection, Incident, "recent_incidents", at),
        data=_rows(connection, Read, "data", at),
        kpis=_kpis(connection, at),
        running=_rows(connection, Running, "running", at),
    )


def gather_incident(connection: Connection, incident_id: UUID, at: datetime) -> IncidentFacts | None:
    """One incident, and what failed from shortly before it began until it was over."""
    found = incident(connection, incident_id)
    if found is None:
        return None
    parameters = {
        "from_moment": found.began_at - timedelta(minutes=10),
        "to_moment": found.resolved_at or at,
        "account": found.account,
        "system": found.system,
        "run_ids": run_ids(found.detail),
    }
    with connection.cursor(row_factory=class_row(Failed)) as cursor:
        failed = cursor.execute(_sql("failed_executions"), parameters).fetchall()
    return IncidentFacts(found, timeline(connection, incident_id), failed)


def run_ids(detail: Mapping[str, Any]) -> list[str]:
    """The Dagster runs that an incident names."""
    one = detail.get("run_id")
    return [one] if isinstance(one, str) else []


def targets(checks: Sequence[CheckState]) -> dict[str, list[CheckState]]:
    """Checks by what they are about: an account, else a system; an account that all share is named like its system."""
    found: dict[str, list[CheckState]] = {}
    for check in checks:
        found.setdefault(check.account or check.system or check.check_id, []).append(check)
    return found


def primary(checks: Sequence[CheckState]) -> CheckState | None:
    """The check whose history stands for its target: the authenticated call, else the one with the plainest name."""
    for check in checks:
        if check.check_id in (f"integration_{check.account}", LEADING.get(check.system or "")):
            return check
    return next(iter(checks), None)


def _history(connection: Connection, checks: Sequence[CheckState], at: datetime) -> History:
    trends: dict[str, list[float | None]] = {}
    shown = [one.check_id for of_target in targets(checks).values() if (one := primary(of_target))]
    parameters = {"at": at, "check_ids": shown}
    for check_id, half_hour, response_ms in connection.execute(_sql("trends"), parameters):
        trends.setdefault(check_id, [None] * HALF_HOURS)[min(half_hour, HALF_HOURS - 1)] = response_ms
    return History(at, all_daily(connection, at), uptimes(connection, at), trends)


def _covers(history: History, checks: Sequence[CheckState]) -> bool:
    """Whether it knows every check that is made: the first ones after a start are not a minute late."""
    lately = history.read_at - timedelta(days=1)
    return all(check.check_id in history.days for check in checks if (check.last_checked_at or lately) > lately)


def _kpis(connection: Connection, at: datetime) -> list[KpiRead] | None:
    try:
        with connection.transaction():
            return _rows(connection, KpiRead, "kpis", at)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None


def _rows(connection: Connection, kind: type[Any], name: str, at: datetime) -> list[Any]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(_sql(name), {"at": at}).fetchall()


@cache
def _sql(name: str) -> bytes:
    return (SQL / f"{name}.sql").read_bytes()
