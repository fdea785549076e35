"""Ordinary life in simulated time: the rows that schedules, runs, loads and requests leave in `ops`, hour by hour."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.sources.catalogue import READ_ACCOUNTS, streams_of

STREAMS = [(account, stream.name) for account in READ_ACCOUNTS for stream in streams_of(account)]
WORKFLOWS = ("Order notifications", "Stock export", "Supplier mails", "Box labels", "Weekly digest")
NIGHTLY = {"nightly_sweep": (2, 30), "retention_schedule": (3, 15), "history_schedule": (4, 0)}
REFRESH = timedelta(minutes=7)
"""After the full hour."""

EXECUTION = """
insert into ops.workflow_execution_logs (
    started_at, error, source, kind, name, execution_id, system, account, status, ended_at, duration_ms, error_class,
    error_message
)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
LOADS = """
insert into ops.loads (account, stream, kind, status, rows, started_at, finished_at, business_at, dagster_run_id)
values (%s, %s, 'live', 'succeeded', 10, %s, %s, %s, %s)
"""
REQUESTS = """
insert into ops.api_metrics (
    occurred_at, error, system, account, operation, method, path_template, status, outcome, duration_ms,
    bytes_received, attempts, budget_wait_ms
)
values (%s, %s, %s, %s, 'list', 'GET', '/list', %s, %s, %s, 1000, 1, 0)
"""
RECONCILED = """
insert into ops.reconciliations (account, stream, checked_at, source_count, our_count, method)
values (%s, %s, %s, %s, %s, 'count')
"""


class Life:
    """Writes what happens up to a moment.

    `stopped` names streams that are not read, `busy` accounts whose load hangs; `silent` stops the schedules.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow], begins: datetime, seed: int) -> None:
        self._connection = connection
        self._rng = random.Random(seed)  # noqa: S311 -- the same weeks each time
        self._hour = begins.replace(minute=0, second=0, microsecond=0)
        self._waiting = list(self._of_hour(self._hour))
        self.stopped: set[str] = set()
        self.busy: set[str] = set()
        self.gaps: dict[str, int] = {}
        self.silent = False
        self.held: list[datetime] = []

    def go_on(self, until: datetime) -> None:
        """Up to and including the moment."""
        while True:
            while self._waiting and self._waiting[0] <= until:
                self._refresh(self._waiting.pop(0))
            following = self._hour + timedelta(hours=1)
            if following > until:
                return
            self._hour = following
            self._waiting = list(self._of_hour(following))
            self._at_night(following)

    def resume(self, at: datetime) -> None:
        """The schedules tick again, late."""
        self.silent = False
        for _ in self.held[:1]:
            self._refresh(at, late=True)
        self.held.clear()

    def execution(
        self,
        at: datetime,
        kind: str,
        name: str,
        *,
        source: str = "dagster",
        seconds: float = 1.0,
        failed: str | None = None,
    ) -> str:
        """One that ended; returns its id."""
        execution_id = str(uuid4())
        account = "n8n" if source == "n8n" else None
        self._connection.execute(
            EXECUTION,
            [
                *(at - timedelta(seconds=seconds), failed is not None, source, kind, name, execution_id, account),
                *(account, "failed" if failed else "succeeded", at, seconds * 1000, failed),
                failed and "it broke",
            ],
        )
        return execution_id

    def requests(self, at: datetime, account_key: str, system: str, milliseconds: float, number: int) -> None:
        """So many answers within the minute before, each of about that length."""
        rows = [
            [
                *(at - timedelta(seconds=60 * place / number), False, system, account_key, 200, "ok"),
                milliseconds * self._rng.uniform(0.8, 1.2),
            ]
            for place in range(number)
        ]
        with self._connection.cursor() as cursor:
            cursor.executemany(REQUESTS, rows)

    def _of_hour(self, hour: datetime) -> Iterator[datetime]:
        yield hour + REFRESH

    def _refresh(self, at: datetime, *, late: bool = False) -> None:
        """The hourly run, from the schedule's tick to the comparison of counts; written as if it took no time."""
        if self.silent and not late:
            self.held.append(at)
            return
        self.execution(at, "schedule", "hourly_refresh", seconds=0.5)
        run_id = self.execution(at, "run", "refresh", seconds=0.2)
        with self._connection.cursor() as cursor:
            cursor.executemany(
                LOADS,
                [
                    [account.key, stream, at, at, at, run_id]
                    for account, stream in STREAMS
                    if f"{account.key}.{stream}" not in self.stopped and account.key not in self.busy
                ],
            )
            cursor.executemany(
                RECONCILED,
                [
                    [account.key, stream, at, 1000, 1000]
                    for account, stream in STREAMS
                    if f"{account.key}.{stream}" not in self.gaps
                ],
            )
        for account in READ_ACCOUNTS:
            if account.key in self.busy:
                continue
            self.requests(at, account.key, account.system, 300, 12)
        for workflow in WORKFLOWS:
            self.execution(at, "execution", workflow, source="n8n")

    def _at_night(self, hour: datetime) -> None:
        local = hour.astimezone(MELBOURNE)
        for schedule, (at_hour, minute) in NIGHTLY.items():
            if local.hour == at_hour:
                self.execution(hour + timedelta(minutes=minute, seconds=1), "schedule", schedule)
                self.execution(hour + timedelta(minutes=minute, seconds=2), "run", schedule)
