"""What a load stands on is killed, fills up or is poisoned; the next one leaves what an undisturbed one leaves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from masterops_dagster import clock
from masterops_dagster.businesses import account
from masterops_dagster.connectors.telemetry import RequestEvent
from masterops_dagster.database import connection, server
from masterops_dagster.settings import PROJECT_ROOT, settings
from masterops_dagster.sources.errors import LoadProblem
from masterops_dagster.sources.ingest import IngestFailed, ingest
from tests.laboratory import Laboratory, content, load
from tests.stand_ins import start_stand_ins

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.refreshing import Platform

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

TEELIXIR = account("unleashed_teelixir")
STREAMS = ("credit_notes", "warehouses")

COPYING = "select exists (select from pg_tables where schemaname = 'raw_unleashed_teelixir_staging')"


@pytest.fixture(scope="module")
def laboratory(platform: Platform, doomed_databases: Databases) -> Laboratory:
    """Its loads are first loads, into databases on a server that may be killed."""
    return Laboratory(platform.stand_ins, doomed_databases, before="")


class At:
    """A telemetry sink that does something at the nth request."""

    def __init__(self, number: int, do: Callable[[], object]) -> None:
        self._left = number
        self._do = do

    def record(self, event: RequestEvent) -> None:
        self._left -= 1
        if self._left == 0:
            self._do()


@contextmanager
def once(url: str, query: str, do: Callable[[], object]) -> Iterator[None]:
    """Does something, in a thread of its own, as soon as a query says true."""
    over = threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as watching:
            while not over.wait(0.002):
                if watching.execute(query.encode()).fetchone() == (True,):
                    do()
                    return

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    over.set()
    watcher.join()


def kill(running: server.Server) -> None:
    """The postmaster and all that it started, as if the power went."""
    postmaster = psutil.Process(running.pid)
    doomed = [postmaster, *postmaster.children(recursive=True)]
    for process in doomed:
        process.kill()
    psutil.wait_procs(doomed, timeout=10)


@pytest.fixture
def running(laboratory: Laboratory) -> server.Server:
    return server.start(laboratory.databases.running.directory)


def current_url() -> str:
    url = settings().supabase_db_url
    assert url is not None
    return url.get_secret_value()


def start_load(streams: str = ",".join(STREAMS), *days: date, on_a_disk_of: str = "") -> subprocess.Popen[str]:
    """A load in a process of its own, with the settings of this one; a backfill of these days if there are any.

    `on_a_disk_of`: dlt's folder is a disk of that size, as `mount` writes it, of which the others see nothing.
    """
    command = [
        sys.executable,
        "-m",
        "tests.one_load",
        TEELIXIR.key,
        streams,
        *(day.isoformat() for day in days),
    ]
    if on_a_disk_of:
        folder = settings().state_dir / "dlt"
        folder.mkdir(exist_ok=True)
        mount = 'mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"'
        command = [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            on_a_disk_of,
            str(folder),
            *command,
        ]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True)


def ending(process: subprocess.Popen[str]) -> str:
    """What the load said; nothing if it succeeded."""
    _, said = process.communicate()
    assert process.returncode in (0, 1), said
    return said if process.returncode else ""


@pytest.mark.parametrize("moment", ["while it reads", "while it copies", "while it compares"])
def test_postgresql_is_killed(laboratory: Laboratory, running: server.Server, moment: str) -> None:
    should_be = laboratory.should_be(TEELIXIR, loaded_before=False)
    with laboratory.database(loaded_before=False):
        requests = len(load(TEELIXIR))
    at = {"while it reads": At(2, lambda: kill(running)), "while it compares": At(requests, lambda: kill(running))}
    with laboratory.database(loaded_before=False):
        copying = once(current_url(), COPYING, lambda: kill(running)) if moment not in at else nullcontext()
        told = r"unleashed_teelixir: the database went away .* run the load again"
        with copying, pytest.raises(LoadProblem, match=told):
            ingest(TEELIXIR, STREAMS, sink=at.get(moment))
        connection.close_pools()
        assert server.start(running.directory).port == running.port
        load(TEELIXIR)
        assert content(TEELIXIR) == should_be


def test_the_process_of_a_first_load_is_killed(laboratory: Laboratory, running: server.Server) -> None:
    should_be = laboratory.should_be(TEELIXIR, loaded_before=False)
    with laboratory.database(loaded_before=False):
        process = start_load()
        with once(current_url(), COPYING, process.kill):
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        load(TEELIXIR)
        assert content(TEELIXIR) == should_be


def test_the_world_is_killed(laboratory: Laboratory, running: server.Server) -> None:
    should_be = laboratory.should_be(TEELIXIR, loaded_before=False)
    stand_ins = laboratory.stand_ins
    port = stand_ins.origin.rpartition(":")[2]
    with laboratory.database(loaded_before=False), pytest.MonkeyPatch.context() as hasty:
        hasty.setenv("MASTEROPS_REQUEST_DEADLINE_SECONDS", "2")
        settings.cache_clear()
        told = r"unleashed_teelixir: list .*: .*(Connection refused|broke off|disconnected).* try again later"
        with pytest.raises(IngestFailed, match=told):
            ingest(TEELIXIR, STREAMS, sink=At(2, stand_ins.process.kill))
        stand_ins.process.wait()
        laboratory.stand_ins = start_stand_ins(stand_ins.state, "--port", port)
        try:
            load(TEELIXIR)
            assert content(TEELIXIR) == should_be
        finally:
            laboratory.stand_ins.process.terminate()
            laboratory.stand_ins.process.wait(10)
            laboratory.stand_ins = start_stand_ins(stand_ins.state, "--port", port)


def test_two_backfills_and_the_schedule_load_one_account_at_once(
    laboratory: Laboratory, running: server.Server
) -> None:
    should_be = laboratory.should_be(TEELIXIR, loaded_before=False)
    today = clock.today()
    days = [today - timedelta(days=ago) for ago in (90, 60, 30, 0)]
    with laboratory.database(loaded_before=False):
        backfills = [start_load("credit_notes", days[n], days[n + 2]) for n in (0, 1)]
        at_once = [start_load(), *backfills]
        assert [ending(process) for process in at_once] == ["", "", ""]
        assert content(TEELIXIR) == should_be


@pytest.mark.parametrize("size", ["16k", "64k"])
def test_the_disk_of_dlts_folder_is_full(laboratory: Laboratory, running: server.Server, size: str) -> None:
    """The smaller one is too small for what is read, the other one for what dlt makes of it."""
    should_be = laboratory.should_be(TEELIXIR, loaded_before=False)
    with laboratory.database(loaded_before=False):
        said = ending(start_load(on_a_disk_of=size))
        assert re.search(r"unleashed_teelixir: .*the disk is full: .*Make room, or set MASTEROPS_STATE_DIR", said), said
        load(TEELIXIR)
        assert content(TEELIXIR) == should_be


@pytest.mark.parametrize(
    "poison", ["state.json", "normalize/aaa/extracted/1/schema.json", "load/normalized/2/x.parquet"]
)
def test_a_poisoned_package_waits_in_dlts_folder(laboratory: Laboratory, running: server.Server, poison: str) -> None:
    should_be = laboratory.should_be(TEELIXIR, loaded_before=False)
    with laboratory.database(loaded_before=False):
        file = settings().state_dir / "dlt" / "pipelines" / TEELIXIR.key / poison
        file.parent.mkdir(parents=True)
        file.write_bytes(b"\x00 not what belongs here")
        load(TEELIXIR)
        assert content(TEELIXIR) == should_be
