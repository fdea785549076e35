"""One round of watching: check what is due, take over what ended, judge, tell. Whoever holds the lease does it.

Dagster's sensor `monitoring` drives it every 15 s; `masterops watch` takes over when the lease isn't renewed for 30 s,
and gives it back once the sensor asks again. What is to be sent is sent by either, holder or not.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import psycopg
import structlog

from masterops_dagster import clock
from masterops_dagster.database.connection import DatabaseUnavailable, connect
from masterops_dagster.observability import leases
from masterops_dagster.observability.alerts import Evaluation, Rule, evaluate, load_rules
from masterops_dagster.observability.executions import harvest
from masterops_dagster.observability.health import Check, load_checks, run_due
from masterops_dagster.observability.leases import Connection, Lease, LeaseLost
from masterops_dagster.observability.notify.deliver import deliver
from masterops_dagster.observability.notify.plan import digest, escalate

LEASE = "monitor"
LEASE_SECONDS = 30.0
"""Two ticks of the sensor: a holder that missed both is taken for gone."""
PRESENT = "presence: "
"""Leases of this name say who could watch: a program that stands in gives way to the sensor once that is back."""

log = structlog.get_logger("masterops.monitor")

T = TypeVar("T")


@dataclass(slots=True)
class Tick:
    """What one round did. `led` is False where somebody else holds the lease; then only messages were sent.

    `problems` are parts of the round that could not be done, each in a line; they are logged as errors, too.
    """

    at: datetime
    holder: str
    led: bool = False
    took_over: bool = False
    checks: int = 0
    failing: int = 0
    executions: int = 0
    evaluation: Evaluation | None = None
    sent: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        """One line, for the tick's entry in Dagster and for `watch`."""
        if not self.led:
            return f"another process watches; {self.sent} messages sent" if self.sent else "another process watches"
        changes = (
            f", {len(self.evaluation.opened)} incidents opened, {len(self.evaluation.resolved)} over"
            if self.evaluation
            else ""
        )
        problems = f"; {'; '.join(self.problems)}" if self.problems else ""
        return (
            f"{self.checks} checks, {self.failing} failing; {self.executions} executions taken over{changes}, "
            f"{self.sent} messages sent in {self.seconds:.1f} s{problems}"
        )


def process_name(program: str) -> str:
    """A holder's name: the program on this machine, as this process."""
    return f"{program} {socket.gethostname()}:{os.getpid()}"


def tick(
    at: datetime,
    holder: str,
    *,
    checks: Sequence[Check] | None = None,
    rules: Sequence[Rule] | None = None,
    url: str | None = None,
) -> Tick:
    """One round at a moment of real time. Raises `DatabaseUnavailable` if there is nothing to work on.

    Each part is done even if one before it fails; a failure is a problem of the tick and logged. If the lease is lost
    on the way, nothing more is decided.
    """
    began = time.monotonic()
    done = Tick(at, holder)
    with connect(url, application_name="masterops monitor") as connection:
        before = leases.holder_of(connection, LEASE)
        lease = leases.take(connection, LEASE, holder, LEASE_SECONDS)
        if lease is not None:
            done.led = True
            done.took_over = before is not None and before.holder != holder
            with _given_back_by_a_crash(connection, lease):
                _watch(
                    connection,
                    lease,
                    done,
                    load_checks() if checks is None else checks,
                    load_rules() if rules is None else rules,
                )
    delivered = _part(done, "delivery", lambda: deliver(at, sender=holder, url=url))
    done.sent = delivered.sent if delivered else 0
    done.seconds = time.monotonic() - began
    for problem in done.problems:
        log.error("a part of watching failed", problem=problem)
    return done


def watched_by(url: str | None = None) -> leases.Holder | None:
    """Who watches, or watched last. Raises `DatabaseUnavailable`."""
    with connect(url, application_name="masterops monitor") as connection:
        return leases.holder_of(connection, LEASE)


def announce_presence(connection: Connection, program: str, seconds: float) -> None:
    """Says that a program could watch, for so many seconds."""
    leases.take(connection, PRESENT + program, program, seconds)


def is_present(connection: Connection, program: str) -> bool:
    """Whether a program has said so lately."""
    seen = leases.holder_of(connection, PRESENT + program)
    return seen is not None and not seen.expired


def _watch(connection: Connection, lease: Lease, done: Tick, checks: Sequence[Check], rules: Sequence[Rule]) -> None:
    """What only the holder does."""
    at = done.at
    try:
        results = _part(done, "health checks", lambda: run_due(connection, checks, at, holder=done.holder, lease=lease))
        done.checks = len(results or ())
        done.failing = sum(result.outcome != "ok" for result in results or ())
        harvested = _part(done, "executions", lambda: harvest(connection, at))
        if harvested is not None:
            done.executions = harvested.rows
            done.problems += harvested.problems
        _renew(connection, lease)
        business_at = at + clock.offset()
        done.evaluation = _part(
            done, "alert rules", lambda: evaluate(connection, rules, at, business_at=business_at, lease=lease)
        )
        _part(done, "escalation", lambda: _escalate(connection, lease, at))
        _renew(connection, lease)
    except LeaseLost as lost:
        done.problems.append(str(lost))


@contextmanager
def _given_back_by_a_crash(connection: Connection, lease: Lease) -> Iterator[None]:
    """A holder whose round breaks off doesn't watch: somebody else may, at once."""
    try:
        yield
    except BaseException:
        if not connection.closed:
            lease.release(connection)
        raise


def _escalate(connection: Connection, lease: Lease, at: datetime) -> None:
    with connection.transaction():
        lease.require(connection)
        escalate(connection, at)
        digest(connection, at)


def _renew(connection: Connection, lease: Lease) -> None:
    """Checks may have taken a while; raises `LeaseLost` if that was too long."""
    if leases.take(connection, lease.name, lease.holder, LEASE_SECONDS) is None:
        raise LeaseLost(f"{lease.holder} lost the lease {lease.name!r} to another process")


def _part(done: Tick, name: str, work: Callable[[], T]) -> T | None:
    """One part of the round; what the database refuses is a problem of this part alone."""
    try:
        return work()
    except LeaseLost:
        raise
    except (psycopg.Error, DatabaseUnavailable, OSError, ValueError) as error:
        done.problems.append(f"{name}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        return None
