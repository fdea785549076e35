"""The books of ingestion in `ops`: loads, cursors, dead letters, unknown fields, reconciliations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account
from masterops_dagster.sources.arrow import dump_json
from masterops_dagster.sources.stream import Stream

Connection = psycopg.Connection[TupleRow]
Kind = Literal["live", "backfill", "sweep", "replay", "reload"]
Method = Literal["count", "sweep", "parent"]

BEGIN = """
insert into ops.loads (account, stream, kind, window_start, window_end, business_at, dagster_run_id, simulated)
values (%s, %s, %s, %s, %s, %s, %s, %s)
returning load_id
"""

FINISH = """
update ops.loads set
    status = %(status)s, rows = %(rows)s, dead_letters = %(dead_letters)s, deleted = %(deleted)s,
    held_back = %(held_back)s, requests = %(requests)s, watermark = %(watermark)s,
    dlt_load_id = %(dlt_load_id)s, error = %(error)s,
    finished_at = clock_timestamp(),
    seconds = extract(epoch from clock_timestamp() - started_at)
where load_id = %(load_id)s
returning seconds
"""

# Whoever holds the account's lock knows that a load which still says so is not running.
CLOSE_ABANDONED = """
update ops.loads set
    status = 'failed', finished_at = clock_timestamp(), seconds = extract(epoch from clock_timestamp() - started_at),
    error = 'the process that ran it is gone'
where account = %s and status = 'running'
"""

# A connection of a process that was killed may still be merging: PostgreSQL notices when it wants to answer.
END_LEFT_OVER = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
where application_name = %s and datname = current_database() and pid <> pg_backend_pid()
"""

CURSOR = "select watermark from ops.cursors where account = %s and stream = %s"

MOVE_CURSOR = """
insert into ops.cursors (account, stream, watermark) values (%s, %s, %s)
on conflict (account, stream) do update set
    watermark = greatest(ops.cursors.watermark, excluded.watermark), updated_at = clock_timestamp()
"""

# A row that is still broken when it is read again renews its open letter instead of leaving another one.
LETTERS = """
with incoming as (
    select distinct on (identity) *
    from (
        select external_id, column_name, reason, payload::jsonb as payload,
            coalesce(external_id, md5(payload::jsonb::text)) as identity
        from unnest(%(ids)s::text[], %(columns)s::text[], %(reasons)s::text[], %(payloads)s::text[])
            as t (external_id, column_name, reason, payload)
    ) as rows
    order by identity
),
renewed as (
    update ops.dead_letters d set
        column_name = i.column_name, reason = i.reason, payload = i.payload, load_id = %(load_id)s
    from incoming i
    where d.account = %(account)s and d.stream = %(stream)s and d.status = 'open'
        and coalesce(d.external_id, md5(d.payload::text)) = i.identity
    returning i.identity
)
insert into ops.dead_letters (account, stream, external_id, column_name, reason, payload, load_id)
select %(account)s, %(stream)s, external_id, column_name, reason, payload, %(load_id)s
from incoming
where identity not in (select identity from renewed)
"""

# A person's word: it may go back, which a load never does.
SET_CURSOR = """
insert into ops.cursors (account, stream, watermark) values (%s, %s, %s)
on conflict (account, stream) do update set watermark = excluded.watermark, updated_at = clock_timestamp()
"""

FORGET_CURSOR = "delete from ops.cursors where account = %s and stream = %s"

OPEN_LETTERS = "select count(*) from ops.dead_letters where account = %s and stream = %s and status = 'open'"

UNKNOWN_FIELDS = """
insert into ops.unknown_fields (account, stream, field, occurrences)
select %s, %s, field, occurrences from unnest(%s::text[], %s::bigint[]) as t (field, occurrences)
on conflict (account, stream, field) do update set
    last_seen_at = clock_timestamp(), occurrences = ops.unknown_fields.occurrences + excluded.occurrences
"""

RECONCILIATION = """
insert into ops.reconciliations (account, stream, source_count, our_count, method, load_id)
values (%s, %s, %s, %s, %s, %s)
"""


@dataclass(slots=True)
class Load:
    """One load of one stream, as far as it has come. `business_at` is the business time at which reading began."""

    load_id: int
    stream: Stream
    business_at: datetime
    rows: int = 0
    dead_letters: int = 0
    deleted: int = 0
    held_back: int = 0
    requests: int = 0
    seconds: float = 0.0
    watermark: datetime | None = None
    dlt_load_id: str | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that doesn't fit its stream. `external_id` is its key: parts joined by `|`, None if one is missing."""

    external_id: str | None
    column: str
    reason: str
    payload: Mapping[str, object]


