"""Ticks of sensors and schedules out of Dagster's own storage, by plain SQL.

A tick is written when it begins and changed when it ends, so the position stays before the first that has not ended.
One that was abandoned holds it up for an hour at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.rows import class_row

from masterops_dagster.observability.executions import books
from masterops_dagster.observability.executions.belonging import account_of
from masterops_dagster.observability.executions.books import Connection
from masterops_dagster.observability.executions.dagster_runs import Storage, resumed
from masterops_dagster.observability.executions.execution import Execution, Status
from masterops_dagster.observability.executions.failures import own_error, storable
from masterops_dagster.settings import settings

SOURCE = "dagster ticks"
LOOKED_AT_AGAIN = 20
AT_ONCE = 20_000
ABANDONED_AFTER = timedelta(hours=1)

STATUSES: Mapping[str, Status] = {"SUCCESS": "succeeded", "FAILURE": "failed", "SKIPPED": "skipped"}

NEWEST = "select coalesce(max(id), 0) from job_ticks"
LOOK = """
select
    id,
    status,
    type,
    timestamp::timestamptz as at,
    case
        when status = 'FAILURE' or type = 'SCHEDULE' and status <> 'STARTED' or tick_body !~ '"run_ids": *\\[\\]'
        then tick_body
    end as body
from job_ticks
where id > %(position)s
order by id
limit %(at_once)s
"""


@dataclass(frozen=True, slots=True)
class Tick:
    """A row of `job_ticks`; `body` is its JSON where it is worth a row.

    Dagster lets the database write the moment in the time zone of the connection, which is the server's as ours is.
    """

    id: int
    status: str
    type: str
    at: datetime
    body: str | None


def take_over(connection: Connection, storage: Storage, at: datetime) -> int:
    """Writes down the ticks that ended and are worth a row. Returns how many."""
    locked = books.lock(connection, SOURCE, at)
    if locked is None:
        return 0
    position = resumed(storage, NEWEST, locked)
    with storage.cursor(row_factory=class_row(Tick)) as cursor:
        found = cursor.execute(LOOK, {"position": position - LOOKED_AT_AGAIN, "at_once": AT_ONCE}).fetchall()
    oldest = at - timedelta(days=settings().telemetry_retention_days)
    new = [made for tick in found if tick.at > oldest and (made := _execution(tick)) is not None]
    rows = books.store(connection, new)
    reached = _reached(found, at)
    if reached > position:
        books.move(connection, SOURCE, str(reached), at)
    return rows


def _reached(found: list[Tick], at: datetime) -> int:
    """The last id before the first tick that may still change."""
    unended = [tick.id for tick in found if tick.status == "STARTED" and tick.at > at - ABANDONED_AFTER]
    return min(unended) - 1 if unended else max((tick.id for tick in found), default=0)


def _execution(tick: Tick) -> Execution | None:
    status = STATUSES.get(tick.status)
    if status is None or tick.body is None:
        return None
    body: dict[str, Any] = json.loads(tick.body)
    runs = body.get("run_ids") or []
    schedule = tick.type == "SCHEDULE"
    if not (runs or schedule or status == "failed"):
        return None
    failure = own_error(body.get("error")) if status == "failed" else None
    ended = datetime.fromtimestamp(body["end_timestamp"], UTC) if body.get("end_timestamp") else None
    name = body.get("instigator_name") or body["job_name"]
    owner = account_of(name)
    return Execution(
        started_at=tick.at,
        error=status == "failed",
        source="dagster",
        kind="schedule" if schedule else "sensor",
        name=name,
        execution_id=f"tick {tick.id}",
        system=owner.system if owner else None,
        account=owner.key if owner else None,
        business_key=owner.business_key if owner else None,
        status=status,
        attempt=int(body.get("failure_count") or 0) + (status != "failed") or 1,
        ended_at=ended,
        duration_ms=(ended - tick.at).total_seconds() * 1000 if ended else None,
        error_class=failure.error_class if failure else None,
        error_message=storable(failure.message) if failure else None,
        detail={"runs": runs, "skip_reason": body.get("skip_reason")},
    )
