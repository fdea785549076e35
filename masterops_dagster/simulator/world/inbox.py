"""What arrived at the stand-in Slack and the stand-in mail server: `inbox.sqlite` in the world's folder.

A message that was answered with success is on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

FILE_NAME = "inbox.sqlite"
ChannelName = Literal["slack", "email"]
CHANNELS: tuple[str, ...] = get_args(ChannelName)

_read = msgspec.json.decode

SCHEMA = """
create table if not exists messages (
    number integer primary key autoincrement,
    received_at text not null,        -- real time, UTC
    channel text not null,
    recipients text not null,         -- JSON list: a Slack channel or webhook, or e-mail addresses
    sender text not null,
    subject text not null,            -- empty at Slack
    body text not null,               -- what a person reads
    payload text not null             -- JSON: all that was sent
)
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived. `payload` is all of it: Slack's JSON, or an e-mail's headers and parts."""

    number: int
    received_at: str
    channel: str
    recipients: list[str]
    sender: str
    subject: str
    body: str
    payload: Any


class Inbox:
    """The messages of one world; may be used from several threads and processes."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def receive(
        self,
        channel: ChannelName,
        *,
        recipients: list[str],
        body: str,
        payload: object,
        sender: str = "",
        subject: str = "",
    ) -> int:
        """Stores a message and returns its number, which rises."""
        row = (
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            channel,
            msgspec.json.encode(recipients).decode(),
            sender,
            subject,
            body,
            msgspec.json.encode(payload).decode(),
        )
        with self._connected() as connection:
            stored = connection.execute(
                "insert into messages (received_at, channel, recipients, sender, subject, body, payload)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return int(stored.lastrowid or 0)

    def messages(self, channel: str | None = None) -> list[Message]:
        """All, or those of one channel, in the order in which they arrived."""
        with self._connected() as connection:
            rows = connection.execute(
                "select number, received_at, channel, recipients, sender, subject, body, payload from messages"
                " where channel = coalesce(?, channel) order by number",
                (channel,),
            ).fetchall()
        return [
            Message(number, received_at, kind, _read(recipients), sender, subject, body, _read(payload))
            for number, received_at, kind, recipients, sender, subject, body, payload in rows
        ]

    def clear(self, channel: str | None = None) -> int:
        """Forgets all, or those of one channel. Returns how many."""
        with self._connected() as connection:
            return connection.execute("delete from messages where channel = coalesce(?, channel)", (channel,)).rowcount

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are on disk at the end."""
        with closing(sqlite3.connect(self._path, timeout=60)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute(SCHEMA)
            with connection:
                yield connection
