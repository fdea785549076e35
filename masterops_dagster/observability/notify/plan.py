"""Decides who is told, in the transaction that decides what: rows of `ops.notifications`, sent afterwards by `deliver`.

Everything is told once: a message has a key (`incident/change/severity/step/contact`), and whoever comes second with it
writes nothing. Who was told of an incident is told when it is over; who could not yet be told of either is spared both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from masterops_dagster.observability.incidents import COLUMNS, Connection, Incident
from masterops_dagster.observability.links import incident_url, runbook_url
from masterops_dagster.observability.notify.contacts import Address, Contacts, Step, contacts
from masterops_dagster.observability.notify.message import Change, Content, Item, told_duration

KINDS: dict[Change, str] = {"worsened": "escalated"}
"""The kind in the outbox, where it isn't called like the change."""

LOCK = "select pg_advisory_xact_lock(hashtextextended('ops.notifications ' || %s, 0))"
KNOWN = "select 1 from ops.notifications where deduplication_key = %s limit 1"
# A clock that jumped may point to a month that nobody made ready.
MONTH = """
select ops.ensure_partitions(%(at)s, %(at)s)
where to_regclass('ops.notifications_' || to_char(%(at)s::timestamptz at time zone 'UTC', 'YYYY_MM')) is null
"""
WRITE = """
insert into ops.notifications (
    created_at, notification_id, incident_id, kind, contact, channels, channel, deduplication_key, content, state,
    next_attempt_at
)
values (
    %(at)s, %(notification_id)s, %(incident_id)s, %(kind)s, %(contact)s, %(channels)s, %(channel)s, %(key)s,
    %(content)s, %(state)s, %(next_attempt_at)s
)
"""
SUPERSEDE = """
update ops.notifications set state = 'superseded', claimed_by = null, claimed_until = null
where notification_id = any(%s) and state in ('waiting', 'held', 'failed')
"""
TOLD = """
select notification_id, contact, content, channels, case when external_id is null then state else 'sent' end,
    last_error is not null
from ops.notifications
where incident_id = %s and kind <> 'resolved'
order by created_at, notification_id
for update
"""
# What stands in a digest goes out with it; the digest's key says where it went.
TAKEN_INTO = "update ops.notifications set state = 'superseded', external_id = %s where notification_id = any(%s)"
SIMULATED = "select simulated from ops.origins where account = %s"
PLAN_ESCALATION = "update ops.incidents set escalate_at = %s where incident_id = %s and state = 'open'"
# Where the clock was set back, what opened in the future waits no longer than what opens now.
OVERDUE = f"""
select {COLUMNS}
from ops.incidents
where state = 'open' and escalate_at is not null and (escalate_at <= %(at)s or opened_at > %(at)s)
order by opened_at
for update skip locked
"""  # noqa: S608
STEP_DONE = "update ops.incidents set escalation_step = %s, escalate_at = %s where incident_id = %s"
DIGESTED = """
select notifications.notification_id, notifications.contact, notifications.content, incidents.resolved_at,
    incidents.title
from ops.notifications as notifications
left join ops.incidents as incidents using (incident_id)
where notifications.state = 'held' and notifications.created_at < %s
and (notifications.content ->> 'in_digest')::boolean
order by notifications.contact, notifications.created_at, notifications.notification_id
for update of notifications skip locked
"""


def announce(connection: Connection, incident: Incident, kind: str, at: datetime) -> int:
    """Writes what is to be told of an incident that `opened`, `escalated` (got worse) or `resolved`; and when it
    escalates if nobody acknowledges. Returns how many messages were written.

    Belongs into the caller's transaction, after the incident was written; told once, however often it is called.
    """
    with connection.transaction():
        connection.execute(LOCK, [str(incident.incident_id)])
        if kind == "resolved":
            return _tell_that_it_is_over(connection, incident, at)
        change: dict[str, Change] = {"opened": "opened", "escalated": "worsened", "worsened": "worsened"}
        if kind not in change:
            raise ValueError(f"an incident is opened, escalated or resolved, not {kind!r}")
        return _tell_that_it_is_on(connection, incident, change[kind], at)


