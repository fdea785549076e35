"""`masterops watch` takes over when nobody watches, gives way when the sensor is back, writes down who died."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.cli.watch import SupervisorLog
from masterops_dagster.observability import leases, monitor
from masterops_dagster.observability.outage import Outage
from masterops_dagster.observability.watch import Death, Timing, Watch
from masterops_dagster.settings import settings

Connection = psycopg.Connection[TupleRow]
NOW = datetime.now(UTC)
ME = "watch machine:1"


@pytest.fixture
def deaths() -> list[Death]:
    return []


@pytest.fixture
def watch(state_dir: Path, tmp_path: Path, database_url: str, deaths: list[Death]) -> Watch:
    """One that started long ago, does a round's work never by itself, and tells of an outage to nobody."""

    def asked() -> list[Death]:
        found, deaths[:] = list(deaths), []
        return found

    outage = Outage(tmp_path / "outage.json", lambda *_: ["slack"])
    started = NOW - timedelta(hours=1)
    return Watch(ME, outage, asked, started, url=database_url, timing=Timing(tick=1e9, heartbeat=60))


def test_it_leaves_the_work_to_whoever_watches(watch: Watch, database: Connection) -> None:
    leases.take(database, monitor.LEASE, "dagster machine:2", 30)
    watch.round(NOW)
    assert not watch.leads


def test_it_takes_over_once_the_lease_has_run_out_and_gives_way_when_the_sensor_is_back(
    watch: Watch, database: Connection
) -> None:
    leases.take(database, monitor.LEASE, "dagster machine:2", 0)
    watch.round(NOW)
    assert watch.leads
    lease = leases.take(database, monitor.LEASE, ME, 30)
    assert lease is not None
    monitor.announce_presence(database, "dagster", 30)
    watch.round(NOW)
    assert not watch.leads
    assert leases.take(database, monitor.LEASE, "dagster machine:3", 30)


def test_right_after_the_start_of_everything_nobody_needs_to_watch_yet(
    state_dir: Path, tmp_path: Path, database_url: str, database: Connection
) -> None:
    outage = Outage(tmp_path / "outage.json", lambda *_: [])
    fresh = Watch(ME, outage, lambda: [], datetime.now(UTC), url=database_url, timing=Timing(tick=1e9))
    leases.take(database, monitor.LEASE, "dagster of yesterday:1", 0)
    database.execute("update ops.leases set renewed_at = renewed_at - interval '1 day'")
    fresh.round(datetime.now(UTC) + timedelta(seconds=5))
    assert not fresh.leads
    fresh.round(datetime.now(UTC) + timedelta(seconds=200))
    assert fresh.leads


def test_a_program_that_died_is_written_down_once(watch: Watch, database: Connection, deaths: list[Death]) -> None:
    death = Death("daemon", NOW, "terminated by SIGKILL; not expected")
    for _ in range(2):
        deaths.append(death)
        watch.round(NOW)
    rows = database.execute(
        "select name, error_class, error_message, error from ops.workflow_execution_logs"
    ).fetchall()
    assert rows == [("daemon", "ProgramDied", "terminated by SIGKILL; not expected", True)]


def test_what_died_while_the_database_was_gone_is_written_down_afterwards(
    watch: Watch, database: Connection, deaths: list[Death], monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths.append(Death("postgres", NOW, "terminated by SIGKILL; not expected"))
    there = watch._url
    watch._url = "postgresql://nobody@127.0.0.1:1/nothing"
    assert "can't be reached since" in str(watch.round(NOW))
    watch._url = there
    assert "answers again" in str(watch.round(NOW + timedelta(seconds=3)))
    assert database.execute("select name from ops.workflow_execution_logs").fetchall() == [("postgres",)]


class Heard:
    """A service that listens for the heartbeat."""

    def __init__(self) -> None:
        self.beats = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.beats += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def heard() -> Iterator[Heard]:
    service = Heard()
    yield service
    service.server.shutdown()


def test_the_heartbeat_stops_when_nobody_watches(
    watch: Watch, database: Connection, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTEROPS_HEARTBEAT_URL", f"http://127.0.0.1:{heard.server.server_port}/secret-path")
    settings.cache_clear()
    leases.take(database, monitor.LEASE, "dagster machine:2", 30)
    watch.round(NOW)
    watch.round(NOW + timedelta(seconds=30))
    assert heard.beats == 1
    watch.round(NOW + timedelta(seconds=61))
    assert heard.beats == 2
    watch._url = "postgresql://nobody@127.0.0.1:1/nothing"
    watch.round(NOW + timedelta(seconds=200))
    assert heard.beats == 2


def test_a_heartbeat_that_is_refused_is_said_without_its_address(
    watch: Watch, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTEROPS_HEARTBEAT_URL", "http://127.0.0.1:1/secret-path")
    settings.cache_clear()
    leases.take(database, monitor.LEASE, "dagster machine:2", 30)
    said = str(watch.round(NOW))
    assert "heartbeat could not be sent" in said
    assert "secret-path" not in said


def test_a_tick_does_all_of_it_and_says_so(state_dir: Path, database_url: str, database: Connection) -> None:
    done = monitor.tick(datetime.now(UTC), "dagster machine:2", url=database_url, checks=[], rules=[])
    assert done.led
    assert "0 checks, 0 failing" in done.said
    other = monitor.tick(datetime.now(UTC), "watch machine:1", url=database_url, checks=[], rules=[])
    assert not other.led
    assert other.said == "another process watches"


def test_supervisord_s_log_tells_who_died_and_who_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "supervisord.log"
    path.write_text("2026-11-28 10:00:00,000 WARN exited: world (exit status 1; not expected)\n")
    log = SupervisorLog(path)
    assert log.deaths() == []
    with path.open("a") as file:
        file.write("2026-11-28 10:00:01,500 WARN exited: daemon (terminated by SIGKILL; not expected)\n")
        file.write("2026-11-28 10:00:02,000 WARN stopped: webserver (terminated by SIGTERM)\n")
        file.write("2026-11-28 10:00:03,000 INFO spawned: 'daemon' with")
    [death] = log.deaths()
    assert (death.program, death.reason) == ("daemon", "terminated by SIGKILL; not expected")
    assert log.deaths() == []
