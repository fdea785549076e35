"""Where the connectors' request events go: the log, the recorder, and a trace if there are any.

with recorded(operation="run", run_id=run_id):
    ingest(account, run_id=run_id, sink=request_sink(), scope=scope)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from masterops_dagster.connectors.telemetry import OK, REPAIRED, RequestEvent, TelemetrySink
from masterops_dagster.observability import tracing
from masterops_dagster.observability.recorder import Recorder, recorder
from masterops_dagster.observability.tracing import scope

__all__ = ["AllSinks", "StructlogSink", "recorded", "request_sink", "scope", "told"]

log = structlog.get_logger("masterops.telemetry")


@contextmanager
def recorded(**ids: object) -> Iterator[None]:
    """A scope at whose end, also by an exception, what was recorded is written; that takes a few seconds at most."""
    try:
        with scope(**ids):
            yield
    finally:
        recorder().flush()


def request_sink(into: Recorder | None = None) -> TelemetrySink:
    """The sink of a connector: the log, a recorder (by default this process's own), and a trace if there are any."""
    sinks: list[TelemetrySink] = [StructlogSink(), into or recorder()]
    if (spans := tracing.request_spans()) is not None:
        sinks.append(spans)
    return AllSinks(*sinks)


def told(*others: Callable[[str], object]) -> Callable[[str], None]:
    """Takes progress: a line of the log, and whoever else wants to know."""

    def tell(line: str) -> None:
        log.info(line)
        for other in others:
            other(line)

    return tell


class StructlogSink:
    """Logs what went well at DEBUG and what didn't at WARNING."""

    def record(self, event: RequestEvent) -> None:
        fields = dataclasses.asdict(event)
        del fields["occurred_at"]
        if event.outcome in (OK, REPAIRED):
            log.debug("request", **fields)
        else:
            log.warning("request failed", **fields)


class AllSinks:
    """Hands every event to each of them."""

    def __init__(self, *sinks: TelemetrySink) -> None:
        self._sinks = sinks

    def record(self, event: RequestEvent) -> None:
        for sink in self._sinks:
            sink.record(event)
