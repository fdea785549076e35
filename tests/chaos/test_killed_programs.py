"""An installation whose processes are killed with -9, one after the other and all at once.

The tests of this file stand in the order of its life: each takes over what the one before it left.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from masterops_dagster.cli.ports import any_free
from masterops_dagster.cli.processes import PROGRAMS
from tests.installations import SCALE, Installation, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    made = Installation(folder / "state", any_free())
    yield made
    made.run("down")


def test_an_up_that_is_killed_with_everything_in_the_first_load_is_finished_by_the_next(
    installation: Installation,
) -> None:
    killed = installation.start("up", "--detach", "--scale", SCALE)
    assert killed.stdout is not None
    for line in killed.stdout:
        if "✓" in line:  # the first of the accounts is loaded, the others are not
            break
    os.kill(killed.pid, signal.SIGKILL)
    installation.kill_everything()
    killed.wait()

    done = installation.run("up", "--detach")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "first load: " in done.stdout
    assert {"SUCCESS", "CANCELED"} <= set(installation.whole_live_runs())


@pytest.mark.parametrize("name", [program.name for program in PROGRAMS])
def test_a_killed_program_comes_back_by_itself(installation: Installation, name: str) -> None:
    before = installation.service(name)["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: installation.service(name)["pid"] not in (None, before))
    eventually(lambda: installation.status()["healthy"])


def test_after_that_a_refresh_of_one_system_reads_that_system_and_builds_the_rest(installation: Installation) -> None:
    done = installation.run("refresh", "--system", "woocommerce")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refreshed: " in done.stdout
    assert "unleashed" not in done.stdout
    run = next(run for run in installation.status()["runs"] if run["assets"])
    assert (run["kind"], run["status"]) == ("live", "SUCCESS")
    assert any("woocommerce" in asset for asset in run["assets"])
    assert not any("hubspot" in asset for asset in run["assets"] if asset.startswith("raw/"))


@pytest.mark.parametrize("name", ["postgres", "world", "code-server", "daemon"])
def test_a_run_during_which_a_program_is_killed_can_be_run_again(installation: Installation, name: str) -> None:
    running = installation.start("refresh")
    assert running.stdout is not None
    for line in running.stdout:
        if "✓" in line or "started" in line:
            break
    before = installation.service(name)["pid"]
    os.kill(before, signal.SIGKILL)
    running.communicate(timeout=400)
    eventually(lambda: installation.status()["healthy"])

    done = installation.run("refresh")

    assert done.returncode == 0, done.stdout + done.stderr


def test_down_finds_what_a_killed_supervisor_left_behind(installation: Installation) -> None:
    pid = int((installation.state / "supervisor" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert installation.processes()

    done = installation.run("down")

    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert installation.processes() == []
    assert list(installation.state.rglob("*.pid")) == []
    assert installation.run("status").returncode == 1
