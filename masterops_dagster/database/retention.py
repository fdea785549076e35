"""What is deleted when it is old: here, Dagster's own events, which grow without bound otherwise (dagster#33785)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from masterops_dagster.database.connection import connect, dagster_url

PURGE_EVENTS = """
delete from event_logs
where asset_key is null
  and timestamp < %(before)s
"""
"""Events of assets (materialisations, checks) stay: partitions and freshness are read from them."""


def purge_dagster_events(older_than: timedelta) -> int:
    """Deletes run events older than that from Dagster's storage; returns how many. `timestamp` there is naive UTC."""
    before = (datetime.now(UTC) - older_than).replace(tzinfo=None)
    with connect(dagster_url()) as connection:
        return connection.execute(PURGE_EVENTS, {"before": before}).rowcount
