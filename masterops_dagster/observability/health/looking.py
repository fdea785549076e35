"""Makes checks, each in a thread with a time-out of its own: one that hangs delays no other, and no next round.

A thread can't be stopped. A check whose thread still hangs is not begun again; each round says that it timed out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Literal

import httpx
import psycopg

from masterops_dagster.connectors.errors import ConnectorError, RateLimited
from masterops_dagster.database.connection import DatabaseUnavailable
from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.probes import PROBES
from masterops_dagster.observability.health.reading import CannotCheck, Probe, ProbeFailed, Reading
from masterops_dagster.observability.logging import Redaction, known_secrets
from masterops_dagster.settings import MissingCredential, settings

Outcome = Literal["ok", "degraded", "failed", "timed_out", "broken"]

EXPECTED = (
    ProbeFailed,
    ConnectorError,
    MissingCredential,
    DatabaseUnavailable,
    psycopg.Error,
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
)
"""What goes wrong where a probe looks. Any other error is one of the probe: the check is broken."""

THREADS = 64
"""More than there are checks, so that none waits for one that hangs."""
LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check ended. `message` is without secrets; `response_ms` is None where no answer came.

    `detail` holds what the probe told under `values`, or what kind of error it was under `error`: a connector's
    `kind`, else the class.
    """

    check: Check
    checked_at: datetime
    outcome: Outcome
    response_ms: float | None
    message: str
    detail: Mapping[str, object] = field(default_factory=dict)
    excused: bool = False


def look(checks: Iterable[Check], at: datetime, probes: Mapping[str, Probe] | None = None) -> list[CheckResult]:
    """Makes all these checks at once and waits for the longest of their time-outs at most. Needs no database."""
    return _threads().look(tuple(checks), at, probes or PROBES)


@dataclass(frozen=True, slots=True)
class _Hanging:
    future: Future[tuple[Reading, float]]
    since: datetime


class _Threads:
    """The threads of this process, and those that hang."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="health")
        self._hanging: dict[str, _Hanging] = {}
        self._lock = threading.Lock()

    def look(self, checks: tuple[Check, ...], at: datetime, probes: Mapping[str, Probe]) -> list[CheckResult]:
        redaction = Redaction(known_secrets(settings()))
        began = time.monotonic()
        begun: dict[str, Future[tuple[Reading, float]]] = {}
        with self._lock:
            self._hanging = {key: one for key, one in self._hanging.items() if not one.future.done()}
            hanging = dict(self._hanging)
            for check in checks:
                if check.id not in hanging:
                    begun[check.id] = self._pool.submit(_timed, probes[check.probe], check, at)
        results = {}
        for check in sorted(checks, key=lambda one: one.timeout):
            if check.id in hanging:
                since = hanging[check.id].since
                results[check.id] = _timed_out(check, at, f"it has hung since {since:%H:%M:%S} UTC")
                continue
            future = begun[check.id]
            left = check.timeout.total_seconds() - (time.monotonic() - began)
            try:
                error = future.exception(max(0.0, left))
            except TimeoutError:
                if not future.cancel():
                    with self._lock:
                        self._hanging[check.id] = _Hanging(future, at)
                said = f"no answer within {check.timeout.total_seconds():g} s"
                results[check.id] = _timed_out(check, at, said)
                continue
            if error is None:
                results[check.id] = _judged(check, at, *future.result(), redaction)
            else:
                results[check.id] = _failed(check, at, error, redaction)
        return [results[check.id] for check in checks]


@cache
def _threads() -> _Threads:
    return _Threads()


def _timed(probe: Probe, check: Check, at: datetime) -> tuple[Reading, float]:
    began = time.monotonic()
    reading = probe(check, at)
    return reading, (time.monotonic() - began) * 1000


def _judged(check: Check, at: datetime, reading: Reading, took_ms: float, redaction: Redaction) -> CheckResult:
    values = {"response_ms": round(took_ms, 1), **reading.values}
    down = [one.broken_by(values) for one in check.down_unless if not one.holds(values)]
    degraded = [one.broken_by(values) for one in check.degraded_unless if not one.holds(values)]
    if reading.degraded:
        degraded.insert(0, reading.degraded)
    outcome: Outcome = "failed" if down else "degraded" if degraded else "ok"
    said = "; ".join(part for part in (*down, *degraded, reading.message) if part)
    told = {name: value for name, value in values.items() if name != "response_ms"}
    detail = {**reading.detail, "values": told}
    return CheckResult(check, at, outcome, values["response_ms"], _plain(said, redaction), detail)


def _failed(check: Check, at: datetime, error: BaseException, redaction: Redaction) -> CheckResult:
    kind = error.kind if isinstance(error, ConnectorError) else type(error).__name__
    said = _plain(str(error) or type(error).__name__, redaction)
    if isinstance(error, RateLimited):  # it knows us and works
        return CheckResult(check, at, "degraded", None, said, {"error": kind})
    if isinstance(error, EXPECTED):
        return CheckResult(check, at, "failed", None, said, {"error": kind})
    reason = said if isinstance(error, CannotCheck) else f"the check itself is broken: {kind}: {said}"
    return CheckResult(check, at, "broken", None, reason, {"error": kind})


def _timed_out(check: Check, at: datetime, said: str) -> CheckResult:
    message = f"{said}; what is checked, or the way there, hangs"
    return CheckResult(check, at, "timed_out", None, message, {"error": "timeout"})


def _plain(text: str, redaction: Redaction) -> str:
    return redaction.text(" ".join(text.split()))[:LONGEST_MESSAGE]
