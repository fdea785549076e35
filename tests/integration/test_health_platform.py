"""Health checks of the platform's own parts: database, disk, Dagster, certificates."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import trustme
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import DatabaseUnavailable
from masterops_dagster.observability.health import CheckResult, load_checks, look, probe_database
from masterops_dagster.settings import settings
from tests.conftest import Databases

Database = psycopg.Connection[TupleRow]

AT = datetime(2026, 11, 28, 1, 0, tzinfo=UTC)


def checked(check_id: str, at: datetime = AT) -> CheckResult:
    (check,) = [check for check in load_checks() if check.id == check_id]
    return look([check], at)[0]


# ---- the database


def test_a_database_that_answers(state_dir: Path) -> None:
    for check_id in ("database", "database_session", "database_bloat", "disk"):
        result = checked(check_id)
        assert result.outcome == "ok", result
    reading = probe_database()
    assert 0 < reading.values["connections_used"] < 80
    assert reading.detail["max_connections"]


def test_a_database_that_is_gone_is_told_without_its_password(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://masterops:very-secret-word@127.0.0.1:{nobody.getsockname()[1]}/masterops"
        monkeypatch.setenv("SUPABASE_DB_URL", url)
        settings.cache_clear()
        with pytest.raises(DatabaseUnavailable):
            probe_database(url)
        result = checked("database")
    assert result.outcome == "failed"
    assert "no database at 127.0.0.1" in result.message
    assert "very-secret-word" not in result.message


def test_dead_rows_of_a_large_table_are_told(state_dir: Path, database: Database) -> None:
    database.execute("create table public.worn (n integer) with (autovacuum_enabled = off)")
    database.execute("insert into public.worn select generate_series(1, 20000)")
    database.execute("delete from public.worn where n > 5000")
    database.execute("select pg_stat_force_next_flush()")
    database.execute("select 1")
    result = checked("database_bloat")
    assert result.outcome == "degraded"
    assert result.detail["worst_table"] == "public.worn"
    assert "dead_rows is 75 %, should be < 40 %" in result.message


def test_a_pooler_that_gives_out_other_sessions_is_found_out(
    state_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with switching_pooler(database_url) as url:
        monkeypatch.setenv("SUPABASE_DB_URL", url)
        settings.cache_clear()
        result = checked("database_session")
    assert result.outcome == "failed"
    assert "is a transaction pooler" in result.message


def test_a_full_disk_fails(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTEROPS_FREE_DISK_GIB", "1000000")
    settings.cache_clear()
    result = checked("disk")
    assert result.outcome == "failed"
    assert "Make room" in result.message


# ---- Dagster


@pytest.fixture
def dagster_storage(state_dir: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The tables of Dagster's storage that checks read, as Dagster makes them."""
    with databases.copied("template1") as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "create table daemon_heartbeats (daemon_type text, daemon_id text, timestamp timestamp, body text)"
        )
        connection.execute("create table runs (run_id text, status text, create_timestamp timestamp)")
        monkeypatch.setenv("DAGSTER_DB_URL", url)
        settings.cache_clear()
        yield connection


def heartbeat(storage: Database, daemon: str, ago: float, errors: list[dict[str, str]] | None = None) -> None:
    moment = AT - timedelta(seconds=ago)
    body = json.dumps({"__class__": "DaemonHeartbeat", "errors": errors, "timestamp": moment.timestamp()})
    storage.execute("insert into daemon_heartbeats values (%s, 'x', %s, %s)", [daemon, moment, body])


def test_the_tables_that_checks_read_are_those_of_dagster() -> None:
    dagster = importlib.util.find_spec("dagster")
    assert dagster is not None
    assert dagster.origin is not None
    tables = (Path(dagster.origin).parent / "_core/storage/runs/schema.py").read_text()
    for named in ("daemon_heartbeats", "daemon_type", "timestamp", "body", "runs", "status", "create_timestamp"):
        assert f'"{named}"' in tables


def test_a_daemon_that_fell_silent_is_named(dagster_storage: Database) -> None:
    assert "has never reported: SENSOR, SCHEDULER" in checked("dagster_daemons").message
    for daemon in ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING"):
        heartbeat(dagster_storage, daemon, ago=20)
    heartbeat(dagster_storage, "BACKFILL", ago=9999)
    assert checked("dagster_daemons").outcome == "ok"
    dagster_storage.execute("delete from daemon_heartbeats where daemon_type = 'SENSOR'")
    heartbeat(dagster_storage, "SENSOR", ago=90)
    result = checked("dagster_daemons")
    assert result.outcome == "failed"
    assert "heartbeat_age_s is 90 s, should be < 70 s; silent for longest: SENSOR" in result.message


