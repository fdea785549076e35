"""What is deleted in `ops` and in Dagster's storage when it is old: both grow without bound otherwise (dagster#33785).

Telemetry goes by the month, see `observability.partitions`. The ledger of loads, `ops.loads`, stays: the `_load_id` of
every raw row leads there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from masterops_dagster.database.connection import connect, dagster_url

PURGE_EVENTS = """
delete from event_logs
where asset_key is null
  and timestamp < %(before)s
"""
"""Events of assets (materialisations, checks) stay: partitions and freshness are read from them."""

PURGE_RECONCILIATIONS = "delete from ops.reconciliations where checked_at < %(before)s"
PURGE_LETTERS = "delete from ops.dead_letters where status <> 'open' and resolved_at < %(before)s"


def purge_dagster_events(older_than: timedelta) -> int:
    """Deletes run events older than that from Dagster's storage; returns how many. `timestamp` there is naive UTC."""
    before = (datetime.now(UTC) - older_than).replace(tzinfo=None)
    with connect(dagster_url()) as connection:
        return connection.execute(PURGE_EVENTS, {"before": before}).rowcount


def purge_reconciliations(older_than: timedelta) -> int:
    """Deletes reconciliations older than that; returns how many."""
    with connect() as connection:
        return connection.execute(PURGE_RECONCILIATIONS, _before(older_than)).rowcount


def purge_dead_letters(older_than: timedelta) -> int:
    """Deletes dead letters that were replayed or discarded longer ago than that; open ones stay. Returns how many."""
    with connect() as connection:
        return connection.execute(PURGE_LETTERS, _before(older_than)).rowcount


def _before(older_than: timedelta) -> dict[str, datetime]:
    return {"before": datetime.now(UTC) - older_than}
