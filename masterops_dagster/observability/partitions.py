"""The months of telemetry: those that are needed next are made, those that are old are dropped, never deleted from.

A table is kept `telemetry_retention_days`, what tells of errors and all of alerts, incidents and notifications
`telemetry_error_retention_days`; `telemetry_retention_by_table` says otherwise for single ones. What is not over yet
stays, however old it is: open incidents, their alerts, messages that are not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster.settings import settings

Connection = psycopg.Connection[TupleRow]

READY = "select ops.ensure_partitions(%(at)s::timestamptz, %(at)s::timestamptz + interval '1 month')"

MONTHS = r"""
select parents.relname, months.relname,
    (regexp_match(pg_get_expr(months.relpartbound, months.oid), $$TO \('([^']+)'\)$$))[1]::timestamptz
from pg_partitioned_table as partitioned
join pg_class as parents on parents.oid = partitioned.partrelid
left join pg_inherits as inherited on inherited.inhparent = parents.oid
left join pg_class as months on months.oid = inherited.inhrelid
where parents.relnamespace = 'ops'::regnamespace and partitioned.partstrat = 'r'
order by parents.relname, months.relname
"""

KEPT_LONG = ("alerts", "incidents", "notifications")
DELETED_FROM = ("reconciliations",)
"""Not in months; see `database.retention`."""

NOT_OVER = {
    "incidents": sql.SQL("select 1 from {month} where state <> 'resolved' limit 1"),
    "alerts": sql.SQL(
        "select 1 from {month} join ops.incidents using (incident_id) where incidents.state <> 'resolved' limit 1"
    ),
    "notifications": sql.SQL(
        "select 1 from {month} as month left join ops.incidents using (incident_id)"
        " where month.state in ('waiting', 'held', 'sending') or incidents.state <> 'resolved' limit 1"
    ),
}
LOCK_WAIT = "set local lock_timeout = '3s'"
"""Whoever writes waits behind a drop that waits for a reader: not for long."""


class BadRetention(ValueError):
    """`MASTEROPS_TELEMETRY_RETENTION_BY_TABLE` names a table that there is not, or keeps it for no time."""


@dataclass(slots=True)
class Dropped:
    """`months` are those dropped; `kept` are old ones that hold something that isn't over; `busy` were being read."""

    months: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        """One line."""
        parts = [f"{len(self.months)} months of telemetry dropped"]
        if self.kept:
            parts.append(f"kept for what is not over: {', '.join(self.kept)}")
        if self.busy:
            parts.append(f"in use, next time: {', '.join(self.busy)}")
        return "; ".join(parts)


def ready(connection: Connection, at: datetime) -> int:
    """Makes the months of `at` and the one after, where they are missing; returns how many."""
    row = connection.execute(READY, {"at": at}).fetchone()
    assert row is not None
    return int(row[0])


def drop_old(connection: Connection, at: datetime) -> Dropped:
    """Drops the months that ended longer ago than their table is kept. Raises `BadRetention` before it drops any."""
    months = connection.execute(MONTHS).fetchall()
    days = retention({parent for parent, _, _ in months})
    dropped = Dropped()
    for parent, month, ended_at in months:
        if month is None or ended_at is None or ended_at > at - timedelta(days=days[parent]):
            continue
        try:
            gone = _drop(connection, parent, month)
        except psycopg.errors.LockNotAvailable:
            dropped.busy.append(month)
        else:
            (dropped.months if gone else dropped.kept).append(month)
    return dropped


def retention(tables: set[str]) -> Mapping[str, int]:
    """Days by table, of those that are split by months and those deleted from. Raises `BadRetention`.

    The name of a table that has its errors apart (`api_metrics`) means the rest of it; its errors have their own name
    (`api_metrics_errors`).
    """
    current = settings()
    days = {
        table: current.telemetry_error_retention_days
        if table in KEPT_LONG or table.endswith("_errors")
        else current.telemetry_retention_days
        for table in (*tables, *DELETED_FROM)
    }
    for name, given in current.telemetry_retention_by_table.items():
        table = name if name in days else f"{name}_rest"
        if table not in days:
            known = sorted(table.removesuffix("_rest") for table in days)
            raise BadRetention(
                f"MASTEROPS_TELEMETRY_RETENTION_BY_TABLE names {name!r}, which is no table of telemetry; "
                f"there are {', '.join(known)}"
            )
        if given < 1:
            raise BadRetention(f"MASTEROPS_TELEMETRY_RETENTION_BY_TABLE keeps {name!r} {given} days; 1 is the least")
        days[table] = given
    return days


def days_of(connection: Connection, table: str) -> int:
    """How many days a table is kept. Raises `BadRetention` where the settings name one that there is not."""
    return retention({parent for parent, _, _ in connection.execute(MONTHS).fetchall()})[table]


def _drop(connection: Connection, parent: str, month: str) -> bool:
    """False if something in it isn't over; nobody can write to it between the look and the drop."""
    name = sql.Identifier("ops", month)
    with connection.transaction():
        connection.execute(LOCK_WAIT)
        if parent in NOT_OVER:
            whole = sql.Identifier("ops", parent)  # first, as those who write do
            connection.execute(sql.SQL("lock table only {} in access exclusive mode").format(whole))
            if connection.execute(NOT_OVER[parent].format(month=name)).fetchone():
                return False
        connection.execute(sql.SQL("drop table {}").format(name))
    return True
