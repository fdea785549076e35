"""`masterops status`: what runs and where, the last runs, and how old the data of each account is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from masterops_dagster import clock
from masterops_dagster.cli.dagster_client import Run
from masterops_dagster.cli.ports import Ports
from masterops_dagster.cli.problems import NotRunning, Problem
from masterops_dagster.cli.processes import Places, places, programs, simulated_accounts
from masterops_dagster.cli.running import dagster
from masterops_dagster.cli.supervision import Supervisor
from masterops_dagster.settings import settings
from masterops_dagster.sources.disk import Room, room

if TYPE_CHECKING:
    from masterops_dagster.sources.deletions import HeldDeletions

READ_UP_TO = """
with streams as (
    select account, stream, max(business_at) as read_up_to
    from ops.loads
    where status = 'succeeded' and kind in ('live', 'sweep')
    group by account, stream
)
select account, min(read_up_to), count(*) from streams group by account
"""
"""An account is as old as its oldest stream."""


@dataclass(frozen=True, slots=True)
class Service:
    """A program of `up`; `url` is None where it listens on no port of its own."""

    name: str
    title: str
    state: str
    pid: int | None
    since: datetime | None
    url: str | None


@dataclass(frozen=True, slots=True)
class Data:
    """How far an account's data reaches. `age_seconds` is business time, None before the first load.

    `held_back` are deletions that are too many to believe and wait for a person.
    """

    account: str
    simulated: bool
    read_up_to: datetime | None
    age_seconds: float | None
    streams: int
    held_back: tuple[HeldDeletions, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `status` shows; `problems` are what could not be asked."""

    running: bool
    env: str
    state_dir: str
    business_time: datetime
    services: tuple[Service, ...]
    runs: tuple[Run, ...]
    data: tuple[Data, ...]
    disk: Room
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything that should run does, and answers."""
        return self.running and not self.problems and all(service.state == "RUNNING" for service in self.services)


def collect(where: Places) -> Status:
    """Asks everything that can be asked."""
    current = settings()
    services = _services(where)
    problems: list[str] = []
    runs: Sequence[Run] = ()
    data: Sequence[Data] = ()
    running = any(service.pid for service in services)
    if running:
        try:
            with dagster(where) as client:
                runs = client.runs(limit=8)
        except Problem as problem:
            problems.append(str(problem))
        try:
            data = ages()
        except ConnectionError as error:
            problems.append(str(error))
    disk = room()
    if running and not disk.enough:
        problems.append(f"no room for loads: {disk}")
    return Status(
        running=running,
        env=current.env,
        state_dir=str(where.state),
        business_time=clock.now(),
        services=tuple(services),
        runs=tuple(runs),
        data=tuple(data),
        disk=disk,
        problems=tuple(problems),
    )


def ages() -> list[Data]:
    """How old each account's data is. Raises `DatabaseUnavailable`."""
    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources import deletions
    from masterops_dagster.sources.catalogue import READ_ACCOUNTS

    now = clock.now()
    stood_in = {account.key for account in simulated_accounts(settings())}
    with connect() as connection:
        known: Mapping[str, tuple[datetime, int]] = {
            account: (read_up_to, streams) for account, read_up_to, streams in connection.execute(READ_UP_TO)
        }
        held = deletions.held(connection, READ_ACCOUNTS)
    found = []
    for account in READ_ACCOUNTS:
        read_up_to, streams = known.get(account.key, (None, 0))
        age = (now - read_up_to).total_seconds() if read_up_to else None
        waiting = tuple(one for one in held if one.account == account.key)
        found.append(Data(account.key, account.key in stood_in, read_up_to, age, streams, waiting))
    return found


def show(*, as_json: bool) -> None:
    """Prints the status. Raises `NotRunning` if nothing runs, `Problem` if something that should does not."""
    status = collect(places())
    if as_json:
        content = {**asdict(status), "healthy": status.healthy}
        Console().print_json(json.dumps(content, default=_plain)) if Console().is_terminal else print_json(content)
    elif status.running:
        _print(status)
    if not status.running:
        raise NotRunning
    if not status.healthy:
        broken = [service.title for service in status.services if service.state != "RUNNING"]
        raise Problem("; ".join([*(f"{title} is not running" for title in broken), *status.problems]))


def print_json(content: object) -> None:
    """JSON on standard output, as other programs read it."""
    import sys

    json.dump(content, sys.stdout, default=_plain, indent=2)
    sys.stdout.write("\n")


def ago(seconds: float | None) -> str:
    """`3 min`, `2.5 h`: how a person says it."""
    if seconds is None:
        return "never"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def _services(where: Places) -> list[Service]:
    states = {state.name: state for state in Supervisor(where).states()}
    kept = Ports(where.ports)
    found = []
    for program in programs(settings()):
        state = states.get(program.name)
        found.append(
            Service(
                program.name,
                program.title,
                state.state if state else "STOPPED",
                state.pid if state else None,
                state.since if state and state.pid else None,
                program.url(kept),
            )
        )
    return found


def _print(status: Status) -> None:
    console = Console()
    now = datetime.now(UTC)
    services = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("service", "state", "since", "where"):
        services.add_column(heading)
    for service in status.services:
        colour = "green" if service.state == "RUNNING" else "red"
        since = ago((now - service.since).total_seconds()) if service.since else ""
        services.add_row(service.title, f"[{colour}]{service.state.lower()}[/]", since, service.url or "")
    console.print(services)
    runs = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("run", "job", "kind", "status", "queued", "took"):
        runs.add_column(heading)
    for run in status.runs:
        took = str(timedelta(seconds=round(run.seconds))) if run.seconds is not None else ""
        queued = f"{ago((now - run.created_at).total_seconds())} ago"
        runs.add_row(run.run_id[:8], run.job, run.kind, run.status.lower(), queued, took)
    console.print()
    console.print(runs)
    data = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("account", "data is", "streams", ""):
        data.add_column(heading)
    for account in status.data:
        age = f"{ago(account.age_seconds)} old" if account.age_seconds is not None else "not loaded"
        data.add_row(account.account, age, str(account.streams), "simulated" if account.simulated else "")
    console.print()
    console.print(data)
    for account in status.data:
        for one in account.held_back:
            console.print(f"\n[red]{one.said}: `masterops refresh --accept-deletions`, or mend the system[/]")
    if status.disk.tight:
        console.print(f"\n[yellow]the disk gets full:[/] {status.disk}", highlight=False)
    console.print(
        f"\n{status.env}, business time {status.business_time.astimezone():%Y-%m-%d %H:%M %Z}", highlight=False
    )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
