"""Messages leave the outbox, each once, whatever happens to channels, clock, database or the other sender."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from structlog.testing import capture_logs

from masterops_dagster import settings as settings_module
from masterops_dagster.database.connection import DatabaseUnavailable, connect
from masterops_dagster.observability.notify import deliver as module
from masterops_dagster.observability.notify.channels.slack import SlackWebhook
from masterops_dagster.observability.notify.channels.webhook import Webhook
from masterops_dagster.observability.notify.contacts import Address
from masterops_dagster.observability.notify.deliver import Delivered, deliver
from masterops_dagster.observability.notify.direct import tell
from masterops_dagster.simulator.world.inbox import Inbox
from tests.notifying import NOON, Connection, Receiver, announced, outbox, queued, receiving, resolved
from tests.stand_ins import StandIns

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SLACK, EMAIL = Address(kind="slack", to="#alerts"), Address(kind="email", to="zoe@example.com")
N8N = Address(kind="webhook", to="n8n")


@pytest.fixture
def receiver(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook receiver that the settings lead to."""
    with receiving() as receiver:
        monkeypatch.setenv("MASTEROPS_ALERT_WEBHOOK_URL", receiver.url)
        settings_module.settings.cache_clear()
        yield receiver


@pytest.fixture
def inbox(connected: StandIns) -> Inbox:
    """What arrives at the stand-in Slack and mail server, which the settings lead to."""
    inbox = Inbox(connected.world_dir)
    inbox.clear()
    return inbox


def the(database: Connection) -> dict[str, Any]:
    """The one message of the outbox."""
    (row,) = outbox(database)
    return row


# ---- what arrives


def test_slack_shows_what_since_when_impact_runbook_and_how_to_acknowledge(database: Connection, inbox: Inbox) -> None:
    incident = announced(database, title="<!channel> HubSpot & co", began_at=NOON - 5 * MINUTE)
    settings_module.settings().state_dir.joinpath("ports.json").unlink(missing_ok=True)
    assert deliver(NOON, sender="a").sent == 1
    (message,) = inbox.messages()
    assert message.recipients == ["#alerts"]
    said = str(message.payload["blocks"])
    for part in (
        "[critical] &lt;!channel&gt; HubSpot &amp; co",
        "3 checks in a row failed",
        "Fri 27 Nov 2026 11:55 AEDT",
        "Nothing new from the CRM",
        "docs/runbooks/integration_down.md",
        f"masterops alerts ack {str(incident.incident_id)[:8]}",
    ):
        assert part in said
    row = the(database)
    assert (row["state"], row["channel"], bool(row["external_id"])) == ("sent", "slack", True)
    assert row["sent_at"] >= NOON


