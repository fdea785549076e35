"""What the status page answers: all well, in trouble, and without figures, a monitor or a database."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from benchmarks import watched
from masterops_dagster.api import runbooks
from masterops_dagster.cli.ports import any_free
from masterops_dagster.database.connection import connect
from tests.conftest import Databases
from tests.served import served

pytestmark = pytest.mark.usefixtures("state_dir")

Connection = psycopg.Connection[TupleRow]
DETAILS = re.compile(r"<[^>]+>|\s+")


@pytest.fixture
def page(database_url: str) -> Iterator[httpx.Client]:
    """The page of this test's own database."""
    with served(database_url) as origin, httpx.Client(base_url=origin, trust_env=False) as client:
        yield client


@pytest.fixture
def well(database: Connection) -> datetime:
    at = datetime.now(UTC)
    watched.well(database, at, every=timedelta(minutes=20))
    return at


@pytest.fixture
def trouble(database: Connection, well: datetime) -> datetime:
    watched.trouble(database, well)
    return well


def text(client: httpx.Client, path: str = "/", status: int = 200) -> str:
    """What a person reads there."""
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return " ".join(DETAILS.sub(" ", answer.text).split())


def headline(client: httpx.Client, path: str = "/") -> str:
    """The sentence on top; nothing while the program isn't there yet."""
    try:
        found = re.search(r"<h1>(.*?)</h1>", client.get(path).text)
    except httpx.ConnectError:
        return ""
    assert found
    return found[1]


def look(client: httpx.Client) -> None:
    """Waits until the database has been looked at after now."""
    now = datetime.now(UTC)
    while datetime.fromisoformat(client.get("/status.json").json()["looked_at"]) < now:
        time.sleep(0.05)


def until(client: httpx.Client, wanted: str, path: str = "/") -> float:
    """How many seconds it takes until the headline is that."""
    started = time.monotonic()
    while headline(client, path) != wanted:
        assert time.monotonic() - started < 30, headline(client, path)
        time.sleep(0.05)
    return time.monotonic() - started


# ---- well, and in trouble


@pytest.mark.usefixtures("well")
def test_when_all_is_well_it_says_so_and_shows_uptime_response_times_figures_and_data(page: httpx.Client) -> None:
    shown = text(page)
    assert headline(page) == "Everything works"
    for name in ("Teelixir", "Elevate Wholesale", "Buy Organics Online", "Red Hill Fresh", "HubSpot", "Database"):
        assert name in shown
    assert "all 7 fresh" in shown
    assert "10 min" in shown
    html = page.get("/").text
    assert html.count('class="bars"') == 12
    assert html.count("<polyline") == 12
    assert re.search(r'aria-label="BigCommerce of Buy Organics Online, last 90 days: 9\d\.\d\d % up; failures on', html)
    assert re.search(r'aria-label="Response time over the last 24 hours: \d+ to \d+ ms, now \d+ ms"', html)


@pytest.mark.usefixtures("trouble")
def test_what_is_down_stands_in_the_headline_with_its_incident_and_its_time_line(page: httpx.Client) -> None:
    shown = text(page)
    assert headline(page) == "BigCommerce of Buy Organics Online is down"
    assert "nobody has acknowledged" in shown
    assert "Orders of the shop don’t arrive" in shown
    assert "Noticed 23 s after it began" in shown
    assert "The shop has not answered twice in a row" in shown
    assert "Told Olivia by email" in shown
    assert "acknowledged by Olivia" in shown
    assert "7 of 7 late" in shown
    assert "refresh dagster · run · started" in shown
    assert "hubspot · contacts load · live · running" in shown
    assert "Orders of Shopify of Teelixir came late" in shown


@pytest.mark.usefixtures("well")
def test_what_answers_but_has_a_failing_part_is_degraded_not_down(page: httpx.Client, database: Connection) -> None:
    database.execute(
        "update ops.health_states set status = 'down', message = '41 % dead rows' where check_id = 'database_bloat'"
    )
    until(page, "Database works worse than usual")
    assert "41 % dead rows" in text(page)


@pytest.mark.usefixtures("trouble")
def test_simulated_accounts_are_said_to_be_so(page: httpx.Client, database: Connection) -> None:
    assert "Simulated data. All accounts are answered by the stand-in world" in text(page)
    database.execute("update ops.origins set simulated = account = 'hubspot'")
    look(page)
    assert "1 account, marked below, is answered by the stand-in world" in text(page)
    database.execute("update ops.origins set simulated = false")
    look(page)
    assert "imulated" not in text(page)


