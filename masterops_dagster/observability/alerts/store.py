"""Alerts and incidents in the database, as an evaluation reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from masterops_dagster.observability.alerts.states import Alert, Change, Labels
from masterops_dagster.observability.incidents import COLUMNS, Incident

Connection = psycopg.Connection[TupleRow]

LOCK = "select pg_advisory_xact_lock(hashtextextended('ops.alert_states', 0))"
# A clock that jumped may point to a month that nobody made ready.
MONTH = """
select ops.ensure_partitions(%(at)s, %(at)s)
where to_regclass('ops.alerts_' || to_char(%(at)s::timestamptz at time zone 'UTC', 'YYYY_MM')) is null
"""

WATCHING = """
select split_part(position, ' ', 1), split_part(position, ' ', 2)
from ops.harvests where source = 'alert rules'
"""
WATCHED = """
insert into ops.harvests (source, position, harvested_at) values ('alert rules', %(position)s, %(at)s)
on conflict (source) do update set position = excluded.position, harvested_at = excluded.harvested_at
"""

ALERTS = """
select
    rule_id, fingerprint, subject, system, account, business_key, state, severity, value, message, since, last_seen_at,
    fired_at, clear_since, resolved_at, incident_id, suppressed_by, flaps, detail
from ops.alert_states
order by rule_id, fingerprint
"""

SAVE = """
insert into ops.alert_states (
    rule_id, fingerprint, subject, system, account, business_key, state, severity, value, message, since, last_seen_at,
    fired_at, clear_since, resolved_at, incident_id, suppressed_by, flaps, detail
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (rule_id, fingerprint) do update set
    subject = excluded.subject, system = excluded.system, account = excluded.account,
    business_key = excluded.business_key, state = excluded.state, severity = excluded.severity,
    value = excluded.value, message = excluded.message, since = excluded.since,
    last_seen_at = excluded.last_seen_at, fired_at = excluded.fired_at, clear_since = excluded.clear_since,
    resolved_at = excluded.resolved_at, incident_id = excluded.incident_id, suppressed_by = excluded.suppressed_by,
    flaps = excluded.flaps, detail = excluded.detail
"""
FORGET = "delete from ops.alert_states where rule_id = %s and fingerprint = %s"

RECORD = """
insert into ops.alerts (
    occurred_at, rule_id, fingerprint, incident_id, from_state, to_state, severity, subject, system, account,
    business_key, value, message, by_whom, detail
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

OPEN = f"""
insert into ops.incidents (
    opened_at, began_at, cause, rule_id, title, severity, system, account, business_key, owner, impact, detail
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
returning {COLUMNS}
"""  # noqa: S608
RESOLVE = f"""
update ops.incidents set state = 'resolved', resolved_at = %s, escalate_at = null
where incident_id = %s
returning {COLUMNS}
"""  # noqa: S608
# Somebody who took it on for a warning has not taken on this.
WORSEN = f"""
update ops.incidents set
    severity = %s, title = %s, impact = %s, detail = detail || %s, state = 'open', acknowledged_at = null,
    acknowledged_by = null, escalation_step = 0, escalate_at = null
where incident_id = %s
returning {COLUMNS}
"""  # noqa: S608
REDESCRIBE = "update ops.incidents set title = %s, detail = detail || %s where incident_id = %s"


@dataclass(frozen=True, slots=True)
class Watching:
    """Since when rules have been evaluated without a gap, and when they were last."""

    since: datetime
    last: datetime


def lock(connection: Connection, at: datetime) -> None:
    """Until the end of the transaction nobody else evaluates or acknowledges; the moment's month is made ready."""
    connection.execute(LOCK)
    connection.execute(MONTH, {"at": at})


def watching(connection: Connection) -> Watching | None:
    row = connection.execute(WATCHING).fetchone()
    return Watching(datetime.fromisoformat(row[0]), datetime.fromisoformat(row[1])) if row else None


def watched(connection: Connection, since: datetime, at: datetime) -> None:
    connection.execute(WATCHED, {"position": f"{since.isoformat()} {at.isoformat()}", "at": at})


def alerts(connection: Connection) -> dict[tuple[str, str], Alert]:
    """By rule and fingerprint."""
    found = {}
    for row in connection.execute(ALERTS):
        rule_id, print_, subject, system, account, business, *rest = row
        found[rule_id, print_] = Alert(rule_id, print_, Labels(subject, system, account, business), *rest)
    return found


def muted(connection: Connection) -> list[Alert]:
    """Alerts that hold and of which nobody is told, since something explains or silences them."""
    return [alert for alert in alerts(connection).values() if alert.live and alert.suppressed_by is not None]


def save(
    connection: Connection, alerts: Iterable[Alert], forgotten: Sequence[Alert], changes: Sequence[Change], at: datetime
) -> None:
    """Writes the states down, and each step that was made."""
    with connection.cursor() as cursor:
        cursor.executemany(FORGET, [[alert.rule_id, alert.fingerprint] for alert in forgotten])
        cursor.executemany(SAVE, [_row(alert) for alert in alerts])
        cursor.executemany(RECORD, [_step(change, at) for change in changes])


def record(connection: Connection, change: Change, at: datetime, by: str | None) -> None:
    """Writes a step down that a person made."""
    connection.execute(RECORD, _step(change, at, by))


def open_incident(connection: Connection, incident: Incident) -> Incident:
    """Writes it down; returns it with its id."""
    return _one(
        connection,
        OPEN,
        [
            incident.opened_at, incident.began_at, incident.cause, incident.rule_id, incident.title, incident.severity,
            incident.system, incident.account, incident.business_key, incident.owner, incident.impact,
            Jsonb(dict(incident.detail)),
        ],
    )  # fmt: skip


def resolve_incident(connection: Connection, incident: Incident, at: datetime) -> Incident:
    return _one(connection, RESOLVE, [at, incident.incident_id])


def worsen_incident(connection: Connection, incident: Incident, now: Incident) -> Incident:
    """It has the severity, title and detail of now, and waits for somebody again."""
    values = [now.severity, now.title, now.impact, Jsonb(dict(now.detail)), incident.incident_id]
    return _one(connection, WORSEN, values)


def redescribe_incident(connection: Connection, incident: Incident, now: Incident) -> None:
    connection.execute(REDESCRIBE, [now.title, Jsonb(dict(now.detail)), incident.incident_id])


def _one(connection: Connection, statement: str, values: Sequence[object]) -> Incident:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        row = cursor.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row


def _row(alert: Alert) -> list[object]:
    return [
        alert.rule_id, alert.fingerprint, alert.labels.subject, alert.labels.system, alert.labels.account,
        alert.labels.business, alert.state, alert.severity, alert.value, alert.message, alert.since,
        alert.last_seen_at, alert.fired_at, alert.clear_since, alert.resolved_at, alert.incident_id,
        alert.suppressed_by, alert.flaps, Jsonb(alert.detail),
    ]  # fmt: skip


def _step(change: Change, at: datetime, by: str | None = None) -> list[object]:
    alert = change.alert
    detail = alert.detail | ({"suppressed_by": alert.suppressed_by} if alert.suppressed_by else {})
    return [
        at, alert.rule_id, alert.fingerprint, alert.incident_id, change.from_state, change.to_state, alert.severity,
        alert.labels.subject, alert.labels.system, alert.labels.account, alert.labels.business, alert.value,
        alert.message, by, Jsonb(detail),
    ]  # fmt: skip
