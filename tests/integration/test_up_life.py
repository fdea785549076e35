"""The life of an installation, from the first `up` to Ctrl-C. How it bears being killed is in `tests/chaos`.

The tests of this file stand in the order of that life: each takes over what the one before it left.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.ports import HOST, any_free
from masterops_dagster.cli.processes import PROGRAMS
from masterops_dagster.sources.catalogue import READ_ACCOUNTS
from tests.installations import SCALE, Installation, service, whole_live_runs

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    made = Installation(folder / "state", any_free())
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def up(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    """`masterops up` in the foreground, told to use a port that is taken, until it says that all is up."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((HOST, installation.port))
        taken.listen()
        up = installation.start("up", "--scale", SCALE)
        assert up.stdout is not None
        said = ""
        for line in up.stdout:
            said += line
            if "Ctrl-C stops everything." in line:
                break
        else:
            pytest.fail(said)
        assert "first load: " in said
        yield up
    if up.poll() is None:
        up.kill()


def test_up_loads_everything_and_takes_another_port_if_its_own_is_taken(
    installation: Installation, up: subprocess.Popen[str]
) -> None:
    status = installation.status()
    url = service(status, "webserver")["url"]
    assert url != f"http://{HOST}:{installation.port}"
    assert httpx.get(f"{url}/server_info").is_success
    assert whole_live_runs(status) == ["SUCCESS"]


def test_a_second_up_reports_where_everything_is_and_starts_nothing(
    installation: Installation, up: subprocess.Popen[str]
) -> None:
    before = installation.status()["services"]
    done = installation.run("up", "--detach")
    assert done.returncode == 0, done.stderr
    after = installation.status()
    assert f"Dagster UI: {service(after, 'webserver')['url']}" in done.stdout
    assert f"status page: {service(after, 'status-page')['url']}" in done.stdout
    assert "simulated" in done.stdout
    assert after["services"] == before


def test_everything_answers_and_status_says_where_it_is_and_how_old_the_data_is(
    installation: Installation, up: subprocess.Popen[str]
) -> None:
    status = installation.status()
    assert status["healthy"]
    assert [service["name"] for service in status["services"]] == [program.name for program in PROGRAMS]
    assert {service["state"] for service in status["services"]} == {"RUNNING"}
    assert httpx.get(f"{service(status, 'world')['url']}/healthz").is_success
    assert [data["account"] for data in status["data"]] == [account.key for account in READ_ACCOUNTS]
    assert all(data["simulated"] and data["age_seconds"] < 900 for data in status["data"])


def test_the_platform_watches_itself_and_every_rule_and_check_can_look(
    installation: Installation, up: subprocess.Popen[str]
) -> None:
    page = service(installation.status(), "status-page")["url"]
    board = httpx.get(f"{page}/status.json").json()["board"]
    assert board["checks"] >= len(ACCOUNTS)
    assert [banner["kind"] for banner in board["banners"]] == ["simulated"]  # none says that nobody watches
    expected = {("dagster", "run"), ("dagster", "step"), ("dbt", "node"), ("n8n", "execution")}
    taken_over: set[tuple[str, str]] = set()
    deadline = time.monotonic() + 60  # what has just ended is taken over in the next round
    while not taken_over >= expected and time.monotonic() < deadline:
        ran = json.loads(installation.run("metrics", "--json").stdout)["executions"]
        taken_over = {(row["source"], row["kind"]) for row in ran}
    assert taken_over >= expected
    incidents = json.loads(installation.run("alerts", "list", "--all", "--json").stdout)
    assert {one["rule_id"] for one in incidents}.isdisjoint({"signal_broken", "check_broken", "run_failed"})


def test_the_kpis_are_there_and_a_person_sees_that_they_are_simulated(
    installation: Installation, up: subprocess.Popen[str]
) -> None:
    rows = json.loads(installation.run("kpi", "--json", "--grain", "all").stdout)
    assert {row["business_key"] for row in rows} >= {"teelixir", "elevate_wholesale", "red_hill_fresh", "group"}
    assert "simulated" in installation.run("kpi").stdout


def test_doctor_finds_nothing_wrong(installation: Installation, up: subprocess.Popen[str]) -> None:
    done = installation.run("doctor")
    assert "Dagster" in done.stdout
    assert done.returncode == 0, done.stdout


def test_ctrl_c_stops_everything_and_leaves_no_trace(installation: Installation, up: subprocess.Popen[str]) -> None:
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=90) == 0
    assert up.stdout is not None
    assert "stopped" in up.stdout.read()
    assert installation.processes() == []
    assert list(installation.state.rglob("*.pid")) == []
    assert installation.run("status").returncode == 1
