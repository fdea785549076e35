"""kill -9 at the two moments that matter: before a message is sent, and between sending it and writing that down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from masterops_dagster import settings as settings_module
from masterops_dagster.observability.notify.deliver import Delivered, deliver
from tests.notifying import NOON, Connection, Receiver, opened, outbox, queued, receiving

DECIDES = """
import os, signal, sys
from datetime import datetime
from uuid import UUID
from masterops_dagster.database.connection import connect
from masterops_dagster.observability.incidents import incident
from masterops_dagster.observability.notify.plan import announce

connection = connect()
with connection.transaction():
    announce(connection, incident(connection, UUID(sys.argv[2])), "opened", datetime.fromisoformat(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""
SENDS = """
import sys
from datetime import datetime
from masterops_dagster.observability.notify.deliver import deliver

deliver(datetime.fromisoformat(sys.argv[1]), sender="the one that dies")
"""


@pytest.fixture
def receiver(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook receiver that the settings lead to, of this process and of those that it starts."""
    with receiving() as receiver:
        monkeypatch.setenv("MASTEROPS_ALERT_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("MASTEROPS_ENV", "production")  # Slack and mail are not set up
        settings_module.settings.cache_clear()
        yield receiver


def started(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, NOON.isoformat(), *arguments])


def test_a_kill_between_deciding_and_sending_loses_nothing(database: Connection, receiver: Receiver) -> None:
    incident = opened(database)
    assert started(DECIDES, str(incident.incident_id)).wait(60) == -signal.SIGKILL
    assert [row["state"] for row in outbox(database)] == ["waiting"]
    assert deliver(NOON, sender="the next one").sent == 1
    assert deliver(NOON, sender="the next one") == Delivered()
    assert [(got["title"], got["may_repeat"]) for got in receiver.got] == [("HubSpot can't be reached", False)]


def test_only_a_kill_between_sending_and_recording_repeats_a_message_and_it_says_so(
    database: Connection, receiver: Receiver
) -> None:
    queued(database)
    process = started(SENDS)

    def kill() -> tuple[int, dict[str, str]]:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        return 200, {}

    receiver.answer = kill
    assert process.wait(60) == -signal.SIGKILL
    receiver.answer = lambda: (200, {})
    assert deliver(NOON + timedelta(minutes=1), sender="the next one") == Delivered()  # perhaps it only is slow
    (row,) = outbox(database)
    assert (row["state"], row["claimed_by"]) == ("sending", "the one that dies")
    database.execute("update ops.notifications set claimed_until = clock_timestamp()")
    assert deliver(NOON + timedelta(minutes=3), sender="the next one").sent == 1
    assert deliver(NOON + timedelta(minutes=9), sender="the next one") == Delivered()
    assert [(key, got["may_repeat"]) for key, got in zip(receiver.keys, receiver.got, strict=True)] == [
        ("k", False),
        ("k", True),
    ]
    assert "This may be a repeat" in receiver.got[1]["text"]
