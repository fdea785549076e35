"""`masterops alerts test` says per channel what happened."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from masterops_dagster.cli.main import app
from masterops_dagster.simulator.world.inbox import Inbox
from tests.notifying import Connection, outbox
from tests.stand_ins import StandIns


def outcomes(said: str) -> list[tuple[str, str]]:
    return [(one["channel"], one["outcome"]) for one in json.loads(said)]


def test_a_test_message_goes_out_by_each_channel(database: Connection, connected: StandIns) -> None:
    inbox = Inbox(connected.world_dir)
    inbox.clear()
    ran = CliRunner().invoke(app, ["alerts", "test", "--json"])
    assert ran.exit_code == 0, ran.output
    assert outcomes(ran.stdout) == [("slack", "sent"), ("email", "sent"), ("webhook", "not set up")]
    assert sorted((message.channel, message.recipients) for message in inbox.messages()) == [
        ("email", ["data-platform@example.com"]),
        ("slack", ["#alerts"]),
    ]
    assert {row["state"] for row in outbox(database)} == {"sent", "superseded"}


def test_what_does_not_arrive_is_told_with_exit_code_1(database: Connection, connected: StandIns) -> None:
    connected.misbehave("email", "server_error")
    ran = CliRunner().invoke(app, ["alerts", "test", "--contact", "management", "--json"])
    assert ran.exit_code == 1
    assert outcomes(ran.stdout) == [("email", "failed"), ("slack", "sent")]
    assert "421 4.3.0 Try again later" in ran.stdout
    ran = CliRunner().invoke(app, ["alerts", "test", "--channel", "webhook"])
    assert ran.exit_code == 1
    assert "MASTEROPS_ALERT_WEBHOOK_URL" in "".join(ran.stdout.replace("│", "").split())
    assert {row["state"] for row in outbox(database)} == {"sent", "superseded"}


@pytest.mark.parametrize("wrong", [["--contact", "nobody"], ["--channel", "pager"]])
def test_a_contact_or_channel_that_there_is_not_sends_nothing(
    wrong: list[str], database: Connection, connected: StandIns
) -> None:
    ran = CliRunner().invoke(app, ["alerts", "test", *wrong])
    assert ran.exit_code == 2
    assert outbox(database) == []
