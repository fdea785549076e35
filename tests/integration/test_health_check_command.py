"""`masterops health-check` and `masterops test-integration`, as a person and a script meet them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster.cli.main import app
from masterops_dagster.settings import settings
from tests.stand_ins import StandIns

Database = psycopg.Connection[TupleRow]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_all_is_well_with_a_system(connected: StandIns, database: Database) -> None:
    result = CliRunner().invoke(app, ["health-check", "--system", "shopify"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count(" ok ") == 2
    assert "integration_shopify_teelixir" in result.stdout
    kept = database.execute(
        "select check_id, status, checked_by from ops.health_states join ops.health_checks using (check_id) order by 1"
    ).fetchall()
    assert [row[:2] for row in kept] == [
        ("integration_shopify_elevate_wholesale", "up"),
        ("integration_shopify_teelixir", "up"),
    ]
    assert kept[0][2].startswith("health-check ")


def test_what_is_not_well_gives_an_exit_code_and_is_named(connected: StandIns) -> None:
    connected.misbehave("shopify_teelixir", "revoked")
    result = CliRunner().invoke(app, ["health-check", "--system", "shopify", "--json"])
    assert result.exit_code == 1
    assert result.stderr.endswith("1 of 2 checks are not well: integration_shopify_teelixir\n")
    content = json.loads(result.stdout)
    assert (content["healthy"], content["kept"]) == (False, True)
    outcomes = {check["account"]: check["outcome"] for check in content["checks"]}
    assert outcomes == {"shopify_teelixir": "failed", "shopify_elevate_wholesale": "ok"}


def test_where_nothing_runs_it_checks_all_the_same_and_says_so(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_DB_URL")
    settings.cache_clear()
    result = CliRunner().invoke(app, ["health-check"])
    assert result.exit_code == 1
    assert "The results are not kept: the embedded database is not running; run make up" in result.stdout
    assert "disk" in result.stdout
    as_json = CliRunner().invoke(app, ["health-check", "--system", "postgres", "--json"])
    assert json.loads(as_json.stdout)["kept"] is False


def test_an_unknown_system_is_told_with_the_known_ones(state_dir: Path) -> None:
    result = CliRunner().invoke(app, ["health-check", "--system", "shopfy"])
    assert result.exit_code == 2
    assert "did you mean 'shopify'?" in result.stderr
    assert "postgres" in result.stderr


@pytest.mark.parametrize("system", ["hubspot", "shopify", "unleashed", "bigcommerce", "woocommerce", "n8n", "supabase"])
def test_each_system_can_be_tried_out(connected: StandIns, system: str) -> None:
    from masterops_dagster.businesses import ACCOUNTS
    from masterops_dagster.sources.catalogue import STREAMS

    account = next(one.key for one in ACCOUNTS if one.system == system)
    result = CliRunner().invoke(app, ["test-integration", system, "--account", account, "--json"])
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    steps = {step["name"]: step for step in content["accounts"][account]}
    assert content["ok"] is True
    assert list(steps)[:2] == ["access", "sign in"]
    assert list(steps)[-2:] == ["limits", "expiry"]
    assert {stream.name for stream in STREAMS[system]} <= set(steps)
    read = [steps[stream.name] for stream in STREAMS[system] if not stream.parent]
    assert all("rows" in step["said"] for step in read), read
    assert "the stand-in world" in steps["access"]["said"]
    assert "left" in steps["limits"]["said"]


def test_refused_credentials_end_the_trial_early(connected: StandIns) -> None:
    connected.misbehave("hubspot", "revoked")
    result = CliRunner().invoke(app, ["test-integration", "hubspot"])
    assert result.exit_code == 1
    assert "failed: hubspot: sign in" in result.stderr
    assert "Check the account's credentials." in result.stdout
    assert "contacts" not in result.stdout


def test_missing_credentials_are_named(state_dir: Path) -> None:
    result = CliRunner().invoke(app, ["test-integration", "unleashed", "--account", "unleashed_teelixir"])
    assert result.exit_code == 1
    assert "UNLEASHED_TEELIXIR_API_ID" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hubspt"], "did you mean 'hubspot'?"),
        (["hubspot", "--account", "nobody"], "unknown account 'nobody'"),
        (["hubspot", "--account", "n8n"], "n8n is an account of n8n, not of hubspot"),
    ],
)
def test_a_wrong_name_is_told(state_dir: Path, arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["test-integration", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr


def test_watching_ends_with_the_exit_code_of_the_last_round(state_dir: Path) -> None:
    command = [str(Path(sys.executable).parent / "masterops"), "health-check", "--system", "disk", "--watch", "--json"]
    environment = {**os.environ, "MASTEROPS_FREE_DISK_GIB": "1000000"}
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert json.loads(watching.stdout.readline())["healthy"] is False
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 1
        assert watching.stderr.read().endswith("1 of 1 checks are not well: disk\n")
