"""Rows that could not be loaded: look at them, load them again once the declarations fit, or give them up.

An open letter means that no later load brought its row: as soon as one does, the letter is closed by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from psycopg.rows import class_row

from masterops_dagster.businesses import Account
from masterops_dagster.businesses import account as account_of
from masterops_dagster.connectors.base import Page, StreamReader, decode_json
from masterops_dagster.connectors.registry import open_connector
from masterops_dagster.connectors.telemetry import TelemetrySink
from masterops_dagster.database.budget import PostgresBudget
from masterops_dagster.database.connection import database_url
from masterops_dagster.settings import settings
from masterops_dagster.sources import catalogue, dlt_load, ledger
from masterops_dagster.sources.ledger import Connection, Letter, Load
from masterops_dagster.sources.reading import Family, Reading
from masterops_dagster.sources.settle import RawTables
from masterops_dagster.sources.spool import Spool
from masterops_dagster.sources.stream import Mode, Stream
from masterops_dagster.sources.turn import WAIT_SECONDS, turn

Status = Literal["open", "replayed", "discarded"]

SELECT = """
select d.dead_letter_id, d.account, d.stream, d.external_id, d.column_name, d.reason, d.payload::text as payload_json,
    d.load_id, d.status, d.created_at, d.resolved_at, d.resolved_by, coalesce(l.business_at, ops.now()) as business_at
from ops.dead_letters d
left join ops.loads l using (load_id)
where (%(ids)s::bigint[] is null or d.dead_letter_id = any(%(ids)s::bigint[]))
    and (%(account)s::text is null or d.account = %(account)s)
    and (%(stream)s::text is null or d.stream = %(stream)s)
    and (%(status)s::text is null or d.status = %(status)s)
order by d.dead_letter_id desc
limit %(limit)s
"""

CLOSE = """
update ops.dead_letters set status = %(status)s, resolved_at = clock_timestamp(), resolved_by = %(by)s
where dead_letter_id = any(%(ids)s) and status = 'open' and (%(before)s::bigint is null or load_id < %(before)s)
"""


class NoSuchLetter(LookupError):
    """There is no dead letter of that number, or it isn't open; the message says which."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row that could not be loaded, as the system said it, and why.

    The payload of a child is `{"record", "parent_key", "parent_version"}`. `business_at` is when it was read.
    """

    dead_letter_id: int
    account: str
    stream: str
    external_id: str | None
    column_name: str | None
    reason: str
    payload_json: str
    load_id: int | None
    status: Status
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    business_at: datetime

    @property
    def payload(self) -> Any:
        """The payload with numbers as `Decimal`."""
        return decode_json(self.payload_json.encode())


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many letters of a stream were loaded, and how many are still broken and stay open."""

    account: str
    stream: str
    load_id: int
    loaded: int
    still_broken: int


def find(
    connection: Connection,
    *,
    ids: Sequence[int] | None = None,
    account: str | None = None,
    stream: str | None = None,
    status: Status | None = "open",
    limit: int | None = None,
) -> list[DeadLetter]:
    """Dead letters, newest first."""
    values = {
        "ids": None if ids is None else list(ids),
        "account": account,
        "stream": stream,
        "status": status,
        "limit": limit,
    }
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(SELECT, values).fetchall()


def show(connection: Connection, dead_letter_id: int) -> DeadLetter:
    """One letter, open or not. Raises `NoSuchLetter`."""
    found = find(connection, ids=[dead_letter_id], status=None)
    if not found:
        raise NoSuchLetter(f"there is no dead letter {dead_letter_id}")
    return found[0]


def discard(connection: Connection, ids: Sequence[int], *, by: str, why: str) -> int:
    """Gives letters up for good, all or none, and writes down who did and why. Raises `NoSuchLetter`."""
    _all_open(connection, ids)
    values = {"status": "discarded", "by": f"{by}: {why}", "ids": list(ids), "before": None}
    return connection.execute(CLOSE, values).rowcount


