"""The connectors that checks ask through: kept open between rounds, so that a check costs one request and no new token.

A connector over which something went wrong is closed; the next check opens a new one, with a new token.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from masterops_dagster.businesses import account as account_of
from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.registry import AnyConnector, open_connector
from masterops_dagster.database.budget import PostgresBudget
from masterops_dagster.database.connection import DatabaseUnavailable, database_url
from masterops_dagster.settings import AccountAccess, settings

_idle: defaultdict[str, list[tuple[AccountAccess, AnyConnector]]] = defaultdict(list)
"""By account; one that is asked by several checks at once has several."""
_lock = threading.Lock()


@contextmanager
def connected(account_key: str, patience: timedelta) -> Iterator[tuple[AccountAccess, AnyConnector]]:
    """A connector that nobody else uses, which tries once, for so long. It keeps to the budget of all processes.

    Raises `MissingCredential`.
    """
    access = settings().access(account_of(account_key))
    with _lock:
        kept = _idle[account_key].pop() if _idle[account_key] else None
    if kept is not None and kept[0] != access:
        kept[1].close()
        kept = None
    connector = kept[1] if kept else open_connector(access, settings(), _budget())
    seconds = patience.total_seconds()
    connector.patience = Patience(timeout=seconds, deadline=seconds, attempts=1)
    good = False
    try:
        yield access, connector
        good = True
    finally:
        if good:
            with _lock:
                _idle[account_key].append((access, connector))
        else:
            connector.close()


def _budget() -> PostgresBudget | None:
    """That of all processes; of this one where there is no database."""
    try:
        database_url()
    except DatabaseUnavailable:
        return None
    return PostgresBudget()