def escalate(connection: Connection, at: datetime) -> int:
    """Tells the next step of each incident that nobody acknowledged in time; returns how many messages."""
    known, written = contacts(), 0
    with connection.transaction():
        with connection.cursor(row_factory=class_row(Incident)) as cursor:
            overdue = cursor.execute(OVERDUE.encode(), {"at": at}).fetchall()
        for incident in overdue:
            steps = known.steps(incident)
            if incident.escalation_step >= len(steps):
                connection.execute(STEP_DONE, [incident.escalation_step, None, incident.incident_id])
                continue
            step, quiet_until = steps[incident.escalation_step], known.held_until(incident.severity, at)
            assert incident.escalate_at is not None
            if incident.escalate_at > at:
                due = min(incident.escalate_at, at + step.after) if incident.opened_at > at else incident.escalate_at
                connection.execute(STEP_DONE, [incident.escalation_step, due, incident.incident_id])
            elif quiet_until is not None:
                due = quiet_until + step.after
                connection.execute(STEP_DONE, [incident.escalation_step, due, incident.incident_id])
            else:
                written += _take_step(connection, known, incident, steps, at)
    return written


def digest(connection: Connection, at: datetime) -> int:
    """Once a day, what was kept for the digest, in one message per contact; returns how many."""
    due = contacts().digest.last(at)
    written = 0
    with connection.transaction():
        rows = connection.execute(DIGESTED, [due]).fetchall()
        for contact, found in groupby(rows, key=lambda row: row[1]):
            group = [(row[0], Content.model_validate(row[2]), row[3], row[4]) for row in found]
            items = tuple(_item(content, over_at, title) for _, content, over_at, title in group)
            content = Content(
                change="digest",
                title=f"{len(items)} {'notice' if len(items) == 1 else 'notices'} of low severity",
                severity="info",
                what="What needed nobody at once, since the last digest:",
                since=min(item.since for item in items),
                items=items,
                channels=group[-1][1].channels,
            )
            key = f"digest/{due:%Y-%m-%d}/{contact}/{group[0][0]}"
            written += write(connection, None, contact, key, content, at)
            connection.execute(TAKEN_INTO, [key, [row[0] for row in group]])
    return written


def write(
    connection: Connection,
    incident_id: UUID | None,
    contact: str,
    key: str,
    content: Content,
    at: datetime,
    *,
    held_until: datetime | None = None,
    channels: Sequence[Address] | None = None,
    notification_id: UUID | None = None,
) -> int:
    """Puts a message into the outbox unless its key is known; returns 1 or 0."""
    if connection.execute(KNOWN, [key]).fetchone() is not None:
        return 0
    connection.execute(MONTH, {"at": at})
    channels = channels or content.channels
    values: dict[str, Any] = {
        "at": at,
        "notification_id": notification_id or uuid4(),
        "incident_id": incident_id,
        "kind": KINDS.get(content.change, content.change),
        "contact": contact,
        "channels": Jsonb([address.model_dump() for address in channels]),
        "channel": channels[0].kind,
        "key": key,
        "content": Jsonb(content.model_dump(mode="json")),
        "state": "waiting" if held_until is None else "held",
        "next_attempt_at": held_until or at,
    }
    connection.execute(WRITE, values)
    return 1


def _tell_that_it_is_on(connection: Connection, incident: Incident, change: Change, at: datetime) -> int:
    known = contacts()
    route = known.route(incident)
    in_digest = incident.severity in known.digest.severities
    held_until = known.digest.next(at) if in_digest else known.held_until(incident.severity, at)
    if change == "worsened":  # what says more replaces what nobody has read yet
        unread = [
            row[0]
            for row in connection.execute(TOLD, [incident.incident_id]).fetchall()
            if row[1] in route.contacts and row[4] == "held"
        ]
        connection.execute(SUPERSEDE, [unread])
    written = 0
    for contact in route.contacts:
        content = _content(connection, incident, change, known.contacts[contact].channels, in_digest=in_digest)
        key = _key(incident, change, 0, contact)
        written += write(connection, incident.incident_id, contact, key, content, at, held_until=held_until)
    steps = known.steps(incident)
    if steps:
        connection.execute(PLAN_ESCALATION, [(held_until or at) + steps[0].after, incident.incident_id])
    return written