def begin(
    connection: Connection,
    account: Account,
    stream: Stream,
    kind: Kind,
    *,
    business_at: datetime,
    window: tuple[datetime | None, datetime | None] = (None, None),
    run_id: str | None = None,
    simulated: bool = False,
) -> Load:
    """Writes the load down as running."""
    row = connection.execute(
        BEGIN, [account.key, stream.name, kind, *window, business_at, run_id, simulated]
    ).fetchone()
    assert row is not None
    return Load(row[0], stream, business_at)


def finish(connection: Connection, load: Load, error: str | None = None) -> None:
    """Writes down how the load ended."""
    row = connection.execute(
        FINISH,
        {
            "status": "succeeded" if error is None else "failed",
            "rows": load.rows,
            "dead_letters": load.dead_letters,
            "deleted": load.deleted,
            "held_back": load.held_back,
            "requests": load.requests,
            "watermark": load.watermark,
            "dlt_load_id": load.dlt_load_id,
            "error": error,
            "load_id": load.load_id,
        },
    ).fetchone()
    assert row is not None
    load.seconds = float(row[0])
    load.finished = True


@contextmanager
def closing(connection: Connection, loads: Mapping[str, Load]) -> Iterator[None]:
    """Leaves no load that says it is running: an error that nobody expected is written down and goes on its way."""
    try:
        yield
    except BaseException as error:
        if not connection.broken:
            for load in loads.values():
                if not load.finished:
                    finish(connection, load, f"{type(error).__name__}: {error}")
        raise


def close_abandoned(connection: Connection, account: Account, application_name: str) -> None:
    """Ends what a process that is gone left: its database connections, and its loads that say they are running."""
    connection.execute(END_LEFT_OVER, [application_name])
    connection.execute(CLOSE_ABANDONED, [account.key])


def cursor(connection: Connection, account: Account, stream: Stream) -> datetime | None:
    """Up to which modification the stream is loaded; None before the first load."""
    row = connection.execute(CURSOR, [account.key, stream.name]).fetchone()
    return row[0] if row else None


def move_cursor(connection: Connection, account: Account, stream: Stream, watermark: datetime) -> None:
    """Moves it forward, never back."""
    connection.execute(MOVE_CURSOR, [account.key, stream.name, watermark])


def set_cursor(connection: Connection, account: Account, stream: Stream, watermark: datetime | None) -> None:
    """Puts it where it is told to, back too; None: the next live load reads everything."""
    if watermark is None:
        connection.execute(FORGET_CURSOR, [account.key, stream.name])
    else:
        connection.execute(SET_CURSOR, [account.key, stream.name, watermark])


def write_letters(connection: Connection, account: Account, load: Load, letters: Sequence[Letter]) -> None:
    """Writes the dead letters of a load."""
    if letters:
        connection.execute(
            LETTERS,
            {
                "account": account.key,
                "stream": load.stream.name,
                "load_id": load.load_id,
                "ids": [storable(letter.external_id) if letter.external_id else None for letter in letters],
                "columns": [letter.column for letter in letters],
                "reasons": [storable(letter.reason) for letter in letters],
                "payloads": [storable(dump_json(letter.payload)) for letter in letters],
            },
        )
        load.dead_letters += len(letters)


def open_letters(connection: Connection, account: Account, stream: Stream) -> int:
    """How many rows of the stream wait for somebody."""
    row = connection.execute(OPEN_LETTERS, [account.key, stream.name]).fetchone()
    assert row is not None
    return int(row[0])


def count_unknown_fields(connection: Connection, account: Account, stream: Stream, fields: Mapping[str, int]) -> None:
    """Adds to the counts of fields that no column names."""
    if fields:
        names = [storable(name) for name in fields]
        connection.execute(UNKNOWN_FIELDS, [account.key, stream.name, names, list(fields.values())])


def reconcile(
    connection: Connection,
    account: Account,
    load: Load,
    source_count: int,
    our_count: int,
    method: Method,
) -> None:
    """Writes down what the source says it has against what we hold."""
    connection.execute(RECONCILIATION, [account.key, load.stream.name, source_count, our_count, method, load.load_id])


def storable(text: str) -> str:
    """Text as PostgreSQL can hold it, JSON included: a NUL becomes U+FFFD, the replacement character."""
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1\\ufffd", text).replace("\x00", "\ufffd")