def test_what_a_daemon_reports_as_wrong_is_told(dagster_storage: Database) -> None:
    for daemon in ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"):
        heartbeat(dagster_storage, daemon, ago=5)
    heartbeat(dagster_storage, "MONITORING", ago=5, errors=[{"message": "ValueError: no such run\n"}])
    result = checked("dagster_daemons")
    assert (result.outcome, result.message) == (
        "degraded",
        "MONITORING: ValueError: no such run; silent for longest: SENSOR",
    )


def test_a_queue_that_does_not_move_is_told(dagster_storage: Database) -> None:
    assert checked("dagster_queue").outcome == "ok"
    begun = AT - timedelta(hours=1)
    dagster_storage.execute("insert into runs values ('1', 'QUEUED', %s), ('2', 'STARTED', %s)", [begun, begun])
    result = checked("dagster_queue")
    assert result.outcome == "degraded"
    assert "oldest_queued_s is 3,600 s, should be < 1,800 s" in result.message


def test_the_ui_and_the_code_location(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for check_id in ("dagster_webserver", "dagster_code_location"):
        assert "run make up" in checked(check_id).message
    answers: dict[str, object] = {"/server_info": {"dagster_webserver_version": "1.13.0"}}
    with answering(answers) as url:
        monkeypatch.setenv("MASTEROPS_DAGSTER_URL", url)
        settings.cache_clear()
        assert checked("dagster_webserver").outcome == "ok"
        assert "GraphQL answers 404" in checked("dagster_code_location").message
        loaded = {"__typename": "RepositoryLocation"}
        broken = {"__typename": "PythonError", "message": "\nImportError: cannot import name 'x'\n  File …"}
        for found, outcome, said in (
            (loaded, "ok", ""),
            (None, "degraded", "still loading: masterops"),
            (broken, "failed", "the code location masterops can't be loaded: ImportError: cannot import name 'x'"),
        ):
            entry = {"name": "masterops", "loadStatus": "LOADED", "locationOrLoadError": found}
            answers["/graphql"] = {
                "data": {"workspaceOrError": {"__typename": "Workspace", "locationEntries": [entry]}}
            }
            result = checked("dagster_code_location")
            assert (result.outcome, result.message) == (outcome, said)
    assert checked("dagster_webserver").outcome == "failed"


# ---- certificates


@pytest.mark.parametrize(
    ("days", "trusted", "outcome", "said"),
    [
        (60, True, "ok", "good until"),
        (10, True, "degraded", "should be > 14 days"),
        (2, True, "failed", "should be > 3 days"),
        (-1, True, "failed", "certificate has expired"),
        (60, False, "failed", "is refused: "),
    ],
    ids=["good", "soon", "very soon", "expired", "of a stranger"],
)
def test_a_certificate(
    tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch, days: int, trusted: bool, outcome: str, said: str
) -> None:
    now = datetime.now(UTC)
    authority = trustme.CA()
    shown = authority.issue_cert("localhost", not_after=now + timedelta(days=days, minutes=5))
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.configure_cert(context)
    with answering({}, context) as url:
        monkeypatch.setenv("MASTEROPS_STATUS_URL", url)
        settings.cache_clear()
        (check,) = [check for check in load_checks() if check.probe == "certificate"]
        (result,) = look([check], now)
    assert result.outcome == outcome, result
    assert said in result.message


# ---- small servers


@contextmanager
def answering(answers: dict[str, object], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that gives these answers by path, 404 otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path)
            body = json.dumps(found).encode()
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            return None

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that refuses our certificate is no error of ours."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    host = "https://localhost" if context else "http://127.0.0.1"
    yield f"{host}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@contextmanager
def switching_pooler(url: str) -> Iterator[str]:
    """Stands before PostgreSQL as a transaction pooler does: each statement may reach another server process.

    It answers `select pg_backend_pid()` with another number each time, and passes everything else on.
    """
    parts = psycopg.conninfo.conninfo_to_dict(url)
    listening = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, target: socket.socket, *, changing: bool) -> None:
        numbers = iter(range(100, 1000))
        while received := source.recv(65536):
            if changing and b"pg_backend_pid" in received:
                received = received.replace(b"pg_backend_pid()", b"%-15d " % next(numbers))
            target.sendall(received)
        target.close()

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = socket.create_connection((str(parts["host"]), int(str(parts["port"]))))
            for source, target, changing in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=pass_on, args=(source, target), kwargs={"changing": changing}, daemon=True
                ).start()

    threading.Thread(target=serve, daemon=True).start()
    port = listening.getsockname()[1]
    yield urlsplit(url)._replace(netloc=f"{parts['user']}:{parts['password']}@127.0.0.1:{port}").geturl()
    listening.close()
