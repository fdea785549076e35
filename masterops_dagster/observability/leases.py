"""Work that only one process may do at a time, without holding a connection: a lease is a row that expires.

    if lease := leases.take(connection, "monitor", holder="dagster 4711", seconds=30):
        with connection.transaction():
            lease.require(connection)   # refuses if somebody else has taken over
            ...

Time is the database's own clock, so that machines need not agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]

TAKE = """
insert into ops.leases as held (name, holder, acquired_at, renewed_at, expires_at)
values (
    %(name)s, %(holder)s, clock_timestamp(), clock_timestamp(),
    clock_timestamp() + make_interval(secs => %(seconds)s)
)
on conflict (name) do update set
    fence = held.fence + (held.holder <> excluded.holder)::int,
    acquired_at = case when held.holder = excluded.holder then held.acquired_at else excluded.acquired_at end,
    holder = excluded.holder,
    renewed_at = excluded.renewed_at,
    expires_at = excluded.expires_at
where held.holder = excluded.holder or held.expires_at < clock_timestamp()
returning fence
"""
REQUIRE = "select 1 from ops.leases where name = %s and holder = %s and fence = %s for share"
RELEASE = "update ops.leases set expires_at = clock_timestamp() where name = %s and holder = %s and fence = %s"
GIVE_UP = "update ops.leases set expires_at = clock_timestamp() where name = %s and holder = %s"
HOLDER = """
select holder, renewed_at, expires_at, clock_timestamp() >= expires_at, clock_timestamp() - expires_at
from ops.leases where name = %s
"""


class LeaseLost(RuntimeError):
    """Somebody else has taken the lease over meanwhile; what was to be written is theirs to decide now."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was given; `fence` tells this holding from earlier and later ones of the same name."""

    name: str
    holder: str
    fence: int

    def require(self, connection: Connection) -> None:
        """Raises `LeaseLost` unless it still is ours; within a transaction it stays so until the commit."""
        if connection.execute(REQUIRE, [self.name, self.holder, self.fence]).fetchone() is None:
            raise LeaseLost(f"{self.holder} lost the lease {self.name!r} to another process")

    def release(self, connection: Connection) -> None:
        """Lets somebody else have it at once."""
        connection.execute(RELEASE, [self.name, self.holder, self.fence])


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has, or had, a lease."""

    holder: str
    renewed_at: datetime
    expires_at: datetime
    expired: bool
    expired_for: timedelta
    """Negative while it has not."""


def take(connection: Connection, name: str, holder: str, seconds: float) -> Lease | None:
    """Takes or renews the lease for so many seconds; None if another holder's has not expired.

    `holder` names the process, not the program: two processes of one name would both believe that it is theirs.
    """
    row = connection.execute(TAKE, {"name": name, "holder": holder, "seconds": seconds}).fetchone()
    return Lease(name, holder, row[0]) if row else None


def give_up(connection: Connection, name: str, holder: str) -> None:
    """Ends the holder's lease, if it has it."""
    connection.execute(GIVE_UP, [name, holder])


def holder_of(connection: Connection, name: str) -> Holder | None:
    """Who has the lease, or had it last; None if nobody ever had it."""
    row = connection.execute(HOLDER, [name]).fetchone()
    return Holder(*row) if row else None
