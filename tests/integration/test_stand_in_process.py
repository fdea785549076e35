"""The stand-ins' process: quick to start, clean to stop, credentials kept, nothing lost to a kill -9."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from masterops_dagster.businesses import ACCOUNTS
from tests.stand_ins import StandIns, start_stand_ins

Start = Callable[[], StandIns]


@pytest.fixture
def start(small_world: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts stand-ins on this test's own copy of the small world; all are killed at the end."""
    state = tmp_path / "state"
    shutil.copytree(small_world, state)
    started: list[StandIns] = []

    def again() -> StandIns:
        started.append(start_stand_ins(state))
        return started[-1]

    yield again
    for one in started:
        one.process.kill()
        one.process.wait()


def secrets(entry: dict[str, str]) -> dict[str, str]:
    """What doesn't say where something is: the port may change."""
    return {name: value for name, value in entry.items() if not name.endswith("url")}


def test_it_starts_with_little_work_and_ends_cleanly_on_sigterm(start: Start) -> None:
    running = start()
    assert httpx.get(f"{running.origin}/healthz").json()["status"] == "ok"
    spent = psutil.Process(running.process.pid).cpu_times()
    assert spent.user + spent.system < 1.5  # seconds of one core; a busy machine takes longer by the clock
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert "Traceback" not in (running.state / "stand-ins.log").read_text()


def test_credentials_are_private_and_survive_a_restart(start: Start) -> None:
    first = start()
    path = first.world_dir / "endpoints.json"
    assert path.stat().st_mode & 0o777 == 0o600
    before = json.loads(path.read_text())
    first.process.kill()
    first.process.wait()
    start()
    after = json.loads(path.read_text())
    assert [secrets(entry) for entry in after.values()] == [secrets(entry) for entry in before.values()]
    assert set(after) == {*(account.key for account in ACCOUNTS), "slack", "email"}


def test_what_was_answered_survives_a_kill(start: Start) -> None:
    running = start()
    endpoint = running.endpoint("hubspot")
    headers = {"Authorization": f"Bearer {endpoint['access_token']}"}
    body = {"properties": {"email": "kept@example.com"}}
    created = httpx.post(f"{endpoint['base_url']}/crm/objects/2026-09/contacts", json=body, headers=headers)
    running.process.kill()
    running.process.wait()
    base_url = start().endpoint("hubspot")["base_url"]
    found = httpx.get(f"{base_url}/crm/objects/2026-09/contacts/{created.json()['id']}", headers=headers)
    assert found.json()["properties"]["email"] == "kept@example.com"


def test_a_taken_port_is_one_line_and_exit_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "masterops_dagster.simulator", "--state", str(tmp_path), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert port in ended.stderr
