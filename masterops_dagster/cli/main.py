"""`masterops …`: the commands and their options. What each does is in the module of its name.

Exit codes: 0 done; 1 a problem, told in one line; 2 the command was not understood.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from masterops_dagster.cli import alerts, dead_letters, problems, world
from masterops_dagster.cli.kpi import kpi


class Commands(TyperGroup):
    """Tells known errors in one line instead of a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except (SystemExit, KeyboardInterrupt):
            raise
        except problems.known_errors() as error:  # asked only once something was raised
            sys.stderr.write(f"masterops: {problems.described(error)}\n")
            sys.exit(2 if isinstance(error, problems.BadInput) else 1)


app = typer.Typer(
    name="masterops",
    cls=Commands,
    help="Business systems → PostgreSQL → KPIs, in Dagster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is there in half the time
)

Business = Annotated[str | None, typer.Option("--business", metavar="B", help="Only what feeds this business.")]
System = Annotated[str | None, typer.Option("--system", metavar="S", help="Only this system.")]
Stream = Annotated[str, typer.Argument(metavar="STREAM", help="Its raw table's name, such as sales_orders.")]
AccountOf = Annotated[
    str | None, typer.Option("--account", metavar="KEY", help="Whose, where several accounts have it: hubspot …")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]


@app.callback()
def logged() -> None:
    """Business systems → PostgreSQL → KPIs, in Dagster."""
    from masterops_dagster.observability.logging import configure

    configure()


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything answers; it keeps running.")] = False,
    scale: Annotated[
        float | None,
        typer.Option("--scale", min=0.01, help="Size of the stand-in world when it is made; 1 is the usual."),
    ] = None,
) -> None:
    """Start everything, do the first load, and stay until Ctrl-C."""
    from masterops_dagster.cli import up as module

    module.up(scale=scale, detach=detach)


@app.command()
def down() -> None:
    """Stop everything, also what a kill -9 left behind."""
    from masterops_dagster.cli import down as module

    module.down()


@app.command()
def status(as_json: AsJson = False) -> None:
    """What runs and where, the last runs, and how old the data is."""
    from masterops_dagster.cli import status as module

    module.show(as_json=as_json)


@app.command()
def doctor() -> None:
    """What is wrong here and what to do."""
    from masterops_dagster.cli import doctor as module

    module.examine()


@app.command()
def logs(
    system: System = None,
    business: Annotated[str | None, typer.Option("--business", metavar="B", help="Only this business's.")] = None,
    level: Annotated[str, typer.Option("--level", metavar="L", help="At least info, warning, error …")] = "info",
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="30m, 2h, 3d or a moment; a day without it.")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Only this run's; its first letters do.")
    ] = None,
    grep: Annotated[str | None, typer.Option("--grep", metavar="TEXT", help="Only what has this text in it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many, the newest.")] = 200,
    as_json: AsJson = False,
) -> None:
    """What the programs said, newest last."""
    from datetime import UTC, datetime

    from masterops_dagster.cli import logs as module

    wanted = module.wanted(
        datetime.now(UTC),
        system=system,
        business=business,
        level=level,
        since=since,
        run=run,
        grep=grep,
        limit=limit,
    )
    module.show(wanted, follow=follow, as_json=as_json)


@app.command()
def metrics(
    system: System = None,
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="24h, 7d, or a moment.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Requests, errors, durations, quotas, and what ran."""
    from masterops_dagster.cli import metrics as module

    module.show(system, since, as_json=as_json)


@app.command()
def refresh(
    business: Business = None,
    system: System = None,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Rows held back as gone are gone: mark them.")
    ] = False,
) -> None:
    """Read what changed in the systems, then build everything on it."""
    from masterops_dagster.cli import refresh as module

    module.refresh(business=business, system=system, accept_deletions=accept_deletions)


@app.command()
def reload(
    stream: Stream,
    account: AccountOf = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day, 2026-03-01.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, inclusive.")] = None,
) -> None:
    """Read a stream anew, all of it or some days; readers see no gap."""
    from masterops_dagster.cli import reload as module

    module.reload(stream, account, start, end)


@app.command("reset-cursor")
def reset_cursor(
    stream: Stream,
    account: AccountOf = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help="Read again from here on; everything without it.")
    ] = None,
) -> None:
    """Let the next load of a stream start over."""
    from masterops_dagster.cli import reload as module

    module.reset_cursor(stream, account, to)


@app.command("health-check")
def health_check(
    system: Annotated[
        str | None, typer.Option("--system", metavar="S", help="Only this system; also postgres, dagster, disk.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again every 15 s, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make all health checks now; exit code 1 if something isn't as it should be."""
    from masterops_dagster.cli import health_check as module

    module.health_check(system, watch=watch, as_json=as_json)


@app.command("test-integration")
def try_integration(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="hubspot, unleashed …")],
    account: Annotated[str | None, typer.Option("--account", metavar="KEY", help="Only unleashed_teelixir …")] = None,
    as_json: AsJson = False,
) -> None:
    """Connect, sign in, read one page of each stream, look at scopes and limits."""
    from masterops_dagster.cli import integration_test as module

    module.try_integration(system, account, as_json=as_json)


@app.command("go-live")
def go_live(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="hubspot, unleashed_teelixir …")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Take an account's simulated rows away, so that it can be read with its real credentials."""
    from masterops_dagster.cli import go_live as module

    module.go_live(account, yes=yes)


@app.command()
def watch() -> None:
    """Watch from outside, until stopped; `up` runs this."""
    from masterops_dagster.cli import watch as module

    module.watch()


@app.command()
def backup(
    to: Annotated[Path | None, typer.Option("--to", metavar="PATH", help="File to write, or folder for it.")] = None,
) -> None:
    """The embedded database into one file, whether the platform runs or not."""
    from masterops_dagster.cli import backup as module

    module.backup(to)


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="What `masterops backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace the present database without asking.")] = False,
) -> None:
    """Put a backup in the place of the embedded database; the present one is kept beside it."""
    from masterops_dagster.cli import backup as module

    module.restore(path, yes=yes)


app.command()(kpi)
app.add_typer(world.app)
app.add_typer(dead_letters.app)
app.add_typer(alerts.app)