@pytest.mark.usefixtures("well")
def test_maintenance_is_no_outage(page: httpx.Client, database: Connection, well: datetime) -> None:
    database.execute("update ops.health_states set status = 'down' where system = 'hubspot'")
    database.execute(
        "insert into ops.silences (kind, matches, starts_at, ends_at, created_by, reason)"
        """ values ('maintenance', '{"system": "hubspot"}', %s, %s, 'Olivia', 'they move')""",
        [well - timedelta(hours=1), well + timedelta(hours=1)],
    )
    until(page, "Maintenance is under way; all else works")


def test_before_anything_was_loaded_built_or_checked_it_works_and_says_so(page: httpx.Client) -> None:
    shown = text(page)
    assert headline(page) == "Nothing is being watched yet"
    assert "never loaded" in shown
    assert "There are no figures yet" in shown
    assert "No check has been made yet" in shown


@pytest.mark.usefixtures("well")
def test_a_monitor_that_stopped_is_said_before_all_else(page: httpx.Client, database: Connection) -> None:
    watched.watched_until(database, timedelta(seconds=-11))
    until(page, "Nobody is watching")
    assert "no check is made and nobody is told of anything" in text(page)
    assert headline(page, "/public") == "The state of now is not known"


@pytest.mark.usefixtures("well")
def test_a_monitor_that_is_just_being_taken_over_is_not_missed(page: httpx.Client, database: Connection) -> None:
    watched.watched_until(database, timedelta(seconds=-4))
    look(page)
    assert headline(page) == "Everything works"


@pytest.mark.usefixtures("trouble")
def test_the_same_as_json(page: httpx.Client) -> None:
    answer = page.get("/status.json")
    assert answer.status_code == 200
    board = answer.json()["board"]
    assert (board["state"], answer.json()["reachable"]) == ("down", True)
    down = [row["key"] for group in board["groups"] for row in group["rows"] if row["state"] == "down"]
    assert down == ["bigcommerce_buy_organics_online"]


# ---- outsiders


@pytest.mark.usefixtures("trouble")
def test_outsiders_see_services_and_no_internals(page: httpx.Client) -> None:
    shown = text(page, "/public")
    assert headline(page, "/public") == "Online shop of Buy Organics Online is unavailable"
    assert "Elevate Wholesale: Stock and orders Limited" in shown
    everything = page.get("/public").text + page.get("/public/state").text
    assert everything.count('class="bars"') == 2 * 9
    for word in (*watched.SECRET_WORDS, "0d5a1f6e", "BigCommerce", "Shopify", "HubSpot", "n8n", "Dagster", "Olivia"):
        assert word in text(page) + page.get("/status.json").text + page.get("/").text, word  # it is there to be seen
        assert word.lower() not in everything.lower(), word


# ---- an incident, runbooks, machines


