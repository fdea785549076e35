"""Alerts from the first bad reading to the recovery, on a real database, with a clock that the tests move."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import connect
from masterops_dagster.observability import leases
from masterops_dagster.observability.alerts import (
    Evaluation,
    NoSuchIncident,
    Rule,
    acknowledge,
    backtest,
    evaluate,
    load_rules,
    named,
    silence,
    timeline,
)
from masterops_dagster.observability.incidents import incident, unresolved
from tests.alerting import AT, History, Told

Connection = psycopg.Connection[TupleRow]
RULES = load_rules()
TICK = timedelta(seconds=15)


class Watch:
    """Evaluates every quarter of a minute, as the monitor does; remembers what was told."""

    def __init__(self, connection: Connection, rules: Sequence[Rule] = RULES) -> None:
        self.connection = connection
        self.history = History(connection)
        self.rules = rules
        self.told = Told()
        self.at = AT

    def look(self, at: datetime | None = None) -> Evaluation:
        self.at = at or self.at + TICK
        return evaluate(self.connection, self.rules, self.at, business_at=self.at, announce=self.told)

    def look_for(self, **how_long: float) -> None:
        """Goes on for so long, a look every quarter of a minute, or every two minutes of long stretches."""
        until = self.at + timedelta(**how_long)
        step = TICK if until - self.at <= timedelta(minutes=10) else timedelta(minutes=2)
        while self.at < until:
            self.look(self.at + step)

    def down(self, account: str = "hubspot") -> None:
        self.history.at = self.at
        self.history.health(
            f"integration_{account}", "down", self.at, system=account.partition("_")[0], account=account
        )

    def up(self, account: str = "hubspot") -> None:
        self.history.at = self.at
        self.history.health(f"integration_{account}", "up", self.at, system=account.partition("_")[0], account=account)

    def stale(self, *streams: str) -> None:
        """Streams of HubSpot that were read three hours ago."""
        for stream in streams:
            self.history.load("hubspot", stream, self.at - timedelta(hours=3))

    def read(self, *streams: str) -> None:
        for stream in streams:
            self.history.load("hubspot", stream, self.at)

    def states(self) -> dict[str, tuple[str, str | None]]:
        rows = self.connection.execute("select fingerprint, state, suppressed_by from ops.alert_states")
        return {row[0]: (row[1], row[2]) for row in rows}


@pytest.fixture
def watch(database: Connection) -> Watch:
    watching = Watch(database)
    for minutes in (8, 4, 0):  # watched for a while already
        watching.look(AT - timedelta(minutes=minutes))
    assert watching.told.said == []
    return watching


def test_a_fault_opens_one_incident_says_so_once_and_says_when_it_is_over(watch: Watch) -> None:
    watch.down()
    opened = watch.look()
    assert [one.title for one in opened.opened] == ["hubspot does not answer"]
    watch.look_for(minutes=5)
    assert watch.told.said == ["opened hubspot does not answer"]
    told = watch.told.messages[0][1]
    assert (told.severity, told.owner, told.account, told.system) == (
        "critical",
        "data-platform",
        "hubspot",
        "hubspot",
    )
    assert told.detail["message"] == "integration_hubspot: integration_hubspot is down"
    assert told.impact is not None
    assert "hubspot" in told.impact
    assert unresolved(watch.connection)[0].incident_id == told.incident_id

    watch.up()
    watch.look_for(minutes=2)
    assert watch.told.said[1:] == ["resolved hubspot does not answer"]
    assert unresolved(watch.connection) == []


def test_a_condition_must_hold_as_long_as_the_rule_says(watch: Watch) -> None:
    watch.history.health("integration_hubspot", "unknown", watch.at, system="hubspot", account="hubspot")
    watch.look_for(seconds=15)  # check_broken waits for half a minute
    assert watch.states()["check_broken:integration_hubspot"] == ("pending", None)
    assert watch.told.said == []
    watch.look_for(seconds=45)
    assert watch.told.said == ["opened The health check integration_hubspot can't be made"]


def test_what_ends_before_that_is_told_to_nobody(watch: Watch) -> None:
    watch.history.health("integration_hubspot", "unknown", watch.at, system="hubspot", account="hubspot")
    watch.look_for(seconds=15)
    watch.up()
    watch.look_for(minutes=3)
    assert watch.told.said == []
    assert watch.states() == {}


def test_many_subjects_of_one_cause_are_one_incident(watch: Watch) -> None:
    watch.stale("contacts", "companies", "deals")
    watch.look()
    assert watch.told.said == ["opened 3 streams of hubspot have not been read for long"]
    watch.stale("owners")
    watch.look()
    assert len(watch.told.messages) == 1
    (open_,) = unresolved(watch.connection)
    assert open_.title == "4 streams of hubspot have not been read for long"
    assert open_.detail["subjects"] == [f"hubspot.{name}" for name in ("companies", "contacts", "deals", "owners")]
    watch.read("contacts", "companies", "deals", "owners")
    watch.look()
    assert [kind for kind, _ in watch.told.messages] == ["opened", "resolved"]


def test_a_system_that_is_down_silences_its_stale_streams_which_speak_up_if_they_stay_stale(watch: Watch) -> None:
    streams = ("contacts", "companies", "deals", "owners", "line_items", "products")
    watch.down()
    watch.look()
    watch.stale(*streams)
    watch.look_for(minutes=5)
    assert watch.told.said == ["opened hubspot does not answer"]
    assert watch.states()["stream_stale:hubspot.deals"] == ("firing", "integration_down:integration_hubspot")

    watch.up()
    watch.look_for(minutes=20)  # it is up; the next hourly run may mend it, so nothing is said yet
    assert watch.told.said[1:] == ["resolved hubspot does not answer"]
    watch.read(*streams[1:])
    watch.look_for(minutes=70)
    assert watch.told.said[2:] == ["opened hubspot.contacts has not been read for long"]


def test_what_ends_together_with_its_explanation_says_nothing(watch: Watch) -> None:
    def n8n(status: str, failed: int) -> None:
        watch.history.at = watch.at
        watch.history.health("n8n_server", status, watch.at, system="n8n", account="n8n")
        watch.history.health("n8n_executions", "up", watch.at, system="n8n", account="n8n", failed_last_hour=failed)

    n8n("down", failed=2)
    watch.look_for(minutes=1)
    assert watch.states()["n8n_failing:n8n_executions"] == ("firing", "n8n_down:n8n_server")
    n8n("up", failed=0)
    watch.look_for(minutes=5)
    assert watch.told.said == ["opened n8n does not answer", "resolved n8n does not answer"]


def test_streams_of_another_account_are_not_explained_by_it(watch: Watch) -> None:
    watch.down("shopify_teelixir")
    watch.stale("contacts")
    watch.look()
    assert sorted(watch.told.said) == [
        "opened hubspot.contacts has not been read for long",
        "opened shopify_teelixir does not answer",
    ]


def test_a_run_is_explained_only_if_all_its_failed_accounts_are(watch: Watch) -> None:
    watch.down("hubspot")
    watch.look()
    watch.history.execution("dagster", "run", "refresh", "failed", watch.at, minutes=0, id="run-1")
    watch.history.load("hubspot", "contacts", watch.at, status="failed", run="run-1")
    watch.look()
    assert watch.told.said == ["opened hubspot does not answer"]
    watch.history.execution("dagster", "run", "sweep", "failed", watch.at, minutes=0, id="run-2")
    for account, stream in (("hubspot", "contacts"), ("unleashed_teelixir", "products")):
        watch.history.load(account, stream, watch.at, status="failed", run="run-2")
    watch.look()
    assert watch.told.said[1:] == ["opened sweep failed"]


def test_something_that_comes_and_goes_becomes_one_incident_until_it_is_quiet(watch: Watch) -> None:
    for _ in range(5):
        watch.down()
        watch.look_for(seconds=30)
        watch.up()
        watch.look_for(minutes=2)
    opened = [title for kind, title in watch.told.messages if kind == "opened"]
    assert len(opened) == 3
    assert len(unresolved(watch.connection)) == 1
    watch.look_for(minutes=40)
    assert unresolved(watch.connection) == []
    assert [kind for kind, _ in watch.told.messages] == ["opened", "resolved"] * 3


def test_worse_is_told_and_waits_for_somebody_again(watch: Watch) -> None:
    watch.history.execution("dagster", "run", "refresh", "failed", watch.at, minutes=0)
    watch.look()
    first = watch.told.messages[0][1]
    assert first.severity == "warning"
    acknowledge(watch.connection, first.incident_id, "ada", watch.at)
    for minutes in (1, 2):
        watch.history.execution("dagster", "run", "refresh", "failed", watch.at + timedelta(seconds=minutes), minutes=0)
    watch.look()
    assert watch.told.said[1:] == ["worsened refresh failed"]
    worse = incident(watch.connection, first.incident_id)
    assert worse is not None
    assert (worse.severity, worse.state, worse.acknowledged_by) == ("critical", "open", None)


def test_acknowledging_stays_until_it_is_over_and_is_written_down(watch: Watch) -> None:
    watch.down()
    watch.look()
    (open_,) = unresolved(watch.connection)
    assert named(watch.connection, str(open_.incident_id)[:8]) == open_.incident_id
    watch.at += TICK
    taken = acknowledge(watch.connection, open_.incident_id, "ada", watch.at)
    assert (taken.state, taken.acknowledged_by) == ("acknowledged", "ada")
    again = acknowledge(watch.connection, open_.incident_id, "bob", watch.at)
    assert again.acknowledged_by == "ada"
    watch.look()
    assert watch.states()["integration_down:integration_hubspot"][0] == "acknowledged"
    watch.up()
    watch.look_for(minutes=1)
    entries = timeline(watch.connection, open_.incident_id)
    assert [(entry.what, entry.state, entry.who) for entry in entries] == [
        ("alert", "firing", None),
        ("alert", "acknowledged", "ada"),
        ("alert", "resolved", None),
    ]
    with pytest.raises(NoSuchIncident, match="no incident"):
        acknowledge(watch.connection, uuid4(), "ada", watch.at)
    with pytest.raises(NoSuchIncident, match="no incident 00000000"):
        named(watch.connection, "00000000")
    with pytest.raises(NoSuchIncident, match="at least 8"):
        named(watch.connection, "0")


def test_a_silence_keeps_quiet_about_what_it_names_and_what_still_holds_afterwards_speaks_up(watch: Watch) -> None:
    until = watch.at + timedelta(minutes=5)
    silence(watch.connection, {"account": "hubspot"}, until, "ada", "they move house", at=watch.at)
    watch.down("hubspot")
    watch.down("shopify_teelixir")
    watch.look_for(minutes=4)
    assert watch.told.said == ["opened shopify_teelixir does not answer"]
    watch.look_for(minutes=2)
    assert watch.told.said[1:] == ["opened hubspot does not answer"]


def test_what_gets_worse_under_a_silence_is_told_once_that_is_over(watch: Watch) -> None:
    watch.history.execution("dagster", "run", "refresh", "failed", watch.at, minutes=0)
    watch.look()
    silence(watch.connection, {"rule": "run_failed"}, watch.at + timedelta(minutes=2), "ada", "mine", at=watch.at)
    for seconds in (1, 2):
        watch.history.execution("dagster", "run", "refresh", "failed", watch.at + timedelta(seconds=seconds), minutes=0)
    watch.look_for(minutes=1)
    assert watch.told.said == ["opened refresh failed"]
    watch.look_for(minutes=2)
    assert watch.told.said[1:] == ["worsened refresh failed"]


def test_a_maintenance_window_in_which_all_is_mended_is_told_to_nobody(watch: Watch) -> None:
    until = watch.at + timedelta(minutes=30)
    silence(watch.connection, {"system": "hubspot"}, until, "ada", "upgrade", "maintenance", at=watch.at)
    watch.down()
    watch.look_for(minutes=5)
    watch.up()
    watch.look_for(minutes=40)
    assert watch.told.said == []


def test_a_silence_of_unknown_labels_or_of_the_past_is_refused(watch: Watch) -> None:
    with pytest.raises(ValueError, match="'colour' is no label"):
        silence(watch.connection, {"colour": "red"}, watch.at + TICK, "ada", "why", at=watch.at)
    with pytest.raises(ValueError, match="has passed"):
        silence(watch.connection, {}, watch.at, "ada", "why", at=watch.at)


def test_two_processes_at_once_open_one_incident_and_tell_it_once(watch: Watch, database_url: str) -> None:
    watch.down()
    watch.at += TICK
    told = [Told(), Told()]
    start = threading.Barrier(2)

    def process(number: int) -> None:
        with connect(database_url) as own:
            start.wait()
            evaluate(own, RULES, watch.at, business_at=watch.at, announce=told[number])

    threads = [threading.Thread(target=process, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(one.messages) for one in told) == [0, 1]
    assert len(unresolved(watch.connection)) == 1


def test_what_is_decided_stands_in_the_outbox_of_the_same_transaction(watch: Watch) -> None:
    watch.down()
    evaluate(watch.connection, RULES, watch.at + TICK, business_at=watch.at)
    (open_,) = unresolved(watch.connection)
    told = watch.connection.execute("select distinct incident_id, kind from ops.notifications").fetchall()
    assert told == [(open_.incident_id, "opened")]

    watch.up()
    with watch.connection.transaction(force_rollback=True):  # killed before the commit
        for minutes in (1, 2):
            evaluate(watch.connection, RULES, watch.at + timedelta(minutes=minutes), business_at=watch.at)
        assert unresolved(watch.connection) == []
    assert [one.incident_id for one in unresolved(watch.connection)] == [open_.incident_id]


def test_who_lost_the_lease_decides_nothing(watch: Watch) -> None:
    lease = leases.take(watch.connection, "monitor", "dagster 1", 30)
    assert lease is not None
    lease.release(watch.connection)
    assert leases.take(watch.connection, "monitor", "dagster 2", 30)
    watch.down()
    with pytest.raises(leases.LeaseLost):
        evaluate(watch.connection, RULES, watch.at + TICK, business_at=watch.at, lease=lease, announce=watch.told)
    assert unresolved(watch.connection) == []


def test_a_broken_signal_stops_no_other_rule_ends_no_alert_and_is_an_alert_itself(
    watch: Watch,
) -> None:
    watch.stale("contacts")
    watch.look()
    assert len(watch.told.said) == 1
    watch.connection.execute("alter table ops.loads rename column finished_at to ended_at")
    watch.down()
    looked = watch.look()
    assert "stream_ages" in looked.broken
    assert watch.told.said[1:] == ["opened hubspot does not answer"]
    watch.look_for(minutes=1)
    assert "opened Alert rules can't look at stream_ages" in watch.told.said
    watch.connection.execute("alter table ops.loads rename column ended_at to finished_at")
    watch.look_for(minutes=1)
    assert "resolved Alert rules can't look at stream_ages" in watch.told.said
    assert not any("resolved hubspot.contacts" in said for said in watch.told.said)


def test_after_the_platform_was_off_old_data_is_not_told_before_it_could_be_read(watch: Watch) -> None:
    watch.stale("contacts")
    watch.at += timedelta(hours=9)  # nobody watched over night
    watch.look_for(minutes=4)
    assert watch.told.said == []
    watch.look_for(minutes=2)
    assert watch.told.said == ["opened hubspot.contacts has not been read for long"]


def test_a_clock_that_jumps_back_and_forth_doubles_nothing_and_ends_nothing(watch: Watch) -> None:
    watch.down()
    watch.look()
    watch.look(watch.at - timedelta(hours=2))
    watch.look(watch.at + timedelta(hours=4))
    watch.look(watch.at - timedelta(hours=2))
    assert watch.told.said == ["opened hubspot does not answer"]
    watch.up()
    watch.look(watch.at - timedelta(hours=1))
    watch.look(watch.at + timedelta(hours=1))
    watch.look_for(minutes=1)
    assert watch.told.said[1:] == ["resolved hubspot does not answer"]


def test_a_clock_that_jumps_into_another_year_finds_a_place_for_what_it_tells(watch: Watch) -> None:
    watch.down()
    watch.look(watch.at + timedelta(days=400))
    assert watch.told.said == ["opened hubspot does not answer"]


def test_a_rule_that_was_taken_out_ends_its_incidents(watch: Watch) -> None:
    watch.down()
    watch.look()
    watch.rules = [rule for rule in RULES if rule.id == "disk_low"]
    watch.look()
    assert watch.told.said[1:] == ["resolved hubspot does not answer"]


def test_a_quiet_day_tells_nothing(watch: Watch) -> None:
    """Hourly loads, schedules that tick, requests that succeed, over four hours."""
    watch.history.empty_warehouse()
    watch.history.health("integration_hubspot", "up", watch.at, system="hubspot", account="hubspot")
    watch.history.execution("dagster", "schedule", "nightly_sweep", "succeeded", AT - timedelta(hours=13), minutes=0)
    watch.history.execution(
        "dagster", "schedule", "history_schedule", "succeeded", AT - timedelta(hours=11.5), minutes=0
    )
    night = AT - timedelta(hours=12.25)
    watch.history.execution("dagster", "schedule", "retention_schedule", "succeeded", night, minutes=0)
    watch.history.at = watch.at
    for minutes in range(0, 4 * 60, 4):
        moment = AT + timedelta(minutes=minutes)
        if moment.minute == 10 or minutes == 0:
            watch.history.execution(
                "dagster", "schedule", "hourly_refresh", "succeeded", moment - timedelta(minutes=1), minutes=0
            )
            watch.history.execution("dagster", "run", "refresh", "succeeded", moment - timedelta(minutes=1))
            for stream in ("contacts", "companies", "deals"):
                watch.history.load("hubspot", stream, moment)
            watch.history.requests("hubspot", 60, moment, seconds=60)
        if moment > watch.at:
            watch.look(moment)
    assert watch.told.said == []


# ---- the past


def rule(rule_id: str) -> Rule:
    return next(rule for rule in RULES if rule.id == rule_id)


def test_a_rule_tried_on_the_past_says_how_often_it_would_have_fired_and_writes_nothing(database: Connection) -> None:
    history = History(database)
    for hours in (50, 30, 3):
        history.load("hubspot", "contacts", AT - timedelta(hours=hours))
    before = database.execute("select count(*) from ops.alert_states").fetchone()
    done = backtest(database, rule("stream_stale"), AT, 3)
    assert [(firing.subject, firing.severity, firing.resolved_at is None) for firing in done.firings] == [
        ("hubspot.contacts", "warning", False),
        ("hubspot.contacts", "warning", False),
        ("hubspot.contacts", "warning", True),
    ]
    assert done.firings[1].fired_at == AT - timedelta(hours=30) + timedelta(hours=2, minutes=15)
    assert done.looks == 3 * 96 + 1
    assert database.execute("select count(*) from ops.alert_states").fetchone() == before


def test_a_rule_whose_signal_knows_only_the_present_says_so(database: Connection) -> None:
    with pytest.raises(ValueError, match="present only"):
        backtest(database, rule("run_stuck"), AT, 3)


def test_orders_are_missed_within_business_hours_only(database: Connection) -> None:
    history = History(database)
    history.empty_warehouse()
    friday_noon = AT.replace(day=27, hour=1, minute=0)  # 12:00 in Melbourne
    history.orders("shopify_teelixir", 20, friday_noon)
    monday = friday_noon + timedelta(days=3)
    for quarter in range(0, 4 * 24 * 4):
        history.load("shopify_teelixir", "orders", friday_noon + timedelta(minutes=15 * quarter))
    done = backtest(database, rule("no_orders"), monday + timedelta(hours=1), 3)
    assert [firing.severity for firing in done.firings] == ["warning"]
    (fired,) = done.firings
    assert timedelta(hours=2) <= fired.fired_at - friday_noon <= timedelta(hours=2, minutes=30)
    assert fired.resolved_at is None  # the week-end is no recovery

    database.execute(
        "insert into ops.origins (account, origin, simulated) values ('shopify_teelixir', 'a world', true)"
    )
    assert backtest(database, rule("no_orders"), monday, 3).firings == ()


def test_fewer_orders_than_on_other_such_days_are_told_and_the_rhythm_of_the_week_is_not(database: Connection) -> None:
    """Eight weeks with busy days, quiet nights and quieter week-ends; then a Thursday on which orders stop at noon."""
    history = History(database)
    history.empty_warehouse()
    noon = AT.replace(hour=1, minute=0)
    database.execute(
        """
        insert into marts.fct_orders (account, business_key, ordered_at)
        select 'shopify_teelixir', 'teelixir', hour + random() * interval '1 hour'
        from generate_series(%(from)s::timestamptz, %(last)s, interval '1 hour') as hour
        cross join lateral generate_series(1, (
            case when extract(hour from hour at time zone 'Australia/Melbourne') between 8 and 20 then 12 else 2 end
            * case when extract(isodow from hour at time zone 'Australia/Melbourne') > 5 then 0.5 else 1 end
            + random() * 4 - 2
        )::integer) as one
        """,
        {"from": noon - timedelta(weeks=9), "last": noon - timedelta(hours=1)},
    )
    database.execute(
        """
        insert into ops.loads (account, stream, kind, status, started_at, finished_at, business_at)
        select 'shopify_teelixir', 'orders', 'live', 'succeeded', at, at, at
        from generate_series(%s::timestamptz, %s, interval '15 minutes') as at
        """,
        [noon - timedelta(days=8), noon + timedelta(hours=4)],
    )
    database.execute("analyze marts.fct_orders, ops.loads")
    ordinary = backtest(database, rule("orders_unusual"), noon, 7, timedelta(hours=4))
    assert ordinary.firings == ()
    drop = backtest(database, rule("orders_unusual"), noon + timedelta(hours=4), 1, timedelta(minutes=15))
    (fired,) = drop.firings
    assert noon + timedelta(hours=1) < fired.fired_at <= noon + timedelta(hours=3, minutes=30)
