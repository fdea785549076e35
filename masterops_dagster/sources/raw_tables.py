"""The raw tables in PostgreSQL: made from the stream tables before the first load, so that dbt finds them even empty.

dlt fills them and finds nothing to create. A primary key on the stream's key turns what would be a doubled row into a
failed load, and lets a small merge find its rows in a large table.
"""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account
from masterops_dagster.sources.catalogue import streams_of, table_columns
from masterops_dagster.sources.errors import LoadProblem
from masterops_dagster.sources.stream import Stream, Type

COLUMNS_THERE = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = %s and c.relkind = 'r'
"""

FULL_NAMES = {Type.TIMESTAMP: "timestamp with time zone"}
"""Where PostgreSQL shows a type under another name than the one that it was declared with."""


class TableDiffers(LoadProblem):
    """A raw table's column has another type than its stream declares; changing it needs a decision about its rows."""


def table_name(account: Account, stream: Stream) -> sql.Identifier:
    """The stream's raw table, qualified."""
    return sql.Identifier(account.schema, stream.name)


def prepare(connection: psycopg.Connection[TupleRow], account: Account) -> None:
    """Creates the account's schema, tables and columns where they are missing. Raises `TableDiffers`."""
    there: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(COLUMNS_THERE, [account.schema]):
        there.setdefault(table, {})[column] = kind
    if not there:
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(account.schema)))
    for stream in streams_of(account):
        if stream.name not in there:
            _create(connection, account, stream)
            continue
        if foreign := [name for name in stream.key if name not in there[stream.name]]:
            raise TableDiffers(
                f"{account.schema}.{stream.name} has no column {', '.join(foreign)}, its key: it is no table of "
                "masterops; rename it, or use a database of its own"
            )
        for column in table_columns(stream):
            found = there[stream.name].get(column.name)
            declared = FULL_NAMES.get(column.type, str(column.type))
            if found is None:
                connection.execute(
                    sql.SQL("alter table {} add column {} {}").format(
                        table_name(account, stream), sql.Identifier(column.name), sql.SQL(column.type.value)
                    )
                )
            elif found != declared:
                raise TableDiffers(
                    f"{account.schema}.{stream.name}.{column.name} is {found} and its stream declares {declared}: "
                    "alter or drop the column, or give the column another name in the stream table"
                )


def _create(connection: psycopg.Connection[TupleRow], account: Account, stream: Stream) -> None:
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type.value))
        for column in table_columns(stream)
    ]
    connection.execute(
        sql.SQL("create table if not exists {} ({}, primary key ({}))").format(
            table_name(account, stream), sql.SQL(", ").join(columns), identifiers(stream.key)
        )
    )
    connection.execute(
        sql.SQL("comment on table {} is {}").format(table_name(account, stream), sql.Literal(stream.description))
    )


def identifiers(names: tuple[str, ...]) -> sql.Composed:
    """A list of column names."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
