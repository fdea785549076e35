"""`masterops doctor`: what is wrong here and what to do about it. Looks at everything, changes nothing."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.left_overs import left_overs
from masterops_dagster.cli.ports import Ports, is_free
from masterops_dagster.cli.problems import Problem
from masterops_dagster.cli.processes import Places, places, programs, simulated_accounts
from masterops_dagster.cli.running import dagster
from masterops_dagster.cli.supervision import Supervisor
from masterops_dagster.settings import PROJECT_ROOT, MissingCredential, settings

if TYPE_CHECKING:
    from masterops_dagster.sources.origins import Origin

Level = Literal["ok", "note", "wrong"]
OPEN_DEAD_LETTERS = (
    "select account, count(*) from ops.dead_letters where status = 'open' group by account order by account"
)
SIGNS: dict[Level, str] = {"ok": "[green]✓[/]", "note": "[yellow]•[/]", "wrong": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do about it."""

    level: Level
    subject: str
    said: str
    advice: str = ""


def examine() -> None:
    """Prints all findings. Raises `Problem` if something is wrong."""
    where = places()
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    wrong = 0
    for look in LOOKS:
        for finding in look(where):
            wrong += finding.level == "wrong"
            advice = f"[dim]→ {finding.advice}[/]" if finding.advice else ""
            table.add_row(SIGNS[finding.level], finding.subject, f"{finding.said} {advice}".strip())
    Console().print(table)
    if wrong:
        raise Problem(f"{wrong} thing{'s' if wrong > 1 else ''} wrong here")


