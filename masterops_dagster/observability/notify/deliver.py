"""Sends what waits in the outbox, each message once, whoever sends.

A message is claimed, and that is committed, before it is sent; what came of it is written down afterwards. A process
that dies before it claims has sent nothing; one that dies later leaves a claim that runs out, and whoever sends the
message again says in it that it may be a repeat.

A channel that fails is tried three times, then the contact's next one. If none takes the message it is kept as
`failed`, and all of it is tried again every five minutes, until it is sent or over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from masterops_dagster.database.connection import DatabaseUnavailable, connect, database_url
from masterops_dagster.observability.incidents import Connection
from masterops_dagster.observability.notify.channels import Channel, NotConfigured, SendFailed, configured
from masterops_dagster.observability.notify.contacts import Address, ChannelKind, ContactsInvalid, contacts
from masterops_dagster.observability.notify.message import Content, Message

CLAIM_SECONDS = 120
"""Longer than the slowest channel may take, since afterwards the sender is taken for dead."""
ROUND_SECONDS = 20.0
"""No message is begun later than this in a round; the next round goes on."""
TRIES = 3
BACKOFF = (timedelta(seconds=5), timedelta(seconds=15))
PATIENCE = timedelta(minutes=1)
"""If a channel asks for more time than this, the next one is tried at once."""
FROM_THE_FIRST_AGAIN = timedelta(minutes=5)
SOON, FAR = timedelta(minutes=2), timedelta(hours=1)
"""No try waits longer, no message that all channels refused: a later moment means that the clock was set back."""
RECONNECT_SECONDS = 10.0

log = structlog.get_logger("masterops.notify")

RELEASE = """
update ops.notifications set
    state = 'waiting',
    attempts = 0
where (
    state = 'held' and not coalesce((content ->> 'in_digest')::boolean, false)
    and (next_attempt_at <= %(at)s or not content ->> 'severity' = any(%(held)s))
)
or (state = 'failed' and (next_attempt_at <= %(at)s or next_attempt_at > %(at)s + %(far)s))
"""
# Who asked for time is given it by all messages; a moment that is far off means that the clock was set back.
RESTING = """
select channel, max((channels -> 0 ->> 'asked_until')::timestamptz)
from ops.notifications
where state = 'waiting' and (channels -> 0 ->> 'asked_until')::timestamptz > %(at)s
and (channels -> 0 ->> 'asked_until')::timestamptz <= %(at)s + %(soon)s
group by channel
"""
# What was never tried waits for no clock. A recovery waits until its opening is out.
CLAIM = """
with next as materialized (
    select notification_id, created_at
    from ops.notifications as due
    where (%(only)s::uuid[] is null or notification_id = any(%(only)s))
    and (
        (state = 'waiting' and (attempts = 0 or next_attempt_at <= %(at)s or next_attempt_at > %(at)s + %(soon)s))
        or (state = 'sending' and claimed_until < clock_timestamp())
    )
    and not (kind = 'resolved' and exists (
        select from ops.notifications as earlier
        where earlier.incident_id = due.incident_id and earlier.contact = due.contact
        and earlier.kind <> 'resolved' and earlier.state in ('waiting', 'sending', 'failed')
    ))
    order by content ->> 'severity' = 'critical' desc, created_at, notification_id
    limit 1
    for update skip locked
)
update ops.notifications as claimed set
    state = 'sending',
    may_repeat = claimed.may_repeat or claimed.state = 'sending',
    claimed_by = %(sender)s,
    claimed_until = clock_timestamp() + make_interval(secs => %(seconds)s)
from next
where claimed.notification_id = next.notification_id and claimed.created_at = next.created_at
returning claimed.notification_id, claimed.created_at, claimed.incident_id, claimed.contact, claimed.channels,
    claimed.deduplication_key as key, claimed.content, claimed.attempts, claimed.claimed_until, claimed.may_repeat
"""
# Only as long as the claim is ours: whoever took it over writes down what came of it.
RECORD = """
update ops.notifications set
    state = %(state)s,
    channels = %(channels)s,
    channel = %(channel)s,
    attempts = %(attempts)s,
    next_attempt_at = %(next_attempt_at)s,
    may_repeat = %(may_repeat)s,
    sent_at = %(sent_at)s,
    external_id = %(external_id)s,
    last_error = coalesce(%(error)s, last_error),
    claimed_until = null
