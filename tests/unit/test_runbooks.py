"""Each alert rule has a page that says what it means and what to do, and what the page names exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import typer.main

from masterops_dagster.cli.main import app
from masterops_dagster.observability.alerts import load_rules
from masterops_dagster.settings import PROJECT_ROOT, Settings

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))
COMMANDS = typer.main.get_command(app)
PARTS = ["What it means", "Look here", "Do this"]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_each_rule_has_its_runbook_and_each_runbook_its_rule() -> None:
    assert {page.stem for page in PAGES} == {rule.id for rule in load_rules()}
    for rule in load_rules():
        assert (PROJECT_ROOT / rule.runbook).exists()


@every_page
def test_a_runbook_has_its_parts_and_fits_a_page(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert f"Rule `{page.stem}`." in text
    assert len(text.splitlines()) < 45


@every_page
def test_what_a_runbook_names_exists(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)]+\.md)\)", text):
        assert (page.parent / link).exists(), link
    for line in re.findall(r"`masterops ([^`]+)`", text):
        command: click.Command = COMMANDS
        words = line.split()
        while isinstance(command, click.Group) and words:
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z][a-z-]*", line)) <= options, line
    known = {f"MASTEROPS_{name}".upper() for name in Settings.model_fields}
    assert set(re.findall(r"MASTEROPS_[A-Z0-9_]+", text)) <= known
