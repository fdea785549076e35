"""Thirty faults in a running platform: systems in trouble, rows that are wrong, programs that hang or are killed.

Each is brought about by what brings it about in life: the stand-ins misbehave, signals stop and kill processes, rows
are put into the database. Those of a group come at once, then all is mended, and the next group waits for quiet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.detection.faults import Fault, Outcome
from benchmarks.measure import platform_folder
from masterops_dagster.businesses import account
from masterops_dagster.cli.dagster_client import Dagster
from masterops_dagster.cli.ports import HOST, Ports, any_free
from masterops_dagster.cli.processes import Places
from masterops_dagster.cli.supervision import Supervisor
from masterops_dagster.cli.up import REFRESH_JOB, REFRESH_SCHEDULE
from masterops_dagster.database.connection import DatabaseUnavailable, connect
from masterops_dagster.settings import PROJECT_ROOT
from masterops_dagster.simulator.world import faults as misbehaviour
from masterops_dagster.simulator.world.inbox import Inbox

SCALE = 0.02
PATIENCE = 100.0
"""So long a fault may go unnoticed before it counts as missed, in seconds."""
QUIET_PATIENCE = 90.0
LASTING = ("program_died", "n8n_failing", "n8n_execution_failed")
"""Rules whose incidents stay open for a while after all is well."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One fault to be brought about: `rules` may tell of it, `about` stands in the incident."""

    kind: str
    about: str
    rules: tuple[str, ...]
    begin: Callable[[Running], object]
    end: Callable[[Running], object] = lambda _: None


class Running:
    """The platform while faults are brought about in it."""

    def __init__(self, folder: Path) -> None:
        self.where = Places(folder)
        self.world = folder / "world"
        self.supervisor = Supervisor(self.where)

    def execute(self, statement: str) -> None:
        with connect() as connection:
            connection.execute(statement.encode())

    def process(self, program: str) -> psutil.Process:
        state = self.supervisor.state(program)
        assert state is not None
        assert state.pid is not None
        return psutil.Process(state.pid)

    def launch(self, key: str, stream: str) -> str:
        """A run of one stream."""
        with Dagster(f"http://{HOST}:{Ports(self.where.ports)['webserver']}") as dagster:
            tags = dagster.tick_tags(REFRESH_SCHEDULE)
            return dagster.launch(REFRESH_JOB, tags, [(*account(key).asset_prefix, stream)])

    def incidents(self, since: datetime) -> list[tuple[datetime, str, str, bool]]:
        """When each was opened, its rule, what it is about, and whether it is over. None while there is no database."""
        with connect() as connection:
            return connection.execute(
                "select opened_at, rule_id, concat_ws(' ', cause, account), state = 'resolved'"
                " from ops.incidents where opened_at >= %s order by opened_at",
                [since],
            ).fetchall()


def misbehaves(system: str, kind: str, rules: tuple[str, ...], seconds: float = 0.0) -> Plan:
    def begin(running: Running) -> None:
        misbehaviour.misbehave(running.world, misbehaviour.Fault(system, kind, seconds=seconds))

    return Plan(f"{kind} of a system", system, rules, begin, lambda running: misbehaviour.calm(running.world, system))


def rows(kind: str, about: str, rule: str, begin: str, end: str) -> Plan:
    return Plan(kind, about, (rule,), lambda running: running.execute(begin), lambda running: running.execute(end))


def signalled(kind: str, program: str, rules: tuple[str, ...], number: signal.Signals, about: str = "") -> Plan:
    def end(running: Running) -> None:
        if number == signal.SIGSTOP:
            running.process(program).send_signal(signal.SIGCONT)

    return Plan(kind, about, rules, lambda running: running.process(program).send_signal(number), end)


DOWN = ("integration_down", "integration_degraded", "credentials_rejected")
REFUSED = ("credentials_rejected",)
SILENT = ("monitor_takeover", "dagster_daemon_down", "code_location_down")
STALE = "update ops.loads set finished_at = finished_at {} interval '3 hours' where account = '{}' and stream = '{}'"
GAP = (
    "insert into ops.reconciliations (account, stream, source_count, our_count, method)"
    " values ('{}', '{}', 1000, {}, 'count')"
)
LETTER = (
    "insert into ops.dead_letters (account, stream, reason, payload)"
    " select '{0}', '{1}', 'not a number', '{{}}' from generate_series(1, {2})"
)
MENDED = "update ops.dead_letters set status = 'discarded', resolved_at = now() where status = 'open'"

