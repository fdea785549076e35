"""Every system in every trouble: nothing is lost, nothing doubled, and a person is told what happened and what to do.

A cell meets its trouble twice. In a light dose a first load gets through by itself. In a heavy one a load that reads
what changed ends in the middle; once it is calm again another one brings all of it. Each time the content equals that
of loads which nothing disturbed, row for row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account, account
from masterops_dagster.connectors.telemetry import InMemorySink, RequestEvent
from masterops_dagster.database import connection
from masterops_dagster.settings import settings
from masterops_dagster.sources.ingest import IngestFailed, ingest
from tests.fault_matrix import LOADED, QUICK, TROUBLES, Trouble
from tests.stand_ins import StandIns

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.refreshing import Platform

pytestmark = pytest.mark.timeout(300)

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


@pytest.fixture(scope="module")
def laboratory(request: pytest.FixtureRequest, platform: Platform, databases: Databases) -> Laboratory:
    chosen = [item.callspec.params.get("of") for item in request.session.items if hasattr(item, "callspec")]
    for key in LOADED:
        if account(key) in chosen:
            load(account(key))
    platform.new_days(DAYS_BETWEEN)
    name = platform.connection.info.dbname
    platform.connection.close()
    connection.close_pools()
    return Laboratory(platform.stand_ins, databases, name)


CELLS = [
    pytest.param(
        account(key),
        trouble,
        id=f"{key}-{trouble.name}",
        marks=[] if (key, trouble.name) in QUICK else [pytest.mark.chaos],
    )
    for key in LOADED
    for trouble in TROUBLES
]


@pytest.mark.parametrize(("of", "trouble"), CELLS)
def test_a_system_in_trouble_loses_nothing_doubles_nothing_and_says_what_to_do(
    laboratory: Laboratory, of: Account, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble.light:
        should_be = laboratory.should_be(of, loaded_before=False)
        with laboratory.database(loaded_before=False):
            laboratory.stand_ins.misbehave(of.key, trouble.kind, **{"seed": 1, **trouble.light})
            assert any(map(trouble.strikes, load(of)))
            assert content(of) == should_be, "a light dose"
            laboratory.stand_ins.calm()

    should_be = laboratory.should_be(of, loaded_before=True)
    with laboratory.database(loaded_before=True):
        laboratory.stand_ins.misbehave(of.key, trouble.kind, **trouble.heavy)
        with monkeypatch.context() as hasty:
            for name, value in trouble.haste.items():
                hasty.setenv(name, value)
            settings.cache_clear()
            if trouble.ends_a_load_of(of.system):
                with pytest.raises(IngestFailed) as failed:
                    load(of)
                assert_a_person_knows(failed.value, of, trouble)
            else:
                load(of)
        settings.cache_clear()
        laboratory.stand_ins.calm()
        load(of)
        assert content(of) == should_be, "a heavy dose"


def assert_a_person_knows(failure: IngestFailed, of: Account, trouble: Trouble) -> None:
    """Each stream that failed names system, account and operation, and says what to do."""
    told = [stream.error for stream in failure.report.streams if stream.error is not None]
    assert told
    for error in told:
        account_key, operation, rest = error.split(": ", 2)
        assert account_key == of.key, error
        assert of.system in account_key
        assert re.match(r"(list|search|read|count|keys of|get|start|poll|fetch|bulk|token|find) \S", operation), error
        assert re.search(trouble.advice, rest), error
        assert error in str(failure)
