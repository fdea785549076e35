"""What masterops sends to Slack and by mail arrives in the world's inbox, and stays there."""

from __future__ import annotations

import json
import shutil
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from masterops_dagster.cli.problems import BadInput
from masterops_dagster.cli.world import app
from masterops_dagster.simulator.world.inbox import Inbox
from tests.stand_ins import StandIns, start_stand_ins


@pytest.fixture
def inbox(stand_ins: StandIns) -> Inbox:
    """The inbox, empty."""
    inbox = Inbox(stand_ins.world_dir)
    inbox.clear()
    return inbox


@pytest.fixture
def mail(stand_ins: StandIns) -> Iterator[smtplib.SMTP]:
    there = stand_ins.endpoint("email")
    with smtplib.SMTP(there["host"], int(there["port"]), timeout=10) as server:
        server.login(there["user"], there["password"])
        yield server


def letter(subject: str = "Bestände 健康", body: str = "Low: Chaga\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "masterops@example.com", "zoe@example.com", subject
    message.set_content(body)
    return message


def post(stand_ins: StandIns, path: str, token: str | None = None, **message: Any) -> httpx.Response:
    slack = stand_ins.endpoint("slack")
    headers = {"Authorization": f"Bearer {slack['bot_token'] if token is None else token}"} if token != "" else {}
    return httpx.post(slack["base_url"] + path, json=message, headers=headers)


def test_an_incoming_webhook_answers_ok_and_keeps_the_message(stand_ins: StandIns, inbox: Inbox) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*Chaga* is out"}}]
    for message in ({"text": "Orders are late"}, {"blocks": blocks}):
        answer = httpx.post(stand_ins.endpoint("slack")["webhook_url"], json=message)
        assert (answer.status_code, answer.text) == (200, "ok")
    assert [message.body for message in inbox.messages("slack")] == ["Orders are late", "*Chaga* is out"]
    assert inbox.messages()[1].payload == {"blocks": blocks}


def test_a_webhook_refuses_in_slacks_words(stand_ins: StandIns, inbox: Inbox) -> None:
    url = stand_ins.endpoint("slack")["webhook_url"]
    refusals = [httpx.post(url, content="{"), httpx.post(url, json={}), httpx.post(f"{url}x", json={"text": "x"})]
    expected = [(400, "invalid_payload"), (400, "no_text"), (404, "no_service")]
    assert [(answer.status_code, answer.text) for answer in refusals] == expected
    assert inbox.messages() == []


def test_a_bot_posts_to_a_channel_with_its_token(stand_ins: StandIns, inbox: Inbox) -> None:
    answer = post(stand_ins, "/api/chat.postMessage", channel="C0STOCK", text="Chaga is out").json()
    assert (answer["ok"], answer["channel"], answer["message"]["text"]) == (True, "C0STOCK", "Chaga is out")
    assert [message.recipients for message in inbox.messages("slack")] == [["C0STOCK"]]


@pytest.mark.parametrize(
    ("error", "token", "message"),
    [
        ("not_authed", "", {"channel": "C", "text": "x"}),
        ("invalid_auth", "xoxb-wrong", {"channel": "C", "text": "x"}),
        ("channel_not_found", None, {"text": "x"}),
        ("no_text", None, {"channel": "C"}),
    ],
)
def test_the_web_api_refuses_with_200_and_ok_false(
    stand_ins: StandIns, inbox: Inbox, error: str, token: str | None, message: dict[str, str]
) -> None:
    answer = post(stand_ins, "/api/chat.postMessage", token, **message)
    assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": error})
    assert inbox.messages() == []


def test_slacks_rate_limit_says_how_long_to_wait(stand_ins: StandIns, inbox: Inbox) -> None:
    stand_ins.misbehave("slack", "rate_limit", seconds=7, times=1)
    answers = [post(stand_ins, "/api/chat.postMessage", channel="C", text="x") for _ in range(2)]
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in answers] == [(429, "7"), (200, None)]
    assert len(inbox.messages()) == 1


def test_a_mail_arrives_with_what_a_person_reads(mail: smtplib.SMTP, inbox: Inbox) -> None:
    message = letter()
    message.add_alternative("<p>Low: Chaga</p>", subtype="html")
    message.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename="stock.csv")
    mail.send_message(message)
    (arrived,) = inbox.messages("email")
    assert (arrived.sender, arrived.recipients) == ("masterops@example.com", ["zoe@example.com"])
    assert (arrived.subject, arrived.body) == ("Bestände 健康", "Low: Chaga")
    assert [part["type"] for part in arrived.payload["parts"]] == ["text/plain", "text/html", "text/csv"]


def test_mail_is_taken_only_with_the_password(stand_ins: StandIns, inbox: Inbox) -> None:
    there = stand_ins.endpoint("email")
    with smtplib.SMTP(there["host"], int(there["port"]), timeout=10) as server:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            server.login(there["user"], "wrong")
        with pytest.raises(smtplib.SMTPSenderRefused):
            server.send_message(letter())
    assert inbox.messages() == []


@pytest.mark.parametrize(("kind", "code"), [("rate_limit", 451), ("server_error", 421)])
def test_a_mail_server_in_trouble_puts_mail_off(
    stand_ins: StandIns, mail: smtplib.SMTP, inbox: Inbox, kind: str, code: int
) -> None:
    stand_ins.misbehave("email", kind)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        mail.send_message(letter())
    assert refused.value.smtp_code == code
    assert inbox.messages() == []


def test_what_arrived_and_the_addresses_survive_a_kill(small_world: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(small_world, state)
    seen = []
    for text in ("before", "after"):
        running = start_stand_ins(state)
        seen.append({key: running.endpoint("email")[key] for key in ("port", "user", "password")})
        slack = running.endpoint("slack")
        seen[-1]["path"] = slack["webhook_url"].removeprefix(slack["base_url"])
        assert httpx.post(slack["webhook_url"], json={"text": text}).text == "ok"
        running.process.kill()
        running.process.wait()
    assert [message.body for message in Inbox(state / "world").messages()] == ["before", "after"]
    assert seen[0] == seen[1]


def test_the_command_shows_and_forgets(small_world: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(small_world / "world", state_dir / "world")
    kept = Inbox(state_dir / "world")
    kept.receive("slack", recipients=["C0STOCK"], sender="masterops", body="Chaga\nis out", payload={"text": "x"})
    kept.receive("email", recipients=["zoe@example.com"], sender="m@example.com", subject="Stock", body="x", payload={})

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["inbox", *arguments], catch_exceptions=False)
        return result.output

    shown = run()
    assert "slack  masterops -> C0STOCK\n    Chaga\n    is out\n" in shown
    assert "email  m@example.com -> zoe@example.com\n    Stock\n    x\n" in shown
    (message,) = json.loads(run("--json", "--channel", "slack"))
    assert (message["channel"], message["recipients"], message["payload"]) == ("slack", ["C0STOCK"], {"text": "x"})
    assert "1 simulated messages forgotten" in run("--channel", "email", "--clear")
    assert [message.channel for message in kept.messages()] == ["slack"]
    run("--clear", "--json")
    assert run() == "nothing has arrived\n"
    with pytest.raises(BadInput, match="known: slack, email"):
        run("--channel", "fax")
