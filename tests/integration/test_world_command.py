"""`masterops world …`, against a world and a database."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster import clock
from masterops_dagster.cli.problems import BadInput, Problem
from masterops_dagster.cli.world import app
from masterops_dagster.simulator.world.faults import Fault, read
from masterops_dagster.simulator.world.store import World


@pytest.fixture
def directory(state_dir: Path, small_world: Path) -> Path:
    """The world's folder in this test's state folder."""
    world = state_dir / "world"
    world.mkdir()
    (world / "world.sqlite").write_bytes((small_world / "world" / "world.sqlite").read_bytes())
    return world


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_new_day_moves_business_time_in_python_and_in_the_database(
    directory: Path, database: psycopg.Connection[TupleRow]
) -> None:
    before = clock.now()
    output = run("new-day", "40")
    assert "Red Hill Fresh: " in output
    assert "new simulated orders" in output
    assert abs(clock.now() - before - timedelta(days=40)) < timedelta(hours=2)
    ((there,),) = database.execute("select ops.now()").fetchall()
    assert abs(there - clock.now()) < timedelta(seconds=5)
    assert CliRunner().invoke(app, ["new-day", "0"]).exit_code == 2


def test_truth_is_json_with_the_five_fields_of_a_figure(directory: Path) -> None:
    rows = json.loads(run("truth", "--json"))
    assert {tuple(row) for row in rows} == {("business_key", "system", "date", "metric", "value")}
    assert {row["system"] for row in rows} >= {"unleashed", "woocommerce", "shopify", "all"}
    assert all(isinstance(row["value"], int | float) for row in rows)
    earlier = json.loads(run("truth", "--as-of", str(clock.today() - timedelta(days=30)), "--json"))
    assert max(row["date"] for row in earlier) == str(clock.today() - timedelta(days=30))
    with pytest.raises(BadInput, match="in the future"):
        run("truth", "--as-of", "2999-01-01")
    with pytest.raises(BadInput, match="no moment"):
        run("truth", "--as-of", "yesterday")


def test_misbehaviour_is_put_in_force_and_ended(directory: Path) -> None:
    assert "latency at 50%" in run("misbehave", "unleashed", "--kind", "latency", "--rate", "0.5", "--seed", "4")
    assert read(directory) == (Fault("unleashed", "latency", rate=0.5, seed=4, seconds=2.0),)
    assert "all simulated systems behave" in run("calm", "unleashed")
    with pytest.raises(BadInput, match="unknown kind"):
        run("misbehave", "unleashed", "--kind", "tantrum")


def test_a_reset_makes_another_world_and_lets_everything_be_read_anew(
    directory: Path, database: psycopg.Connection[TupleRow]
) -> None:
    database.execute(
        "insert into ops.cursors (account, stream, watermark, updated_at) values ('hubspot', 'contacts', now(), now())"
    )
    assert "seed 9, scale 0.01" in run("reset", "--scale", "0.01", "--seed", "9")
    assert World.open(directory).state().plan.seed == 9
    assert database.execute("select count(*) from ops.cursors").fetchone() == (0,)


def test_a_file_that_is_refused_says_why(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("order_number\n1\n")
    with pytest.raises(BadInput, match="wrong columns"):
        run("import", str(tmp_path / "bad.csv"), "--business", "red_hill_fresh")
    with pytest.raises(BadInput, match="unknown business 'acme'"):
        run("import", str(tmp_path / "bad.csv"), "--business", "acme")


def test_without_a_world_the_commands_say_what_to_do(state_dir: Path) -> None:
    with pytest.raises(Problem, match="make up"):
        run("new-day")
