"""Health checks of integrations, against stand-ins that answer over HTTP and misbehave as real systems do."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.connectors.budget import Window
from masterops_dagster.database.budget import PostgresBudget
from masterops_dagster.observability.health import Check, CheckResult, load_checks, look, run_due
from masterops_dagster.observability.health.probes.connections import connected as connection_to
from masterops_dagster.observability.health.probes.integration import CHEAP_CALLS
from masterops_dagster.settings import settings
from tests.stand_ins import StandIns

Database = psycopg.Connection[TupleRow]

AT = datetime(2026, 11, 28, 1, 0, tzinfo=UTC)


def checks(*accounts: str, probe: str = "integration") -> list[Check]:
    return [check for check in load_checks() if check.probe == probe and (not accounts or check.account in accounts)]


def asked(*accounts: str, probe: str = "integration") -> dict[str | None, CheckResult]:
    return {result.check.account: result for result in look(checks(*accounts, probe=probe), AT)}


def test_every_account_is_asked_something_that_needs_its_credentials(connected: StandIns) -> None:
    well = asked()
    assert {account: result.outcome for account, result in well.items()} == {one.key: "ok" for one in ACCOUNTS}
    assert all(result.response_ms for result in well.values())
    for system in {one.system for one in ACCOUNTS}:
        connected.misbehave(system, "revoked")
    for account, result in asked().items():
        assert result.outcome == "failed", account
        assert result.detail["error"] == "authentication", account
        assert str(account) in result.message


def test_a_check_costs_one_request(connected: StandIns) -> None:
    for account in ACCOUNTS:
        with connection_to(account.key, timedelta(seconds=5)) as (_, connector):
            CHEAP_CALLS[account.system](connector)
            before = connector.requests
            CHEAP_CALLS[account.system](connector)
            assert connector.requests - before == 1, account.key


@pytest.mark.parametrize(
    ("kind", "how", "outcome", "said"),
    [
        ("server_error", {}, "failed", r"unleashed_teelixir: list Warehouses \(50\d\): .* try again later"),
        ("rate_limit", {}, "degraded", r"unleashed_teelixir: list Warehouses \(429\)"),
        ("html", {}, "failed", r"not JSON"),
        ("latency", {"seconds": 0.8}, "degraded", r"response_ms is \d+ ms, should be < 700 ms"),
        ("latency", {"seconds": 5.0}, "failed", r"unleashed_teelixir: list Warehouses"),
    ],
    ids=["server error", "rate limit", "page instead of JSON", "slow", "hanging"],
)
def test_what_is_wrong_is_told_with_account_operation_and_advice(
    connected: StandIns, kind: str, how: dict[str, float], outcome: str, said: str
) -> None:
    from dataclasses import replace

    from masterops_dagster.observability.health.check import Condition

    (usual,) = checks("unleashed_teelixir")
    quick = Condition("response_ms", "<", 700.0, "ms")
    hasty = replace(usual, timeout=timedelta(seconds=2), degraded_unless=(quick,))
    look([hasty], AT)
    connected.misbehave("unleashed", kind, **how)
    (result,) = look([hasty], AT)
    assert result.outcome == outcome
    assert re.search(said, result.message), result.message
    key = connected.endpoint("unleashed_teelixir")["api_key"]
    assert key not in result.message
    connected.calm()
    # nothing of the failure lasts: a new connection is made
    assert look([hasty], AT)[0].outcome in ("ok", "degraded")


def test_a_dead_system_is_down_after_two_rounds_and_up_again_after_two(connected: StandIns, database: Database) -> None:
    (check,) = checks("shopify_teelixir")

    def status(number: int) -> str:
        run_due(database, [check], AT + number * timedelta(seconds=15), holder="test")
        row = database.execute("select status from ops.health_states").fetchone()
        assert row is not None
        return str(row[0])

    assert status(0) == "up"
    connected.misbehave("shopify_teelixir", "server_error")
    assert (status(1), status(2)) == ("up", "down")
    connected.calm()
    assert (status(3), status(4)) == ("down", "up")


def test_what_is_left_of_the_quota_is_told_as_the_system_says_it(connected: StandIns) -> None:
    hubspot = asked("hubspot")["hubspot"]
    assert hubspot.detail["values"]["quota_left"] > 90  # type: ignore[index]
    assert hubspot.detail["quota"]["day"]["limit"] > 0  # type: ignore[index]
    shopify = asked("shopify_teelixir")["shopify_teelixir"]
    assert "quota_left" not in shopify.detail["values"]  # type: ignore[operator]
    assert shopify.detail["values"]["burst_left"] > 90  # type: ignore[index]


def test_a_daily_quota_that_runs_out_degrades(connected: StandIns, database: Database) -> None:
    asked("hubspot")
    database.execute(
        "update ops.rate_budgets set used_until = array[ops.now_ms() + 3600000], used_slots = array[current_limit - 9]"
        " where window_name = 'day'"
    )
    result = asked("hubspot")["hubspot"]
    assert result.outcome == "degraded"
    assert "quota_left is 0 %, should be > 10 %" in result.message


def test_a_check_waits_for_no_budget_and_calls_nobody_dead_whom_our_loads_talk_to(
    connected: StandIns, database: Database
) -> None:
    window = Window("5min", 300, 300.0)
    asked("unleashed_teelixir")
    name = database.execute("select window_name from ops.rate_budgets where account = 'unleashed_teelixir'").fetchone()
    assert name is not None
    PostgresBudget().exhausted("unleashed_teelixir", Window(str(name[0]), window.limit, window.seconds), 60.0)
    silent = asked("unleashed_teelixir")["unleashed_teelixir"]
    assert silent.outcome == "degraded"
    assert "nothing could be sent" in silent.message
    database.execute(
        "insert into ops.api_metrics (occurred_at, error, system, account, operation, method, path_template, outcome,"
        " duration_ms, bytes_received, attempts, budget_wait_ms)"
        " values (%s, false, 'unleashed', 'unleashed_teelixir', 'list', 'GET', '/', 'ok', 1, 1, 1, 0)",
        [AT - timedelta(seconds=30)],
    )
    busy = asked("unleashed_teelixir")["unleashed_teelixir"]
    assert busy.outcome == "ok"
    assert "our own loads use the whole rate budget" in busy.message


def test_a_credential_that_ends_soon_is_told(connected: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    end = int((AT + timedelta(days=3)).timestamp())
    claims = base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")
    endpoint = connected.endpoint("supabase")
    monkeypatch.setenv("SUPABASE_BASE_URL", endpoint["base_url"])
    monkeypatch.setenv("SUPABASE_SECRET_KEY", endpoint["secret_key"])
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", f"e30.{claims}.signature")
    settings.cache_clear()
    result = asked("supabase")["supabase"]
    assert result.outcome == "degraded"
    assert "token_days_left is 3 days, should be > 14 days" in result.message


def test_an_account_without_credentials_names_the_variable(state_dir: Path) -> None:
    result = asked("hubspot")["hubspot"]
    assert result.outcome == "failed"
    assert "HUBSPOT_ACCESS_TOKEN" in result.message


# ---- n8n itself


def test_n8n_and_its_executions(connected: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(probe="n8n_server")["n8n"].outcome == "ok"
    executions = asked(probe="n8n_executions")["n8n"]
    assert executions.outcome in ("ok", "degraded"), executions
    assert set(executions.detail["values"]) == {  # type: ignore[call-overload]
        "failed_last_hour",
        "oldest_running_min",
        "oldest_unstarted_min",
    }
    by_themselves = asked(probe="n8n_workflows")["n8n"]
    assert (by_themselves.outcome, by_themselves.message) == ("ok", "the stand-in's workflows don't run by themselves")


def test_a_real_n8n_whose_workflows_stopped_is_told_which(connected: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = connected.endpoint("n8n")
    monkeypatch.setenv("N8N_BASE_URL", endpoint["base_url"])
    monkeypatch.setenv("N8N_API_KEY", endpoint["api_key"])
    settings.cache_clear()
    long_after = datetime.now(UTC) + timedelta(days=400)
    (result,) = look(checks(probe="n8n_workflows"), long_after)
    assert result.outcome == "degraded"
    assert "missed is" in result.message
    assert "should have run and did not: " in result.message
    assert len(result.detail["missed_workflows"]) > 0  # type: ignore[arg-type]
    connected.misbehave("n8n", "server_error")
    assert look(checks(probe="n8n_server"), AT)[0].outcome == "failed"
