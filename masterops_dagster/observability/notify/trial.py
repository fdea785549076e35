"""Tries whether contacts can be reached: a test message for each channel, through the outbox like any other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from masterops_dagster.database.connection import connect
from masterops_dagster.observability.incidents import Connection
from masterops_dagster.observability.notify.channels.configured import HOW
from masterops_dagster.observability.notify.contacts import Address, ChannelKind, load_contacts
from masterops_dagster.observability.notify.deliver import deliver
from masterops_dagster.observability.notify.message import Content
from masterops_dagster.observability.notify.plan import write

PATIENCE_SECONDS = 15.0
"""So long another process may take that claimed a test message first."""

OUTCOME = """
select state, last_error, external_id from ops.notifications where notification_id = %s
"""
GIVE_UP = """
update ops.notifications set state = 'superseded'
where notification_id = any(%s) and state in ('waiting', 'failed')
"""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one channel of one contact."""

    contact: str
    channel: ChannelKind
    to: str
    outcome: Literal["sent", "failed", "not set up"]
    said: str


def try_contacts(
    at: datetime,
    *,
    sender: str,
    contact: str | None = None,
    channel: ChannelKind | None = None,
    url: str | None = None,
) -> list[Tried]:
    """Sends to the contact, else to those of the last route, by each of their channels or those of a kind.

    Raises `ContactsInvalid`, and `LookupError` for a contact that there is not or that has no such channel.
    """
    known = load_contacts()
    names = [contact] if contact is not None else list(known.routes[-1].contacts)
    if unknown := [name for name in names if name not in known.contacts]:
        raise LookupError(f"there is no contact {unknown[0]!r}; known: {', '.join(known.contacts)}")
    wanted = [
        (name, address)
        for name in names
        for address in known.contacts[name].channels
        if channel is None or address.kind == channel
    ]
    if not wanted:
        raise LookupError(f"{' and '.join(names)} can't be reached by {channel}; see contacts.yaml")
    with connect(url, application_name="masterops notify") as connection:
        sent = [(_write(connection, name, address, sender, at), name, address) for name, address in wanted]
        ids = [identity for identity, _, _ in sent]
        deliver(at, sender=sender, url=url, only=ids)
        tried = [_tried(connection, identity, name, address) for identity, name, address in sent]
        connection.execute(GIVE_UP, [ids])
    return tried


def reached(tried: Sequence[Tried], *, asked_for: bool) -> bool:
    """Whether all is well: what is set up took the message. `asked_for`: a channel that was named must be set up."""
    outcomes = {one.outcome for one in tried}
    return "sent" in outcomes and "failed" not in outcomes and not (asked_for and "not set up" in outcomes)


def _write(connection: Connection, name: str, address: Address, sender: str, at: datetime) -> UUID:
    identity = uuid4()
    content = Content(
        change="test",
        title=f"masterops reaches {name} by {address.kind}",
        severity="info",
        what=f"This is only a test, sent by {sender}: alerts for {name} arrive here.",
        since=at,
        channels=(address,),
    )
    write(connection, None, name, f"test/{identity}", content, at, notification_id=identity)
    return identity


def _tried(connection: Connection, identity: UUID, name: str, address: Address) -> Tried:
    deadline = time.monotonic() + PATIENCE_SECONDS
    state, said = "sending", ""
    while state == "sending" and time.monotonic() < deadline:
        row = connection.execute(OUTCOME, [identity]).fetchone()
        assert row is not None
        state, said = row[0], row[1] or row[2] or ""
        if state == "sending":
            time.sleep(0.1)
    said = said.removeprefix(f"{address}: ")
    if state == "sent":
        return Tried(name, address.kind, address.to, "sent", said)
    outcome: Literal["failed", "not set up"] = "not set up" if said.endswith(HOW[address.kind]) else "failed"
    return Tried(name, address.kind, address.to, outcome, said or "another process sends it and has not finished")
