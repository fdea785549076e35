"""`masterops backup` and `masterops restore`: the embedded database into one file, and back from it.

A backup is taken whether the platform runs or not. A restore wants everything stopped, builds the new data folder
beside the old one, and exchanges them only when every table has come back whole; the old one stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from masterops_dagster.cli import lock
from masterops_dagster.cli.left_overs import left_overs
from masterops_dagster.cli.problems import Problem
from masterops_dagster.cli.processes import places
from masterops_dagster.cli.supervision import Supervisor
from masterops_dagster.cli.view import print_plain
from masterops_dagster.database import backup as backups
from masterops_dagster.database import migrations, server
from masterops_dagster.settings import settings

BACKUPS = "backups"


def backup(to: Path | None) -> None:
    """Writes an archive: to the file `to`, into the folder `to`, or into `backups/` of the state folder."""
    console = Console()
    directory = _embedded()
    if server.made_by(directory) is None:
        raise Problem(f"there is no database in {directory} yet: `make up` makes one")
    name = f"masterops-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup"
    target = (to or places().state / BACKUPS).absolute()
    if to is None or target.is_dir():
        target /= name
    with _running(directory) as running:
        taken = backups.take(running, target, say=lambda said: print_plain(console, said))
    rows = sum(dump.rows for dump in taken.databases.values())
    size = target.stat().st_size / 1024**2
    print_plain(
        console, f"{target}: {rows:,} rows, {size:,.1f} MiB, PostgreSQL {taken.postgres_major}; read again, whole"
    )


def restore(archive: Path, *, yes: bool) -> None:
    """Puts an archive in the place of the database. Raises `Problem` while anything runs."""
    console = Console()
    directory, where = _embedded(), places()
    with lock.held(where.lock, waiting=lambda: print_plain(console, "waiting for another `masterops` to end")):
        if Supervisor(where).answers() or left_overs(where.state) or server.status(directory) is not None:
            raise Problem("the platform runs on the database that is to be replaced: `masterops down` first")
        manifest = backups.check(archive)
        _require_known(archive, manifest)
        print_plain(
            console,
            f"{archive}: taken at {manifest.taken_at:%Y-%m-%d %H:%M} UTC by masterops {manifest.masterops}, PostgreSQL "
            f"{manifest.postgres_major}, {manifest.databases['masterops'].rows:,} rows of data",
        )
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        kept = directory.with_name(f"{directory.name}.before-{stamp}")
        there = server.made_by(directory)
        if there is not None and not yes:
            typer.confirm(
                f"Replace the database in {directory} (PostgreSQL {there})? It is kept as {kept.name}", abort=True
            )
        made = directory.with_name(f"{directory.name}.restored-{stamp}")
        backups.restore(archive, made, bin_dir=settings().postgres_bin_dir, say=lambda said: print_plain(console, said))
        if directory.exists():
            directory.rename(kept)
        made.rename(directory)
    print_plain(
        console, "restored, every table with all its rows; `make up` starts it and reads what has changed since"
    )
    if there is not None:
        print_plain(console, f"the database before is kept in {kept}: delete it when all is well")


def _require_known(archive: Path, manifest: backups.Manifest) -> None:
    known = {migration.version for migration in migrations.read(migrations.MIGRATIONS)}
    unknown = [landed for landed in manifest.migrations if landed not in known]
    if unknown:
        raise Problem(
            f"{archive} was taken by a later masterops ({manifest.masterops}): it has the migrations "
            f"{', '.join(unknown)}, of which this one knows nothing. Update the code first"
        )


def _embedded() -> Path:
    if not settings().embedded_database:
        raise Problem(
            "only the embedded database is backed up here, and SUPABASE_DB_URL names another: Supabase keeps daily "
            "backups (Dashboard → Database → Backups); `pg_dump` works with any"
        )
    return settings().postgres_dir.resolve()


@contextmanager
def _running(directory: Path) -> Iterator[server.Server]:
    """The running server; one that did not run is stopped again."""
    running = server.status(directory)
    if running is not None:
        yield running
        return
    try:
        yield server.start(directory, bin_dir=settings().postgres_bin_dir)
    finally:
        server.stop(directory)
