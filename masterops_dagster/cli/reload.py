"""`masterops reload`, `masterops reset-cursor`: a stream read anew at once, or started over at its next load."""

from __future__ import annotations

import getpass

import typer

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.cli import choices

BUILD = "`masterops refresh` builds on it"


def reload(name: str, account_key: str | None, start: str | None, end: str | None) -> None:
    """Reads the stream anew and says what came of it. Raises what stands in the way."""
    account, stream = choices.stream_of(name, account_key)
    window = choices.days_of(start, end)
    from masterops_dagster.observability.telemetry import recorded, request_sink
    from masterops_dagster.sources import reload as sources

    with recorded(operation="reload", account=account.key, stream=stream.name):
        report = sources.reload(
            account,
            stream,
            window,
            by=getpass.getuser(),
            progress=lambda line: typer.echo(f"  {line}", err=True),
            sink=request_sink(),
        )
    for one in report.streams:
        gone = f", {one.deleted:,} marked as deleted" if one.deleted else ""
        held = f", {one.held_back:,} deletions held back" if one.held_back else ""
        letters = f", {one.dead_letters:,} could not be loaded" if one.dead_letters else ""
        typer.echo(f"{account.key} {one.stream}: {one.rows:,} rows read anew{gone}{held}{letters}")
    typer.echo(BUILD)


def reset_cursor(name: str, account_key: str | None, to: str | None) -> None:
    """Puts the stream's cursor back and says where it stood. Raises what stands in the way."""
    account, stream = choices.stream_of(name, account_key)
    from masterops_dagster import clock
    from masterops_dagster.sources import reload as sources

    moment = None if to is None else choices.moment_of(to, "--to", clock.now())
    whose, before = sources.reset_cursor(account, stream, moment, by=getpass.getuser())
    stood = f"it stood at {before.astimezone(MELBOURNE):%Y-%m-%d %H:%M}" if before else "it had none"
    reads = f"what was modified since {moment.astimezone(MELBOURNE):%Y-%m-%d %H:%M}" if moment else "everything"
    typer.echo(f"{account.key} {whose.name}: the next load reads {reads} ({stood}); `masterops refresh` does it now")
