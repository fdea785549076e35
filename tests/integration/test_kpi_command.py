"""`masterops kpi` where there is nothing to show, or the question makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from masterops_dagster import settings
from masterops_dagster.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--business", "acme"), "unknown business 'acme'; known: group, teelixir"),
        (("--grain", "hour"), "unknown grain 'hour'; known: day, week, month, fy, all"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "--from 2026-03-02 is after --to 2026-03-01"),
        (("--from", "yesterday"), "--from 'yesterday' is no date"),
    ],
)
def test_a_question_without_sense_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["kpi", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_without_a_database_it_says_how_to_start(
    output: tuple[str, ...], state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_DB_URL")
    settings.settings.cache_clear()
    result = CliRunner().invoke(app, ["kpi", *output])
    assert result.exit_code == 1
    assert "make up" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_before_the_first_load_it_says_so(output: tuple[str, ...], state_dir: Path) -> None:
    result = CliRunner().invoke(app, ["kpi", *output])
    assert result.exit_code == 1
    assert "first load has not been finished" in result.stderr
