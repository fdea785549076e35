"""`masterops alerts …`: what is wrong now, who takes it on, the rules, and whether messages arrive."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(
    name="alerts",
    help="Incidents, silences, the rules, and whether messages arrive.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]


@app.command("test")
def send_test(
    contact: Annotated[
        str | None, typer.Option("--contact", metavar="C", help="As in contacts.yaml; else who is told by default.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="slack, email or webhook; else each.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message and say what became of it; exit code 1 if it did not arrive."""
    import getpass
    import os
    import socket
    from dataclasses import asdict
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table

    from masterops_dagster.cli.problems import BadInput, Problem
    from masterops_dagster.observability.notify.contacts import CHANNEL_KINDS, ContactsInvalid
    from masterops_dagster.observability.notify.trial import reached, try_contacts
    from masterops_dagster.sources.arrow import dump_json

    if channel is not None and channel not in CHANNEL_KINDS:
        raise BadInput(f"--channel is {', '.join(CHANNEL_KINDS)}, not {channel!r}")
    kind: Any = channel
    sender = f"{getpass.getuser()} {socket.gethostname()}:{os.getpid()}"
    try:
        tried = try_contacts(datetime.now(UTC), sender=sender, contact=contact, channel=kind)
    except LookupError as error:
        raise BadInput(str(error)) from error
    except ContactsInvalid as error:
        raise Problem(str(error)) from error
    if as_json:
        typer.echo(dump_json([asdict(one) for one in tried]))
    else:
        table = Table("contact", "channel", "to", "outcome", "said")
        for one in tried:
            table.add_row(one.contact, one.channel, one.to, one.outcome, one.said)
        Console().print(table)
    if not reached(tried, asked_for=channel is not None):
        raise typer.Exit(1)