def python(_: Places) -> Iterator[Finding]:
    """Whether the Python is one that the platform runs on."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        yield Finding("ok", "Python", f"{running} in {sys.prefix}")
    else:
        yield Finding("wrong", "Python", f"{running}", "install Python 3.11, 3.12 or 3.13, remove .venv, run `make up`")


def packages(_: Places) -> Iterator[Finding]:
    """Whether what is installed is what the lock names."""
    lock = PROJECT_ROOT / "requirements.lock"
    pinned = re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?: *; *([^\\\n]+))?", lock.read_text(), re.MULTILINE)
    off = []
    for name, wanted, marker in pinned:
        if marker and not _applies(marker):
            continue
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        if installed != wanted:
            off.append(f"{name} {installed} instead of {wanted}")
    if off:
        more = f" and {len(off) - 3} more" if len(off) > 3 else ""
        yield Finding("wrong", "packages", f"{'; '.join(off[:3])}{more}", "run `make setup`")
    else:
        yield Finding("ok", "packages", f"{len(pinned)} as locked")


def disk(_: Places) -> Iterator[Finding]:
    """Whether there is room for loads."""
    from masterops_dagster.sources.disk import room

    found = room()
    if not found.enough:
        yield Finding("wrong", "disk", str(found), "make room, or set MASTEROPS_STATE_DIR to another disk")
    elif found.tight:
        yield Finding("note", "disk", str(found), "make room before they do")
    else:
        yield Finding("ok", "disk", str(found))


def permissions(where: Places) -> Iterator[Finding]:
    """Whether the state folder is ours and nobody else's."""
    if not where.state.exists():
        yield Finding("ok", "state folder", f"{where.state} will be made")
        return
    owner = where.state.stat().st_uid
    if owner != os.getuid():
        yield Finding(
            "wrong", "state folder", f"{where.state} belongs to user {owner}", "run as that user, or chown it"
        )
    elif not os.access(where.state, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("wrong", "state folder", f"{where.state} can't be written", f"chmod u+rwx {where.state}")
    else:
        yield Finding("ok", "state folder", str(where.state))
    secrets = (settings().world_endpoints_file, settings().postgres_dir / "password", PROJECT_ROOT / ".env")
    for file in secrets:
        if file.exists() and file.stat().st_mode & 0o077:
            yield Finding("wrong", "secrets", f"{file} can be read by others", f"chmod 600 {file}")


def processes(where: Places) -> Iterator[Finding]:
    """Whether the programs run, and nothing runs that nobody watches."""
    supervisor = Supervisor(where)
    if not supervisor.answers():
        lost = left_overs(where.state)
        if lost:
            said = f"no supervisor, but {len(lost)} processes of it still live"
            yield Finding("wrong", "programs", said, "`masterops down`, then `make up`")
        else:
            yield Finding("note", "programs", "nothing runs", "`make up` starts it")
        yield from _ports(where)
        return
    for state in supervisor.states():
        if state.running:
            yield Finding("ok", state.name, f"runs as process {state.pid}")
        else:
            yield Finding("wrong", state.name, state.state.lower(), f"see {where.log(state.name)}; `make up` starts it")


def _ports(where: Places) -> Iterator[Finding]:
    kept = Ports(where.ports)
    for program in programs(settings()):
        if program.port is None:
            continue
        port = kept[program.name] if program.name in kept else program.port(settings())
        if port and not is_free(port):
            yield Finding("note", "ports", f"{port} for the {program.title} is taken", "the next free one will be used")


def database(where: Places) -> Iterator[Finding]:
    """Whether PostgreSQL answers and has all migrations."""
    from masterops_dagster.database.connection import DatabaseUnavailable, connect, database_url, location
    from masterops_dagster.database.migrations import MigrationError, pending
    from masterops_dagster.database.server import ServerFailed, require_readable
    from masterops_dagster.sources import deletions, origins

    current = settings()
    if current.embedded_database:
        try:
            require_readable(current.postgres_dir.resolve(), bin_dir=current.postgres_bin_dir)
        except ServerFailed as error:
            yield Finding("wrong", "database", str(error))
            return
    try:
        with connect() as connection:
            said = f"PostgreSQL {connection.info.server_version // 10000} at {location(database_url())}"
        yield Finding("ok", "database", said)
        waiting = pending()
    except DatabaseUnavailable as error:
        quiet = current.embedded_database and not Supervisor(where).answers()
        yield Finding("note" if quiet else "wrong", "database", str(error))
        return
    except MigrationError as error:
        yield Finding("wrong", "migrations", str(error))
        return
    if waiting:
        names = ", ".join(migration.name for migration in waiting)
        yield Finding("wrong", "migrations", f"pending: {names}", "`make up` applies them")
    else:
        yield Finding("ok", "migrations", "all applied")
        with connect() as connection:
            for account, letters in connection.execute(OPEN_DEAD_LETTERS):
                said = f"{account}: {letters} rows could not be loaded"
                yield Finding("note", "dead letters", said, "`masterops dead-letters list`")
            for held in deletions.held(connection, ACCOUNTS):
                advice = "if it is so, `masterops refresh --accept-deletions`; else mend the system's account"
                yield Finding("wrong", "deletions", held.said, advice)
            yield from _origins(origins.all_known(connection))


def _origins(known: Mapping[str, Origin]) -> Iterator[Finding]:
    """Whether each account is still what its rows come from, as far as can be told without asking it."""
    stood_in = {account.key for account in simulated_accounts(settings())}
    for account, origin in known.items():
        if origin.simulated and account not in stood_in:
            said = f"{account} has credentials, and its rows are simulated"
            yield Finding("wrong", "origins", said, f"`masterops go-live {account}`")
        elif not origin.simulated and account in stood_in:
            said = f"{account} holds rows of {origin.name}, and has no credentials now"
            yield Finding("wrong", "origins", said, f"set {account.upper()}_… again")


def credentials(_: Places) -> Iterator[Finding]:
    """Which accounts are real, which are stood in for, which can't be reached."""
    current = settings()
    stood_in = simulated_accounts(current)
    for account in ACCOUNTS:
        if account in stood_in:
            yield Finding(
                "note", account.key, "simulated: no credentials set", "docs/going-live.md tells how to make it real"
            )
            continue
        try:
            access = current.access(account)
        except MissingCredential as error:
            yield Finding("wrong", account.key, str(error))
        else:
            yield Finding("ok", account.key, f"real, at {access.base_url}")


def orchestrator(where: Places) -> Iterator[Finding]:
    """Whether Dagster answers, its definitions load, its daemons live, and what failed lately."""
    if not Supervisor(where).answers():
        return
    try:
        with dagster(where) as client:
            client.repository()
            silent = client.unhealthy_daemons()
            recent = client.runs(limit=20)
    except Problem as problem:
        yield Finding("wrong", "Dagster", str(problem), f"see {where.log('code-server')} and {where.log('webserver')}")
        return
    if silent:
        yield Finding("wrong", "Dagster", f"no heartbeat of {', '.join(silent)}", f"see {where.log('daemon')}")
    else:
        yield Finding("ok", "Dagster", "answers, definitions load, daemons live")
    failed = [run for run in recent if run.status == "FAILURE"]
    for run in failed:
        mended = any(
            other.job == run.job and other.status == "SUCCESS" and other.created_at > run.created_at for other in recent
        )
        said = f"{run.job} {run.run_id[:8]} failed at {run.created_at.astimezone():%Y-%m-%d %H:%M}"
        if mended:
            yield Finding("note", "runs", f"{said}; a later one succeeded")
        else:
            yield Finding("wrong", "runs", said, "look at it in the Dagster UI; `masterops refresh` tries again")


def _applies(marker: str) -> bool:
    from packaging.markers import Marker

    return Marker(marker.strip()).evaluate()


LOOKS: tuple[Callable[[Places], Iterator[Finding]], ...] = (
    python,
    packages,
    disk,
    permissions,
    processes,
    database,
    credentials,
    orchestrator,
)
"""In the order in which one depends on the other."""
