"""`masterops metrics`: requests, errors, durations, quotas and what ran, as tables for people or JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from masterops_dagster.businesses import ACCOUNTS, MELBOURNE
from masterops_dagster.cli import choices
from masterops_dagster.cli.logs import moment

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow
    from rich.table import Table

Row = dict[str, Any]
SHOWN = 12
"""Rows of a table of the slowest; JSON has all."""

OF_SYSTEM = "(%(system)s::text is null or split_part(account, '_', 1) = %(system)s)"


@dataclass(frozen=True, slots=True)
class Question:
    """A part of the answer: its name in JSON, and the query, which takes `since`, `at` and `system`."""

    name: str
    query: str


QUESTIONS = (
    Question(
        "requests",
        f"select * from ops.error_rates_between(%(since)s, %(at)s) where {OF_SYSTEM} order by account",  # noqa: S608
    ),
    Question(
        "latencies",
        f"select * from ops.request_latencies_between(%(since)s, %(at)s) where {OF_SYSTEM}"  # noqa: S608
        " order by p95_ms desc",
    ),
    Question(
        "slowest",
        f"select * from ops.slowest_requests_between(%(since)s, %(at)s) where {OF_SYSTEM}"  # noqa: S608
        " order by duration_ms desc",
    ),
    Question(
        "quotas",
        f"select * from ops.quota_use_at(%(at)s) where {OF_SYSTEM}"  # noqa: S608
        " order by used_share desc nulls last, account, quota",
    ),
    Question(
        "executions",
        f"select * from ops.execution_history_between(%(since)s, %(at)s) where {OF_SYSTEM}"  # noqa: S608
        " order by array_position(array['dagster', 'dbt', 'n8n', 'masterops'], source), kind, failed desc, name",
    ),
)


def show(system: str | None, since: str, *, as_json: bool) -> None:
    """Prints all of it. Raises `BadInput` or `DatabaseUnavailable`."""
    from rich.console import Console

    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources.arrow import dump_json

    known = list(dict.fromkeys(account.system for account in ACCOUNTS))
    if system is not None and system not in known:
        raise choices.unknown("system", system, known)
    at = datetime.now(UTC)
    begin = moment(since, at)
    with connect(application_name="masterops metrics") as connection:
        answers = ask(connection, begin, at, system)
    if as_json:
        typer.echo(dump_json({"since": begin.isoformat(), "at": at.isoformat(), **answers}))
        return
    console = Console()
    console.print(f"since {begin.astimezone(MELBOURNE):%Y-%m-%d %H:%M} in Melbourne")
    for table in tables(answers):
        console.print(table)


def ask(
    connection: psycopg.Connection[TupleRow], since: datetime, at: datetime, system: str | None = None
) -> dict[str, list[Row]]:
    """The rows that answer each question, by its name."""
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return {
            question.name: cursor.execute(question.query, {"since": since, "at": at, "system": system}).fetchall()
            for question in QUESTIONS
        }


def tables(answers: dict[str, list[Row]]) -> Iterable[Table]:
    """The answers as people read them; what there is none of says so."""
    yield _table(
        "requests",
        answers["requests"],
        ("account", "account", str),
        ("requests", "requests", _count),
        ("errors", "errors", _count),
        ("error rate", "error_rate", _share),
        ("slowed down", "rate_limited", _count),
        ("commonest error", "commonest_error", _text),
        ("last error", "last_error_at", _moment),
    )
    yield _table(
        "durations by operation, the slowest first",
        answers["latencies"][:SHOWN],
        ("account", "account", str),
        ("operation", "operation", str),
        ("requests", "requests", _count),
        ("p50", "p50_ms", _duration),
        ("p95", "p95_ms", _duration),
        ("p99", "p99_ms", _duration),
        ("longest", "max_ms", _duration),
    )
    yield _table(
        "slowest requests",
        answers["slowest"][:SHOWN],
        ("when", "occurred_at", _moment),
        ("account", "account", str),
        ("request", "path_template", str),
        ("outcome", "outcome", str),
        ("took", "duration_ms", _duration),
        ("run", "run_id", lambda run: str(run)[:8] if run else ""),
    )
    yield _table(
        "quotas in use now",
        answers["quotas"],
        ("account", "account", str),
        ("quota", "quota", str),
        ("used", "used", _count),
        ("of", "quota_limit", _count),
        ("unit", "unit", str),
        ("share", "used_share", _share),
        ("blocked until", "blocked_until", _moment),
    )
    yield _table(
        "what ran",
        _most_telling(answers["executions"]),
        ("source", "source", str),
        ("kind", "kind", str),
        ("name", "name", str),
        ("times", "executions", _count),
        ("failed", "failed", _count),
        ("p50", "p50_ms", _duration),
        ("p95", "p95_ms", _duration),
        ("last", "last_started_at", _moment),
        ("how", "last_status", str),
        ("last error", "last_error_class", _text),
    )


def _most_telling(executions: Sequence[Row]) -> list[Row]:
    """All but dbt's nodes, of which there are hundreds: of them those that failed and those that take longest."""
    nodes = [row for row in executions if row["kind"] == "node"]
    failed = [row for row in nodes if row["failed"]]
    slowest = sorted((row for row in nodes if not row["failed"]), key=lambda row: row["p95_ms"] or 0, reverse=True)
    return [row for row in executions if row["kind"] != "node"] + failed + slowest[:SHOWN]


def _table(title: str, rows: Sequence[Row], *columns: tuple[str, str, Callable[[Any], str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold", caption=None if rows else "none")
    for heading, _, shown in columns:
        right = shown in (_count, _share, _duration)
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for row in rows:
        style = "red" if row.get("last_status") == "failed" or row.get("errors") else ""
        table.add_row(*(Text(shown(row[name])) for _, name, shown in columns), style=style)
    return table


def _text(value: str | None) -> str:
    return value or ""


def _count(value: Any) -> str:
    return f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _duration(ms: Any) -> str:
    if ms is None:
        return ""
    seconds = float(ms) / 1000
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(MELBOURNE):%d %b %H:%M:%S}"
