"""Where the connectors' request events go: the log, and `ops.api_metrics` in batches from a thread of its own.

Telemetry never breaks or slows a load: a sink takes an event in microseconds, raises nothing, and counts what it drops.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from types import TracebackType
from typing import Self

import psycopg
import structlog
from psycopg.rows import TupleRow

from masterops_dagster.connectors.telemetry import OK, REPAIRED, RequestEvent, TelemetrySink
from masterops_dagster.database.connection import DatabaseUnavailable, connect

log = structlog.get_logger("masterops.telemetry")

COPY = """
copy ops.api_metrics (
    occurred_at, system, account, operation, method, path_template, status, outcome,
    duration_ms, bytes_received, attempts, budget_wait_ms, correlation_id, run_id
) from stdin
"""
BATCH = 1000
RETRY_AFTER = 1.0


class StructlogSink:
    """Logs what went well at DEBUG and what didn't at WARNING."""

    def record(self, event: RequestEvent) -> None:
        fields = dataclasses.asdict(event)
        del fields["occurred_at"]
        if event.outcome in (OK, REPAIRED):
            log.debug("request", **fields)
        else:
            log.warning("request failed", **fields)


class BothSinks:
    """Hands every event to two sinks."""

    def __init__(self, first: TelemetrySink, second: TelemetrySink) -> None:
        self._sinks = (first, second)

    def record(self, event: RequestEvent) -> None:
        for sink in self._sinks:
            sink.record(event)


class PostgresTelemetrySink:
    """Writes events to `ops.api_metrics`; a context manager that flushes when it closes.

    Holds up to `capacity` events, written every `interval` seconds or 1,000 events. While the database can't be
    reached events wait; those that find no place are dropped and counted. `run_id` is the Dagster run that sends them.
    """

    def __init__(
        self, url: str | None = None, *, run_id: str | None = None, capacity: int = 20_000, interval: float = 1.0
    ) -> None:
        self._url = url
        self._run_id = run_id
        self._interval = interval
        self._queue: queue.Queue[RequestEvent] = queue.Queue(capacity)
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._dropped = 0
        self._counting = threading.Lock()
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._thread = threading.Thread(target=self._write_until_closed, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many events were lost: no place in the queue, refused by the database, or left over at the end."""
        with self._counting:
            return self._dropped

    def record(self, event: RequestEvent) -> None:
        if self._closing.is_set():
            self._drop(1)
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._drop(1)

    def close(self, timeout: float = 10) -> None:
        """Writes what is queued, for `timeout` seconds at most, and ends the thread; later events are dropped."""
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._thread.join(timeout + 1)
        if self.dropped:
            log.warning("request events were lost", dropped=self.dropped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write_until_closed(self) -> None:
        batch: list[RequestEvent] = []
        while True:
            closing = self._closing.is_set()
            self._fill(batch, wait=0 if closing else self._interval)
            if batch and self._write(batch):
                batch.clear()
            elif batch and closing:
                time.sleep(0.1)
            elif batch:
                self._closing.wait(RETRY_AFTER)
            if closing and ((not batch and self._queue.empty()) or time.monotonic() > self._deadline):
                break
        self._drop(len(batch) + self._queue.qsize())
        if self._connection is not None:
            self._connection.close()

    def _fill(self, batch: list[RequestEvent], wait: float) -> None:
        """Adds events to the batch until it is full, or `wait` seconds have passed, or the sink is closing."""
        until = time.monotonic() + wait
        while len(batch) < BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                left = until - time.monotonic()
                if left <= 0 or self._closing.wait(min(left, 0.1)):
                    return

    def _write(self, batch: list[RequestEvent]) -> bool:
        """Whether the batch is done with: written, or refused for what is in it. False while there is no database."""
        try:
            if self._connection is None:
                self._connection = connect(self._url, application_name="masterops telemetry")
            with self._connection.cursor() as cursor, cursor.copy(COPY) as copy:
                for event in batch:
                    copy.write_row([*(getattr(event, name) for name in EVENT_FIELDS), self._run_id])
        except (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailable) as error:
            log.debug("request events can't be written now", error=str(error))
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            return False
        except psycopg.Error as error:
            log.warning("request events were refused", error=str(error), events=len(batch))
            self._drop(len(batch))
        return True

    def _drop(self, events: int) -> None:
        with self._counting:
            self._dropped += events


EVENT_FIELDS = tuple(field.name for field in dataclasses.fields(RequestEvent))
