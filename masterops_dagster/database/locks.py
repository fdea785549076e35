"""Advisory locks by name: one process at a time, released by PostgreSQL itself when its holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import TRANSACTION_POOLER_PORT

LOCK = "select pg_advisory_lock(hashtextextended(%s, 0))"
TRY_LOCK = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
UNLOCK = "select pg_advisory_unlock(hashtextextended(%s, 0))"
SET_TIMEOUT = "select set_config('lock_timeout', %s, false)"


class LockUnavailable(RuntimeError):
    """Somebody else holds the lock, or this connection can't hold one."""


@contextmanager
def advisory_lock(connection: psycopg.Connection[TupleRow], name: str, wait: float | None = None) -> Iterator[None]:
    """Holds the lock `name` on an autocommitting connection, which the holder must not share with other threads.

    Waits up to `wait` seconds, for ever if None, not at all if 0. Raises `LockUnavailable`, also on a connection
    through Supabase's transaction pooler, which would let the lock go after each statement.
    """
    if connection.info.port == TRANSACTION_POOLER_PORT:
        raise LockUnavailable(
            f"lock {name!r} would not hold through the transaction pooler (port {TRANSACTION_POOLER_PORT}): name the "
            "direct or session connection (port 5432) in SUPABASE_DB_URL"
        )
    if wait == 0:
        taken = connection.execute(TRY_LOCK, [name]).fetchone()
        if taken != (True,):
            raise LockUnavailable(f"{name!r} is locked by another process")
    else:
        _wait_for(connection, name, wait)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(UNLOCK, [name])


def _wait_for(connection: psycopg.Connection[TupleRow], name: str, wait: float | None) -> None:
    connection.execute(SET_TIMEOUT, ["0" if wait is None else f"{max(1, round(wait * 1000))}ms"])
    try:
        connection.execute(LOCK, [name])
    except psycopg.errors.LockNotAvailable as error:
        raise LockUnavailable(f"{name!r} is still locked by another process after {wait:g} s") from error
    finally:
        if not connection.closed:
            connection.execute(SET_TIMEOUT, ["0"])