REFUSE = """
create function raw_hubspot.refuse() returns trigger language plpgsql
    as $$ begin raise exception 'refused by a benchmark'; end $$;
create trigger refuse before insert or update on raw_hubspot.owners for each row execute function raw_hubspot.refuse()
"""
ACCEPT = "drop function raw_hubspot.refuse() cascade"

GROUPS: tuple[tuple[Plan, ...], ...] = (
    (
        misbehaves("hubspot", "revoked", REFUSED),
        misbehaves("shopify_teelixir", "server_error", DOWN),
        misbehaves("bigcommerce", "latency", DOWN, seconds=20),
        misbehaves("woocommerce", "html", DOWN),
        misbehaves("unleashed_teelixir", "reset", DOWN),
        misbehaves("n8n", "server_error", ("n8n_down",)),
        misbehaves("supabase", "revoked", REFUSED),
    ),
    (
        rows("staleness", "hubspot", "stream_stale", *(STALE.format(s, "hubspot", "products") for s in "-+")),
        rows(
            "wrong totals",
            "shopify_teelixir",
            "reconciliation_gap",
            GAP.format("shopify_teelixir", "orders", 900),
            GAP.format("shopify_teelixir", "orders", 1000),
        ),
        rows(
            "wrong totals",
            "unleashed_teelixir",
            "reconciliation_gap",
            GAP.format("unleashed_teelixir", "sales_orders", 1100),
            GAP.format("unleashed_teelixir", "sales_orders", 1000),
        ),
        rows(
            "dead letters",
            "woocommerce_red_hill_fresh",
            "dead_letters",
            LETTER.format("woocommerce_red_hill_fresh", "orders", 3),
            MENDED,
        ),
        rows(
            "deletions held back",
            "bigcommerce_buy_organics_online",
            "deletions_held",
            "insert into ops.held_deletions (account, stream, held_rows, our_rows)"
            " values ('bigcommerce_buy_organics_online', 'products', 800, 1000)",
            "delete from ops.held_deletions",
        ),
    ),
    (
        Plan(
            "run failed",
            "refresh",
            ("run_failed",),
            lambda running: (running.execute(REFUSE), running.launch("hubspot", "owners")),
            lambda running: (running.execute(ACCEPT), running.launch("hubspot", "owners")),
        ),
        misbehaves("shopify_elevate_wholesale", "revoked", REFUSED),
        misbehaves("unleashed_elevate_wholesale", "revoked", REFUSED),
        misbehaves("woocommerce", "revoked", REFUSED),
        misbehaves("bigcommerce", "malformed", DOWN),
        misbehaves("hubspot", "latency", DOWN, seconds=20),
        Plan(
            "channel down",
            "slack",
            ("channel_down",),
            lambda running: (
                misbehaviour.misbehave(running.world, misbehaviour.Fault("slack", "server_error")),
                running.execute(LETTER.format("n8n", "executions", 1001)),
            ),
            lambda running: (misbehaviour.calm(running.world, "slack"), running.execute(MENDED)),
        ),
    ),
    (signalled("daemon hangs", "daemon", SILENT, signal.SIGSTOP),),
    (signalled("code server hangs", "code-server", SILENT, signal.SIGSTOP),),
    (signalled("UI hangs", "webserver", ("webserver_down",), signal.SIGSTOP),),
    (signalled("all systems hang", "world", (*DOWN, "n8n_down"), signal.SIGSTOP),),
    (
        signalled("daemon killed", "daemon", ("program_died",), signal.SIGKILL, "daemon"),
        signalled("UI killed", "webserver", ("program_died",), signal.SIGKILL, "webserver"),
        signalled("status page killed", "status-page", ("program_died",), signal.SIGKILL, "status-page"),
    ),
    (
        signalled("world killed", "world", ("program_died",), signal.SIGKILL, "world"),
        signalled("code server killed", "code-server", ("program_died",), signal.SIGKILL, "code-server"),
        signalled("watch killed", "watch", ("program_died",), signal.SIGKILL, "watch"),
    ),
    (signalled("database killed", "postgres", ("program_died", "database_down"), signal.SIGKILL, ""),),
)
CARRIED = {"channel down": ("dead_letters",), "all systems hang": ("integration_down", "n8n_down"), "run failed": ()}
"""Further incidents that a fault rightly brings: the message that can't be sent, a system each."""


