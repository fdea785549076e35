"""What the documentation names exists: links, commands with their options, make's targets, modules and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import typer.main

from masterops_dagster.cli.main import app
from masterops_dagster.cli.processes import base_environment, places
from masterops_dagster.database.dbt import dbt_env
from masterops_dagster.observability.correlation import RUN_ID
from masterops_dagster.settings import PROJECT_ROOT

PAGES = sorted((PROJECT_ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^ {4}.*$|`[^`\n]+`", re.MULTILINE)
COMMAND = re.compile(r"\bmasterops ([^\n`#|]+)")
VARIABLE = re.compile(r"\b(?:MASTEROPS|HUBSPOT|UNLEASHED|WOOCOMMERCE|SUPABASE|DAGSTER)_[A-Z0-9_]*[A-Z0-9]\b")

every_page = pytest.mark.parametrize("page", [*PAGES, PROJECT_ROOT / "README.md"], ids=lambda page: page.name)


def code(page: Path) -> str:
    """Everything that is set as code, one piece a line."""
    return "\n".join(CODE.findall(page.read_text()))


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> Iterator[tuple[click.Command, str, list[str]]]:
    """Each `masterops …`: the command that its words lead to, the line, and the options that it names.

    Raises `KeyError` for a word that is no command.
    """
    for line in COMMAND.findall(code(page)):
        command: click.Command = typer.main.get_command(app)
        words = line.split()
        while isinstance(command, click.Group) and words:
            command = command.commands[words.pop(0)]
        yield command, line, re.findall(r"--[a-z][a-z-]*", line)


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_page
def test_every_command_exists_and_has_the_options_that_are_named(page: Path) -> None:
    for command, line, options in commands(page):
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(options) <= known, f"masterops {line}"


@every_page
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z0-9-]+)", code(page), re.MULTILINE)) <= targets


@every_page
def test_every_module_that_is_to_be_run_exists(page: Path) -> None:
    for module in re.findall(r"python -m ([\w.]+)", code(page)):
        assert find_spec(module), module


@every_page
def test_every_variable_is_a_setting_or_one_that_we_set(page: Path) -> None:
    listed = set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", (PROJECT_ROOT / ".env.example").read_text(), re.MULTILINE))
    ours = {RUN_ID, *dbt_env("postgresql://someone@somewhere/something"), *base_environment(places())}
    assert set(VARIABLE.findall(page.read_text())) <= listed | ours


def test_the_index_leads_to_every_page() -> None:
    index = (PROJECT_ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in PAGES if f"]({page.name})" not in index and page.name != "README.md"] == []


def test_what_this_looks_for_is_found() -> None:
    found = {(command.name, option) for page in PAGES for command, _, options in commands(page) for option in options}
    assert {("misbehave", "--kind"), ("import", "--business"), ("discard", "--why")} <= found
