"""The page's own few connections: they wait for nothing long, so that a page can say in time that there is no database.

connections = Connections()
with connections.reading() as connection:
    ...                                   # one consistent, read-only view of all tables
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import DatabaseUnavailable, connect

Connection = psycopg.Connection[TupleRow]

MOST = 3
SECONDS_TO_WAIT = 5
STATEMENT_TIMEOUT = "5s"
OPTIONS: Mapping[str, Any] = {
    "application_name": "masterops status page",
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
"""A server that vanishes without a word is given up after eight seconds or eleven."""

NO_TABLES = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn)


class Connections:
    """At most three; a broken one is replaced when it is next asked for. Safe among threads."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._free: list[Connection] = []
        self._places = threading.BoundedSemaphore(MOST)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """An autocommitting connection. Raises `DatabaseUnavailable`, also for tables that aren't there yet."""
        if not self._places.acquire(timeout=SECONDS_TO_WAIT):
            raise DatabaseUnavailable("the status page's connections are all busy")
        try:
            connection = self._living() or connect(self._url, **OPTIONS)
            try:
                yield connection
            except NO_TABLES as error:
                self._free.append(connection)
                raise DatabaseUnavailable(f"the database has not been set up: {error.diag.message_primary}") from error
            except psycopg.Error as error:
                connection.close()
                raise DatabaseUnavailable(f"the database could not be read: {' '.join(str(error).split())}") from error
            except BaseException:
                connection.close()
                raise
            self._free.append(connection)
        finally:
            self._places.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction that sees one moment. Raises `DatabaseUnavailable`."""
        with self.one() as connection, connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            connection.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'")
            yield connection

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _living(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            try:
                connection.execute("select 1")
            except (psycopg.OperationalError, psycopg.InterfaceError):
                connection.close()
            else:
                return connection
        return None
