"""`masterops dead-letters …`, as a person or a program uses it."""

import json

import pytest
from typer.testing import CliRunner

from masterops_dagster.businesses import account
from masterops_dagster.cli.main import app
from masterops_dagster.sources.ingest import ingest
from tests.in_memory_system import InMemorySystem

TEELIXIR = account("unleashed_teelixir")


@pytest.fixture
def run(state_dir):
    def masterops(*arguments):
        return CliRunner().invoke(app, ["dead-letters", *arguments])

    return masterops


@pytest.fixture
def letter(run, database):
    """One broken warehouse among two; its number."""
    system = InMemorySystem()
    system["Warehouses"].key = "Guid"
    system["Warehouses"].put({"Guid": "w1"}, {"Guid": "w2", "IsDefault": "perhaps"})
    ingest(TEELIXIR, ["warehouses"], reader=system)
    (row,) = database.execute("select dead_letter_id from ops.dead_letters").fetchall()
    return str(row[0])


def test_a_letter_is_listed_and_shown_for_people_and_programs(run, letter):
    assert "perhaps" in run("list").output
    (listed,) = json.loads(run("list", "--account", "unleashed_teelixir", "--json").output)
    shown = json.loads(run("show", letter, "--json").output)
    assert shown == listed
    assert shown["payload"] == {"Guid": "w2", "IsDefault": "perhaps"}
    assert shown["reason"] == "is_default: 'perhaps' is neither true nor false"
    assert '"IsDefault": "perhaps"' in run("show", letter).output
    assert json.loads(run("list", "--stream", "products", "--json").output) == []


def test_a_letter_is_replayed_by_number_or_with_all_others(run, letter, database):
    still = json.loads(run("replay", letter, "--json").output)
    assert [(one["loaded"], one["still_broken"]) for one in still] == [(0, 1)]
    database.execute("update ops.dead_letters set payload = jsonb_set(payload, '{IsDefault}', 'true')")
    assert "unleashed_teelixir warehouses: 1 loaded" in run("replay", "--all").output
    assert "no dead letters" in run("list").output
    assert "no dead letters" in run("replay", "--all").output


def test_a_letter_is_discarded_with_a_reason(run, letter):
    assert "1 discarded" in run("discard", letter, "--why", "a test warehouse").output
    (gone,) = json.loads(run("list", "--status", "discarded", "--json").output)
    assert gone["resolved_by"].endswith(": a test warehouse")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "4711"),
        ("replay",),
        ("replay", "4711"),
        ("discard", "4711", "--why", "gone"),
        ("discard", "4711", "--why", " "),
        ("list", "--status", "lost"),
    ],
)
def test_a_mistake_in_the_command_is_told_in_one_line(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
