"""The life of a platform, from a first `up` that is killed in the middle to a Ctrl-C, in one state folder.

The tests of this file stand in the order of that life: each takes over what the one before it left.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.left_overs import left_overs
from masterops_dagster.cli.ports import HOST, any_free
from masterops_dagster.cli.processes import PROGRAMS

MASTEROPS = str(Path(sys.executable).parent / "masterops")
SCALE = "0.02"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Platform:
    """A state folder, and `masterops` with it."""

    state: Path
    port: int

    def environment(self) -> dict[str, str]:
        ours = ("MASTEROPS_", "SUPABASE_", "DAGSTER_", *(f"{account.key}_".upper() for account in ACCOUNTS))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **inherited,
            "MASTEROPS_STATE_DIR": str(self.state),
            "MASTEROPS_WEBSERVER_PORT": str(self.port),
            "COLUMNS": "200",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MASTEROPS, *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, patience: float = 550) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MASTEROPS, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return content

    def service(self, name: str) -> dict[str, Any]:
        return next(service for service in self.status()["services"] if service["name"] == name)

    def processes(self) -> list[psutil.Process]:
        """Everything that carries the state folder, PostgreSQL's children too."""
        found = {process.pid: process for process in left_overs(self.state)}
        for process in list(found.values()):
            found |= {child.pid: child for child in process.children(recursive=True)}
        return list(found.values())

    def kill_everything(self) -> None:
        """As a power cut would: nobody gets to say goodbye."""
        doomed = sorted(self.processes(), key=lambda process: "supervisord" not in " ".join(process.cmdline()))
        for process in doomed:
            process.kill()
        psutil.wait_procs(doomed, timeout=10)

    def whole_live_runs(self) -> list[str]:
        return [run["status"] for run in self.status()["runs"] if run["kind"] == "live" and not run["assets"]]


def eventually(holds: Callable[[], bool], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    platform = Platform(folder / "state", any_free())
    yield platform
    platform.run("down")


def test_an_up_that_is_killed_with_everything_in_the_first_load_is_finished_by_the_next(platform: Platform) -> None:
    killed = platform.start("up", "--detach", "--scale", SCALE)
    assert killed.stdout is not None
    for line in killed.stdout:
        if "✓" in line:  # the first of the accounts is loaded, the others are not
            break
    os.kill(killed.pid, signal.SIGKILL)
    platform.kill_everything()
    killed.wait()

    done = platform.run("up", "--detach")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "first load: " in done.stdout
    assert {"SUCCESS", "CANCELED"} <= set(platform.whole_live_runs())


def test_a_second_up_reports_where_everything_is_and_starts_nothing(platform: Platform) -> None:
    before = platform.status()["services"]
    done = platform.run("up", "--detach")
    assert done.returncode == 0, done.stderr
    assert f"Dagster UI: http://{HOST}:{platform.port}" in done.stdout
    assert "simulated" in done.stdout
    assert platform.status()["services"] == before


def test_everything_answers_and_status_says_where_it_is_and_how_old_the_data_is(platform: Platform) -> None:
    status = platform.status()
    assert status["healthy"]
    assert [service["name"] for service in status["services"]] == [program.name for program in PROGRAMS]
    assert {service["state"] for service in status["services"]} == {"RUNNING"}
    assert httpx.get(f"{platform.service('webserver')['url']}/server_info").is_success
    assert httpx.get(f"{platform.service('world')['url']}/healthz").is_success
    assert [data["account"] for data in status["data"]] == [account.key for account in ACCOUNTS]
    assert all(data["simulated"] and data["age_seconds"] < 900 for data in status["data"])


def test_the_kpis_are_there_and_a_person_sees_that_they_are_simulated(platform: Platform) -> None:
    rows = json.loads(platform.run("kpi", "--json", "--grain", "all").stdout)
    assert {row["business_key"] for row in rows} >= {"teelixir", "elevate_wholesale", "red_hill_fresh", "group"}
    assert "simulated" in platform.run("kpi").stdout


def test_doctor_finds_nothing_wrong(platform: Platform) -> None:
    done = platform.run("doctor")
    assert "Dagster" in done.stdout
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [program.name for program in PROGRAMS])
def test_a_killed_program_comes_back_by_itself(platform: Platform, name: str) -> None:
    before = platform.service(name)["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: platform.service(name)["pid"] not in (None, before))
    eventually(lambda: platform.status()["healthy"])


def test_after_that_a_refresh_of_one_system_reads_that_system_and_builds_the_rest(platform: Platform) -> None:
    done = platform.run("refresh", "--system", "woocommerce")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refreshed: " in done.stdout
    assert "unleashed" not in done.stdout
    run = next(run for run in platform.status()["runs"] if run["assets"])
    assert (run["kind"], run["status"]) == ("live", "SUCCESS")
    assert any("woocommerce" in asset for asset in run["assets"])
    assert not any("hubspot" in asset for asset in run["assets"] if asset.startswith("raw/"))


def test_down_finds_what_a_killed_supervisor_left_behind(platform: Platform) -> None:
    pid = int((platform.state / "supervisor" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert platform.processes()

    done = platform.run("down")

    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert platform.processes() == []
    assert list(platform.state.rglob("*.pid")) == []
    assert platform.run("status").returncode == 1


def test_up_in_the_foreground_takes_another_port_if_its_own_is_taken_and_stops_everything_on_ctrl_c(
    platform: Platform,
) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((HOST, platform.port))
        taken.listen()
        up = platform.start("up")
        assert up.stdout is not None
        said = ""
        for line in up.stdout:
            said += line
            if "Ctrl-C stops everything." in line:
                break
        else:
            pytest.fail(said)
        assert "first load" not in said
        url = platform.service("webserver")["url"]
        assert url != f"http://{HOST}:{platform.port}"
        assert httpx.get(f"{url}/server_info").is_success

        up.send_signal(signal.SIGINT)

        assert up.wait(timeout=90) == 0
        assert "stopped" in up.stdout.read()
    assert platform.processes() == []
    assert list(platform.state.rglob("*.pid")) == []
