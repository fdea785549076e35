"""The migrations of this repository, on the embedded server."""

from __future__ import annotations

from masterops_dagster.database.connection import connect
from masterops_dagster.database.migrations import migrate, pending


def test_a_migrated_database_has_nothing_pending(database_url: str) -> None:
    assert pending(database_url) == []
    assert migrate(database_url) == []


def test_business_time_is_real_time_plus_the_offset(database_url: str) -> None:
    with connect(database_url) as connection:
        connection.execute("insert into ops.clock (offset_seconds) values (86400)")
        assert connection.execute("select ops.now() - now() = interval '1 day'").fetchone() == (True,)
