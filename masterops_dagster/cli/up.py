"""`masterops up`: everything running, in order, and the first load done; whatever state it finds.

Each step looks before it acts, so that the same way leads from nothing, from a kill -9, and from a half-finished first
load to a running platform.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from types import FrameType

import httpx
from rich.console import Console

from masterops_dagster.cli import lock, ports
from masterops_dagster.cli.dagster_client import ACTIVE, Dagster, Run
from masterops_dagster.cli.left_overs import left_overs
from masterops_dagster.cli.made_of import outdated
from masterops_dagster.cli.manifest import ensure_manifest
from masterops_dagster.cli.ports import Ports
from masterops_dagster.cli.problems import Problem, RunFailed
from masterops_dagster.cli.processes import (
    Places,
    Program,
    places,
    programs,
    simulated_accounts,
    write_dagster_home,
)
from masterops_dagster.cli.progress import follow, reason
from masterops_dagster.cli.supervision import Supervisor
from masterops_dagster.cli.view import View
from masterops_dagster.settings import settings

REFRESH_JOB = "refresh"
HISTORY_JOB = "history"
REFRESH_SCHEDULE = "hourly_refresh"
START_PATIENCE = 180.0
"""Seconds that a program may take to answer; a cold disk and a busy machine included."""
RUN_PATIENCE = 900.0
"""How long `up` waits for runs to end before it puts new code in their place."""
LIVES = 3
"""How often a program may die while it is waited for."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM; not an error that anything on the way should catch."""


def up(*, scale: float | None = None, detach: bool = False) -> None:
    """Starts what is not running and finishes what is not done; attached, stays until it is stopped.

    What it started it stops again when it is interrupted or can't go on; what ran before stays. Raises `Problem`, or
    `RunFailed` if the first load failed, in which case everything keeps running for a look.
    """
    where = places()
    supervisor = Supervisor(where)
    up_and_running = False
    try:
        with _interruptible(), View(Console()) as view, ExitStack() as undo:
            failed = None
            with lock.held(where.lock, waiting=lambda: view.say("another `masterops up` is at work; waiting for it")):
                before = supervisor.pid()
                try:
                    bring_up(view, where, supervisor, scale, undo)
                except RunFailed as problem:
                    failed = problem
                started_here = supervisor.pid() != before
            report(view, where, figures=failed is None)
            up_and_running = True
            if started_here and not detach:
                if failed is not None:
                    view.say(str(failed), style="red")
                view.say("Ctrl-C stops everything.")
                watch(view, where, supervisor)
            undo.pop_all()
            if failed is not None and (detach or not started_here):
                raise failed
    except Interrupted:
        if not up_and_running:
            raise Problem("interrupted before everything was up") from None


def stop(view: View, supervisor: Supervisor) -> None:
    """Stops everything, telling so."""
    view.activity("")
    view.programs("stopping")
    view.say("stopping …")
    supervisor.stop()
    view.programs("stopped")
    view.say("stopped")


def bring_up(view: View, where: Places, supervisor: Supervisor, scale: float | None, undo: ExitStack) -> None:
    """From whatever is there to everything running and the first load done; `undo` stops what was started."""
    current = settings()
    require_the_rest()
    wanted = programs(current)
    if supervisor.answers() and not supervisor.knows(wanted):
        view.say("other programs are needed than those that run: starting anew")
        supervisor.stop()
    fresh = not supervisor.answers()
    if fresh:
        if left_overs(where.state):
            view.say("ending what a killed supervisor left behind")
        supervisor.stop()
    kept = Ports(where.ports)
    for program in wanted:
        view.program(program.name, program.title, "waiting")
        if program.port is not None and (fresh or program.name not in kept):
            kept.claim(program.name, program.port(current))
    if fresh:
        write_dagster_home(where)
        with view.doing("reading the dbt project"):
            ensure_manifest()
        undo.callback(stop, view, supervisor)
        supervisor.start(wanted)
    start = _Starter(view, where, supervisor, kept, {program.name: program for program in wanted})
    old = [] if fresh else outdated(where, wanted)
    if old:
        make_way(view, where, supervisor, old)
    if current.embedded_database:
        from masterops_dagster.database import server

        start.launch("postgres")
        start.wait("postgres", lambda: server.status(current.postgres_dir.resolve()) is not None)
        server.await_ready(current.postgres_dir.resolve(), timeout=START_PATIENCE)
    # Dagster's imports take the seconds in which the database and the world are made.
    start.launch("code-server")
    start.launch("webserver")
    prepare_database(view)
    if simulated_accounts(current):
        prepare_world(view, where, scale)
        start.launch("world")
        start.wait("world", lambda: _healthy(f"http://{ports.HOST}:{kept['world']}/healthz"))
    start.wait("code-server", lambda: ports.answers(where.socket("code-server")))
    start.launch("daemon")
    with Dagster(f"http://{ports.HOST}:{kept['webserver']}") as dagster:
        start.wait("webserver", dagster.answers)
        if old:
            dagster.reload("masterops")
        dagster.await_definitions()
        start.wait("daemon", lambda: not dagster.unhealthy_daemons())
        start.launch("status-page")
        start.launch("watch")
        start.wait("status-page", lambda: _healthy(f"http://{ports.HOST}:{kept['status-page']}/healthz"))
        start.ready("watch")
        first_load(view, dagster, nothing_ran=fresh)


