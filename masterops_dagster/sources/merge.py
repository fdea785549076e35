"""What dlt copied into staging tables becomes the raw tables' content: merged by key, all tables in one transaction.

The staging tables are unlogged and live for one load. dlt's own merge deletes and inserts, and sorts all rows to keep
the newest of each key first: measured at 500,000 rows it took twice as long as `on conflict do update`.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors, sql
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account
from masterops_dagster.sources.catalogue import PARENT_VERSION, table_columns
from masterops_dagster.sources.raw_tables import identifiers, table_name
from masterops_dagster.sources.stream import Stream

Connection = psycopg.Connection[TupleRow]

UPSERT = """
insert into {raw} ({columns})
select {rows} from {staged} {order}
on conflict ({key}) do update set {updates}
"""


def staging_schema(account: Account) -> str:
    """Where dlt puts the account's rows before they are merged."""
    return f"{account.schema}_staging"


def open_staging(connection: Connection, account: Account, streams: Sequence[Stream]) -> None:
    """Makes an empty staging table for each stream, without keys; what an earlier load left goes."""
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(staging_schema(account))))
    for stream in streams:
        staged = _staged(account, stream)
        connection.execute(sql.SQL("drop table if exists {}").format(staged))
        connection.execute(sql.SQL("create unlogged table {} (like {})").format(staged, table_name(account, stream)))
        for column in stream.key:
            connection.execute(
                sql.SQL("alter table {} alter column {} drop not null").format(staged, sql.Identifier(column))
            )


def merge_staged(connection: Connection, account: Account, streams: Sequence[Stream]) -> None:
    """Merges all staging tables or none, and drops them. The newest of several rows with one key is taken."""
    with connection.transaction():
        connection.execute("set local work_mem = '64MB'")
        for stream in streams:
            try:
                with connection.transaction():
                    connection.execute(_upsert(account, stream, newest_of_each_key=False))
            except errors.CardinalityViolation:  # a row came twice, having moved between two pages, say
                connection.execute(_upsert(account, stream, newest_of_each_key=True))
            connection.execute(sql.SQL("drop table {}").format(_staged(account, stream)))


def _upsert(account: Account, stream: Stream, *, newest_of_each_key: bool) -> sql.Composed:
    names = tuple(column.name for column in table_columns(stream))
    key = identifiers(stream.key)
    rows: sql.Composable = identifiers(names)
    order: sql.Composable = sql.SQL("")
    if newest_of_each_key:
        version = PARENT_VERSION.name if stream.parent else stream.modified
        newest = sql.SQL(", {} desc nulls last").format(sql.Identifier(version)) if version else sql.SQL("")
        rows = sql.SQL("distinct on ({}) {}").format(key, rows)
        order = sql.SQL("order by {}{}").format(key, newest)
    others = [sql.Identifier(name) for name in names if name not in stream.key]
    return sql.SQL(UPSERT).format(
        raw=table_name(account, stream),
        columns=identifiers(names),
        rows=rows,
        staged=_staged(account, stream),
        order=order,
        key=key,
        updates=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others),
    )


def _staged(account: Account, stream: Stream) -> sql.Identifier:
    return sql.Identifier(staging_schema(account), stream.name)
