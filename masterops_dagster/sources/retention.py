"""What the raw tables forget: old days of snapshots but for the ends of months, and rows that were gone long ago.

No figure changes by it. The stock of past days stands in `marts.fct_inventory_daily`, which is never made anew from
the snapshots; rows that are marked deleted are left out by every staging view but those of `STILL_READ`. Days and ages
are business time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from psycopg import sql

from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.database.connection import connect
from masterops_dagster.sources.catalogue import streams_of
from masterops_dagster.sources.ledger import Connection
from masterops_dagster.sources.raw_tables import table_name
from masterops_dagster.sources.stream import Mode, Stream

STILL_READ = frozenset(
    {("hubspot", "companies"), ("hubspot", "contacts"), ("n8n", "executions"), ("shopify", "orders")}
)
"""Streams whose deleted rows the warehouse knows: who a merged contact became, of which order an Unleashed order is the
copy, which runs of a workflow there were before n8n pruned them. A test holds this against the staging views."""

IS_THERE = "select to_regclass(%s) is not null"

THIN = """
delete from {table}
where snapshot_date < %(before)s
    and snapshot_date not in (
        select max(snapshot_date) from {table} group by date_trunc('month', snapshot_date)
    )
"""
"""Of a month whose last day was not read the last one that was."""

FORGET = "delete from {table} where _deleted_at < %(before)s"


def thin_snapshots(daily: timedelta) -> dict[str, int]:
    """Deletes snapshots older than `daily` that are not the last of their month; returns rows deleted, by table."""
    before = clock.business_day(clock.now() - daily)
    deleted = {}
    with connect(application_name="masterops-retention") as connection:
        for account, stream in _tables(connection):
            if stream.mode is Mode.SNAPSHOT:
                deleted[_name(account, stream)] = _delete(connection, THIN, account, stream, before)
    return deleted


def forget_deleted(after: timedelta) -> dict[str, int]:
    """Deletes rows that were marked deleted longer ago than that; returns how many, by table."""
    before = clock.now() - after
    deleted = {}
    with connect(application_name="masterops-retention") as connection:
        for account, stream in _tables(connection):
            if (account.system, stream.name) not in STILL_READ:
                deleted[_name(account, stream)] = _delete(connection, FORGET, account, stream, before)
    return deleted


def _tables(connection: Connection) -> Iterator[tuple[Account, Stream]]:
    """The streams that have a table."""
    for account in ACCOUNTS:
        for stream in streams_of(account):
            if connection.execute(IS_THERE, [_name(account, stream)]).fetchone() == (True,):
                yield account, stream


def _delete(connection: Connection, statement: str, account: Account, stream: Stream, before: object) -> int:
    composed = sql.SQL(statement).format(table=table_name(account, stream))
    return connection.execute(composed, {"before": before}).rowcount


def _name(account: Account, stream: Stream) -> str:
    return f"{account.schema}.{stream.name}"