def require_the_rest() -> None:
    """Raises `MissingCredential`, `DatabaseUnavailable`, `MigrationError` … for what nothing here can replace or mend.

    Before anything is started.
    """
    from masterops_dagster.businesses import ACCOUNTS
    from masterops_dagster.database import migrations
    from masterops_dagster.database.connection import dagster_url, database_url
    from masterops_dagster.database.server import require_readable

    current = settings()
    stood_in = simulated_accounts(current)
    for account in ACCOUNTS:
        if account not in stood_in:
            current.access(account)
    if current.embedded_database:
        require_readable(current.postgres_dir.resolve(), bin_dir=current.postgres_bin_dir)
    else:
        migrations.pending(database_url())
    if current.env != "local":
        dagster_url()


def make_way(view: View, where: Places, supervisor: Supervisor, old: Sequence[str]) -> None:
    """Stops the running programs whose code has changed, once no run goes on; raises `Problem` if one goes on and on.

    The daemon is stopped first, so that no other run begins: those that are queued stay so until it is back.
    """
    view.say(f"new code: {', '.join(old)} {'starts' if len(old) == 1 else 'start'} anew")
    if "code-server" in old:
        with view.doing("reading the dbt project"):
            ensure_manifest()
        supervisor.stop_program("daemon")
        try:
            await_runs(view, where, supervisor)
        except BaseException:
            supervisor.start_program("daemon")
            raise
    write_dagster_home(where)
    for name in old:
        supervisor.stop_program(name)


def await_runs(view: View, where: Places, supervisor: Supervisor) -> None:
    """Until no run goes on any more. Without code server or webserver none can.

    `history` isn't waited for: it records days for minutes, and what is lost of it the next one records.
    """
    states = {state.name: state.running for state in supervisor.states()}
    if not (states.get("code-server") and states.get("webserver")):
        return
    deadline = time.monotonic() + RUN_PATIENCE
    with Dagster(f"http://{ports.HOST}:{Ports(where.ports)['webserver']}") as dagster:
        while dagster.answers():
            active = [run for run in dagster.runs(statuses=ACTIVE, limit=20) if run.job != HISTORY_JOB]
            if not active:
                return
            names = ", ".join(f"{run.job} {run.run_id[:8]}" for run in active)
            if time.monotonic() > deadline:
                raise Problem(f"{names} still runs on the code before; `make up` again once it has ended")
            view.activity(f"waiting for {names} to end")
            time.sleep(1)


def prepare_database(view: View) -> None:
    """Applies pending migrations, sets the database's business time to the world's, and makes this month ready."""
    from masterops_dagster import clock
    from masterops_dagster.database.connection import connect
    from masterops_dagster.database.migrations import migrate
    from masterops_dagster.observability import partitions

    with view.doing("migrations"):
        applied = migrate()
        with connect() as connection:
            connection.execute(
                "insert into ops.clock (singleton, offset_seconds) values (true, %s)"
                " on conflict (singleton) do update set offset_seconds = excluded.offset_seconds",
                [clock.offset().total_seconds()],
            )
            partitions.ready(connection, datetime.now(UTC))
    for migration in applied:
        view.say(f"  migrated: {migration.version} {migration.name}", style="dim")


def prepare_world(view: View, where: Places, scale: float | None) -> None:
    """Makes the stand-in world where there is none, and its days up to today. Raises `Problem` for another scale."""
    from masterops_dagster.simulator.world.store import World

    directory = where.state / "world"
    if scale is not None and World.exists(directory):
        existing = World(directory).state().scale
        if existing != scale:
            raise Problem(
                f"the stand-in world exists at scale {existing:g}: "
                f"`masterops world reset --scale {scale:g}` makes it anew"
            )

    def progress(day: date, last: date) -> None:
        view.activity(f"making the stand-in world: {day} of {last}")

    with view.doing("stand-in world"):
        World.open(directory, scale=1.0 if scale is None else scale, progress=progress).close()