where notification_id = %(notification_id)s and created_at = %(created_at)s
and state = 'sending' and claimed_by = %(sender)s and claimed_until = %(claimed_until)s
"""


@dataclass(slots=True)
class Delivered:
    """What a round did: messages that were sent, attempts that failed, messages that went on to another channel,
    messages that no channel took for now."""

    sent: int = 0
    failed: int = 0
    fell_back: int = 0
    exhausted: int = 0


@dataclass(frozen=True, slots=True)
class _Claimed:
    notification_id: UUID
    created_at: datetime
    incident_id: UUID | None
    contact: str
    channels: Any
    key: str
    content: Any
    attempts: int
    claimed_until: datetime
    may_repeat: bool


@dataclass(slots=True)
class _Unwritten:
    """What came of messages while the database was gone: written down by this process' next round, by database."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcomes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def keep(self, url: str, outcome: dict[str, Any]) -> None:
        with self.lock:
            self.outcomes.setdefault(url, []).append(outcome)

    def take(self, url: str) -> list[dict[str, Any]]:
        with self.lock:
            return self.outcomes.pop(url, [])


_unwritten = _Unwritten()


def deliver(
    at: datetime,
    *,
    sender: str,
    url: str | None = None,
    channels: Mapping[ChannelKind, Channel] | None = None,
    only: Sequence[UUID] | None = None,
) -> Delivered:
    """Sends what is due at a moment of real time. `sender` names this process and no other.

    `only`: none but these. Raises `DatabaseUnavailable`; what was sent by then is known to this process, which writes
    it down the next time.
    """
    url = url or database_url()
    round_ = _Round(at, sender, channels or configured())
    connection = connect(url, application_name="masterops notify")
    try:
        _write_down_what_was_left(connection, url)
        connection.execute(RELEASE, {"at": at, "held": _held(at), "far": FAR})
        round_.rest(connection.execute(RESTING, {"at": at, "soon": SOON}).fetchall())
        wanted = list(only) if only is not None else None
        claim = {"at": at, "soon": SOON, "sender": sender, "seconds": CLAIM_SECONDS, "only": wanted}
        while round_.elapsed < ROUND_SECONDS and (claimed := _claim(connection, claim)) is not None:
            outcome = round_.attempt(claimed)
            if not _record(connection, outcome):
                connection = _reconnected(connection, url, outcome)
    finally:
        connection.close()
    return round_.done


