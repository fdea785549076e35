"""Rounds of health checks: what is due, what hangs, from when on something is down, and what counts for uptime."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from masterops_dagster.clock import business_day, day_start
from masterops_dagster.connectors.errors import AuthenticationError, Unavailable
from masterops_dagster.observability import leases
from masterops_dagster.observability.health import (
    Check,
    Probe,
    ProbeFailed,
    Reading,
    daily,
    maintenance,
    run_due,
    uptime,
    uptimes,
)
from masterops_dagster.observability.health.check import Condition

Database = psycopg.Connection[TupleRow]

START = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
ROUND = timedelta(seconds=15)


def check(name: str = "shop", **given: object) -> Check:
    made: dict[str, object] = {
        "id": name,
        "what": f"{name} answers",
        "probe": name,
        "every": ROUND,
        "timeout": timedelta(seconds=5),
        "system": "shopify",
        "account": "shopify_teelixir",
        "business_key": "teelixir",
    }
    return Check(**{**made, **given})  # type: ignore[arg-type]


@dataclass
class Place:
    """Something that is looked at, and does what the test says."""

    does: Callable[[], Reading] = Reading
    asked: list[datetime] = field(default_factory=list)

    def __call__(self, check: Check, at: datetime) -> Reading:
        self.asked.append(at)
        return self.does()

    def fails(self, error: Exception | None = None) -> None:
        def refuse() -> Reading:
            raise error or ProbeFailed("no answer: start it again")

        self.does = refuse

    def answers(self, **values: float) -> None:
        self.does = lambda: Reading(values)


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def rounds(database: Database, state_dir: object, place: Place) -> Callable[..., list[str]]:
    """Makes rounds 15 s apart, from where the last ones ended, and returns the status after each."""
    moments: list[datetime] = []

    def go_on(number: int = 1, one: Check | None = None) -> list[str]:
        statuses = []
        for _ in range(number):
            at = moments[-1] + ROUND if moments else START
            moments.append(at)
            run_due(database, [one or check()], at, holder="test", probes={"shop": place})
            statuses.append(state(database)["status"])
        return statuses

    return go_on


def state(database: Database, check_id: str = "shop") -> dict[str, object]:
    cursor = database.execute("select * from ops.health_states where check_id = %s", [check_id])
    row = cursor.fetchone()
    assert row is not None
    assert cursor.description is not None
    return dict(zip((column.name for column in cursor.description), row, strict=True))


# ---- from when on something is down


def test_it_is_down_after_so_many_failures_in_a_row_and_up_after_so_many_answers(
    database: Database, place: Place, rounds: Callable[..., list[str]]
) -> None:
    three = check(fail_after=3, recover_after=2)
    assert rounds(2, three) == ["up", "up"]
    place.fails()
    assert rounds(2, three) == ["up", "up"]
    place.answers()
    assert rounds(1, three) == ["up"]
    place.fails()
    assert rounds(3, three) == ["up", "up", "down"]
    down = state(database)
    assert down["first_failure_at"] == START + 5 * ROUND
    assert down["since"] == START + 7 * ROUND
    assert down["message"] == "no answer: start it again"
    assert down["last_ok_at"] == START + 4 * ROUND
    place.answers()
    assert rounds(1, three) == ["down"]
    place.fails()
    assert rounds(1, three) == ["down"]
    place.answers()
    assert rounds(2, three) == ["down", "up"]
    assert state(database)["first_failure_at"] is None


def test_it_is_degraded_only_if_it_stays_so(database: Database, place: Place, rounds: Callable[..., list[str]]) -> None:
    slow = check(degraded_unless=(Condition("response_ms", "<", 2000.0, "ms"),))
    place.answers(response_ms=10)
    rounds(1, slow)
    place.answers(response_ms=2500)
    assert rounds(2, slow) == ["up", "degraded"]
    assert state(database)["message"] == "response_ms is 2,500 ms, should be < 2,000 ms"
    place.answers(response_ms=10)
    assert rounds(2, slow) == ["degraded", "up"]


def test_a_condition_that_must_hold_fails_the_check(
    database: Database, place: Place, rounds: Callable[..., list[str]]
) -> None:
    silent = check(down_unless=(Condition("heartbeat_age_s", "<", 50.0, "s"),), fail_after=1)
    place.answers(heartbeat_age_s=49)
    assert rounds(1, silent) == ["up"]
    place.answers(heartbeat_age_s=51)
    assert rounds(1, silent) == ["down"]


def test_an_error_of_the_check_itself_is_no_failure_of_what_it_looks_at(
    database: Database, place: Place, rounds: Callable[..., list[str]]
) -> None:
    rounds(1)
    place.fails(KeyError("data"))
    assert rounds(2) == ["up", "unknown"]
    assert "the check itself is broken: KeyError" in str(state(database)["message"])
    assert uptime(database, "shop", START).day.percent == 100
    place.answers()
    assert rounds(1) == ["up"]


def test_messages_carry_account_operation_and_advice_but_no_secret(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch, rounds: Callable[..., list[str]]
) -> None:
    from masterops_dagster.settings import settings

    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat-ap1-very-secret")
    settings.cache_clear()
    refused = AuthenticationError(
        "the token pat-ap1-very-secret expired",
        system="hubspot",
        account="hubspot",
        operation="list owners",
        status=401,
    )
    place.fails(refused)
    rounds(1)
    said, detail = database.execute("select message, detail from ops.health_checks").fetchone() or ("", {})
    assert said == "hubspot: list owners (401): the token [redacted] expired Check the account's credentials."
    assert detail["error"] == "authentication"


# ---- when something is due


def test_a_check_is_made_when_it_is_due_and_sooner_while_in_doubt(
    database: Database, state_dir: object, place: Place
) -> None:
    rare = check(every=timedelta(minutes=5))
    probes: dict[str, Probe] = {"shop": place}

    def round_at(seconds: float) -> None:
        run_due(database, [rare], START + timedelta(seconds=seconds), holder="test", probes=probes)

    for seconds in (0, 15, 285, 298):
        round_at(seconds)
    assert [(at - START).total_seconds() for at in place.asked] == [0, 298]
    place.fails()
    for seconds in (600, 613, 620, 630):
        round_at(seconds)
    assert [(at - START).total_seconds() for at in place.asked[2:]] == [600, 613, 630]
    assert state(database)["status"] == "down"


def test_a_clock_that_was_ahead_stops_no_check(database: Database, state_dir: object, place: Place) -> None:
    probes: dict[str, Probe] = {"shop": place}
    for at in (START + timedelta(days=3), START, START + ROUND):
        run_due(database, [check()], at, holder="test", probes=probes)
    assert place.asked == [START + timedelta(days=3), START, START + ROUND]


def test_force_makes_all_that_is_given_and_leaves_the_rest(database: Database, state_dir: object, place: Place) -> None:
    probes: dict[str, Probe] = {"shop": place, "other": Place()}
    run_due(database, [check(), check("other")], START, holder="test", probes=probes)
    run_due(database, [check()], START, holder="test", probes=probes, force=True)
    assert len(place.asked) == 2
    assert state(database, "other")["status"] == "up"


def test_what_is_no_longer_declared_has_no_state(database: Database, state_dir: object) -> None:
    probes: dict[str, Probe] = {"shop": Place(), "other": Place()}
    run_due(database, [check(), check("other")], START, holder="test", probes=probes)
    run_due(database, [check("other")], START, holder="test", probes=probes)
    assert database.execute("select check_id from ops.health_states").fetchall() == [("other",)]


# ---- what hangs


@pytest.fixture
def hanging() -> Iterator[tuple[Place, threading.Event]]:
    release = threading.Event()

    def hang() -> Reading:
        release.wait(30)
        return Reading()

    yield Place(hang), release
    release.set()


def test_a_check_that_hangs_delays_no_other_and_no_next_round(
    database: Database, state_dir: object, hanging: tuple[Place, threading.Event]
) -> None:
    stuck, release = hanging
    good = Place()
    checks = [check("stuck", timeout=timedelta(seconds=2)), check("good")]
    probes: dict[str, Probe] = {"stuck": stuck, "good": good}
    seconds = []
    for number in range(3):
        began = time.monotonic()
        results = run_due(database, checks, START + number * ROUND, holder="test", probes=probes)
        seconds.append(time.monotonic() - began)
        assert [result.outcome for result in results] == ["timed_out", "ok"]
    assert seconds[0] < 4
    assert max(seconds[1:]) < 1.9  # nobody waits for it again
    assert len(stuck.asked) == 1
    assert "it has hung since 01:00:00 UTC" in str(state(database, "stuck")["message"])
    assert (state(database, "stuck")["status"], state(database, "good")["status"]) == ("down", "up")
    release.set()
    time.sleep(0.1)
    for number in (3, 4):
        run_due(database, checks, START + number * ROUND, holder="test", probes=probes)
    assert len(stuck.asked) == 3
    assert state(database, "stuck")["status"] == "up"


# ---- one at a time


def test_whoever_lost_the_lease_keeps_nothing(database: Database, database_url: str, state_dir: object) -> None:
    first = leases.take(database, "monitor", "first", seconds=0.05)
    assert first is not None
    place = Place()

    def taken_over_meanwhile() -> Reading:
        time.sleep(0.1)
        with psycopg.connect(database_url, autocommit=True) as other:
            assert leases.take(other, "monitor", "second", seconds=30) is not None
        return Reading()

    place.does = taken_over_meanwhile
    with pytest.raises(leases.LeaseLost):
        run_due(database, [check()], START, holder="first", probes={"shop": place}, lease=first)
    for table in ("health_checks", "health_states", "health_days"):
        assert database.execute(f"select count(*) from ops.{table}").fetchone() == (0,)
    second = leases.take(database, "monitor", "second", seconds=30)
    run_due(database, [check()], START, holder="second", probes={"shop": Place()}, lease=second)
    assert database.execute("select checked_by from ops.health_checks").fetchall() == [("second",)]


def test_two_that_check_at_once_lose_no_count(database: Database, database_url: str, state_dir: object) -> None:
    def many(holder: str) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            for number in range(10):
                probes: dict[str, Probe] = {"shop": Place(), "other": Place()}
                checks = [check(), check("other")] if holder == "a" else [check("other"), check()]
                run_due(connection, checks, START + number * ROUND, holder=holder, probes=probes, force=True)

    threads = [threading.Thread(target=many, args=(holder,)) for holder in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(database)["successes"] == 20
    assert uptime(database, "shop", START).day.checks == 20


# ---- uptime


def test_maintenance_is_excused_from_uptime(database: Database, place: Place, rounds: Callable[..., list[str]]) -> None:
    for matches, start, end in (
        ({"account": "shopify_teelixir"}, START + 4 * ROUND, START + 8 * ROUND),
        ({"account": "hubspot"}, START, START + timedelta(hours=1)),
        ({"rule": "integration_down"}, START, START + timedelta(hours=1)),
    ):
        database.execute(
            "insert into ops.silences (kind, matches, starts_at, ends_at, created_by, reason)"
            " values ('maintenance', %s, %s, %s, 'test', 'new server')",
            [Jsonb(matches), start, end],
        )
    rounds(4)
    place.fails()
    rounds(5)
    assert [window.reason for window in maintenance(database, START + 5 * ROUND)] == ["new server"] * 3
    found = uptime(database, "shop", START).day
    assert (found.checks, found.failed, found.excused) == (9, 1, 4)
    assert found.percent == 80
    assert state(database)["status"] == "down"
    excused = database.execute("select count(*) from ops.health_checks where excused").fetchone()
    assert excused == (4,)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-10-04", 23), ("2026-04-05", 25), ("2026-11-25", 24)], ids=["spring", "autumn", "usual"]
)
def test_a_day_of_uptime_is_a_melbourne_day_however_long(
    database: Database, state_dir: object, place: Place, day: str, hours: int
) -> None:
    """A check each half hour of three days; the first hour of the middle one fails."""
    start = day_start(business_day(datetime.fromisoformat(f"{day}T12:00+00:00")))
    end = start + timedelta(hours=hours)
    assert business_day(end) == business_day(start) + timedelta(days=1)
    database.execute("select ops.ensure_partitions(%s, %s)", [start - timedelta(days=1), end])
    half_hourly = check(every=timedelta(minutes=30))
    at = start - timedelta(hours=2)
    while at < end + timedelta(hours=2):
        place.fails() if start <= at < start + timedelta(hours=1) else place.answers(response_ms=42)
        run_due(database, [half_hourly], at, holder="test", probes={"shop": place}, force=True)
        at += timedelta(minutes=30)
    before, of_day, after = daily(database, "shop", end, days=3)
    assert (before.checks, of_day.checks, after.checks) == (4, 2 * hours, 4)
    assert (before.percent, after.percent) == (100, 100)
    assert of_day.percent == pytest.approx(100 * (2 * hours - 2) / (2 * hours))
    found = uptimes(database, end)["shop"]
    assert found == uptime(database, "shop", end)
    assert (found.day.checks, found.week.checks, found.month.failed) == (4, 2 * hours + 8, 2)
    assert found.day.p50_ms == pytest.approx(42.5)
    assert daily(database, "unknown", end)[0].percent is None


def test_the_days_of_uptime_end_where_they_should(database: Database, state_dir: object) -> None:
    today = business_day(START)
    for back in (0, 6, 7, 29, 30, 89, 90):
        database.execute(
            "insert into ops.health_days (check_id, day, checks, failed) values ('shop', %s, 10, 1)",
            [today - timedelta(days=back)],
        )
    found = uptime(database, "shop", START)
    assert [period.checks for period in (found.day, found.week, found.month, found.ninety_days)] == [10, 20, 40, 60]
    assert found.ninety_days.percent == 90
    assert len(daily(database, "shop", START)) == 90


def test_an_unavailable_system_is_a_failure_whatever_its_words(
    database: Database, place: Place, rounds: Callable[..., list[str]]
) -> None:
    place.fails(Unavailable("502", system="shopify", account="shopify_teelixir", operation="get the store", status=502))
    assert rounds(2) == ["unknown", "down"]
