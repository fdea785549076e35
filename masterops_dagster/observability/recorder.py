"""Telemetry on its way to `ops`: one bounded queue per process, written in batches over COPY by a thread of its own.

It neither blocks nor breaks the work that it tells of: taking a row costs microseconds and raises nothing. While the
database can't be reached rows wait; those that find no place are counted, and the count is told when it is back.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from multiprocessing.util import Finalize
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
import structlog
from psycopg.rows import TupleRow

from masterops_dagster.connectors.telemetry import OK, REPAIRED, RequestEvent
from masterops_dagster.database.connection import DatabaseUnavailable, connect
from masterops_dagster.observability import correlation
from masterops_dagster.settings import Settings, settings

if TYPE_CHECKING:
    from masterops_dagster.observability.executions.execution import Execution

CAPACITY = 50_000
"""Rows that may wait: about 50 MB at most."""
BATCH = 2_000
INTERVAL = 1.0
RETRY_AFTER, RETRY_AT_MOST = 0.5, 10.0
IDLE = 60.0
"""Seconds without a row after which the connection is given back."""
EXIT_SECONDS = 5.0
"""How long a process that ends waits for its last rows to be written."""
FARTHEST = timedelta(days=800)
"""A row from farther away is taken for a mistake: no month is made for it."""
LONGEST_TEXT = 4_000
LONGEST_FIELDS = 30_000

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""As JSON writes it, and not behind a backslash that is one itself; PostgreSQL can't hold it."""

ENSURE_MONTH = "select ops.ensure_partitions(%(at)s, %(at)s)"

LOGGER = "masterops.recorder"
"""What is said under this name isn't recorded: it would tell of itself."""
DROPPED = "telemetry_dropped"

log = structlog.get_logger(LOGGER)

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of `ops.integration_logs`; secrets are blanked out already. `fields` is JSON."""

    occurred_at: datetime
    error: bool
    level: str
    logger: str
    event: str
    program: str | None = None
    system: str | None = None
    account: str | None = None
    business_key: str | None = None
    stream: str | None = None
    operation: str | None = None
    run_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    error_class: str | None = None
    fields: str = "{}"


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows go: a name in `ops`, and the columns in the order of a row; the first is the moment of the row."""

    name: str
    columns: tuple[str, ...]

    @property
    def copy(self) -> str:
        return f"copy ops.{self.name} ({', '.join(self.columns)}) from stdin"


LOGS = Table("integration_logs", tuple(field.name for field in fields(LogRow)))
REQUEST_FIELDS = tuple(field.name for field in fields(RequestEvent))
REQUESTS = Table("api_metrics", (*REQUEST_FIELDS, "error", "run_id", "stream", "trace_id"))
EXECUTION_FIELDS = (
    "started_at",
    "error",
    "source",
    "kind",
    "name",
    "execution_id",
    "parent_id",
    "system",
    "account",
    "business_key",
    "status",
    "attempt",
    "ended_at",
    "duration_ms",
    "error_class",
    "error_message",
    "correlation_id",
)
EXECUTIONS = Table("workflow_execution_logs", (*EXECUTION_FIELDS, "detail"))

_of_log = attrgetter(*LOGS.columns)
_of_request = attrgetter(*REQUEST_FIELDS)
_of_execution = attrgetter(*EXECUTION_FIELDS)

REFUSED = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, ValueError, TypeError)
"""The database, or the way to it, will not have a row for what is in it; or, with an SQLSTATE, lacks the table."""


