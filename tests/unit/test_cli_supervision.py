"""supervisord and what it leaves behind, with programs that cost nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from masterops_dagster.cli import lock
from masterops_dagster.cli.left_overs import end, left_overs
from masterops_dagster.cli.manifest import fingerprint
from masterops_dagster.cli.processes import LONGEST_SOCKET_PATH, PROGRAM_VARIABLE, STATE_VARIABLE, Places
from masterops_dagster.cli.supervision import Supervisor


def sleeper(state: Path, program: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, STATE_VARIABLE: str(state), PROGRAM_VARIABLE: program}
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    return started


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    from masterops_dagster.settings import settings

    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    monkeypatch.delenv("SUPABASE_DB_URL", raising=False)
    settings.cache_clear()
    supervisor = Supervisor(Places(tmp_path / "state"))
    yield supervisor
    supervisor.stop()
    settings.cache_clear()


def test_what_carries_the_state_folder_is_found_and_nothing_else_is(tmp_path: Path) -> None:
    ours, others = sleeper(tmp_path, "daemon"), sleeper(tmp_path / "other", "daemon")
    try:
        assert [process.pid for process in left_overs(tmp_path)] == [ours.pid]
        assert left_overs(tmp_path, program="webserver") == []
        end(left_overs(tmp_path), patience=2)
        assert not psutil.pid_exists(ours.pid)
        assert others.poll() is None
    finally:
        for process in (ours, others):
            process.kill()
            process.wait()


def test_supervisord_starts_is_found_and_stops_without_a_trace(supervisor: Supervisor) -> None:
    supervisor.start([])
    assert supervisor.answers()
    pid = supervisor.pid()
    assert pid is not None
    assert supervisor.stop()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not supervisor.pid_file.exists()
    assert not supervisor.socket.exists()
    assert not supervisor.stop()


def test_a_stale_pid_file_and_socket_do_not_keep_it_from_starting(supervisor: Supervisor) -> None:
    for file in (supervisor.socket, supervisor.pid_file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(supervisor.socket))
    supervisor.pid_file.write_text(str(os.getpid()))
    assert supervisor.pid() is None
    assert not supervisor.answers()
    supervisor.start([])
    assert supervisor.answers()


def test_a_killed_supervisord_is_started_again(supervisor: Supervisor) -> None:
    supervisor.start([])
    pid = supervisor.pid()
    assert pid is not None
    psutil.Process(pid).kill()
    deadline = time.monotonic() + 5
    while supervisor.answers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not supervisor.answers()
    supervisor.start([])
    assert supervisor.answers()


def test_a_folder_too_deep_for_a_socket_gets_a_short_private_one(tmp_path: Path) -> None:
    deep = Places(tmp_path / ("deep" * 30))
    supervisor = Supervisor(deep)
    assert len(os.fsencode(supervisor.socket)) <= LONGEST_SOCKET_PATH
    supervisor.start([])
    try:
        assert supervisor.answers()
        assert supervisor.socket.parent.stat().st_mode & 0o077 == 0
    finally:
        supervisor.stop()
    assert not supervisor.socket.parent.exists()


def test_stopping_one_installation_leaves_the_database_of_another_alone(supervisor: Supervisor, tmp_path: Path) -> None:
    """The settings of this process name the other one's."""
    from masterops_dagster.database import server
    from masterops_dagster.settings import settings

    other = settings().postgres_dir
    running = server.start(other)
    try:
        Supervisor(Places(tmp_path / "mine")).stop()
        assert server.status(other) == running
    finally:
        server.stop(other, mode="immediate")


def test_the_second_up_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    code = (
        "import sys, pathlib; from masterops_dagster.cli.lock import held\n"
        f"with held(pathlib.Path({str(path)!r}), waiting=lambda: print('waits', flush=True)): print('has', flush=True)"
    )
    with lock.held(path, waiting=lambda: None):
        holder = lock.holder(path)
        assert holder is not None
        assert holder.pid == os.getpid()
        second = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "waits\n"
    assert second.stdout.read() == "has\n"
    assert second.wait() == 0
    assert lock.holder(path) is None


def test_the_manifest_is_made_anew_for_content_only(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select 1")
    before = fingerprint(tmp_path)
    os.utime(tmp_path / "models" / "a.sql", (1, 1))
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").write_text("{}")
    assert fingerprint(tmp_path) == before
    (tmp_path / "models" / "a.sql").write_text("select 2")
    assert fingerprint(tmp_path) != before
