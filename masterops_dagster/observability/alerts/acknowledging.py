"""Somebody takes an incident on: it is told to nobody else, until it gets worse or is over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, class_row

from masterops_dagster.observability.alerts import store
from masterops_dagster.observability.alerts.states import Change
from masterops_dagster.observability.incidents import COLUMNS, Incident, incident

Connection = psycopg.Connection[TupleRow]

SHORTEST = 8
"""So many characters of an incident's id are enough to name it."""

TAKE_ON = f"""
update ops.incidents set state = 'acknowledged', acknowledged_at = %s, acknowledged_by = %s, escalate_at = null
where incident_id = %s and state = 'open'
returning {COLUMNS}
"""  # noqa: S608
ALERTS_TOO = "update ops.alert_states set state = 'acknowledged' where incident_id = %s and state = 'firing'"
NAMED = "select incident_id from ops.incidents where incident_id::text like %s || '%%' order by opened_at desc limit 2"


class NoSuchIncident(LookupError):
    """There is none of that id, or more than one; the message says so."""


def acknowledge(connection: Connection, incident_id: UUID, by: str, at: datetime) -> Incident:
    """Takes it on for a person. Raises `NoSuchIncident`. One that is taken on or over already stays as it is."""
    with connection.transaction():
        store.lock(connection, at)
        with connection.cursor(row_factory=class_row(Incident)) as cursor:
            taken = cursor.execute(TAKE_ON.encode(), [at, by, incident_id]).fetchone()
        if taken is None:
            known = incident(connection, incident_id)
            if known is None:
                raise NoSuchIncident(f"there is no incident {incident_id}")
            return known
        for alert in store.alerts(connection).values():
            if alert.incident_id == incident_id and alert.state == "firing":
                store.record(connection, Change(alert, "firing", "acknowledged"), at, by)
        connection.execute(ALERTS_TOO, [incident_id])
        return taken


def named(connection: Connection, start: str) -> UUID:
    """The incident whose id begins so; eight characters at least. Raises `NoSuchIncident`."""
    asked = start.strip().lower()
    if len(asked) < SHORTEST:
        raise NoSuchIncident(f"{start!r} is too short: name at least {SHORTEST} characters of the incident's id")
    found = [row[0] for row in connection.execute(NAMED, [asked.replace("%", "").replace("_", "")])]
    if not found:
        raise NoSuchIncident(f"there is no incident {start}")
    if len(found) > 1:
        raise NoSuchIncident(f"several incidents begin with {start}: name more of the id")
    return UUID(str(found[0]))