def first_load(view: View, dagster: Dagster, *, nothing_ran: bool) -> None:
    """Runs the whole refresh once, ever: finishes one that goes on, starts one again that was lost.

    `nothing_ran` says that all programs were down before: then no run can still have a process. Raises `RunFailed`.
    """
    if any(_is_whole(run) for run in dagster.runs(job=REFRESH_JOB, statuses=["SUCCESS"], limit=200)):
        return
    if nothing_ran:
        for run in dagster.runs(job=REFRESH_JOB, statuses=ACTIVE, limit=50):
            dagster.cancel(run.run_id, process_is_gone=True)
    unfinished = dagster.runs(job=REFRESH_JOB, statuses=["QUEUED", "NOT_STARTED", *ACTIVE], limit=50)
    run_id = next((run.run_id for run in unfinished if _is_whole(run)), None)
    if run_id is None:
        run_id = dagster.launch(REFRESH_JOB, dagster.tick_tags(REFRESH_SCHEDULE))
        view.say("first load: reading every system, then building everything on it")
    else:
        view.say("first load: goes on")
    progress = follow(dagster, run_id, len(dagster.job_assets(REFRESH_JOB)), view, "first load")
    if not progress.succeeded:
        why = f": {reason(progress.failures[0].message)}" if progress.failures else ""
        raise RunFailed(f"the first load ended as {progress.status}{why}; `make up` tries again")
    view.say(f"first load: {progress.rows:,} rows, {len(progress.made)} assets in {progress.seconds:.0f} s")
    dagster.launch(HISTORY_JOB, {})  # nobody waits for it


def report(view: View, where: Places, *, figures: bool) -> None:
    """URLs, what is simulated, and the first figures where there are any."""
    from masterops_dagster.cli.kpi import overview

    current = settings()
    kept = Ports(where.ports)
    for program in programs(current):
        view.program(program.name, program.title, "running", program.url(kept) or "")
    if figures:
        view.show(overview())
    stood_in = simulated_accounts(current)
    if stood_in and not figures:  # the figures say so themselves
        view.say(f"simulated: {', '.join(account.key for account in stood_in)} are answered by the stand-in world")
    view.say(f"Dagster UI: http://{ports.HOST}:{kept['webserver']}")
    view.say(f"status page: http://{ports.HOST}:{kept['status-page']}")


def watch(view: View, where: Places, supervisor: Supervisor) -> None:
    """Shows the programs' states until supervisord is gone. Raises `Problem` if it went without its programs."""
    known = {program.name: program for program in programs(settings())}
    kept = Ports(where.ports)
    while supervisor.pid() is not None:
        for state in supervisor.states():
            program = known[state.name]
            view.program(state.name, program.title, state.state.lower(), program.url(kept) or "")
        time.sleep(1)
    if left_overs(where.state):
        raise Problem("supervisord was killed and its programs run unwatched: `make up` puts that right")
    view.say("stopped from elsewhere")


class _Starter:
    """Starts programs and waits for them, telling the view."""

    def __init__(
        self, view: View, where: Places, supervisor: Supervisor, kept: Ports, wanted: dict[str, Program]
    ) -> None:
        self._view, self._where, self._supervisor, self._ports, self._wanted = view, where, supervisor, kept, wanted

    def launch(self, name: str) -> None:
        """Starts the program; one that runs already is left alone."""
        state = self._supervisor.state(name)
        if state is None or not state.running:
            self._supervisor.start_program(name)
            self._view.program(name, self._wanted[name].title, "starting")

    def wait(self, name: str, answers: Callable[[], bool]) -> None:
        """Until `answers()`; raises `Problem` with the end of its log if it does not in time or keeps dying."""
        deadline = time.monotonic() + START_PATIENCE
        lives: set[int] = set()
        while not answers():
            state = self._supervisor.state(name)
            if state is None:
                raise Problem("supervisord was stopped while the programs were starting")
            if state.pid is not None:
                lives.add(state.pid)
            if state.state == "FATAL" or len(lives) > LIVES or time.monotonic() > deadline:
                log = self._where.log(name)
                raise Problem(f"{self._wanted[name].title} does not answer; the end of {log}:\n{_tail(log)}")
            time.sleep(0.1)
        self.ready(name)

    def ready(self, name: str) -> None:
        """Tells that it answers, and where."""
        program = self._wanted[name]
        self._view.program(name, program.title, "running", program.url(self._ports) or "")


def _is_whole(run: Run) -> bool:
    """Whether it is a live run of all assets, not of one system's."""
    return run.kind == "live" and not run.assets


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _tail(path: object, lines: int = 15) -> str:
    from pathlib import Path

    file = Path(str(path))
    if not file.exists():
        return "(no log)"
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM raise `Interrupted`, once; while things are being stopped they are ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
