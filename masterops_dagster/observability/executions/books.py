"""The tables that a harvest writes: positions, what ended, what runs. All of it in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.observability.executions.execution import Execution

Connection = psycopg.Connection[TupleRow]

OPEN_POSITION = """
insert into ops.harvests (source, position, harvested_at)
values (%(source)s, '', %(at)s)
on conflict (source) do nothing
"""
LOCK_POSITION = "select position from ops.harvests where source = %s for update skip locked"
MOVE_POSITION = "update ops.harvests set position = %(position)s, harvested_at = %(at)s where source = %(source)s"
RECORDED = """
select execution_id, attempt
from ops.workflow_execution_logs
where execution_id = any(%(ids)s) and source = %(source)s and started_at >= %(since)s
"""
READY = "select ops.ensure_partitions(%(first)s, %(last)s)"
COLUMNS = tuple(field.name for field in fields(Execution))
COPY = f"copy ops.workflow_execution_logs ({', '.join(COLUMNS)}) from stdin"
RUNNING = "select execution_id, last_progress_at, detail from ops.running_executions where source = %s"
NO_LONGER_RUNNING = "delete from ops.running_executions where source = %(source)s and execution_id <> all(%(ids)s)"
RUNS = """
insert into ops.running_executions as known (
    source, execution_id, kind, name, parent_id, system, account, business_key, status, started_at, last_progress_at,
    seen_at, detail
)
values (
    %(source)s, %(execution_id)s, %(kind)s, %(name)s, %(parent_id)s, %(system)s, %(account)s, %(business_key)s,
    %(status)s, %(started_at)s, %(last_progress_at)s, %(seen_at)s, %(detail)s
)
on conflict (source, execution_id) do update set
    system = excluded.system,
    account = excluded.account,
    business_key = excluded.business_key,
    status = excluded.status,
    started_at = excluded.started_at,
    last_progress_at = greatest(known.last_progress_at, excluded.last_progress_at),
    seen_at = excluded.seen_at,
    detail = excluded.detail
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A row of `ops.running_executions`: what runs or waits, as last looked at `seen_at`."""

    source: str
    execution_id: str
    kind: str
    name: str
    status: str
    started_at: datetime
    last_progress_at: datetime | None
    seen_at: datetime
    parent_id: str | None = None
    system: str | None = None
    account: str | None = None
    business_key: str | None = None
    detail: str = "{}"


def lock(connection: Connection, source: str, at: datetime) -> str | None:
    """The position of a source, locked until the transaction ends; empty at first. None: somebody else is at it."""
    row = connection.execute(LOCK_POSITION, [source]).fetchone()
    if row is None:
        connection.execute(OPEN_POSITION, {"source": source, "at": at})
        row = connection.execute(LOCK_POSITION, [source]).fetchone()
    return row[0] if row else None


def move(connection: Connection, source: str, position: str, at: datetime) -> None:
    """Writes down how far the source has been taken over."""
    connection.execute(MOVE_POSITION, {"source": source, "position": position, "at": at})


def store(connection: Connection, executions: Sequence[Execution]) -> int:
    """Writes those that are not there yet, told by source, id and attempt. Returns how many that were."""
    new = _without_recorded(connection, executions)
    if not new:
        return 0
    moments = [execution.started_at for execution in new]
    connection.execute(READY, {"first": min(moments), "last": max(moments)})
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for execution in new:
            copy.write_row([_written(getattr(execution, column)) for column in COLUMNS])
    return len(new)


def recorded(connection: Connection, source: str, given: Collection[tuple[str, datetime]]) -> set[str]:
    """Which of these ids, each with when it began, are written down already."""
    if not given:
        return set()
    since = min(moment for _, moment in given) - timedelta(days=1)
    found = connection.execute(RECORDED, {"ids": [one for one, _ in given], "source": source, "since": since})
    return {execution_id for execution_id, _ in found}


def known_running(connection: Connection, source: str) -> dict[str, tuple[datetime | None, dict[str, Any]]]:
    """By id: the last progress and the detail of what ran when last looked."""
    return {row[0]: (row[1], row[2]) for row in connection.execute(RUNNING, [source])}


def keep_running(connection: Connection, source: str, running: Collection[Running], known: Collection[str]) -> None:
    """Makes the table say what runs now, and nothing else of this source."""
    if set(known) - {one.execution_id for one in running}:
        ids = [one.execution_id for one in running]
        connection.execute(NO_LONGER_RUNNING, {"source": source, "ids": ids})
    if running:
        with connection.cursor() as cursor:
            cursor.executemany(
                RUNS, [{field.name: getattr(one, field.name) for field in fields(Running)} for one in running]
            )


def _without_recorded(connection: Connection, executions: Iterable[Execution]) -> list[Execution]:
    given = {(one.source, one.execution_id, one.attempt): one for one in executions}
    recorded: set[tuple[str, str, int]] = set()
    for source in {source for source, _, _ in given}:
        mine = [one for one in given.values() if one.source == source]
        since = min(one.started_at for one in mine) - timedelta(days=1)
        found = connection.execute(
            RECORDED, {"ids": [one.execution_id for one in mine], "source": source, "since": since}
        )
        recorded |= {(source, execution_id, attempt) for execution_id, attempt in found}
    return [one for key, one in given.items() if key not in recorded]


def _written(value: object) -> object:
    return json.dumps(value, default=str) if isinstance(value, dict) else value
