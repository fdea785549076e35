"""The embedded server lives through kill -9, taken ports, half-made folders and root in a private folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from masterops_dagster.database import programs as programs_module
from masterops_dagster.database import server
from masterops_dagster.database.connection import DatabaseUnavailable, dagster_url, database_url
from masterops_dagster.settings import settings

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A server's folder inside a private folder."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    yield private / "postgres"
    server.stop(private / "postgres", mode="immediate")
    elsewhere = programs_module.data_home(private / "postgres")
    if elsewhere.is_relative_to(programs_module.OUTSIDE):
        shutil.rmtree(elsewhere)


def answers(url: str, question: str = "select 1") -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def in_another_process(directory: Path, code: str) -> list[str]:
    preparation = (
        "import pathlib, sys; from masterops_dagster.database import server; directory = pathlib.Path(sys.argv[1])"
    )
    return [sys.executable, "-c", f"{preparation}; {code}", str(directory)]


def test_a_new_server_answers_on_loopback_with_a_password_and_both_databases(directory: Path) -> None:
    running = server.start(directory)
    assert running.url.startswith("postgresql://postgres:")
    assert [answers(running.url_of(name), "select current_database()") for name in server.DATABASES] == [
        "masterops",
        "dagster",
    ]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(running.url.replace(running.password, "guess"))
    assert stat.S_IMODE((directory / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    assert running.password not in repr(running)
    listening = {
        found.laddr.ip for found in psutil.Process(running.pid).net_connections() if found.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_it_is_durable_speaks_utc_and_knows_every_alphabet(directory: Path) -> None:
    url = server.start(directory).url
    assert answers(url, "show fsync") == "on"
    assert answers(url, "show synchronous_commit") == "on"
    assert answers(url, "show data_checksums") == "on"
    assert answers(url, "show timezone") == "UTC"
    assert answers(url, "select lower('ÄÖÅ ΣΔ ЖЩ')") == "äöå σδ жщ"


def test_starting_twice_is_starting_once(directory: Path) -> None:
    assert server.start(directory) == server.start(directory)
    assert server.stop(directory)
    assert server.status(directory) is None
    assert not server.stop(directory)


def test_two_processes_that_start_it_at_once_get_the_same_server(directory: Path) -> None:
    command = in_another_process(directory, "print(server.start(directory).pid)")
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {process.communicate(timeout=60)[0].strip() for process in both}
    assert len(pids) == 1


def test_data_and_url_survive_a_restart(directory: Path) -> None:
    url = server.start(directory).url
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 42 as answer")
    server.stop(directory)
    assert server.start(directory).url == url
    assert answers(url, "select answer from kept") == 42


def test_after_kill_9_of_the_server_with_a_busy_session_it_starts_again(directory: Path) -> None:
    running = server.start(directory)
    busy = psycopg.connect(running.url)
    busy.execute("create table lost ()")
    killed = psutil.Process(running.pid)
    killed.kill()
    killed.wait()
    assert server.status(directory) is None
    again = server.start(directory)
    assert again.pid != running.pid
    assert answers(again.url, "select to_regclass('lost')") is None
    busy.close()


def test_a_pid_file_that_names_another_program_is_not_believed(directory: Path) -> None:
    running = server.start(directory)
    pid_file = directory / "data" / "postmaster.pid"
    left_behind = pid_file.read_text()
    for process in [psutil.Process(running.pid), *psutil.Process(running.pid).children()]:
        process.kill()
    another = subprocess.Popen(["sleep", "60"])
    pid_file.write_text(left_behind.replace(str(running.pid), str(another.pid), 1))
    assert server.status(directory) is None
    assert answers(server.start(directory).url) == 1
    assert another.poll() is None
    another.kill()
    another.wait()


def test_a_taken_port_is_left_to_its_owner(directory: Path) -> None:
    port = server.start(directory).port
    server.stop(directory)
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("127.0.0.1", port))
        owner.listen()
        again = server.start(directory)
        assert again.port != port
        assert answers(again.url) == 1


def test_a_half_made_folder_is_made_again(directory: Path) -> None:
    unfinished = directory / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    (directory / "password").write_text("of an attempt that was killed")
    assert answers(server.start(directory).url) == 1
    assert not unfinished.exists()


def test_data_of_another_major_version_is_refused_and_left_alone(directory: Path) -> None:
    server.start(directory)
    server.stop(directory)
    version = directory / "data" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(server.ServerFailed, match="made by PostgreSQL 14"):
        server.start(directory)


def test_programs_that_are_not_there_are_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(server.ServerFailed, match="nowhere"):
        server.start(directory, bin_dir=tmp_path / "nowhere")


def test_a_supervisor_owns_the_server_that_runs_in_the_foreground(directory: Path) -> None:
    left_over = server.start(directory)
    command = in_another_process(directory, "server.run_foreground(directory)")
    supervised = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while (found := server.status(directory)) is None or found.pid == left_over.pid:
        time.sleep(0.02)
    running = server.await_ready(directory)
    assert running.pid == supervised.pid
    session = psycopg.connect(running.url)
    supervised.send_signal(signal.SIGINT)
    assert supervised.wait(timeout=10) == 0
    assert not (directory / "data" / "postmaster.pid").exists()
    session.close()


def test_urls_lead_to_the_running_server_and_else_say_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTEROPS_STATE_DIR", str(directory.parent))
    monkeypatch.delenv("SUPABASE_DB_URL", raising=False)
    settings.cache_clear()
    with pytest.raises(DatabaseUnavailable, match="make up"):
        database_url()
    running = server.start(directory)
    assert database_url() == running.url
    assert dagster_url() == running.url_of("dagster")
    monkeypatch.setenv("MASTEROPS_ENV", "production")
    settings.cache_clear()
    with pytest.raises(DatabaseUnavailable, match="SUPABASE_DB_URL is not set"):
        database_url()
    settings.cache_clear()


if AS_ROOT:

    @pytest.fixture
    def without_user_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A machine whose `unshare` is refused, as in most containers."""
        refusing = tmp_path / "bin" / "unshare"
        refusing.parent.mkdir()
        refusing.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
        refusing.chmod(0o755)
        monkeypatch.setenv("PATH", f"{refusing.parent}:{os.environ['PATH']}")
        programs_module._namespaces_work.cache_clear()
        yield
        programs_module._namespaces_work.cache_clear()

    @pytest.mark.usefixtures("without_user_namespaces")
    def test_root_without_user_namespaces_serves_from_a_folder_outside_as_an_ordinary_user(directory: Path) -> None:
        running = server.start(directory)
        assert psutil.Process(running.pid).uids().effective != 0
        assert answers(running.url) == 1
        assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
        server.stop(directory)
        programs_module._namespaces_work.cache_clear()
        assert server.start(directory).url == running.url

    @pytest.mark.usefixtures("without_user_namespaces")
    def test_programs_in_a_private_folder_are_copied_for_the_ordinary_user(directory: Path) -> None:
        wheel = programs_module.locate().parent.parent
        private = directory.parent / "site-packages"
        shutil.copytree(wheel / "pginstall", private / wheel.name / "pginstall", copy_function=os.link)
        shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), private / f"{wheel.name}.libs")
        assert answers(server.start(directory, bin_dir=private / wheel.name / "pginstall" / "bin").url) == 1
