"""`masterops dead-letters …`: rows that could not be loaded, with the reason; load them again or give them up."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from masterops_dagster.sources.dead_letters import DeadLetter

T = TypeVar("T")

app = typer.Typer(
    name="dead-letters",
    help="Rows that could not be loaded because a value breaks its type.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AccountOption = Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account's.")]
StreamOption = Annotated[str | None, typer.Option("--stream", metavar="S", help="Only this stream's.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="NUMBER...", help="Numbers, as `list` shows them.")]


@app.command("list")
def list_letters(
    account: AccountOption = None,
    stream: StreamOption = None,
    status: Annotated[str, typer.Option(help="open, replayed, discarded or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Which rows, and why."""
    from rich.console import Console
    from rich.table import Table

    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources import dead_letters
    from masterops_dagster.sources.arrow import dump_json

    _known(account, stream)
    if status not in ("open", "replayed", "discarded", "all"):
        raise BadInput(f"--status is open, replayed, discarded or all, not {status!r}")
    chosen: Any = None if status == "all" else status
    with connect() as connection:
        letters = dead_letters.find(connection, account=account, stream=stream, status=chosen, limit=limit)
    if as_json:
        typer.echo(dump_json([_fields(letter) for letter in letters]))
        return
    if not letters:
        typer.echo("no dead letters")
        return
    table = Table("number", "account", "stream", "id", "reason", "since", "status")
    for letter in letters:
        table.add_row(
            str(letter.dead_letter_id),
            letter.account,
            letter.stream,
            letter.external_id or "none",
            letter.reason,
            f"{letter.created_at:%Y-%m-%d %H:%M}",
            letter.status,
        )
    Console().print(table)


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER")],
    as_json: AsJson = False,
) -> None:
    """One row, whole, as the system said it."""
    import msgspec

    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources import dead_letters
    from masterops_dagster.sources.arrow import dump_json

    with connect() as connection:
        letter = _told(lambda: dead_letters.show(connection, number))
    if as_json:
        typer.echo(dump_json(_fields(letter)))
        return
    for name, value in _fields(letter).items():
        shown = msgspec.json.format(dump_json(value)) if name == "payload" else value
        typer.echo(f"{name}: {'' if shown is None else shown}")


@app.command()
def replay(
    numbers: Numbers = None,
    account: AccountOption = None,
    stream: StreamOption = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones (of the account, of the stream).")] = False,
    as_json: AsJson = False,
) -> None:
    """Load rows again, after the stream's declaration or the system was corrected."""
    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources import dead_letters
    from masterops_dagster.sources.arrow import dump_json

    _known(account, stream)
    if bool(numbers) == every:
        raise BadInput("name the numbers of dead letters, or --all")
    with connect() as connection:
        letters = dead_letters.find(connection, ids=numbers or None, account=account, stream=stream)
        if numbers and len(letters) < len(set(numbers)):
            wrong = sorted(set(numbers) - {letter.dead_letter_id for letter in letters})
            raise BadInput(f"no open dead letters with these numbers: {', '.join(map(str, wrong))}")
        results = _told(lambda: dead_letters.replay(connection, letters, by=getpass.getuser()))
    if as_json:
        typer.echo(dump_json([asdict(result) for result in results]))
        return
    for result in results:
        broken = f", {result.still_broken} still broken" if result.still_broken else ""
        typer.echo(f"{result.account} {result.stream}: {result.loaded} loaded{broken}")
    if not results:
        typer.echo("no dead letters")


@app.command()
def discard(
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="Numbers, as `list` shows them.")],
    why: Annotated[str, typer.Option("--why", help="Kept with the letter.")],
) -> None:
    """Give rows up for good; who did and why is written down."""
    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources import dead_letters

    if not why.strip():
        raise BadInput("--why is empty: say why these rows are given up")
    with connect() as connection:
        count = _told(lambda: dead_letters.discard(connection, numbers, by=getpass.getuser(), why=why))
    typer.echo(f"{count} discarded")


def _known(account: str | None, stream: str | None) -> None:
    """Raises `BadInput` for an account or a stream that there is not."""
    from masterops_dagster.cli import choices

    if account is not None:
        choices.account_of(account)
    if stream is not None:
        choices.require_stream(stream, account)


def _told(action: Callable[[], T]) -> T:
    """Runs it, and tells what can go wrong in one line."""
    from masterops_dagster.cli.problems import BadInput, Problem
    from masterops_dagster.sources.dead_letters import NoSuchLetter
    from masterops_dagster.sources.dlt_load import LoadFailed

    try:
        return action()
    except NoSuchLetter as error:
        raise BadInput(str(error)) from error
    except LoadFailed as error:
        raise Problem(str(error)) from error


def _fields(letter: DeadLetter) -> dict[str, object]:
    """The letter's fields, its payload decoded with decimals."""
    return {name: value for name, value in asdict(letter).items() if name != "payload_json"} | {
        "payload": letter.payload
    }