class Recorder:
    """Takes rows from any thread; a context manager that writes what is left when it closes.

    Holds up to `capacity` rows, written every `interval` seconds or 2,000 rows, to `url` or the settings' database.
    After a failure it is tried again after `retry_after` seconds, then twice that, up to 10.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        capacity: int = CAPACITY,
        interval: float = INTERVAL,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._url = url
        self._capacity = capacity
        self._interval = interval
        self._retry_after = retry_after
        self._begin()

    def _begin(self) -> None:
        """Nothing is held, nothing was lost; a forked process begins so, too, and leaves the rest to its parent."""
        self._pid = os.getpid()
        self._changed = threading.Condition()  # its lock may be taken again by the same thread: a signal, a finalizer
        self._rows: deque[tuple[Table, Row]] = deque()
        self._in_hand: list[tuple[Table, list[Row]]] = []
        self._held = 0
        self._taken = 0
        self._dropped = 0
        self._told = 0
        self._urgent = False
        self._closing = False
        self._deadline = float("inf")
        self._waits = False
        self._was_connected = False
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._thread: threading.Thread | None = None

    # ---- taking

    def record(self, event: RequestEvent) -> None:
        """A request of a connector; see `TelemetrySink`."""
        ids = correlation.current()
        error = event.outcome not in (OK, REPAIRED)
        ours = (error, ids.get("run_id"), ids.get("stream"), ids.get("trace_id"))
        self._put(REQUESTS, _of_request(event) + ours)

    def log(self, row: LogRow) -> None:
        """A log line."""
        self._put(LOGS, _of_log(row))

    def execution(self, row: Execution) -> None:
        """Something that ran and ended."""
        self._put(EXECUTIONS, (*_of_execution(row), as_json(row.detail)))

    @property
    def dropped(self) -> int:
        """How many rows were lost: no place in the queue, refused by the database, or left over at the end."""
        return self._dropped

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Waits until all that was taken so far is written, or lost; False if that took too long."""
        if self._pid != os.getpid():
            return True
        with self._changed:
            taken = self._taken
            self._urgent = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._taken - self._held >= taken or not self._held, timeout)

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Writes what is held, for `timeout` seconds at most, and ends the thread; later rows are dropped.

        If no connection was ever made, one more is tried and not waited for.
        """
        if self._pid != os.getpid():
            return
        with self._changed:
            self._deadline = time.monotonic() + timeout
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout + 1)
        if self._dropped > self._told:
            self._told, untold = self._dropped, self._dropped - self._told
            log.warning(DROPPED, dropped=untold)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, table: Table, row: Row) -> None:
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            if self._closing or self._held >= self._capacity:
                self._dropped += 1
                return
            self._rows.append((table, row))
            self._held += 1
            self._taken += 1
            if self._thread is None:
                self._start()
            elif len(self._rows) in (1, BATCH):
                self._changed.notify_all()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._write_until_closed, name="recorder", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends, or the system gives no more threads
            self._thread = None
            self._lose(len(self._rows))
            self._rows.clear()

    # ---- writing, in the thread

    def _write_until_closed(self) -> None:
        while self._has_taken():
            pause = self._retry_after
            while not self._write():
                if not self._has_waited(pause):
                    with self._changed:
                        self._lose(self._held)
                    break
                pause = min(pause * 2, RETRY_AT_MOST)
            else:
                continue
            break
        self._disconnect()

    def _has_taken(self) -> bool:
        """Takes the next batch in hand, once there is one. False at the end."""
        while not self._is_wanted(IDLE):
            self._disconnect()
        batch: dict[Table, list[Row]] = {}
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._rows) >= BATCH or self._urgent or self._closing, timeout=self._interval
            )
            for _ in range(min(BATCH, len(self._rows))):
                table, row = self._rows.popleft()
                batch.setdefault(table, []).append(row)
            self._urgent = self._urgent and bool(self._rows)
        self._in_hand = list(batch.items())
        return bool(batch)

    def _is_wanted(self, timeout: float) -> bool:
        """Whether there are rows, or it is the end, within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._rows) or self._closing, timeout)

    def _has_waited(self, seconds: float) -> bool:
        """Waits before the next try. False if there is no time for one."""
        with self._changed:
            if self._changed.wait_for(lambda: self._closing, seconds):
                self._changed.wait(0.1)
                return self._was_connected and time.monotonic() < self._deadline
        return True

    def _write(self) -> bool:
        """Whether nothing is in hand any more: written, or refused for what is in it. False: not now."""
        try:
            if self._connection is None:
                self._connect()
            while self._in_hand:
                self._copy(*self._in_hand[-1])
            self._tell_what_was_lost()
        except (psycopg.Error, DatabaseUnavailable, OSError, ValueError) as error:
            if not self._waits:
                self._waits = True
                log.warning("telemetry waits for the database", error=str(error).strip().partition("\n")[0])
            self._disconnect()
            return False
        self._waits = False
        return True

    def _copy(self, table: Table, rows: list[Row]) -> None:
        """Writes the last piece in hand; if it is refused it comes back in halves, until the bad row is alone."""
        assert self._connection is not None
        try:
            with self._connection.cursor() as cursor, cursor.copy(table.copy) as copy:
                for row in rows:
                    copy.write_row(row)
        except REFUSED as error:
            if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is not None:
                raise  # no such table, no right to write to it: that may come
            if self._made_months(error, rows):
                return
            self._in_hand.pop()
            if len(rows) == 1:
                said = str(error).strip().partition("\n")[0]
                log.warning("a row of telemetry was refused", table=table.name, error=said[:LONGEST_TEXT])
                with self._changed:
                    self._lose(1)
            else:
                self._in_hand += [(table, rows[len(rows) // 2 :]), (table, rows[: len(rows) // 2])]
        else:
            self._in_hand.pop()
            with self._changed:
                self._held -= len(rows)
                self._changed.notify_all()

    def _made_months(self, error: Exception, rows: list[Row]) -> bool:
        """Whether months were made that were missing for these rows."""
        if not isinstance(error, psycopg.errors.CheckViolation) or error.diag.constraint_name is not None:
            return False
        assert self._connection is not None
        moments = [moment.astimezone(UTC) for row in rows if isinstance(moment := row[0], datetime)]
        near = [moment for moment in moments if abs(datetime.now(UTC) - moment) < FARTHEST]
        months = {moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0) for moment in near}
        made = [self._connection.execute(ENSURE_MONTH, {"at": month}).fetchone() for month in sorted(months)]
        return any(count and count[0] for count in made)

    def _tell_what_was_lost(self) -> None:
        with self._changed:
            untold = self._dropped - self._told
        if untold:
            self._in_hand.append((LOGS, [_of_log(dropped_row(untold))]))
            with self._changed:
                self._held += 1
                self._taken += 1
            self._told += untold
            log.warning(DROPPED, dropped=untold)
            self._copy(*self._in_hand[-1])

    def _connect(self) -> None:
        self._connection = connect(
            self._url, application_name="masterops telemetry", connect_timeout=3, tcp_user_timeout=15_000
        )
        self._was_connected = True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lose(self, rows: int) -> None:
        """Counts rows that were held as lost; with the lock."""
        self._dropped += rows
        self._held -= rows
        self._changed.notify_all()


# ---- the one of this process

_own: tuple[Recorder, Settings] | None = None
_choosing = threading.RLock()


def recorder() -> Recorder:
    """This process's own: made on first use, and anew where the settings were read anew; flushed when it ends."""
    global _own
    current, own = settings(), _own
    if own is None or own[1] is not current:
        with _choosing:
            own = _own
            if own is None or own[1] is not current:
                before, own = own, (Recorder(), current)
                _own = own
                if before is None:
                    atexit.register(close_own)
                    Finalize(None, close_own, exitpriority=100)  # multiprocessing's children skip atexit
                else:
                    before[0].close(timeout=0.5)
    return own[0]


def close_own(timeout: float = EXIT_SECONDS) -> None:
    """Writes what this process recorded; the next use begins anew."""
    global _own
    if _own is not None:
        before, _own = _own, None
        before[0].close(timeout)


def _forget_the_parents() -> None:
    global _own, _choosing
    _own, _choosing = None, threading.RLock()


os.register_at_fork(after_in_child=_forget_the_parents)


# ---- what rows are made of


def program() -> str:
    """The name of this program: `masterops`, `dagster`, or the module that Python runs."""
    path = Path(sys.argv[0] if sys.argv else "")
    return path.parent.name if path.stem == "__main__" else path.stem


def as_json(content: Mapping[str, object]) -> str:
    """JSON as a jsonb column takes it; what JSON has no form for as text."""
    try:
        written = json.dumps(content, default=str, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):  # a number that isn't one, a circle, a key that is no text
        written = json.dumps({"as_text": repr(content)}, ensure_ascii=False)
    text = NUL.sub(r"\1\\ufffd", storable(written))
    if len(text) > LONGEST_FIELDS:
        return json.dumps({"cut": text[:LONGEST_FIELDS]}, ensure_ascii=False)
    return text


def storable(text: str) -> str:
    """Text as PostgreSQL can hold it."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def dropped_row(rows: int) -> LogRow:
    """Tells how many rows were lost."""
    return LogRow(
        datetime.now(UTC), False, "warning", LOGGER, DROPPED, program=program(), fields=as_json({"dropped": rows})
    )
