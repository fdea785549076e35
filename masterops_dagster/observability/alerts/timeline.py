"""What happened in an incident, in order: steps of its alerts, and who was told by which channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, class_row

Connection = psycopg.Connection[TupleRow]

# Ids lead to the month's partition only with a moment: the incident's own begins the search.
TIMELINE = """
with incident as (
    select min(opened_at) as opened_at from ops.incidents where incident_id = %(incident)s
)

select occurred_at, 'alert' as what, to_state as state, subject, message as text, by_whom as who, detail
from ops.alerts
where incident_id = %(incident)s and occurred_at >= (select opened_at from incident) - interval '1 day'

union all

select
    coalesce(sent_at, created_at), 'notification', state, kind,
    case when state = 'sent' then 'told ' || contact || ' by ' || channel
        when last_error is null then 'to tell ' || contact || ' by ' || channel
        else 'could not tell ' || contact || ' by ' || channel || ': ' || last_error end,
    contact,
    jsonb_build_object('channel', channel, 'attempts', attempts, 'external_id', external_id)
from ops.notifications
where incident_id = %(incident)s and created_at >= (select opened_at from incident) - interval '1 day'

order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. Of an alert: `state` it went to, `subject` it is about, `who` acknowledged. Of a notification: `state`
    of its sending, its kind as `subject` (opened, escalated …), the contact as `who`.
    """

    occurred_at: datetime
    what: Literal["alert", "notification"]
    state: str
    subject: str
    text: str
    who: str | None
    detail: Mapping[str, Any]


def timeline(connection: Connection, incident_id: UUID) -> list[Entry]:
    """All that happened, the oldest first."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(TIMELINE, {"incident": incident_id}).fetchall()
