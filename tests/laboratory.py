"""A laboratory for loads: what they leave is held against what loads leave that nothing disturbed, row for row.

Its world has moved on since the databases that it copies were loaded, and stands still from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account
from masterops_dagster.connectors.telemetry import InMemorySink, RequestEvent
from masterops_dagster.database import connection
from masterops_dagster.settings import settings
from masterops_dagster.sources.ingest import ingest
from tests.fault_matrix import LOADED
from tests.stand_ins import StandIns

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.refreshing import Platform

DAYS_BETWEEN = 2

TABLES = """
select table_name from information_schema.columns
where table_schema = %s and column_name = '_load_id'
order by table_name
"""
ROWS = """
select (to_jsonb(t) - '{{_load_id,_loaded_at,_deleted_at}}'::text[])::text, _deleted_at is null
from {} t
order by 1
"""
BOOKS = {
    "cursors": "select stream, watermark from ops.cursors order by 1",
    "letters": "select stream, external_id, reason, status from ops.dead_letters order by 1, 2",
    "running": "select stream from ops.loads where status = 'running'",
}

Content = dict[str, list[TupleRow]]


def content(of: Account) -> Content:
    """The account's rows but for the numbers and times of their loads, and the books that loads go by."""
    with connection.connect() as database:
        tables = [name for (name,) in database.execute(TABLES, [of.schema])]
        rows = {
            name: database.execute(sql.SQL(ROWS).format(sql.Identifier(of.schema, name))).fetchall() for name in tables
        }
        return rows | {name: database.execute(query).fetchall() for name, query in BOOKS.items()}


@dataclass
class Laboratory:
    """Stand-ins whose world has moved on since `before` was loaded from it; each load gets a database of its own."""

    stand_ins: StandIns
    databases: Databases
    before: str
    undisturbed: dict[tuple[str, bool], Content] = field(default_factory=dict)

    @contextmanager
    def database(self, *, loaded_before: bool) -> Iterator[None]:
        """Settings lead to a database with nothing in it, or with what the accounts held two days ago."""
        with (
            pytest.MonkeyPatch.context() as patch,
            self.databases.copied(self.before if loaded_before else None) as url,
        ):
            patch.setenv("SUPABASE_DB_URL", url)
            settings.cache_clear()
            yield
            connection.close_pools()
        settings.cache_clear()

    def should_be(self, of: Account, *, loaded_before: bool) -> Content:
        """What loads that nothing disturbs leave."""
        if (of.key, loaded_before) not in self.undisturbed:
            self.stand_ins.calm()
            with self.database(loaded_before=loaded_before):
                load(of)
                self.undisturbed[of.key, loaded_before] = content(of)
        return self.undisturbed[of.key, loaded_before]


def load(of: Account) -> list[RequestEvent]:
    """The requests of a load of the streams that stand for the account."""
    sink = InMemorySink()
    ingest(of, LOADED[of.key], sink=sink)
    return list(sink.events)


def laboratory_with(accounts: Sequence[Account], platform: Platform, databases: Databases) -> Laboratory:
    """Loads the accounts into the platform's database, and moves its world on."""
    for one in accounts:
        load(one)
    platform.new_days(DAYS_BETWEEN)
    name = platform.connection.info.dbname
    platform.connection.close()
    connection.close_pools()
    return Laboratory(platform.stand_ins, databases, name)
