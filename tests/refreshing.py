"""A refresh as Dagster does it, without Dagster: accounts over HTTP, dbt's staging, identity, the rest of dbt.

`Platform` is a database with stand-ins before it, for the tests of a module. Its business time is turned to quiet
hours, in which nothing happens in the world, so that what was read is what the world is asked about.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.cli.main import app
from masterops_dagster.database import connection, dbt
from masterops_dagster.identity import resolve
from masterops_dagster.settings import settings
from masterops_dagster.simulator.world import clock as world_clock
from masterops_dagster.simulator.world.records import millis, moment
from masterops_dagster.simulator.world.store import World
from masterops_dagster.sources.ingest import Window, ingest
from tests.dbt_in_process import Dbt
from tests.stand_ins import StandIns, start_stand_ins

LONG_ENOUGH = timedelta(minutes=20)
"""How long a quiet time must be: a refresh on a busy machine is far shorter."""

AT_FULL_SPEED = {
    "MASTEROPS_WOOCOMMERCE_REQUESTS_PER_SECOND": "1000",
    "MASTEROPS_N8N_REQUESTS_PER_SECOND": "1000",
    "MASTEROPS_HUBSPOT_SEARCH_REQUESTS_PER_SECOND": "1000",
    "MASTEROPS_HUBSPOT_REQUESTS_PER_10_SECONDS": "10000",
}
"""The stand-ins' limits are out of reach."""

EVENTS = """
-- the moments between two others at which the world changes
select visible_from as at from records where visible_from between :since and :until
union
select visible_to from records where visible_to between :since and :until
union
select visible_from from associations where visible_from between :since and :until
union
select visible_to from associations where visible_to between :since and :until
order by 1
"""


@dataclass
class Platform:
    """A migrated database, a world behind stand-ins, and what leads from the one to the other."""

    connection: psycopg.Connection[TupleRow]
    stand_ins: StandIns
    dbt: Dbt
    _staging_is_made: bool = False

    @property
    def world(self) -> World:
        return self.stand_ins.world()

    def refresh(self, *accounts: Account, window: Window | None = None) -> None:
        """What changed in these accounts (none named: all) comes in and reaches the KPIs."""
        for account in accounts or ACCOUNTS:
            ingest(account, window=window or Window.live())
        self.build()

    def build(self) -> None:
        """From the raw tables to the KPIs. Staging, being views, is made once."""
        if not self._staging_is_made:
            self.dbt("run", "--select", "staging")
            self._staging_is_made = True
        resolve(self.connection)
        self.dbt("run", "--exclude", "staging")

    def run(self, *arguments: str) -> str:
        """What `masterops …` prints; it must succeed."""
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.stdout

    def new_days(self, days: int) -> None:
        """`masterops world new-day`, then on to quiet hours."""
        self.run("world", "new-day", str(days))
        self.turn_to_quiet()

    def turn_to_quiet(self) -> None:
        """Moves business time on to the longest time of the next day in which nothing happens."""
        world = self.world
        since = world.now()
        until = world_clock.day_start(world_clock.melbourne_day(since) + timedelta(days=1))
        if until - since < timedelta(hours=6):
            since, until = until, until + timedelta(hours=20)
        self._set_clock(since)
        world.catch_up()
        world.close()
        with closing(sqlite3.connect(self.stand_ins.world_dir / "world.sqlite")) as database:
            between = {"since": millis(since), "until": millis(until)}
            events = [moment(at) for (at,) in database.execute(EVENTS, between)]
        length, start = max((end - begin, begin) for begin, end in pairwise([since, *events, until]))
        assert length > LONG_ENOUGH, f"nothing but {length} is quiet on {since:%Y-%m-%d}"
        self._set_clock(start + timedelta(seconds=1))

    def _set_clock(self, now: datetime) -> None:
        offset = clock.offset() + (now - clock.now())
        world_clock.set_offset(self.stand_ins.world_dir, offset)
        self.connection.execute(
            "insert into ops.clock (offset_seconds) values (%s)"
            " on conflict (singleton) do update set offset_seconds = excluded.offset_seconds",
            [offset.total_seconds()],
        )


@contextmanager
def platform_on(
    state: Path, database_url: str, patch: pytest.MonkeyPatch, temporary: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform on a state folder with a world in it. Settings must lead to the folder and the database already."""
    for name, value in (dbt.dbt_env(database_url) | AT_FULL_SPEED).items():
        patch.setenv(name, value)
    settings.cache_clear()
    stand_ins = start_stand_ins(state)
    try:
        stand_ins.calm()
        with connection.connect(database_url) as opened:
            ready = Platform(opened, stand_ins, Dbt(state / "dbt", temporary))
            ready.turn_to_quiet()
            yield ready
    finally:
        stand_ins.process.terminate()
        stand_ins.process.wait(10)
