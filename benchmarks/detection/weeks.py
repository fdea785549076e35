"""Simulated weeks: ordinary life, 200 seeded faults in it, and the platform's own checks, rules and outbox.

Checks, rules, incidents and messages are the real ones, on a real database; what they look at (systems, the daemon, the
channels) answers as the faults have it. While a fault may show, a round comes every 15 s, as in Dagster; in the quiet
between them every five minutes.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from benchmarks.detection.faults import Fault, Outcome
from benchmarks.detection.life import REFRESH, STREAMS, WORKFLOWS, Life
from benchmarks.measure import database
from masterops_dagster.connectors.errors import AuthenticationError
from masterops_dagster.database.connection import connect
from masterops_dagster.observability import logging
from masterops_dagster.observability.alerts import Evaluation, evaluate, load_rules
from masterops_dagster.observability.health import Check, Reading, load_checks, run_due
from masterops_dagster.observability.health.check import KINDS
from masterops_dagster.observability.incidents import Incident
from masterops_dagster.observability.monitor import LEASE_SECONDS
from masterops_dagster.observability.notify.channels import Channel, SendFailed
from masterops_dagster.observability.notify.deliver import deliver
from masterops_dagster.observability.notify.message import Message
from masterops_dagster.observability.notify.plan import digest, escalate
from masterops_dagster.observability.outage import Outage
from masterops_dagster.observability.watch import Timing

BEGINS = datetime(2027, 2, 1, tzinfo=UTC)
SLOT = timedelta(minutes=100)
LEAD = timedelta(minutes=20)
"""From the beginning of a fault's slot to the fault."""
AFTERWARDS = timedelta(minutes=45)
"""So long after its end an incident may still be about a fault."""
EACH_ROUND, WHILE_OPEN, IN_THE_QUIET = timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=5)
ACCOUNTS = ("hubspot", "shopify_teelixir", "unleashed_elevate_wholesale", "woocommerce_red_hill_fresh", "supabase")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of fault comes about and ends. `slots` is how long it needs, `visible` from when it can be told."""

    name: str
    rules: tuple[str, ...]
    begin: Callable[[Weeks, Fault], None]
    end: Callable[[Weeks, Fault], None]
    lasts: timedelta = timedelta(minutes=15)
    visible: timedelta = timedelta(0)
    slots: int = 1
    subjects: tuple[str, ...] = ACCOUNTS
    on_the_hour: bool = False
    """Whether it begins when the hourly refresh is due."""


class Sink:
    """Takes all messages, unless it is down, and remembers how often each came."""

    def __init__(self) -> None:
        self.down = False
        self.came: Counter[str] = Counter()

    def send(self, message: Message) -> str:
        if self.down:
            raise SendFailed("the server answered 503", retry=True)
        self.came[message.key] += 1
        return str(uuid4())


class Weeks:
    """One run of simulated weeks."""

    def __init__(self, url: str, folder: Path, faults: int, seed: int) -> None:
        self.connection = connect(url)
        self.rng = random.Random(seed)  # noqa: S311 -- the same faults each time
        self.life = Life(self.connection, BEGINS, seed)
        self.phases = [timedelta(seconds=self.rng.uniform(0, 15)) for _ in range(faults)]
        self.faults = self._planned(faults)
        self.ends = self.faults[-1].over_at + timedelta(hours=2)
        self.refused: set[str] = set()
        self.slow: set[str] = set()
        self.daemon_silent_since: datetime | None = None
        self.database_gone = False
        self.slack, self.email, self.webhook = Sink(), Sink(), Sink()
        self.channels: dict[str, Channel] = {"slack": self.slack, "email": self.email, "webhook": self.webhook}
        self.false_alarms: list[str] = []
        self._url = url
        self._checks, self._rules = load_checks(), load_rules()
        self._outage = Outage(folder / "outage.json", self._told_directly)
        self._open: dict[str, Incident] = {}
        self._at = BEGINS
        self.rounds = 0
        self.connection.execute("select ops.ensure_partitions(%s, %s)", [BEGINS, self.ends + timedelta(days=2)])

    def run(self) -> Outcome:
        """All of it."""
        at = BEGINS + timedelta(hours=1)
        while at < self.ends:
            self._at = at
            self._bring_about(at)
            self._round(at)
            at += self._until_next(at)
        doubled = [
            key for sink in (self.slack, self.email, self.webhook) for key, times in sink.came.items() if times > 1
        ]
        weeks = (self.ends - BEGINS) / timedelta(weeks=1)
        return Outcome("simulated", self.faults, weeks, self.false_alarms, doubled)

    # ---- faults

    def _planned(self, number: int) -> list[Fault]:
        """As many of each kind, in an order drawn by lot, each in time of its own."""
        kinds = [KINDS_OF_FAULTS[place % len(KINDS_OF_FAULTS)] for place in range(number)]
        self.rng.shuffle(kinds)
        begins = BEGINS + timedelta(hours=4)
        found = []
        for place, kind in enumerate(kinds):
            at = begins + LEAD + timedelta(seconds=self.rng.uniform(0, 600))
            if kind.on_the_hour:
                hour = at.replace(minute=0, second=0, microsecond=0)
                at = hour + REFRESH if hour + REFRESH >= at else hour + timedelta(hours=1) + REFRESH
            subject = self.rng.choice(kind.subjects)
            over_at = at + kind.visible + kind.lasts
            found.append(Fault(place, kind.name, subject, at, at + kind.visible, over_at, kind.rules))
            begins += kind.slots * SLOT
        return found

    def _bring_about(self, at: datetime) -> None:
        """Begins and ends faults and ordinary life in the order of their moments."""
        for fault in self.faults:
            kind = BY_NAME[fault.kind]
            if not fault.injected and fault.at <= at:
                fault.injected = True
                self.life.go_on(fault.at - timedelta(microseconds=1))
                kind.begin(self, fault)
            if fault.injected and not fault.ended and fault.over_at <= at:
                self.life.go_on(fault.over_at - timedelta(microseconds=1))
                fault.ended = True
                kind.end(self, fault)
        self.life.go_on(at)

    def _until_next(self, at: datetime) -> timedelta:
        """Rounds come as in life where something may show, in step with no fault; else the clock leaps."""
        coming = [fault.over_at - at for fault in self.faults if fault.injected and fault.over_at > at]
        for fault in self.faults:
            begins = fault.visible_at - timedelta(minutes=1) - self.phases[fault.number]
            if begins <= at and fault.detected_at is None and at < fault.over_at:
                return timedelta(seconds=Timing().round) if self.database_gone else EACH_ROUND
            coming += [begins - at] if begins > at else []
        return max(timedelta(seconds=1), min([WHILE_OPEN if self._open else IN_THE_QUIET, *coming]))

    # ---- the platform

    def _round(self, at: datetime) -> None:
        self.rounds += 1
        if self.database_gone:
            self._outage.goes_on(at, "connection refused")
            return
        self._outage.over(self.connection, at)
        silent = self.daemon_silent_since
        takes_over = silent and silent + timedelta(seconds=LEASE_SECONDS + Timing().round)
        if takes_over and at < takes_over:
            return
        holder = "watch simulated:1" if takes_over else "dagster simulated:1"
        self._hold(holder, takes_over or BEGINS)
        run_due(self.connection, self._checks, at, holder=holder, probes=dict.fromkeys(KINDS, self._probe))
        evaluation = evaluate(self.connection, self._rules, at, business_at=at)
        escalate(self.connection, at)
        digest(self.connection, at)
        deliver(at, sender=holder, url=self._url, channels=self.channels)
        self._take_note(evaluation)

    def _hold(self, holder: str, since: datetime) -> None:
        self.connection.execute(
            "insert into ops.leases (name, holder, acquired_at, renewed_at, expires_at)"
            " values ('monitor', %(holder)s, %(since)s, %(since)s, 'infinity')"
            " on conflict (name) do update set holder = %(holder)s, acquired_at = %(since)s",
            {"holder": holder, "since": since},
        )

    def _probe(self, check: Check, at: datetime) -> Reading:
        """What a system, the database or the daemon would answer."""
        if check.account in self.refused and check.probe == "integration":
            raise AuthenticationError(
                "the token was revoked", system=check.system or "", account=check.account or "", operation="identity"
            )
        values = {"response_ms": 9000.0 if check.account in self.slow and check.probe == "integration" else 120.0}
        if check.probe == "dagster_daemons":
            since = self.daemon_silent_since
            values["heartbeat_age_s"] = (at - since).total_seconds() if since else 12.0
        return Reading(values)

    # ---- what is told

    def _told_directly(self, change: str, title: str, text: str, since: datetime) -> list[str]:
        if change == "opened":
            self._attribute("database_down", title, "database", self._at)
        return ["slack #alerts"]

    def _take_note(self, evaluation: Evaluation) -> None:
        for incident in evaluation.opened:
            self._open[str(incident.incident_id)] = incident
            subject = " ".join([*incident.detail["subjects"], incident.account or "", incident.cause])
            self._attribute(incident.rule_id, incident.title, subject, evaluation.at)
        for incident in evaluation.resolved:
            self._open.pop(str(incident.incident_id), None)

    def _attribute(self, rule: str, title: str, about: str, at: datetime) -> None:
        """The first incident of a fault detects it; another one doubles it; what has no fault is a false alarm."""
        may_be = [fault for fault in self.faults if fault.injected and fault.at <= at <= fault.over_at + AFTERWARDS]
        for fault in may_be:
            if fault.detected_at is None and rule in fault.rules and fault.subject in about:
                fault.detected_at, fault.detected_by = at, rule
                return
        if not may_be:
            self.false_alarms.append(f"{at:%Y-%m-%d %H:%M} {rule}: {title}")
        elif rule != "dead_letters" or may_be[-1].kind != "channel down":  # these are what was to be sent
            may_be[-1].doubles.append(f"{rule} at {at:%H:%M:%S} ({title})")


# ---- the kinds


def _fail_run(weeks: Weeks, fault: Fault) -> None:
    weeks.life.execution(fault.at, "run", "refresh", seconds=30, failed="AuthenticationError")


def _fail_workflow(weeks: Weeks, fault: Fault) -> None:
    weeks.life.execution(fault.at, "execution", fault.subject, source="n8n", failed="NodeApiError")


def _hang_run(weeks: Weeks, fault: Fault) -> None:
    weeks.connection.execute(
        "insert into ops.running_executions (source, execution_id, kind, name, status, started_at, last_progress_at)"
        " values ('dagster', %s, 'run', 'sweep', 'started', %s, %s)",
        [f"hang-{fault.number}", fault.at - timedelta(minutes=2), fault.at],
    )


def _end_run(weeks: Weeks, fault: Fault) -> None:
    weeks.connection.execute("delete from ops.running_executions where execution_id = %s", [f"hang-{fault.number}"])


def _hang_load(weeks: Weeks, fault: Fault) -> None:
    account, stream = fault.subject.split(".")
    weeks.life.busy.add(account)  # its other loads wait for their turn
    weeks.connection.execute(
        "insert into ops.loads (account, stream, kind, status, started_at, business_at, dagster_run_id)"
        " values (%s, %s, 'live', 'running', %s, %s, %s)",
        [account, stream, fault.at, fault.at, f"hang-{fault.number}"],
    )


def _end_load(weeks: Weeks, fault: Fault) -> None:
    weeks.life.busy.clear()
    weeks.connection.execute(
        "update ops.loads set status = 'succeeded', finished_at = %s where dagster_run_id = %s",
        [fault.over_at, f"hang-{fault.number}"],
    )


def _stop_schedule(weeks: Weeks, fault: Fault) -> None:
    weeks.life.silent = True


def _start_schedule(weeks: Weeks, fault: Fault) -> None:
    weeks.life.resume(fault.over_at)


def _stop_stream(weeks: Weeks, fault: Fault) -> None:
    """It is old so long after it was read last, which may have been late."""
    account, stream = fault.subject.split(".")
    row = weeks.connection.execute(
        "select max(finished_at) from ops.loads where account = %s and stream = %s", [account, stream]
    ).fetchone()
    assert row is not None
    fault.visible_at = row[0] + STALE_AFTER
    fault.over_at = fault.visible_at + timedelta(minutes=15)
    weeks.life.stopped.add(fault.subject)


def _read_stream_again(weeks: Weeks, fault: Fault) -> None:
    weeks.life.stopped.discard(fault.subject)
    account, stream = fault.subject.split(".")
    weeks.connection.execute(
        "insert into ops.loads (account, stream, kind, status, rows, started_at, finished_at, business_at)"
        " values (%s, %s, 'live', 'succeeded', 10, %s, %s, %s)",
        [account, stream, fault.over_at, fault.over_at, fault.over_at],
    )


def _answer_slowly(weeks: Weeks, fault: Fault) -> None:
    weeks.slow.add(fault.subject)


def _answer_quickly(weeks: Weeks, fault: Fault) -> None:
    weeks.slow.discard(fault.subject)


def _lose_rows(weeks: Weeks, fault: Fault) -> None:
    account, stream = fault.subject.split(".")
    weeks.life.gaps[fault.subject] = weeks.rng.randint(3, 400)
    weeks.connection.execute(
        "insert into ops.reconciliations (account, stream, checked_at, source_count, our_count, method)"
        " values (%s, %s, %s, 1000, %s, 'count')",
        [account, stream, fault.at, 1000 - weeks.life.gaps[fault.subject]],
    )


def _find_rows(weeks: Weeks, fault: Fault) -> None:
    account, stream = fault.subject.split(".")
    del weeks.life.gaps[fault.subject]
    weeks.connection.execute(
        "insert into ops.reconciliations (account, stream, checked_at, source_count, our_count, method)"
        " values (%s, %s, %s, 1000, 1000, 'count')",
        [account, stream, fault.over_at],
    )


def _expire(weeks: Weeks, fault: Fault) -> None:
    weeks.refused.add(fault.subject)


def _renew(weeks: Weeks, fault: Fault) -> None:
    weeks.refused.discard(fault.subject)


def _break_slack(weeks: Weeks, fault: Fault) -> None:
    """Something critical is to be told just then: rows that could not be loaded."""
    weeks.slack.down = True
    weeks.connection.execute(
        "insert into ops.dead_letters (account, stream, reason, payload, created_at)"
        " select 'hubspot', 'contacts', 'not a number', '{}', %s from generate_series(1, 1001)",
        [fault.at],
    )


def _mend_slack(weeks: Weeks, fault: Fault) -> None:
    weeks.slack.down = False
    weeks.connection.execute(
        "update ops.dead_letters set status = 'discarded', resolved_at = %s where status = 'open'", [fault.over_at]
    )


def _kill_daemon(weeks: Weeks, fault: Fault) -> None:
    weeks.daemon_silent_since = fault.at


def _start_daemon(weeks: Weeks, fault: Fault) -> None:
    weeks.daemon_silent_since = None


def _lose_database(weeks: Weeks, fault: Fault) -> None:
    weeks.database_gone = True


def _find_database(weeks: Weeks, fault: Fault) -> None:
    weeks.database_gone = False


STALE_AFTER = timedelta(hours=2, minutes=10)
"""As the rule `stream_stale` has it."""
STREAM_NAMES = tuple(f"{account.key}.{stream}" for account, stream in STREAMS)

KINDS_OF_FAULTS = (
    Kind("run failed", ("run_failed",), _fail_run, lambda *_: None, lasts=timedelta(minutes=60), subjects=("refresh",)),
    Kind(
        "silent stop",
        ("schedule_missed",),
        _stop_schedule,
        _start_schedule,
        subjects=("hourly_refresh",),
        on_the_hour=True,
    ),
    Kind(
        "staleness",
        ("stream_stale",),
        _stop_stream,
        _read_stream_again,
        visible=timedelta(minutes=70),  # two hours ten minutes after the hour before
        slots=2,
        subjects=STREAM_NAMES,
        on_the_hour=True,
    ),
    Kind("slow", ("integration_degraded",), _answer_slowly, _answer_quickly),
    Kind("wrong totals", ("reconciliation_gap",), _lose_rows, _find_rows, subjects=STREAM_NAMES),
    Kind("expired token", ("credentials_rejected",), _expire, _renew),
    Kind("channel down", ("channel_down",), _break_slack, _mend_slack, subjects=("slack",)),
    Kind("daemon killed", ("monitor_takeover", "dagster_daemon_down"), _kill_daemon, _start_daemon, subjects=("",)),
    Kind(
        "database restarted",
        ("database_down",),
        _lose_database,
        _find_database,
        lasts=timedelta(seconds=90),
        subjects=("database",),
    ),
    Kind("hanging run", ("run_stuck",), _hang_run, _end_run, visible=timedelta(minutes=15), subjects=("sweep",)),
    Kind(
        "hanging load",
        ("load_stalled",),
        _hang_load,
        _end_load,
        visible=timedelta(minutes=12),
        subjects=("shopify_teelixir.customers", "hubspot.companies"),
    ),
    Kind(
        "workflow failed",
        ("n8n_execution_failed",),
        _fail_workflow,
        lambda *_: None,
        lasts=timedelta(minutes=60),
        subjects=WORKFLOWS,
    ),
)
"""Two of them are failures, two are hangs."""
BY_NAME = {kind.name: kind for kind in KINDS_OF_FAULTS}


def simulate(faults: int = 200, seed: int = 20261128) -> Outcome:
    """Runs them in a database of their own; what goes wrong in the weeks is no news, and isn't logged."""
    with database() as url, tempfile.TemporaryDirectory() as folder:
        logging.configure("CRITICAL", record=False)
        weeks = Weeks(url, Path(folder), faults, seed)
        outcome = weeks.run()
        sys.stderr.write(f"{weeks.rounds} rounds over {outcome.weeks:.1f} simulated weeks\n")
        return outcome
