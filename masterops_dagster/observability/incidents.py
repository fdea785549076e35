"""An incident as `ops.incidents` holds it: one per cause, however many alerts tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, class_row

Connection = psycopg.Connection[TupleRow]
Severity = Literal["info", "warning", "critical"]

COLUMNS = """
    incident_id, opened_at, began_at, cause, rule_id, title, severity, system, account, business_key, owner, state,
    impact, acknowledged_at, acknowledged_by, resolved_at, escalation_step, escalate_at, detail
"""


@dataclass(frozen=True, slots=True)
class Incident:
    """`began_at` is when the condition began to hold, `opened_at` when that was detected; both real time, UTC."""

    incident_id: UUID
    opened_at: datetime
    began_at: datetime
    cause: str
    rule_id: str
    title: str
    severity: Severity
    system: str | None
    account: str | None
    business_key: str | None
    owner: str | None
    state: Literal["open", "acknowledged", "resolved"]
    impact: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    escalation_step: int
    escalate_at: datetime | None
    detail: Mapping[str, Any]


def incident(connection: Connection, incident_id: UUID) -> Incident | None:
    """The incident of that id."""
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(f"select {COLUMNS} from ops.incidents where incident_id = %s", [incident_id]).fetchone()  # noqa: S608


def unresolved(connection: Connection) -> list[Incident]:
    """All incidents that are not over, the worst and oldest first."""
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            f"select {COLUMNS} from ops.incidents where state <> 'resolved'"  # noqa: S608
            " order by array_position(array['critical', 'warning', 'info'], severity), opened_at"
        ).fetchall()


def since(connection: Connection, moment: datetime) -> list[Incident]:
    """All that are not over or were opened since then, the newest first."""
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            f"select {COLUMNS} from ops.incidents where opened_at >= %(moment)s or state <> 'resolved'"  # noqa: S608
            " order by opened_at desc",
            {"moment": moment},
        ).fetchall()