def in_life() -> Outcome:
    """All of them, in a small platform of its own."""
    with platform_folder() as folder, platform(folder) as running:
        began = datetime.now(UTC)
        wait_for_quiet(running, began - timedelta(hours=1))
        began = datetime.now(UTC)
        told = {one[:3] for one in running.incidents(began - timedelta(days=1))}
        faults: list[Fault] = []
        false_alarms: list[str] = []
        for group in GROUPS:
            faults += bring_about(running, group, len(faults), told, false_alarms)
            wait_for_quiet(running, began)
        keys = [message.payload for message in Inbox(running.world).messages() if message.channel == "slack"]
        weeks = (datetime.now(UTC) - began) / timedelta(weeks=1)
        return Outcome("in life", faults, weeks, false_alarms, repeated(keys))


def bring_about(
    running: Running, group: Sequence[Plan], number: int, told: set[tuple[datetime, str, str]], false_alarms: list[str]
) -> list[Fault]:
    """Begins all faults of a group, waits until each is told, and ends them."""
    faults = []
    for plan in group:
        plan.begin(running)
        now = datetime.now(UTC)
        faults.append(Fault(number + len(faults), plan.kind, plan.about, now, now, now, plan.rules))
    began = faults[0].at
    carried = {rule for plan in group for rule in CARRIED.get(plan.kind, ())}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(fault.detected_at is None for fault in faults):
        time.sleep(1)
        try:
            found = running.incidents(began)
        except DatabaseUnavailable:
            continue
        for opened_at, rule, about, _ in found:
            if (opened_at, rule, about) in told:
                continue
            told.add((opened_at, rule, about))
            of = [one for one in faults if rule in one.rules and one.subject in about]
            fresh = next((one for one in of if one.detected_at is None), None)
            if fresh is not None:
                fresh.detected_at, fresh.detected_by = opened_at, rule
            elif rule not in carried:
                (of[0].doubles if of else false_alarms).append(f"{rule} {about}")
    for plan in group:
        plan.end(running)
    for fault in faults:
        seconds = f"{fault.seconds:.0f} s, {fault.detected_by}" if fault.seconds is not None else "missed"
        sys.stderr.write(f"{fault.kind} {fault.subject}: {seconds}\n")
    return faults


def wait_for_quiet(running: Running, since: datetime) -> None:
    """Until nothing is open but what stays for a while."""
    deadline = time.monotonic() + QUIET_PATIENCE
    while time.monotonic() < deadline:
        time.sleep(2)
        try:
            if all(over or rule in LASTING for _, rule, _, over in running.incidents(since)):
                return
        except DatabaseUnavailable:
            continue


def repeated(payloads: Sequence[object]) -> list[str]:
    """What arrived more than once, word for word."""
    seen = [str(payload) for payload in payloads]
    return sorted({text[:80] for text in seen if seen.count(text) > 1})


@contextmanager
def platform(folder: Path) -> Iterator[Running]:
    """A small platform of its own."""
    masterops = str(Path(sys.executable).parent / "masterops")
    os.environ["MASTEROPS_WEBSERVER_PORT"] = str(any_free())
    os.environ["MASTEROPS_STATUS_PAGE_PORT"] = str(any_free())
    command = [masterops, "up", "--detach", "--scale", str(SCALE)]
    try:
        subprocess.run(command, stdout=sys.stderr, check=True, cwd=PROJECT_ROOT)
        yield Running(folder)
    finally:
        subprocess.run([masterops, "down"], stdout=sys.stderr, check=True, cwd=PROJECT_ROOT)
