"""`masterops …`: the commands and their options. What each does is in the module of its name.

Exit codes: 0 done; 1 a problem, told in one line; 2 the command was not understood.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from masterops_dagster.cli import dead_letters, problems, world
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
def refresh(business: Business = None, system: System = None) -> None:
    """Read what changed in the systems, then build everything on it."""
    from masterops_dagster.cli import refresh as module

    module.refresh(business=business, system=system)


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
