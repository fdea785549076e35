"""A lease is one process's at a time, and what a former holder still writes is refused."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import connect
from masterops_dagster.observability import leases

Connection = psycopg.Connection[TupleRow]


def test_a_lease_is_refused_while_another_process_has_it(database: Connection) -> None:
    assert leases.take(database, "monitor", "one", 30)
    assert leases.take(database, "monitor", "two", 30) is None
    assert leases.take(database, "other", "two", 30)


def test_a_lease_that_ran_out_goes_to_whoever_asks_and_the_former_holder_can_write_no_more(
    database: Connection,
) -> None:
    first = leases.take(database, "monitor", "one", 0)
    second = leases.take(database, "monitor", "two", 30)
    assert first is not None
    assert second is not None
    assert second.fence > first.fence
    second.require(database)
    with pytest.raises(leases.LeaseLost, match="one lost the lease 'monitor'"):
        first.require(database)
    assert leases.take(database, "monitor", "one", 30) is None


def test_renewing_keeps_the_fence(database: Connection) -> None:
    first, again = (leases.take(database, "monitor", "one", 30) for _ in range(2))
    assert first == again


def test_while_a_holder_writes_nobody_takes_over(database: Connection, database_url: str) -> None:
    lease = leases.take(database, "monitor", "one", 0)
    assert lease is not None
    with database.transaction(), connect(database_url, options="-c lock_timeout=200ms") as other:
        lease.require(database)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            leases.take(other, "monitor", "two", 30)


def test_who_gives_up_lets_the_next_one_in_at_once(database: Connection) -> None:
    assert leases.take(database, "monitor", "one", 30)
    leases.give_up(database, "monitor", "two")
    assert leases.take(database, "monitor", "two", 30) is None
    leases.give_up(database, "monitor", "one")
    seen = leases.holder_of(database, "monitor")
    assert seen is not None
    assert seen.expired
    assert leases.take(database, "monitor", "two", 30)
    assert leases.holder_of(database, "nobody's") is None
