"""One load of an account at a time, over all processes and machines that share the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from masterops_dagster.businesses import Account
from masterops_dagster.database.connection import connect
from masterops_dagster.database.locks import LockUnavailable, advisory_lock
from masterops_dagster.sources import dlt_load, ledger, raw_tables
from masterops_dagster.sources.errors import LoadProblem
from masterops_dagster.sources.ledger import Connection

WAIT_SECONDS = 900.0
"""How long a load waits for another one of the same account."""


class AccountBusy(LoadProblem):
    """Another load of the account is still running."""


@contextmanager
def turn(account: Account, wait: float = WAIT_SECONDS) -> Iterator[Connection]:
    """Waits up to `wait` seconds for the account, and gives the connection that holds its lock.

    What a dead process left is put right: its database connections are ended, its loads are closed as failed, and the
    raw tables are there. Raises `AccountBusy`.
    """
    with connect(application_name=f"masterops-ingest-{account.key}"[:63]) as connection:
        try:
            with advisory_lock(connection, f"ingest:{account.key}", wait=wait):
                ledger.close_abandoned(connection, account, dlt_load.application_name(account))
                raw_tables.prepare(connection, account)
                yield connection
        except LockUnavailable as error:
            raise AccountBusy(f"{account.key} can't be loaded now, since only one load may run: {error}") from error
