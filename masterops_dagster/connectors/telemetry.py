"""One event for each HTTP request that a connector sends, retries included, handed to a sink.

Events carry no secrets and no personal data: the path is a template (`/SalesOrders/{page}`), queries and bodies are
left out. What ends before anything is sent (circuit open, no budget in time) leaves no event. Sinks that store them
live in `observability`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

OK = "ok"
REPAIRED = "repaired"
"""Outcome of an answer that could be used once something foreign was cut off, such as PHP warnings before the JSON."""


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """One request and its answer.

    `occurred_at` is real time (UTC) when it was sent. `outcome` is `ok`, `repaired`, or the `kind` of the error.
    `attempts` counts the tries of the operation up to and including this one: 1 is the first, more are retries.
    `status` is None where no answer came. `duration_ms` runs from sending to the last byte and `bytes_received` counts
    the body as it came over the wire; `budget_wait_ms` is what this try waited for the rate budget before.
    """

    occurred_at: datetime
    system: str
    account: str
    operation: str
    method: str
    path_template: str
    status: int | None
    outcome: str
    duration_ms: float
    bytes_received: int
    attempts: int
    budget_wait_ms: float
    correlation_id: str | None


class TelemetrySink(Protocol):
    """Takes events from many threads. It must return quickly and never raise: telemetry may not break a load."""

    def record(self, event: RequestEvent) -> None: ...


class InMemorySink:
    """Keeps all events in a list; for tests and short scripts."""

    def __init__(self) -> None:
        self._events: list[RequestEvent] = []
        self._lock = threading.Lock()

    def record(self, event: RequestEvent) -> None:
        with self._lock:
            self._events.append(event)

    @property
    def events(self) -> list[RequestEvent]:
        """A copy of what was recorded so far, oldest first."""
        with self._lock:
            return list(self._events)


class NullSink:
    """Drops all events."""

    def record(self, event: RequestEvent) -> None:
        return None