def _tell_that_it_is_over(connection: Connection, incident: Incident, at: datetime) -> int:
    """To those who were told that it is on, or may have been; what nobody tried to send yet is taken back."""
    known, written = contacts(), 0
    by_contact: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(TOLD, [incident.incident_id]).fetchall():
        by_contact[row[1]].append((row[0], Content.model_validate(row[2]), row[3], row[4], row[5]))
    for contact, rows in sorted(by_contact.items()):
        if all(state == "held" and content.in_digest for _, content, _, state, _ in rows):
            continue  # the digest will say that it is over
        sent = [row for row in rows if row[3] in ("sent", "sending")]
        tried = [row for row in rows if row[4]]
        connection.execute(SUPERSEDE, [[row[0] for row in rows]])
        if not sent and not tried:
            continue
        _, told, rest, _, _ = (sent or tried)[-1]
        first = [Address.kept(rest[0])] if sent and rest else []
        channels = [*first, *(address for address in told.channels if address not in first)]
        in_digest = all(content.in_digest for _, content, _, _, _ in rows)
        note = None if sent else "No channel took the message when this began: this is the first that you hear of it."
        content = _content(connection, incident, "resolved", channels, in_digest=in_digest, note=note)
        held_until = known.digest.next(at) if in_digest else known.held_until(incident.severity, at)
        key = _key(incident, "resolved", 0, contact)
        written += write(connection, incident.incident_id, contact, key, content, at, held_until=held_until)
    return written


def _take_step(connection: Connection, known: Contacts, incident: Incident, steps: Sequence[Step], at: datetime) -> int:
    number = incident.escalation_step + 1
    step = steps[number - 1]
    waited = told_duration(sum((one.after for one in steps[:number]), timedelta()))
    before = known.route(incident).contacts if number == 1 else steps[number - 2].contacts
    told = ", ".join(known.contacts[name].name for name in before)
    note = f"Nobody acknowledged within {waited}. Told before you: {told}."
    connection.execute(LOCK, [str(incident.incident_id)])
    written = 0
    for contact in step.contacts:
        channels = known.contacts[contact].reached_by(step.channel)
        content = _content(connection, incident, "escalated", channels, note=note)
        key = _key(incident, "escalated", number, contact)
        written += write(connection, incident.incident_id, contact, key, content, at)
    following = at + steps[number].after if number < len(steps) else None
    connection.execute(STEP_DONE, [number, following, incident.incident_id])
    return written


def _key(incident: Incident, change: Change, step: int, contact: str) -> str:
    """An incident that gets worse escalates anew, so its severity is part of it."""
    return f"{incident.incident_id}/{change}/{incident.severity}/{step}/{contact}"


def _content(
    connection: Connection,
    incident: Incident,
    change: Change,
    channels: Sequence[Address],
    *,
    in_digest: bool = False,
    note: str | None = None,
) -> Content:
    over = change == "resolved"
    messages = [str(said) for said in incident.detail.get("messages") or [incident.detail.get("message")] if said]
    more = int(incident.detail.get("count") or 0) - len(messages)
    if messages and more > 0:
        messages.append(f"and {more} more")
    return Content(
        change=change,
        title=incident.title,
        severity=incident.severity,
        what="\n".join(messages) or incident.title,
        since=incident.began_at,
        over_at=incident.resolved_at if over else None,
        impact=incident.impact,
        business_key=incident.business_key,
        system=incident.system,
        account=incident.account,
        runbook=runbook_url(incident.rule_id) or f"docs/runbooks/{incident.rule_id}.md",
        incident_url=incident_url(incident.incident_id),
        acknowledge=None if over else f"masterops alerts ack {str(incident.incident_id)[:8]}",
        note=note,
        simulated=_simulated(connection, incident.account),
        in_digest=in_digest,
        channels=tuple(channels),
    )


def _simulated(connection: Connection, account: str | None) -> bool:
    row = connection.execute(SIMULATED, [account]).fetchone() if account else None
    return bool(row and row[0])


def _item(content: Content, over_at: datetime | None, title: str | None) -> Item:
    return Item(
        title=title or content.title,
        severity=content.severity,
        since=content.since,
        over_at=over_at or content.over_at,
        impact=content.impact,
        url=content.incident_url,
        simulated=content.simulated,
    )
