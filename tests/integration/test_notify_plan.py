"""What is told, to whom and when, as the outbox holds it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from masterops_dagster.observability.notify.message import Content
from masterops_dagster.observability.notify.plan import announce, digest, escalate
from tests.notifying import NOON, Connection, again, announced, opened, outbox, resolved

MINUTE = timedelta(minutes=1)
NIGHT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
"""Friday 23:00 in Melbourne."""
MORNING = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
"""Saturday 7:00."""

Story = list[tuple[str, str, str]]


def story(connection: Connection) -> Story:
    """Who is told what, and whether it waits."""
    return [(row["kind"], row["contact"], row["state"]) for row in outbox(connection)]


def sent(connection: Connection) -> None:
    """As if all that waits had been sent."""
    connection.execute("update ops.notifications set state = 'sent' where state = 'waiting'")


@pytest.fixture(autouse=True)
def _settings(state_dir: Path) -> None:
    (state_dir / "ports.json").write_text(json.dumps({"status-page": {"port": 3080}}))


def test_an_opening_says_what_since_when_the_impact_and_what_to_do(database: Connection) -> None:
    database.execute("insert into ops.origins values ('hubspot', 'stand-in world', true, now())")
    incident = announced(database, began_at=NOON - 5 * MINUTE)
    (row,) = outbox(database)
    content = Content.model_validate(row["content"])
    assert (content.what, content.since, content.impact) == (
        "3 checks in a row failed",
        NOON - 5 * MINUTE,
        "Nothing new from the CRM",
    )
    assert content.runbook == "http://127.0.0.1:3080/runbooks/integration_down"
    assert content.incident_url == f"http://127.0.0.1:3080/incidents/{incident.incident_id}"
    assert content.acknowledge == f"masterops alerts ack {str(incident.incident_id)[:8]}"
    assert content.simulated
    assert [channel["kind"] for channel in row["channels"]] == ["slack", "email", "webhook"]


def test_an_opening_is_written_once_however_often_it_is_announced(database: Connection, database_url: str) -> None:
    incident = announced(database)
    with psycopg.connect(database_url) as other:
        assert announce(other, incident, "opened", NOON + MINUTE) == 0
    assert story(database) == [("opened", "data-platform", "waiting")]


def test_what_the_caller_rolls_back_is_told_to_nobody(database: Connection) -> None:
    with database.transaction() as transaction:
        announce(database, opened(database), "opened", NOON)
        raise psycopg.Rollback(transaction)
    assert story(database) == []


def test_who_was_told_is_told_that_it_is_over_and_nobody_else(database: Connection) -> None:
    incident = announced(database)
    sent(database)
    assert resolved(database, incident, NOON + 20 * MINUTE) == 1
    assert story(database) == [("opened", "data-platform", "sent"), ("resolved", "data-platform", "waiting")]
    over = Content.model_validate(outbox(database)[1]["content"])
    assert (over.over_at, over.acknowledge) == (NOON + 20 * MINUTE, None)


def test_an_opening_that_nobody_tried_to_send_is_superseded_with_its_recovery(database: Connection) -> None:
    assert resolved(database, announced(database), NOON + MINUTE) == 0
    assert story(database) == [("opened", "data-platform", "superseded")]


def test_an_opening_that_no_channel_took_is_told_with_its_recovery(database: Connection) -> None:
    incident = announced(database)
    database.execute("update ops.notifications set state = 'failed', last_error = 'slack #alerts: 500'")
    assert resolved(database, incident, NOON + 20 * MINUTE) == 1
    assert story(database) == [("opened", "data-platform", "superseded"), ("resolved", "data-platform", "waiting")]
    assert "first that you hear of it" in outbox(database)[1]["content"]["note"]


def test_nobody_acknowledges_so_the_next_contact_is_told_by_another_channel(database: Connection) -> None:
    incident = announced(database)
    sent(database)
    assert incident.escalate_at == NOON + 15 * MINUTE
    assert escalate(database, NOON + 14 * MINUTE) == 0
    assert escalate(database, NOON + 15 * MINUTE) == 1
    assert escalate(database, NOON + 15 * MINUTE) == 0
    assert escalate(database, NOON + 30 * MINUTE) == 1
    assert escalate(database, NOON + 300 * MINUTE) == 0
    told = [(row["contact"], row["channel"], row["content"]["note"]) for row in outbox(database)[1:]]
    assert told == [
        ("data-platform-lead", "email", "Nobody acknowledged within 15 min. Told before you: Data platform."),
        ("management", "email", "Nobody acknowledged within 30 min. Told before you: Lead of the data platform."),
    ]
    sent(database)
    assert resolved(database, incident, NOON + 310 * MINUTE) == 3


def test_what_somebody_acknowledged_does_not_escalate(database: Connection) -> None:
    announced(database)
    database.execute("update ops.incidents set state = 'acknowledged'")
    assert escalate(database, NOON + 60 * MINUTE) == 0


def test_two_processes_take_an_escalation_step_once(database: Connection, database_url: str) -> None:
    announced(database)
    with psycopg.connect(database_url, autocommit=True) as other, database.transaction():
        assert escalate(database, NOON + 15 * MINUTE) == 1
        assert escalate(other, NOON + 15 * MINUTE) == 0
    assert [row["kind"] for row in outbox(database)] == ["opened", "escalated"]


def test_warnings_are_held_over_night_and_critical_ones_never(database: Connection) -> None:
    warning = announced(database, NIGHT, severity="warning", cause="a")
    critical = announced(database, NIGHT, cause="b")
    states = {row["incident_id"]: (row["state"], row["next_attempt_at"]) for row in outbox(database)}
    assert states[warning.incident_id] == ("held", MORNING)
    assert states[critical.incident_id] == ("waiting", NIGHT)
    assert (warning.escalate_at, critical.escalate_at) == (MORNING + 15 * MINUTE, NIGHT + 15 * MINUTE)


def test_a_warning_that_was_told_before_the_night_escalates_in_the_morning(database: Connection) -> None:
    evening = NIGHT - timedelta(hours=2, minutes=10)
    incident = announced(database, evening, severity="warning")
    assert escalate(database, evening + 15 * MINUTE) == 0
    assert again(database, incident.incident_id).escalate_at == MORNING + 15 * MINUTE
    assert escalate(database, MORNING + 15 * MINUTE) == 1


def test_a_warning_that_is_over_by_morning_is_told_to_nobody(database: Connection) -> None:
    incident = announced(database, NIGHT, severity="warning")
    assert resolved(database, incident, NIGHT + 60 * MINUTE) == 0
    assert story(database) == [("opened", "data-platform", "superseded")]


def test_a_held_warning_that_gets_critical_is_told_at_once_and_once(database: Connection) -> None:
    incident = announced(database, NIGHT, severity="warning")
    database.execute("update ops.incidents set severity = 'critical', escalation_step = 0, escalate_at = null")
    with database.transaction():
        assert announce(database, again(database, incident.incident_id), "escalated", NIGHT + MINUTE) == 1
    assert story(database) == [("opened", "data-platform", "superseded"), ("escalated", "data-platform", "waiting")]
    assert again(database, incident.incident_id).escalate_at == NIGHT + 16 * MINUTE


def test_low_severity_is_told_once_a_day_in_one_message(database: Connection) -> None:
    first = announced(database, severity="info", cause="a", title="Token expires in 20 days")
    second = announced(database, NOON + MINUTE, severity="info", cause="b", title="Requests were slow")
    assert resolved(database, second, NOON + 30 * MINUTE) == 0
    at = NOON + timedelta(hours=19, minutes=59)
    assert digest(database, at) == 0
    assert digest(database, at + MINUTE) == 1
    assert digest(database, at + 2 * MINUTE) == 0
    (row,) = [row for row in outbox(database) if row["kind"] == "digest"]
    content = Content.model_validate(row["content"])
    assert [(item.title, item.over_at) for item in content.items] == [
        ("Token expires in 20 days", None),
        ("Requests were slow", NOON + 30 * MINUTE),
    ]
    assert (row["contact"], row["state"]) == ("data-platform", "waiting")
    assert again(database, first.incident_id).escalate_at is None


def test_what_a_digest_told_is_over_in_the_next_digest(database: Connection) -> None:
    incident = announced(database, severity="info")
    eight = NOON + timedelta(hours=20)
    digest(database, eight)
    assert resolved(database, incident, eight + MINUTE) == 1
    assert digest(database, eight + timedelta(hours=23)) == 0
    assert digest(database, eight + timedelta(hours=24)) == 1


def test_a_digest_that_was_missed_comes_later(database: Connection) -> None:
    announced(database, severity="info")
    assert digest(database, NOON + timedelta(days=3)) == 1


def test_a_clock_that_goes_back_over_the_digest_loses_and_doubles_nothing(database: Connection) -> None:
    announced(database, severity="info", cause="a", title="before")
    eight = NOON + timedelta(hours=20)
    digest(database, eight)
    announced(database, eight - 60 * MINUTE, severity="info", cause="b", title="after the clock went back")
    digest(database, eight)
    digest(database, eight + MINUTE)
    told = [row["content"]["items"][0]["title"] for row in outbox(database) if row["kind"] == "digest"]
    assert sorted(told) == ["after the clock went back", "before"]


def test_a_clock_that_is_set_back_delays_an_escalation_by_no_more_than_its_step(database: Connection) -> None:
    announced(database, NOON + timedelta(hours=6))
    assert escalate(database, NOON) == 0
    assert escalate(database, NOON + 15 * MINUTE) == 1
    assert escalate(database, NOON + 16 * MINUTE) == 0


def test_a_clock_in_another_year_finds_its_month(database: Connection) -> None:
    later = NOON + timedelta(days=400)
    incident = opened(database)
    with database.transaction():
        assert announce(database, incident, "opened", later) == 1
