"""While there is no database, its outage is told directly: once, then now and then, and written down afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.observability.incidents import unresolved
from masterops_dagster.observability.outage import Outage

BEGAN = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)


class Told:
    """Takes what would be sent."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.reachable = True

    def __call__(self, change: str, title: str, text: str, since: datetime) -> list[str]:
        if not self.reachable:
            return []
        self.messages.append((title, text))
        return ["slack"]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def outage(tmp_path: Path, told: Told) -> Outage:
    return Outage(tmp_path / "watch" / "outage.json", told)


def after(**span: float) -> datetime:
    return BEGAN + timedelta(**span)


def test_a_restart_of_two_seconds_is_no_outage(
    outage: Outage, told: Told, database: psycopg.Connection[TupleRow]
) -> None:
    outage.goes_on(BEGAN, "connection refused")
    assert outage.over(database, after(seconds=2)) == "the database answers again, after 2 s"
    assert told.messages == []
    assert database.execute("select count(*) from ops.incidents").fetchone() == (0,)


def test_an_outage_is_told_once_then_every_quarter_of_an_hour(outage: Outage, told: Told) -> None:
    for seconds in range(0, 1000, 5):
        outage.goes_on(after(seconds=seconds), "connection refused")
    assert len(told.messages) == 2
    title, text = told.messages[0]
    assert "can't be reached" in title
    assert "03:00:00 UTC: connection refused" in text
    assert "masterops doctor" in text


def test_whoever_could_not_be_told_is_told_as_soon_as_a_channel_takes_it(outage: Outage, told: Told) -> None:
    told.reachable = False
    for seconds in (0, 10, 15):
        outage.goes_on(after(seconds=seconds), "connection refused")
    told.reachable = True
    outage.goes_on(after(seconds=20), "connection refused")
    outage.goes_on(after(seconds=25), "connection refused")
    assert len(told.messages) == 1


def test_a_process_that_was_killed_meanwhile_tells_nobody_twice(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "outage.json"
    for seconds in (0, 10):
        Outage(path, told).goes_on(after(seconds=seconds), "connection refused")
    Outage(path, told).goes_on(after(seconds=60), "connection refused")
    assert len(told.messages) == 1


def test_the_outage_becomes_an_incident_that_is_over(
    outage: Outage, told: Told, database: psycopg.Connection[TupleRow]
) -> None:
    for seconds in (0, 10):
        outage.goes_on(after(seconds=seconds), "connection refused")
    outage.over(database, after(minutes=5))
    row = database.execute("select began_at, opened_at, resolved_at, state, severity from ops.incidents").fetchone()
    assert row == (BEGAN, after(seconds=10), after(minutes=5), "resolved", "critical")
    changes = database.execute("select to_state, message from ops.alerts order by occurred_at").fetchall()
    assert changes == [("firing", "connection refused"), ("resolved", "the database answers again")]
    assert unresolved(database) == []
    assert told.messages[-1] == ("The database answers again", "It could not be reached for 300 s.")
    assert outage.over(database, after(minutes=6)) is None