@pytest.mark.usefixtures("trouble")
def test_an_incident_leads_to_its_run_its_runbook_and_its_logs(
    page: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from masterops_dagster import settings as settings_module

    monkeypatch.setenv("MASTEROPS_DAGSTER_URL", "https://dagster.example.com")
    settings_module.settings.cache_clear()
    html = page.get(f"/incidents/{watched.SHOP_DOWN}").text
    assert f'href="https://dagster.example.com/runs/{watched.RUN}"' in html
    assert 'href="/runbooks/integration_down"' in html
    assert "masterops logs --system bigcommerce --since 2" in html
    assert "masterops alerts ack 0d5a1f6e" in html
    assert "The shop has not answered twice in a row" in html


@pytest.mark.parametrize("path", ["/incidents/0d5a1f6e-58a4-4c0e-9d0f-1f4f5f0c1aff", "/incidents/x", "/nowhere"])
def test_what_does_not_exist_is_said_in_a_page(page: httpx.Client, path: str) -> None:
    assert "There is no such page" in text(page, path, 404)


@pytest.mark.parametrize("path", ["/runbooks/../../../pyproject", "/runbooks/%2e%2e%2fREADME", "/runbooks/nothing"])
def test_only_runbooks_are_read(page: httpx.Client, path: str) -> None:
    assert page.get(path).status_code == 404


def test_a_runbook_is_a_page_and_its_html_is_not_obeyed(
    page: httpx.Client, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "disk_low.md").write_text("# Disk low\n\nSee [down](database_down.md).\n\n<script>alert(1)</script>\n")
    monkeypatch.setattr(runbooks, "RUNBOOKS", folder)
    html = page.get("/runbooks/disk_low").text
    assert "<h1>Disk low</h1>" in html
    assert '<a href="/runbooks/database_down">down</a>' in html
    assert "<script>" not in html
    assert 'href="/runbooks/disk_low"' in page.get("/runbooks").text


@pytest.mark.usefixtures("well")
def test_prometheus_is_answered(page: httpx.Client) -> None:
    answer = page.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE masterops_" in answer.text


def test_no_page_may_run_or_load_what_is_not_its_own(page: httpx.Client) -> None:
    for path in ("/", "/public", "/runbooks", "/nowhere", "/events"):
        with page.stream("GET", path) as answer:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
    html = page.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", html)


def test_its_own_script_is_small(page: httpx.Client) -> None:
    (script,) = re.findall(r'<script src="([^"]+)"', page.get("/").text)
    answer = page.get(script, headers={"Accept-Encoding": "gzip"})
    assert int(answer.headers["content-length"]) < 1024
    assert "immutable" in answer.headers["cache-control"]


# ---- live


@pytest.mark.usefixtures("well")
def test_viewers_are_told_of_a_change_and_of_nothing_else(page: httpx.Client, database: Connection) -> None:
    version = re.search(r'data-version="(\w+)"', page.get("/").text)
    assert version
    with page.stream("GET", "/events", params={"seen": version[1]}, timeout=10) as events:
        lines = events.iter_lines()
        assert next(lines) == "retry: 3000"
        time.sleep(1)  # five looks that find nothing new
        database.execute("update ops.health_states set status = 'down' where check_id = 'integration_n8n'")
        changed_at = time.monotonic()
        told = next(line for line in lines if line.startswith("data: "))
        assert time.monotonic() - changed_at < 5
        assert told.split()[1] != version[1]
    until(page, "n8n is down")


@pytest.mark.usefixtures("well")
def test_viewers_however_many_cost_the_database_one_look(page: httpx.Client, database: Connection) -> None:
    page.get("/")
    for _ in range(100):
        assert page.get("/").status_code == 200
    counted = database.execute(
        "select count(*) from pg_stat_activity where application_name = 'masterops status page'"
    ).fetchone()
    assert counted == (1,)


@pytest.mark.usefixtures("well")
def test_what_a_viewer_has_already_is_not_sent_again(page: httpx.Client) -> None:
    first = page.get("/state")
    assert page.get("/state", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


# ---- without a database


def test_it_starts_without_a_database_and_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql://nobody@127.0.0.1:{port}/nothing"
    with served(url) as origin, httpx.Client(base_url=origin, trust_env=False) as page:
        assert "The database can’t be reached" in text(page, "/", 503)
        assert "The state is not known" in text(page, "/public", 503)
        assert str(port) not in text(page, "/public", 503)
        assert "The database can’t be reached" in text(page, f"/incidents/{watched.SHOP_DOWN}", 503)
        assert page.get("/status.json").status_code == 503
        assert page.get("/metrics").status_code == 503
        assert page.get("/healthz").json() == {"status": "ok", "database": "unreachable"}


def test_the_program_listens_on_this_machine_only_is_small_and_stops_when_told() -> None:
    port = any_free()
    command = [sys.executable, "-m", "masterops_dagster.api", "--port", str(port)]
    with (
        subprocess.Popen(command) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as page,
    ):
        try:
            until(page, "Nothing is being watched yet")
            running = psutil.Process(process.pid)
            assert {one.laddr.ip for one in running.net_connections() if one.status == "LISTEN"} == {"127.0.0.1"}
            assert running.memory_info().rss < 150 * 2**20
        finally:
            process.terminate()
    assert process.returncode in (0, -signal.SIGTERM)


def test_a_database_without_tables_is_no_trace_of_a_stack(empty_database_url: str) -> None:
    with served(empty_database_url) as origin, httpx.Client(base_url=origin, trust_env=False) as page:
        assert "The database can’t be reached" in text(page, "/", 503)


def test_while_the_database_is_away_the_last_known_state_stands_there_with_its_age(databases: Databases) -> None:
    with databases.copied() as url:
        with connect(url) as inside:
            watched.well(inside, datetime.now(UTC), every=timedelta(hours=1))
        name = url.rsplit("/", 1)[-1]
        with (
            served(url) as origin,
            httpx.Client(base_url=origin, trust_env=False) as page,
            connect(databases.running.url_of("postgres")) as admin,
        ):
            assert headline(page) == "Everything works"
            _admit(admin, name, False)
            assert until(page, "The database can’t be reached") < 8
            shown = text(page, "/", 503)
            assert "What follows is less than a minute old: it was known at" in shown
            assert "BigCommerce" in shown
            assert "Traceback" not in shown
            assert re.search("no database at 127.0.0.1:|could not be read: terminating connection", shown)
            assert not re.search("127.0.0.1|terminating", text(page, "/public", 503))
            _admit(admin, name, True)
            assert until(page, "Everything works") < 8
            assert page.get("/").status_code == 200


def _admit(admin: Connection, name: str, allowed: bool) -> None:
    admin.execute(
        sql.SQL("alter database {} with allow_connections {}").format(sql.Identifier(name), sql.Literal(allowed))
    )
    if not allowed:
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
