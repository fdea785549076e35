"""What a person meets at the command line before anything runs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from masterops_dagster.cli.dagster_client import KIND_TAG
from masterops_dagster.settings import PROJECT_ROOT

MASTEROPS = str(Path(sys.executable).parent / "masterops")


def run(*arguments: str, state: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MASTEROPS_", "SUPABASE_"))}
    environment = {**inherited, "MASTEROPS_STATE_DIR": str(state), **variables}
    return subprocess.run(
        [MASTEROPS, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("command", ["status", "refresh", "kpi"])
def test_commands_that_need_the_platform_start_nothing_and_say_how(command: str, tmp_path: Path) -> None:
    done = run(command, state=tmp_path / "state")
    assert done.returncode == 1
    assert "make up" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "state").exists()


def test_down_with_nothing_running_is_no_error(tmp_path: Path) -> None:
    done = run("down", state=tmp_path / "state")
    assert (done.returncode, done.stdout) == (0, "nothing was running\n")


def test_an_unknown_business_is_told_with_the_known_ones(tmp_path: Path) -> None:
    done = run("refresh", "--business", "nobody", state=tmp_path)
    assert done.returncode == 2
    assert "known: teelixir, elevate_wholesale" in done.stderr


def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path) -> None:
    done = run("status", state=tmp_path, MASTEROPS_WEBSERVER_PORT="many")
    assert done.returncode == 1
    assert done.stderr.startswith("masterops: settings are wrong: MASTEROPS_WEBSERVER_PORT is 'many': ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_setting_that_is_no_json_is_named_in_one_line(tmp_path: Path) -> None:
    done = run("logs", state=tmp_path, MASTEROPS_TELEMETRY_RETENTION_BY_TABLE='{"api_metrics": 30')
    assert done.returncode == 1
    assert done.stderr.startswith("masterops: settings are wrong: MASTEROPS_TELEMETRY_RETENTION_BY_TABLE is no JSON; ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_in_production_a_missing_credential_is_named_before_anything_starts(tmp_path: Path) -> None:
    done = run("up", "--detach", state=tmp_path / "state", MASTEROPS_ENV="production")
    assert done.returncode == 1
    assert "HUBSPOT_ACCESS_TOKEN" in done.stderr
    assert not (tmp_path / "state" / "supervisor").exists()


def test_half_of_an_accounts_credentials_is_an_error_and_never_simulated(tmp_path: Path) -> None:
    done = run("up", "--detach", state=tmp_path / "state", UNLEASHED_TEELIXIR_API_ID="an-id")
    assert done.returncode == 1
    assert "UNLEASHED_TEELIXIR_API_KEY" in done.stderr


def test_doctor_finds_a_secret_that_others_can_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "postgres").mkdir(parents=True)
    (state / "postgres" / "password").write_text("secret")
    (state / "postgres" / "password").chmod(0o644)
    done = run("doctor", state=state, COLUMNS="300")
    assert done.returncode == 1
    assert "chmod 600" in done.stdout


def test_doctor_finds_nothing_wrong_where_nothing_was_started(tmp_path: Path) -> None:
    done = run("doctor", state=tmp_path / "state", COLUMNS="300")
    assert done.returncode == 0, done.stdout
    assert "`make up` starts it" in done.stdout
    assert "simulated" in done.stdout


def test_help_answers_at_once_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from masterops_dagster.cli import main;"
        "heavy = {'dagster', 'dlt', 'pandas', 'pyarrow', 'psycopg', 'httpx', 'pydantic', 'sqlalchemy', 'rich.live'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_kind_of_a_run_is_read_from_the_tag_that_definitions_write() -> None:
    from masterops_dagster.defs import partitions

    assert partitions.KIND_TAG == KIND_TAG


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A PATH with the tools of a bare machine and a Python that is too old; a clone beside it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "cat", "cksum", "dirname", "env"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    old = tools / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    clone = tmp_path / "clone"
    (clone / ".ci").mkdir(parents=True)
    for file in (".ci/setup", "requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT_ROOT / file, clone / file)
    return clone


def test_another_python_version_gets_one_line(bare_machine: Path) -> None:
    done = subprocess.run(
        ["bash", str(bare_machine / ".ci" / "setup")],
        env={"PATH": str(bare_machine.parent / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs Python 3.11, 3.12 or 3.13 and finds Python 3.9.2" in done.stderr
    assert not (bare_machine / ".venv").exists()
