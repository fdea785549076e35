"""`masterops test-integration`: tries the accounts of a system out, before anything is loaded, and shows each step."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.cli.choices import account_of, unknown
from masterops_dagster.cli.problems import BadInput, Problem

if TYPE_CHECKING:
    from masterops_dagster.observability.health.trial import Step

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "left out": "dim"}


def try_integration(system: str, account: str | None, *, as_json: bool) -> None:
    """Prints the steps. Raises `Problem` if one failed."""
    from masterops_dagster.observability.health.trial import try_account

    found: dict[str, Sequence[Step]] = {}
    for one in accounts(system, account):
        found[one.key] = list(try_account(one, datetime.now(UTC)))
        if not as_json:
            _print(one.key, found[one.key])
    failed = [f"{key}: {step.name}" for key, steps in found.items() for step in steps if step.outcome == "failed"]
    if as_json:
        json.dump(_content(found), sys.stdout, indent=2)
        sys.stdout.write("\n")
    if failed:
        raise Problem(f"failed: {', '.join(failed)}")


def accounts(system: str, account: str | None) -> list[Account]:
    """All accounts of a system, or the one that is named."""
    systems = list(dict.fromkeys(one.system for one in ACCOUNTS))
    if system not in systems:
        raise unknown("system", system, systems)
    if account is None:
        return [one for one in ACCOUNTS if one.system == system]
    named = account_of(account)
    if named.system != system:
        raise BadInput(f"{account} is an account of {named.system}, not of {system}")
    return [named]


def _print(account: str, steps: Sequence[Step]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title=account, title_justify="left")
    table.add_column("step", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for step in steps:
        took = f"{step.seconds * 1000:,.0f} ms" if step.seconds is not None else ""
        table.add_row(step.name, f"[{COLOURS[step.outcome]}]{step.outcome}[/]", took, escape(step.said))
    console = Console()
    console.print(table)
    console.print()


def _content(found: Mapping[str, Sequence[Step]]) -> dict[str, object]:
    return {
        "ok": not any(step.outcome == "failed" for steps in found.values() for step in steps),
        "accounts": {key: [asdict(step) for step in steps] for key, steps in found.items()},
    }
