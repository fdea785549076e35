"""n8n's executions out of its raw tables, which a refresh fills.

The position is the load up to which they were taken over. A load also brings executions again that have not changed;
each is kept once. The stand-in's moments are business time and are put back to real time, as all telemetry has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from masterops_dagster import clock
from masterops_dagster.observability.executions import books
from masterops_dagster.observability.executions.books import Connection, Running
from masterops_dagster.observability.executions.execution import Execution, Status
from masterops_dagster.settings import settings

SOURCE = "n8n"
ACCOUNT = "n8n"

STATUSES: Mapping[str, Status] = {
    "success": "succeeded",
    "error": "failed",
    "crashed": "failed",
    "canceled": "cancelled",
}
UNENDED = ("new", "running", "waiting", "unknown")
BELIEVED_AT_LEAST = timedelta(minutes=10)
"""Since n8n is read once an hour, an execution counts as running only as long again as it had been when last seen."""

NEWEST_LOAD = """
select max(load_id) from ops.loads where account = 'n8n' and stream = 'executions' and status = 'succeeded'
"""
SIMULATED = "select simulated from ops.origins where account = 'n8n'"
EXECUTIONS = """
select
    executions.id,
    executions.workflow_id,
    workflows.name as workflow,
    executions.status,
    executions.mode,
    coalesce(executions.started_at, executions.stopped_at, executions.modified_at, executions._loaded_at) as started_at,
    case when executions.status <> all(%(unended)s) then executions.stopped_at end as stopped_at,
    executions.wait_till,
    executions.retry_of,
    executions._loaded_at as seen_at
from raw_n8n.executions as executions
left join raw_n8n.workflows as workflows on workflows.id = executions.workflow_id
where executions._deleted_at is null
and (executions.status = any(%(unended)s) or executions._load_id > %(position)s)
and coalesce(executions.started_at, executions.stopped_at, executions.modified_at, executions._loaded_at) > %(oldest)s
"""


@dataclass(frozen=True, slots=True)
class Row:
    """An execution as n8n said it; `seen_at` is when that was, in business time like all of its moments."""

    id: int
    workflow_id: str
    workflow: str | None
    status: str
    mode: str | None
    started_at: datetime
    stopped_at: datetime | None
    wait_till: datetime | None
    retry_of: str | None
    seen_at: datetime


def take_over(connection: Connection, at: datetime) -> tuple[int, int]:
    """Writes down what ended and what runs. Returns how many of each."""
    position = books.lock(connection, SOURCE, at)
    if position is None:
        return 0, 0
    newest = _newest_load(connection)
    known = books.known_running(connection, SOURCE)
    if newest is None or (newest == int(position or 0) and not known):
        return 0, 0
    ahead = clock.offset() if _is_simulated(connection) else timedelta()
    oldest = at + ahead - timedelta(days=settings().telemetry_retention_days)
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        found = cursor.execute(
            EXECUTIONS, {"unended": list(UNENDED), "position": int(position or 0), "oldest": oldest}
        ).fetchall()
    rows = books.store(
        connection, [_ended(row, STATUSES[row.status], ahead) for row in found if row.status in STATUSES]
    )
    running = [_running(row, ahead) for row in found if row.status in UNENDED and _is_believed(row, ahead, at)]
    books.keep_running(connection, SOURCE, running, known)
    if newest > int(position or 0):
        books.move(connection, SOURCE, str(newest), at)
    return rows, len(running)


def _newest_load(connection: Connection) -> int | None:
    row = connection.execute(NEWEST_LOAD).fetchone()
    return row[0] if row else None


def _is_simulated(connection: Connection) -> bool:
    row = connection.execute(SIMULATED).fetchone()
    return row is not None and bool(row[0])


def _is_believed(row: Row, ahead: timedelta, at: datetime) -> bool:
    """One that waits waits until its moment; another is believed to run as long again as it had run when last seen."""
    if row.status == "waiting" and row.wait_till is not None and row.wait_till - ahead > at:
        return True
    return at - (row.seen_at - ahead) < max(BELIEVED_AT_LEAST, row.seen_at - row.started_at)


def _ended(row: Row, status: Status, ahead: timedelta) -> Execution:
    failed = status == "failed"
    stopped = max(row.stopped_at, row.started_at) if row.stopped_at else None
    return Execution(
        started_at=row.started_at - ahead,
        error=failed,
        source="n8n",
        kind="execution",
        name=row.workflow or row.workflow_id,
        execution_id=str(row.id),
        system="n8n",
        account=ACCOUNT,
        status=status,
        attempt=2 if row.retry_of else 1,
        ended_at=stopped - ahead if stopped else None,
        duration_ms=(stopped - row.started_at).total_seconds() * 1000 if stopped else None,
        error_class=f"Execution{row.status.capitalize()}" if failed else None,
        error_message=f"n8n ended it with status {row.status}; its log there says why" if failed else None,
        detail={"workflow_id": row.workflow_id, "mode": row.mode, "retry_of": row.retry_of},
    )


def _running(row: Row, ahead: timedelta) -> Running:
    return Running(
        source=SOURCE,
        execution_id=str(row.id),
        kind="execution",
        name=row.workflow or row.workflow_id,
        status=row.status,
        started_at=row.started_at - ahead,
        last_progress_at=None,
        seen_at=row.seen_at - ahead,
        system="n8n",
        account=ACCOUNT,
        detail=json.dumps({"workflow_id": row.workflow_id, "mode": row.mode}),
    )
