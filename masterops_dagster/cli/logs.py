"""`masterops logs`: what the programs said, newest last, by system, business, level, time, run or text."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from masterops_dagster.businesses import ACCOUNTS, MELBOURNE
from masterops_dagster.cli import choices
from masterops_dagster.cli.problems import BadInput

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow
    from rich.console import Console

    Connection = psycopg.Connection[TupleRow]

LEVELS = ("debug", "info", "warning", "error", "critical")
SINCE = re.compile(r"(\d+)\s*([smhdw])", re.IGNORECASE)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
POLL_SECONDS = 1.0
LATE = timedelta(minutes=2)
"""Rows come in batches, some later than others: following looks so far back each time."""
MOST_AT_ONCE = 10_000
SHORTEST_RUN = 4

FIND = """
select
    tableoid::bigint || ' ' || ctid::text as place, occurred_at, level, program, logger, system, account, business_key,
    stream, operation, run_id, correlation_id, trace_id, error_class, event, fields
from ops.integration_logs
where occurred_at >= %(since)s
    and level = any(%(levels)s)
    and (%(system)s::text is null or system = %(system)s)
    and (%(business)s::text is null or business_key = %(business)s)
    and (%(run)s::text is null or starts_with(run_id, %(run)s))
    and (
        %(text)s::text is null
        or strpos(lower(concat_ws(' ', event, account, stream, operation, fields::text)), lower(%(text)s)) > 0
    )
order by occurred_at desc
limit %(limit)s
"""
COLOURS = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "bold red"}

Line = dict[str, Any]
"""A row, by column; `place` is where it stands: rows of this table never move."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines. `levels` are those at or above the one asked for."""

    since: datetime
    levels: list[str]
    system: str | None = None
    business: str | None = None
    run: str | None = None
    text: str | None = None
    limit: int = 200


def wanted(
    at: datetime,
    *,
    system: str | None,
    business: str | None,
    level: str,
    since: str | None,
    run: str | None,
    grep: str | None,
    limit: int,
) -> Wanted:
    """What the options mean. Without `since` it is a day, or, for one run, all of it. Raises `BadInput`."""
    known = list(dict.fromkeys(account.system for account in ACCOUNTS))
    if system is not None and system not in known:
        raise choices.unknown("system", system, known)
    if level.lower() not in LEVELS:
        raise choices.unknown("level", level, LEVELS)
    if run is not None and len(run) < SHORTEST_RUN:
        raise BadInput(f"--run {run!r} is too short; give at least its first {SHORTEST_RUN} characters")
    whole = timedelta(days=3650) if run is not None else timedelta(days=1)
    return Wanted(
        since=at - whole if since is None else moment(since, at),
        levels=list(LEVELS[LEVELS.index(level.lower()) :]),
        system=system,
        business=None if business is None else choices.business_of(business),
        run=run,
        text=grep,
        limit=limit,
    )


def moment(text: str, at: datetime) -> datetime:
    """`2h` before `at`, or a moment as 2026-11-28T14:00, in Melbourne where it has no zone. Raises `BadInput`."""
    if (span := SINCE.fullmatch(text.strip())) is not None:
        try:
            return at - timedelta(**{UNITS[span[2].lower()]: int(span[1])})
        except OverflowError as error:
            raise BadInput(f"--since {text!r} is too long ago") from error
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        known = "a time span like 30m, 2h, 3d nor a moment like 2026-11-28T14:00"
        raise BadInput(f"--since {text!r} is neither {known}") from error
    return choices.moment_of(text, "--since", at)


def show(found: Wanted, *, follow: bool, as_json: bool) -> None:
    """Prints the lines; with `follow` goes on with those that come, until Ctrl-C."""
    from rich.console import Console

    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources.arrow import dump_json

    console = Console(highlight=False, soft_wrap=True)
    shown = 0
    try:
        with connect(application_name="masterops logs") as connection:
            for line in followed(connection, found) if follow else reversed(find(connection, found)):
                shown += 1
                if as_json:
                    typer.echo(dump_json({name: value for name, value in line.items() if name != "place"}))
                else:
                    _print(console, line)
    except KeyboardInterrupt:
        return
    if not shown and not as_json:
        console.print(f"nothing was said since {found.since.astimezone(MELBOURNE):%Y-%m-%d %H:%M} that fits")


def find(connection: Connection, found: Wanted) -> list[Line]:
    """The newest lines, at most `limit`, newest first."""
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(FIND, asdict(found)).fetchall()


def followed(connection: Connection, found: Wanted) -> Iterator[Line]:
    """What is there, oldest first, then what comes, without end."""

    def lately() -> list[Line]:
        since = max(found.since, datetime.now(UTC) - LATE)
        return find(connection, replace(found, since=since, limit=MOST_AT_ONCE))

    seen = {line["place"] for line in lately()}
    there = find(connection, found)
    yield from reversed(there)
    seen |= {line["place"] for line in there}
    while True:
        time.sleep(POLL_SECONDS)
        lines = lately()
        yield from (line for line in reversed(lines) if line["place"] not in seen)
        seen = {line["place"] for line in lines}


def _print(console: Console, line: Line) -> None:
    """`14:03:12 warning  unleashed_teelixir products  request failed  status=503`, a traceback below it."""
    from rich.text import Text

    level = str(line["level"])
    shown = Text(f"{line['occurred_at'].astimezone(MELBOURNE):%m-%d %H:%M:%S} ", style="dim")
    shown.append(f"{level:<8} ", style=COLOURS.get(level, ""))
    where = " ".join(str(part) for part in (line["account"] or line["system"], line["stream"]) if part)
    if where:
        shown.append(f"{where}  ", style="cyan")
    shown.append(str(line["event"]), style="bold" if level in ("error", "critical") else "")
    rest = {name: line[name] for name in ("operation", "error_class", "correlation_id") if line[name]}
    if line["run_id"]:
        rest["run"] = str(line["run_id"])[:8]
    below = line["fields"].get("exception")
    for name, value in {**rest, **line["fields"]}.items():
        if name != "exception" and value is not None:
            shown.append(f"  {name}=", style="dim")
            shown.append(str(value))
    console.print(shown)
    if below:
        console.print(Text("\n".join(f"    {one}" for one in str(below).rstrip().splitlines()), style="dim"))