def test_links_are_buttons_where_the_status_page_can_be_reached(
    database: Connection, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTEROPS_STATUS_URL", "https://status.example.com")
    settings_module.settings.cache_clear()
    incident = announced(database)
    deliver(NOON, sender="a")
    (actions,) = [block for block in inbox.messages()[0].payload["blocks"] if block["type"] == "actions"]
    assert [(button["text"]["text"], button["url"]) for button in actions["elements"]] == [
        ("Runbook", "https://status.example.com/runbooks/integration_down"),
        ("Incident", f"https://status.example.com/incidents/{incident.incident_id}"),
    ]


def test_mails_of_an_incident_are_a_thread_in_text_and_html(database: Connection, inbox: Inbox) -> None:
    channels = (EMAIL,)
    incident = announced(database, title="Preise <b>unter</b> Kosten 健康")
    database.execute(
        "update ops.notifications set content = content || %s, channels = %s, channel = 'email'",
        [
            psycopg.types.json.Jsonb({"channels": [one.model_dump() for one in channels], "simulated": True}),
            psycopg.types.json.Jsonb([one.model_dump() for one in channels]),
        ],
    )
    deliver(NOON, sender="a")
    resolved(database, incident, NOON + 12 * MINUTE)
    deliver(NOON + 12 * MINUTE, sender="a")
    opening, over = inbox.messages("email")
    assert opening.recipients == ["zoe@example.com"]
    assert opening.subject == "[critical] [simulated] Preise <b>unter</b> Kosten 健康"
    assert over.subject.startswith("[over] ")
    assert "12 min" in over.body
    first, second = (dict(message.payload["headers"]) for message in (opening, over))
    assert first["References"] == second["References"]
    assert first["Message-ID"] != second["Message-ID"]
    assert [part["type"] for part in opening.payload["parts"]] == ["text/plain", "text/html"]
    assert "&lt;b&gt;unter&lt;/b&gt;" in opening.payload["parts"][1]["text"]
    assert "Simulated data" in opening.body
    assert outbox(database)[0]["external_id"] == first["Message-ID"]


def test_a_webhook_gets_json_with_the_key_of_the_message(database: Connection, receiver: Receiver) -> None:
    queued(database, N8N, key="incident/opened/x", title="Chaga is out")
    deliver(NOON, sender="a")
    assert receiver.keys == ["incident/opened/x"]
    assert receiver.got[0]["title"] == "Chaga is out"
    assert receiver.got[0]["since"] == "2026-11-27T01:00:00+00:00"


# ---- channels that fail


def test_slack_that_asks_for_time_gets_it(database: Connection, connected: StandIns, inbox: Inbox) -> None:
    queued(database, SLACK, EMAIL)
    connected.misbehave("slack", "rate_limit", seconds=30.0, times=1)
    assert deliver(NOON, sender="a") == Delivered(failed=1)
    assert the(database)["last_error"] == "slack #alerts: slack answered 429: ratelimited"
    assert deliver(NOON + 29 * SECOND, sender="a") == Delivered()
    assert deliver(NOON + 31 * SECOND, sender="a") == Delivered(sent=1)
    assert [message.channel for message in inbox.messages()] == ["slack"]


def test_what_slack_asked_for_holds_for_other_messages_too(
    database: Connection, connected: StandIns, inbox: Inbox
) -> None:
    queued(database, SLACK, key="first")
    connected.misbehave("slack", "rate_limit", seconds=30.0, times=1)
    deliver(NOON, sender="a")
    queued(database, SLACK, key="second", at=NOON + 10 * SECOND)
    assert deliver(NOON + 15 * SECOND, sender="b") == Delivered(failed=1)
    assert inbox.messages() == []
    assert deliver(NOON + 31 * SECOND, sender="b") == Delivered(sent=2)


def test_slack_that_asks_for_much_time_is_passed_over(database: Connection, connected: StandIns, inbox: Inbox) -> None:
    queued(database, SLACK, EMAIL)
    connected.misbehave("slack", "rate_limit", seconds=600.0)
    assert deliver(NOON, sender="a") == Delivered(sent=1, failed=1, fell_back=1)
    assert [message.channel for message in inbox.messages()] == ["email"]


def test_slack_that_keeps_answering_500_is_passed_over_after_three_tries(
    database: Connection, connected: StandIns, inbox: Inbox
) -> None:
    queued(database, SLACK, EMAIL)
    connected.misbehave("slack", "server_error")
    assert deliver(NOON, sender="a") == Delivered(failed=1)
    assert deliver(NOON + 10 * SECOND, sender="a") == Delivered(failed=1)
    assert deliver(NOON + 30 * SECOND, sender="a") == Delivered(sent=1, failed=1, fell_back=1)
    assert [message.channel for message in inbox.messages()] == ["email"]
    assert the(database)["channel"] == "email"


def test_mail_that_is_refused_for_now_is_tried_again(database: Connection, connected: StandIns, inbox: Inbox) -> None:
    queued(database, EMAIL)
    connected.misbehave("email", "rate_limit", times=1)
    connected.misbehave("email", "server_error", after=1, times=1)
    assert deliver(NOON, sender="a") == Delivered(failed=1)
    assert "451 4.7.1" in the(database)["last_error"]
    assert deliver(NOON + 10 * SECOND, sender="a") == Delivered(failed=1)
    assert "421 4.3.0" in the(database)["last_error"]
    assert deliver(NOON + 30 * SECOND, sender="a") == Delivered(sent=1)
    assert len(inbox.messages()) == 1


def test_what_no_channel_takes_is_kept_and_sent_when_one_is_back(
    database: Connection, connected: StandIns, inbox: Inbox
) -> None:
    queued(database, SLACK, EMAIL)
    connected.misbehave("slack", "revoked")
    connected.misbehave("email", "server_error")
    for seconds in (0, 10, 30):
        deliver(NOON + seconds * SECOND, sender="a")
    row = the(database)
    assert (row["state"], row["channel"], len(row["channels"])) == ("failed", "slack", 2)
    connected.calm()
    assert deliver(NOON + 4 * MINUTE, sender="a") == Delivered()
    assert deliver(NOON + 6 * MINUTE, sender="a") == Delivered(sent=1)
    assert [message.channel for message in inbox.messages()] == ["slack"]


def test_a_channel_that_is_out_is_asked_once_in_a_round(database: Connection, receiver: Receiver) -> None:
    for number in range(20):
        queued(database, N8N, key=str(number))
    receiver.answer = lambda: (503, {})
    assert deliver(NOON, sender="a") == Delivered(failed=20)
    assert len(receiver.got) == 1


def test_a_message_whose_answer_was_lost_may_come_twice_and_says_so(
    database: Connection, connected: StandIns, inbox: Inbox
) -> None:
    queued(database, SLACK)
    connected.misbehave("slack", "reset", times=1)
    assert deliver(NOON, sender="a") == Delivered(failed=1)
    deliver(NOON + 10 * SECOND, sender="a")
    first, second = inbox.messages()
    assert "may be a repeat" not in first.body
    assert "may be a repeat" in second.body


def test_outside_local_a_channel_that_is_not_set_up_is_passed_over_loudly(
    database: Connection, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTEROPS_ENV", "production")
    settings_module.settings.cache_clear()
    queued(database, SLACK, N8N)
    with capture_logs() as logs:
        assert deliver(NOON, sender="a").sent == 1
    said = "slack is not set up: set MASTEROPS_SLACK_BOT_TOKEN or MASTEROPS_SLACK_WEBHOOK_URL"
    assert ("error", said) in [(line["log_level"], line["error"]) for line in logs]
    assert len(receiver.got) == 1


def test_no_secret_gets_into_errors_or_logs(
    database: Connection, connected: StandIns, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    hook = connected.endpoint("slack")["webhook_url"]
    gone = "http://127.0.0.1:9/hook/s3cret-path"
    channels: dict[Any, Any] = {"slack": SlackWebhook(hook[:-3]), "webhook": Webhook(gone)}
    with capture_logs() as logs, caplog.at_level("DEBUG"):
        queued(database, SLACK, N8N, key="a")
        deliver(NOON, sender="a", channels=channels)
        channels["slack"] = SlackWebhook(gone)
        queued(database, SLACK, key="b")
        deliver(NOON, sender="a", channels=channels)
    errors = " ".join(row["last_error"] for row in outbox(database))
    assert "slack can't be reached: ConnectionRefusedError" in errors
    assert len(logs) == 3
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpcore", "httpx"))]
    for secret in (hook[-12:-3], "s3cret"):
        assert secret not in f"{errors} {logs} {ours}"


def test_a_slack_webhook_of_ones_own_is_used(database: Connection, connected: StandIns, inbox: Inbox) -> None:
    queued(database, SLACK)
    hook = SlackWebhook(connected.endpoint("slack")["webhook_url"])
    assert deliver(NOON, sender="a", channels={"slack": hook}).sent == 1
    assert inbox.messages()[0].recipients == ["incoming webhook"]


def test_without_a_database_the_first_channel_that_works_is_told_directly(connected: StandIns, inbox: Inbox) -> None:
    connected.misbehave("slack", "server_error")
    assert tell("opened", "The database can't be reached", "No answer", NOON) == ["email data-platform@example.com"]
    assert inbox.messages()[0].subject == "[critical] The database can't be reached"


# ---- senders, clocks, the database


def test_two_senders_send_each_message_once(database: Connection, database_url: str, receiver: Receiver) -> None:
    for number in range(200):
        queued(database, N8N, key=str(number), severity=("critical", "warning")[number % 2])
    senders = [
        threading.Thread(target=deliver, args=(NOON,), kwargs={"sender": name, "url": database_url})
        for name in ("a", "b", "c")
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert Counter(receiver.keys) == Counter(str(number) for number in range(200))
    rows = outbox(database)
    assert {row["state"] for row in rows} == {"sent"}
    assert len({row["claimed_by"] for row in rows}) > 1
    assert not any(row["may_repeat"] for row in rows)


def test_a_recovery_never_overtakes_its_opening(database: Connection, connected: StandIns, inbox: Inbox) -> None:
    incident = announced(database)
    database.execute(
        "update ops.notifications set state = 'sending', claimed_by = 'dead',"
        " claimed_until = clock_timestamp() + interval '1 hour'"
    )
    assert resolved(database, incident, NOON + MINUTE) == 1
    assert deliver(NOON + MINUTE, sender="a") == Delivered()
    database.execute("update ops.notifications set claimed_until = clock_timestamp() where state = 'sending'")
    assert deliver(NOON + 2 * MINUTE, sender="a").sent == 2
    opening, over = (message.body for message in inbox.messages())
    assert "may be a repeat" in opening
    assert "[over]" in over


def test_a_clock_that_jumps_neither_loses_nor_doubles(database: Connection, receiver: Receiver) -> None:
    queued(database, N8N, key="from the future", at=NOON + timedelta(days=1))
    assert deliver(NOON, sender="a").sent == 1
    queued(database, N8N, key="failed in the future", at=NOON)
    receiver.answer = lambda: (503, {})
    deliver(NOON + timedelta(days=2), sender="a")
    receiver.answer = lambda: (200, {})
    assert deliver(NOON, sender="a").sent == 1
    for at in (NOON - timedelta(days=3), NOON + timedelta(days=30), NOON):
        assert deliver(at, sender="a") == Delivered()
    assert receiver.keys == ["from the future", "failed in the future", "failed in the future"]


def test_what_is_held_over_night_is_sent_when_the_night_is_over(database: Connection, inbox: Inbox) -> None:
    night = NOON + timedelta(hours=11)
    announced(database, night, severity="warning")
    assert deliver(night + timedelta(hours=7, minutes=59), sender="a") == Delivered()
    assert deliver(night + timedelta(hours=8), sender="a").sent == 1


def test_what_is_sent_while_the_database_goes_away_is_sent_once(
    database: Connection, database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.1)
    name = str(conninfo_to_dict(database_url)["dbname"])
    admin_url = database_url.replace(name, "postgres")
    queued(database, N8N)

    def close(open_again: bool = False) -> tuple[int, dict[str, str]]:
        with connect(admin_url) as admin:
            allow = sql.SQL("true" if open_again else "false")
            admin.execute(sql.SQL("alter database {} allow_connections {}").format(sql.Identifier(name), allow))
            if not open_again:
                admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        return 200, {}

    receiver.answer = close
    with pytest.raises(DatabaseUnavailable):
        deliver(NOON, sender="a", url=database_url)
    close(open_again=True)
    with connect(database_url) as back:
        assert the(back)["state"] == "sending"
        assert deliver(NOON + 10 * MINUTE, sender="a", url=database_url) == Delivered()
        assert the(back)["state"] == "sent"
    assert len(receiver.got) == 1


def test_a_database_that_is_back_soon_is_waited_for(
    database: Connection, database_url: str, receiver: Receiver
) -> None:
    queued(database, N8N)

    def cut() -> tuple[int, dict[str, str]]:
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'masterops notify'"
            " and datname = current_database()"
        )
        return 200, {}

    receiver.answer = cut
    assert deliver(NOON, sender="a", url=database_url).sent == 1
    assert (the(database)["state"], len(receiver.got)) == ("sent", 1)


def test_a_round_ends_in_time(database: Connection, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.2)
    receiver.answer = lambda: (time.sleep(0.3), (200, {}))[1]
    for number in range(3):
        queued(database, N8N, key=str(number))
    assert deliver(NOON, sender="a").sent == 1
    monkeypatch.setattr(module, "ROUND_SECONDS", 20)
    receiver.answer = lambda: (200, {})
    assert deliver(NOON, sender="a").sent == 2
