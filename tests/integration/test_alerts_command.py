"""`masterops alerts …`: what a person sees and does at the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from typer.testing import CliRunner, Result

from masterops_dagster.cli.main import app
from masterops_dagster.observability.alerts import evaluate, load_rules
from masterops_dagster.observability.incidents import unresolved
from tests.alerting import History, Told

Connection = psycopg.Connection[TupleRow]


def masterops(*words: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *words], env={"COLUMNS": "200"})


@pytest.fixture
def hubspot_down(database: Connection, state_dir: Path) -> str:
    """The id of the incident."""
    now = datetime.now(UTC)
    History(database, now).health("integration_hubspot", "down", now, system="hubspot", account="hubspot")
    evaluate(database, load_rules(), now, business_at=now, announce=Told())
    return str(unresolved(database)[0].incident_id)


def test_list_shows_what_is_wrong_and_ack_takes_it_on(hubspot_down: str) -> None:
    shown = masterops("list")
    assert shown.exit_code == 0
    assert hubspot_down[:8] in shown.output
    assert "hubspot does not answer" in shown.output
    (told,) = json.loads(masterops("list", "--json").output)
    assert (told["incident_id"], told["severity"], told["state"]) == (hubspot_down, "critical", "open")

    taken = masterops("ack", hubspot_down[:8], "--by", "ada")
    assert (taken.exit_code, taken.output) == (0, f"{hubspot_down[:8]} hubspot does not answer: is ada's\n")
    assert "acknowledged by ada" in masterops("list").output


def test_an_unknown_incident_is_one_line_and_exit_code_2(hubspot_down: str) -> None:
    for given in ("00000000", "0"):
        refused = masterops("ack", given)
        assert refused.exit_code == 2
        assert len(refused.stderr.strip().splitlines()) == 1
        assert "`masterops alerts list` shows them" in refused.stderr


def test_nothing_wrong_is_said(database: Connection, state_dir: Path) -> None:
    assert masterops("list").output == "nothing is wrong\n"
    assert masterops("list", "--json").output == "[]\n"


def test_silence_needs_something_to_silence_shows_in_the_list_and_can_be_ended(
    database: Connection, state_dir: Path
) -> None:
    for words in (["why"], ["why", "--account", "hubspo"], ["why", "--rule", "no_order"], ["why", "--business", "x"]):
        assert masterops("silence", *words).exit_code == 2
    done = masterops("silence", "their upgrade", "--account", "hubspot", "--minutes", "30", "--maintenance")
    assert done.output.startswith("maintenance 1 until ")
    kind, matches, ends_at = database.execute("select kind, matches, ends_at from ops.silences").fetchone() or ()
    assert (kind, matches) == ("maintenance", {"account": "hubspot"})
    assert abs(ends_at - datetime.now(UTC) - timedelta(minutes=30)) < timedelta(minutes=1)
    assert "maintenance 1 of account hubspot until" in masterops("list").output
    assert masterops("unsilence", "1").exit_code == 0
    assert "maintenance 1" not in masterops("list").output
    assert masterops("unsilence", "1").exit_code == 2


def test_rules_are_listed_checked_and_tried_on_the_past(database: Connection, state_dir: Path) -> None:
    assert "stream_stale" in masterops("rules", "list").output
    listed = json.loads(masterops("rules", "list", "--json").output)
    assert {rule["id"] for rule in listed} == {rule.id for rule in load_rules()}
    assert all(rule["runbook"] == f"docs/runbooks/{rule['id']}.md" for rule in listed)

    assert masterops("rules", "check").output == f"{len(listed)} rules, all can be evaluated\n"

    History(database, datetime.now(UTC)).load("hubspot", "deals", datetime.now(UTC) - timedelta(hours=5))
    tried = masterops("rules", "backtest", "stream_stale", "--days", "1", "--json")
    assert [firing["subject"] for firing in json.loads(tried.output)["firings"]] == ["hubspot.deals"]
    assert (
        "stream_stale would have fired 1 times in 1 days"
        in masterops("rules", "backtest", "stream_stale", "--days", "1").output
    )
    assert masterops("rules", "backtest", "run_stuck").exit_code == 2
    unknown = masterops("rules", "backtest", "stream_stal")
    assert (unknown.exit_code, "did you mean 'stream_stale'" in unknown.stderr) == (2, True)


def test_check_names_the_signal_that_cannot_be_read(database: Connection, state_dir: Path) -> None:
    database.execute("alter table ops.dead_letters rename column reason to why")
    broken = masterops("rules", "check")
    assert broken.exit_code == 1
    assert 'signal dead_letters: column "reason" does not exist' in broken.stderr