def replay(
    connection: Connection,
    letters: Sequence[DeadLetter],
    *,
    by: str,
    reader: StreamReader | None = None,
    sink: TelemetrySink | None = None,
    wait: float = WAIT_SECONDS,
) -> list[Replayed]:
    """Reads the letters' payloads with today's declarations and loads them like any other rows.

    Those that fit are closed, the others stay open with today's reason. Children that a system must be asked for are
    asked for, through `reader` or the account's connector. Raises `NoSuchLetter`, `AccountBusy`, `LoadFailed`.
    """
    _all_open(connection, [letter.dead_letter_id for letter in letters])
    results = []
    for key, same_account in groupby(sorted(letters, key=_group), key=lambda letter: letter.account):
        account = account_of(key)
        for (_, name, _), group in groupby(same_account, key=_group):
            with ExitStack() as stack:
                of = catalogue.stream(account, name)
                if reader is None and any(child.resource for child in catalogue.children(account, of)):
                    access = settings().access(account)
                    opened = stack.enter_context(closing(open_connector(access, settings(), PostgresBudget(), sink)))
                    results.append(_replay(account, of, list(group), by, opened, wait))
                else:
                    results.append(_replay(account, of, list(group), by, reader, wait))
    return results


def _replay(
    account: Account, of: Stream, letters: Sequence[DeadLetter], by: str, reader: StreamReader | None, wait: float
) -> Replayed:
    loads: dict[str, Load] = {}
    business_at = letters[0].business_at

    def deliver(stream: Stream, broken: Sequence[Letter]) -> None:
        ledger.write_letters(connection, account, loads[stream.name], broken)

    with turn(account, wait) as connection, Spool(account) as spool, ledger.closing(connection, loads):
        parent = catalogue.stream(account, of.parent) if of.parent else of
        members = (of,) if of.parent else (of, *catalogue.children(account, of))
        for one in members:
            loads[one.name] = ledger.begin(connection, account, one, "replay", business_at=business_at)
        load_ids = {one.name: loads[one.name].load_id for one in members}
        family = Family(account, parent, load_ids, business_at)
        reading = Reading(family, reader, spool, deliver)
        payloads = [letter.payload for letter in letters]
        if of.parent:
            parents = [(payload["parent_key"], payload["parent_version"]) for payload in payloads]
            reading.take_child(of, [payload["record"] for payload in payloads], parents)
        else:
            reading.read([Page(payloads)])
        files = spool.finish(members)
        dlt_load_id = dlt_load.load(account, database_url(), files) if files else None
        for spooled in files:
            loads[spooled.stream.name].rows = spooled.rows
            loads[spooled.stream.name].dlt_load_id = dlt_load_id
        load = loads[of.name]
        with connection.transaction():
            values = {
                "status": "replayed",
                "by": f"{by}: load {load.load_id}",
                "ids": [letter.dead_letter_id for letter in letters],
                "before": load.load_id,
            }
            connection.execute(CLOSE, values)
            if not of.parent:
                RawTables(connection, account).settle(family, loads, seen_whole=False)
            for one in members:
                ledger.finish(connection, loads[one.name])
    return Replayed(account.key, of.name, load.load_id, len(letters) - load.dead_letters, load.dead_letters)


def _group(letter: DeadLetter) -> tuple[str, str, str]:
    """What is replayed together: a snapshot's rows belong to the day on which they were read."""
    of = catalogue.stream(account_of(letter.account), letter.stream)
    day = letter.business_at.isoformat() if of.mode is Mode.SNAPSHOT else ""
    return letter.account, letter.stream, day


def _all_open(connection: Connection, ids: Sequence[int]) -> None:
    found = {letter.dead_letter_id for letter in find(connection, ids=ids)}
    if wrong := [number for number in ids if number not in found]:
        raise NoSuchLetter(f"no open dead letters with these numbers: {', '.join(map(str, wrong))}")