class _Round:
    """One round of sending; a channel that fails for everyone isn't asked again in it."""

    def __init__(self, at: datetime, sender: str, channels: Mapping[ChannelKind, Channel]) -> None:
        self.done = Delivered()
        self._at = at
        self._sender = sender
        self._channels = channels
        self._began = time.monotonic()
        self._out: dict[ChannelKind, SendFailed] = {}

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def rest(self, until: Iterable[tuple[Any, ...]]) -> None:
        """Leaves these channels alone; their messages are tried when the time that they asked for is over."""
        for kind, moment in until:
            said = f"{kind} asked for time until {moment:%H:%M:%S %Z}"
            self._out[kind] = SendFailed(said, retry=True, after=(moment - self._at).total_seconds())

    def attempt(self, claimed: _Claimed) -> dict[str, Any]:
        """Sends it once; returns what is to be written down."""
        content = Content.model_validate(claimed.content)
        rest = [Address.kept(channel) for channel in claimed.channels] or list(content.channels)
        outcome: dict[str, Any] = {
            "notification_id": claimed.notification_id,
            "created_at": claimed.created_at,
            "claimed_until": claimed.claimed_until,
            "sender": self._sender,
            "may_repeat": claimed.may_repeat,
            "attempts": claimed.attempts + 1,
            "sent_at": None,
            "external_id": None,
            "error": None,
        }
        try:
            external_id = self._send(claimed, content, rest[0])
        except SendFailed as failure:
            self.done.failed += 1
            outcome |= self._after(failure, claimed, content, rest)
        else:
            self.done.sent += 1
            outcome |= {"state": "sent", "sent_at": self._now, "external_id": external_id}
            outcome |= {"next_attempt_at": self._now, "left": rest}
        left: list[Address] = outcome.pop("left")
        channels = [one.model_dump() for one in left]
        if asked_until := outcome.pop("asked_until", None):
            channels[0]["asked_until"] = asked_until.isoformat()
        return outcome | {"channels": Jsonb(channels), "channel": left[0].kind}

    @property
    def _now(self) -> datetime:
        return self._at + timedelta(seconds=self.elapsed)

    def _send(self, claimed: _Claimed, content: Content, address: Address) -> str:
        if address.kind in self._out:
            raise self._out[address.kind]
        message = Message(
            notification_id=claimed.notification_id,
            incident_id=claimed.incident_id,
            key=claimed.key,
            contact=claimed.contact,
            to=address.to,
            created_at=claimed.created_at,
            may_repeat=claimed.may_repeat,
            content=content,
        )
        try:
            return self._channels[address.kind].send(message)
        except SendFailed as failure:
            if isinstance(failure, NotConfigured):
                log.error("a channel of a contact is not set up", contact=claimed.contact, error=str(failure))
            if failure.everyone:
                perhaps = SendFailed(str(failure), retry=failure.retry, after=failure.after)
                self._out[address.kind] = perhaps  # only this message may have been sent
            raise

    def _after(
        self, failure: SendFailed, claimed: _Claimed, content: Content, rest: Sequence[Address]
    ) -> dict[str, Any]:
        """Again, by another channel, or later from the first one."""
        tries = claimed.attempts + 1
        asked = timedelta(seconds=failure.after or 0)
        said = {
            "contact": claimed.contact,
            "channel": str(rest[0]),
            "tries": tries,
            "error": str(failure),
            "key": claimed.key,
        }
        outcome: dict[str, Any] = {
            "error": f"{rest[0]}: {failure}",
            "may_repeat": claimed.may_repeat or failure.perhaps_sent,
        }
        if failure.retry and tries < TRIES and asked <= PATIENCE:
            log.warning("a message could not be sent; it is tried again", **said)
            outcome["asked_until"] = self._now + asked if asked else None
            wait = max(BACKOFF[tries - 1], asked)
            return outcome | {"state": "waiting", "left": list(rest), "next_attempt_at": self._now + wait}
        if len(rest) > 1:
            self.done.fell_back += 1
            log.error("a channel failed; the next one of the contact is tried", next=str(rest[1]), **said)
            return outcome | {
                "state": "waiting",
                "left": list(rest[1:]),
                "attempts": 0,
                "next_attempt_at": self._now,
            }
        self.done.exhausted += 1
        log.error("no channel of a contact takes a message; it is kept and tried again", **said)
        return outcome | {
            "state": "failed",
            "left": list(content.channels),
            "next_attempt_at": self._now + max(FROM_THE_FIRST_AGAIN, min(asked, FAR)),
        }


def _held(at: datetime) -> list[str]:
    """The severities that are held now. A file of contacts that is wrong keeps nothing from being sent."""
    try:
        quiet = contacts().quiet_hours
    except ContactsInvalid as error:
        log.error("the contacts can't be read; what was written before is sent", error=str(error))
        return ["info", "warning", "critical"]
    return list(quiet.severities) if quiet.until(at) else []


def _claim(connection: Connection, values: Mapping[str, Any]) -> _Claimed | None:
    with connection.cursor(row_factory=class_row(_Claimed)) as cursor:
        return cursor.execute(CLAIM, values).fetchone()


def _record(connection: Connection, outcome: Mapping[str, Any]) -> bool:
    """Writes down what came of a message. False if the database is gone."""
    try:
        written = connection.execute(RECORD, outcome).rowcount
    except psycopg.OperationalError:
        return False
    if not written and outcome["state"] == "sent":
        log.error(
            "a message was sent after its claim had run out: it may come twice", key=str(outcome["notification_id"])
        )
    return True


def _reconnected(connection: Connection, url: str, outcome: dict[str, Any]) -> Connection:
    """A new connection, through which the outcome was written. Raises `DatabaseUnavailable` after a while."""
    connection.close()
    deadline = time.monotonic() + RECONNECT_SECONDS
    while True:
        try:
            fresh = connect(url, application_name="masterops notify")
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                _unwritten.keep(url, outcome)
                raise
            time.sleep(0.5)
            continue
        if _record(fresh, outcome):
            return fresh
        fresh.close()


def _write_down_what_was_left(connection: Connection, url: str) -> None:
    left = _unwritten.take(url)
    while left:
        if not _record(connection, left[0]):
            for outcome in left:
                _unwritten.keep(url, outcome)
            raise DatabaseUnavailable("the database went away while messages were written down as sent")
        left.pop(0)
