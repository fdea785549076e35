"""`masterops health-check`: makes the health checks now, whether the platform runs or not, and shows how they ended.

With a database the results count like those of the regular rounds, so that what was repaired is known to be up at once.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from masterops_dagster.cli.choices import unknown
from masterops_dagster.cli.problems import Problem

if TYPE_CHECKING:
    from masterops_dagster.observability.health import Check, CheckResult

COLOURS = {"ok": "green", "degraded": "yellow", "failed": "red", "timed_out": "red", "broken": "magenta"}
ROUND_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of checks found; `not_kept` says why the results are nowhere but here."""

    at: datetime
    results: Sequence[CheckResult]
    not_kept: str = ""

    @property
    def unwell(self) -> list[CheckResult]:
        """What isn't as it should be, and isn't under maintenance."""
        return [result for result in self.results if result.outcome != "ok" and not result.excused]


def health_check(system: str | None, *, watch: bool, as_json: bool) -> None:
    """Prints a round, with `watch` more of them until Ctrl-C. Raises `Problem` if the last found something unwell."""
    checks = chosen(system)
    found: Round | None = None
    try:
        while found is None or watch:
            if found is not None:
                time.sleep(ROUND_SECONDS)
            found = make(checks)
            _print(found, as_json=as_json, watched=watch)
    except KeyboardInterrupt:
        if found is None:
            raise
    if found.unwell:
        named = ", ".join(result.check.id for result in found.unwell)
        raise Problem(f"{len(found.unwell)} of {len(found.results)} checks are not well: {named}")


def chosen(system: str | None) -> list[Check]:
    """The checks of one system (`hubspot`, `postgres`, `dagster`, `disk`, …), or all."""
    from masterops_dagster.observability.health import load_checks

    checks = load_checks()
    if system is None:
        return list(checks)
    known = sorted({check.system for check in checks if check.system})
    if system not in known:
        raise unknown("system", system, known)
    return [check for check in checks if check.system == system]


def make(checks: Sequence[Check]) -> Round:
    """Makes these checks now; keeps the results where there is a database to keep them in."""
    import psycopg

    from masterops_dagster.database.connection import DatabaseUnavailable, connect
    from masterops_dagster.observability.health import look, run_due

    at = datetime.now(UTC)
    try:
        with connect(application_name="masterops health-check") as connection:
            holder = f"health-check {socket.gethostname()}:{os.getpid()}"
            return Round(at, run_due(connection, checks, at, holder=holder, force=True))
    except (DatabaseUnavailable, psycopg.OperationalError) as error:
        reason = str(error)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        reason = "the database has no tables of masterops yet; `make up` makes them"
    return Round(at, look(checks, at), not_kept=" ".join(reason.split()))


def _print(found: Round, *, as_json: bool, watched: bool) -> None:
    if as_json:
        json.dump(_content(found), sys.stdout, indent=None if watched else 2)
        sys.stdout.write("\n")
        sys.stdout.flush()
        return
    console = Console()
    if watched:
        console.clear()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("check", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("response", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for result in found.results:
        outcome = result.outcome.replace("_", " ") + (" (maintenance)" if result.excused else "")
        response = f"{result.response_ms:,.0f} ms" if result.response_ms is not None else ""
        table.add_row(result.check.id, f"[{COLOURS[result.outcome]}]{outcome}[/]", response, escape(result.message))
    console.print(table)
    if found.not_kept:
        console.print(f"\n[yellow]The results are not kept:[/] {escape(found.not_kept)}")


def _content(found: Round) -> dict[str, object]:
    return {
        "at": found.at.isoformat(),
        "healthy": not found.unwell,
        "kept": not found.not_kept,
        "not_kept_because": found.not_kept or None,
        "checks": [
            {
                "id": result.check.id,
                "what": result.check.what,
                "system": result.check.system,
                "account": result.check.account,
                "business": result.check.business_key,
                "outcome": result.outcome,
                "response_ms": result.response_ms,
                "message": result.message,
                "excused": result.excused,
                "detail": dict(result.detail),
            }
            for result in found.results
        ],
    }
