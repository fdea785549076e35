"""Where an account's rows come from, written down at its first load: nothing is ever mixed with anybody else's.

The stand-in world is an origin like any other. An account goes live by `forget`: what was simulated is taken away, and
the next load is a first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from masterops_dagster.businesses import Account
from masterops_dagster.connectors.base import StreamReader
from masterops_dagster.settings import AccountAccess
from masterops_dagster.sources.catalogue import streams_of
from masterops_dagster.sources.errors import LoadProblem
from masterops_dagster.sources.ledger import Connection
from masterops_dagster.sources.raw_tables import table_name

STAND_IN = "the stand-in world"

KNOWN = "select origin, simulated, first_seen_at from ops.origins where account = %s"

# Loads of before origins were kept: whether they were simulated is known of them, and whose they were is not.
FIRST_LOAD = """
select min(business_at), bool_or(simulated) from ops.loads where account = %s and status = 'succeeded' and rows > 0
"""

REMEMBER = """
insert into ops.origins (account, origin, simulated, first_seen_at) values (%s, %s, %s, coalesce(%s, ops.now()))
on conflict (account) do nothing
"""

ALL = "select account, origin, simulated, first_seen_at from ops.origins"

BOOKS = ("held_deletions", "cursors", "dead_letters", "unknown_fields", "reconciliations", "loads", "origins")
"""What `ops` keeps of an account's loads, in an order that foreign keys allow."""


class ForeignRows(LoadProblem):
    """The account's raw schema holds rows from somewhere else; nothing was read."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose rows these are: how the system itself names the account, or the stand-in world."""

    name: str
    simulated: bool
    first_seen_at: datetime | None = None


def origin_of(access: AccountAccess, reader: StreamReader) -> Origin:
    """Who answers there. Asks the system, unless the stand-in world stands in for it. Raises `ConnectorError`s."""
    return Origin(STAND_IN, simulated=True) if access.simulated else Origin(reader.identity(), simulated=False)


def known(connection: Connection, account: Account) -> Origin | None:
    """Whose rows the account's raw schema holds; None before its first load."""
    row = connection.execute(KNOWN, [account.key]).fetchone()
    if row is not None:
        return Origin(*row)
    first = connection.execute(FIRST_LOAD, [account.key]).fetchone()
    assert first is not None
    began, simulated = first
    if began is None:
        return None
    return Origin(STAND_IN if simulated else "", bool(simulated), began)


def all_known(connection: Connection) -> dict[str, Origin]:
    """By account key."""
    return {account: Origin(*rest) for account, *rest in connection.execute(ALL)}


def require_same(connection: Connection, account: Account, asked: Origin) -> None:
    """Raises `ForeignRows` where rows of another origin are held; remembers the origin of a first load."""
    held = known(connection, account)
    if held is not None and (held.simulated != asked.simulated or held.name not in ("", asked.name)):
        raise ForeignRows(_refusal(account, held, asked))
    connection.execute(
        REMEMBER, [account.key, asked.name, asked.simulated, None if held is None else held.first_seen_at]
    )


def _refusal(account: Account, held: Origin, asked: Origin) -> str:
    variables = f"{account.key.upper()}_…"
    since = f" since {held.first_seen_at:%Y-%m-%d}" if held.first_seen_at else ""
    holds = f"{account.schema} holds rows of {held.name or 'a real account'}{since}"
    if held.simulated:
        return (
            f"{account.key}: {holds}, and the credentials lead to {asked.name}: nothing was read. "
            f"`masterops go-live {account.key}` takes the simulated rows away first"
        )
    if asked.simulated:
        return (
            f"{account.key}: {holds}, and without credentials {asked.name} would answer: nothing was read. "
            f"Set {variables} again"
        )
    return (
        f"{account.key}: {holds}, and the credentials belong to {asked.name}: nothing was read. Correct {variables}; "
        "rows of another company need a database of their own"
    )


def rows_held(connection: Connection, account: Account) -> dict[str, int]:
    """How many rows each of the account's raw tables holds, deleted ones included; tables without rows are left out."""
    found: dict[str, int] = {}
    for stream in streams_of(account):
        row = connection.execute(sql.SQL("select count(*) from {}").format(table_name(account, stream))).fetchone()
        assert row is not None
        if row[0]:
            found[stream.name] = row[0]
    return found


def forget(connection: Connection, account: Account) -> Mapping[str, int]:
    """Takes away the account's raw rows and all that is written down of their loads; the tables stay.

    Returns how many rows each raw table lost. Belongs in the account's turn, and in a transaction with what else of
    the account goes.
    """
    held = rows_held(connection, account)
    tables = sql.SQL(", ").join(table_name(account, stream) for stream in streams_of(account))
    connection.execute(sql.SQL("truncate {}").format(tables))
    for book in BOOKS:
        connection.execute(
            sql.SQL("delete from {} where account = %s").format(sql.Identifier("ops", book)), [account.key]
        )
    return held
