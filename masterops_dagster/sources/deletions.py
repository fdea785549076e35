"""When a system says that suspiciously many rows are gone: nothing is marked until a person says that it is so.

A listing cut short, a lost permission or a wrong filter looks like a mass deletion. More than
`MASTEROPS_DELETIONS_HELD_PERCENT` of a stream's rows, and at least `MASTEROPS_DELETIONS_HELD_ROWS`, are held back. An
acceptance counts for as many rows as were held when it was given, and for one load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from masterops_dagster.businesses import Account
from masterops_dagster.settings import settings
from masterops_dagster.sources.ledger import Connection, Load
from masterops_dagster.sources.stream import Stream

ACCEPTED = "select accepted_rows from ops.held_deletions where account = %s and stream = %s"

HOLD = """
insert into ops.held_deletions (account, stream, held_rows, our_rows, load_id) values (%s, %s, %s, %s, %s)
on conflict (account, stream) do update set
    held_rows = excluded.held_rows, our_rows = excluded.our_rows, load_id = excluded.load_id,
    last_held_at = clock_timestamp()
"""

RELEASE = "delete from ops.held_deletions where account = %s and stream = %s"

HELD = """
select account, stream, held_rows, our_rows, held_since, accepted_rows, accepted_by
from ops.held_deletions
where account = any(%s) and held_rows > 0
order by account, stream
"""

ACCEPT = """
update ops.held_deletions set accepted_rows = held_rows, accepted_by = %s
where account = %s and stream = %s
returning held_rows
"""

EXPECT = """
insert into ops.held_deletions (account, stream, held_rows, our_rows, accepted_rows, accepted_by)
values (%s, %s, 0, 0, %s, %s)
on conflict (account, stream) do update set accepted_rows = excluded.accepted_rows, accepted_by = excluded.accepted_by
"""
ANY_NUMBER = 2**62


@dataclass(frozen=True, slots=True)
class HeldDeletions:
    """Rows of a stream that its system says are gone and that we still count. `held_since` is real time."""

    account: str
    stream: str
    held_rows: int
    our_rows: int
    held_since: datetime
    accepted_rows: int | None
    accepted_by: str | None

    @property
    def said(self) -> str:
        """In words."""
        return (
            f"{self.account} {self.stream}: the system says that {self.held_rows:,} of {self.our_rows:,} rows are "
            "gone; they are kept until somebody agrees"
        )


class DeletionGuard:
    """Decides for one stream whether so many deletions may be."""

    def __init__(self, connection: Connection, account: Account, stream: Stream) -> None:
        self._connection = connection
        self._named = [account.key, stream.name]
        row = connection.execute(ACCEPTED, self._named).fetchone()
        self._accepted = row[0] if row else None

    def holds_back(self, gone: int, of: int) -> bool:
        """Whether `gone` of `of` rows are too many to believe."""
        current = settings()
        if gone < current.deletions_held_rows or gone * 100 <= of * current.deletions_held_percent:
            return False
        return self._accepted is None or gone > self._accepted

    def hold(self, load: Load, our_rows: int) -> None:
        """Writes down what a load held back."""
        self._connection.execute(HOLD, [*self._named, load.held_back, our_rows, load.load_id])

    def release(self) -> None:
        """Nothing is held back any more."""
        self._connection.execute(RELEASE, self._named)


def held(connection: Connection, accounts: Sequence[Account]) -> list[HeldDeletions]:
    """What is held back for these accounts."""
    with connection.cursor(row_factory=class_row(HeldDeletions)) as cursor:
        return cursor.execute(HELD, [[account.key for account in accounts]]).fetchall()


def accept(connection: Connection, account: Account, stream: Stream, *, by: str) -> int:
    """Lets the next load mark as many rows as are held back now; returns how many."""
    row = connection.execute(ACCEPT, [by, account.key, stream.name]).fetchone()
    return int(row[0]) if row else 0


def expect(connection: Connection, account: Account, stream: Stream, *, by: str) -> None:
    """Lets the next load that compares mark any number: what the system holds was replaced on purpose."""
    connection.execute(EXPECT, [account.key, stream.name, ANY_NUMBER, by])
