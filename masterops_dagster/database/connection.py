"""How every process reaches the database: one way to find it, one way to connect, one pool per process."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from masterops_dagster.database import server
from masterops_dagster.settings import settings

TRANSACTION_POOLER_PORT = 6543
"""Where Supabase's pooler gives out a server connection per transaction: prepared statements and session locks, which
belong to a connection, don't hold there."""

_opening = threading.Lock()
_pools: dict[tuple[int, str], ConnectionPool[psycopg.Connection[TupleRow]]] = {}


class DatabaseUnavailable(ConnectionError):
    """There is no database to talk to; the message says which one was meant and what to do."""


def database_url() -> str:
    """The URL of the database: `SUPABASE_DB_URL`, else the running embedded server's. Raises `DatabaseUnavailable`."""
    current = settings()
    if current.supabase_db_url is not None:
        return current.supabase_db_url.get_secret_value()
    return _embedded("SUPABASE_DB_URL").url


def dagster_url() -> str:
    """The URL of Dagster's own storage: `DAGSTER_DB_URL`, else the embedded server's database `dagster`."""
    current = settings()
    if current.dagster_db_url is not None:
        return current.dagster_db_url.get_secret_value()
    return _embedded("DAGSTER_DB_URL").url_of("dagster")


def connect(url: str | None = None, *, autocommit: bool = True, **options: Any) -> psycopg.Connection[TupleRow]:
    """A connection of its own, to `url` or the database, autocommitting; `with connection.transaction():` groups.

    `options` are psycopg's and libpq's (`application_name`, `connect_timeout` in seconds …). Raises
    `DatabaseUnavailable`.
    """
    url = url or database_url()
    given = _connection_options(url) | options
    try:
        return psycopg.connect(url, autocommit=autocommit, **given)
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        raise DatabaseUnavailable(f"no database at {location(url)}: {said}{_advice()}") from error


def pool(url: str | None = None) -> ConnectionPool[psycopg.Connection[TupleRow]]:
    """This process's pool of autocommitting connections, at most `MASTEROPS_DATABASE_POOL_SIZE` of them.

    A forked process gets a pool of its own. Connections are checked before they are handed out, so that a restarted
    server is found again.
    """
    url = url or database_url()
    key = (os.getpid(), url)
    with _opening:
        if key not in _pools:
            _pools[key] = ConnectionPool(
                url,
                min_size=0,
                max_size=settings().database_pool_size,
                kwargs=_connection_options(url) | {"autocommit": True},
                check=ConnectionPool.check_connection,
                max_idle=60,
                timeout=30,
                open=True,
            )
        return _pools[key]


def close_pools() -> None:
    """Closes this process's pools; the next `pool()` opens a new one."""
    for key in [key for key in _pools if key[0] == os.getpid()]:
        _pools.pop(key).close()


atexit.register(close_pools)


def through_transaction_pooler(url: str) -> bool:
    """Whether the URL leads through Supabase's transaction pooler."""
    return str(conninfo_to_dict(url).get("port")) == str(TRANSACTION_POOLER_PORT)


def location(url: str) -> str:
    """`host:port/database`, without user and password, for messages."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _connection_options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {"application_name": "masterops", "connect_timeout": 10}
    if through_transaction_pooler(url):
        options["prepare_threshold"] = None
    return options


def _embedded(variable: str) -> server.Server:
    current = settings()
    if current.env != "local":
        raise DatabaseUnavailable(f"{variable} is not set; in {current.env} there is no embedded database")
    running = server.status(current.postgres_dir)
    if running is None:
        raise DatabaseUnavailable(f"the embedded database is not running; run make up, or set {variable}")
    return running


def _advice() -> str:
    return "; run make up" if settings().embedded_database else ""
