"""The rate budgets of accounts, kept in PostgreSQL, so that all processes together stay within a system's limits.

Each call is one statement and one short transaction (functions in the `ops` migration say how the window slides);
waiting happens here, with nothing open. `connectors.budget` says what a budget promises.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from masterops_dagster.connectors.budget import Bucket, BudgetTimeout, Lease, Spent, Window
from masterops_dagster.database.connection import pool

ACQUIRE = "select wait_ms, full_window, token from ops.acquire_budget(%s, %s::text[], %s::integer[], %s::bigint[], %s)"
SETTLE = "select ops.settle_budget(%s, %s::text[], %s::bigint[])"
ADAPT = "select ops.adapt_budget(%s, %s, %s, %s, %s, %s, %s)"
BLOCK = "select ops.block_budget(%s, %s, %s, %s, %s)"
TAKE_POINTS = "select ops.take_points(%s, %s, %s, %s, %s)"
SETTLE_POINTS = "select ops.settle_points(%s, %s, %s, %s, %s, %s, %s)"
BLOCK_POINTS = "select ops.block_points(%s, %s, %s, %s, %s)"

LONGEST_SLEEP = 1.0
"""Seconds after which a waiting request looks again: the limit may have been raised."""


class PostgresBudget:
    """A budget for all processes that share the database.

    `lease_seconds` is how long a request may be in flight before its process is taken for dead; a request that
    takes longer only loses its slot early.
    """

    def __init__(
        self, connections: ConnectionPool[psycopg.Connection[TupleRow]] | None = None, lease_seconds: float = 60
    ) -> None:
        self._connections = connections
        self._lease_ms = _milliseconds(lease_seconds)

    def acquire(self, account: str, windows: Sequence[Window | Bucket], deadline: float, cost: int = 1) -> Lease:
        """Waits for a slot in every window; `deadline` is a `time.monotonic()` moment. Raises `BudgetTimeout`."""
        begun = time.monotonic()
        # ascending, as ops.acquire_budget wants it
        ordered = tuple(sorted(windows, key=lambda window: window.name))
        while True:
            wait, full_window, token = self._take(account, ordered, cost)
            now = time.monotonic()
            if wait == 0:
                return Lease(account, ordered, now - begun, token, cost)
            if now + wait > deadline:
                raise BudgetTimeout(account, full_window, wait)
            # waiting processes see the same moment; the few milliseconds keep them from all asking at once
            time.sleep(min(wait, LONGEST_SLEEP) + random.uniform(0, 0.005))  # noqa: S311

    def settle(self, lease: Lease, spent: Spent | None = None) -> None:
        """The request was answered or given up: its slots become free a window's length from now."""
        counted, buckets = _by_kind(lease.windows)
        if counted:
            self._call(SETTLE, lease.account, [window.name for window in counted], lease.token)
        if spent is not None:
            for bucket in buckets:
                self._settle_points(lease, bucket, spent)

    def adapt(
        self,
        account: str,
        window: Window,
        *,
        limit: int | None = None,
        remaining: int | None = None,
        reset_after: float | None = None,
    ) -> None:
        """Believes the system's own headers."""
        reset_ms = None if reset_after is None else _milliseconds(reset_after)
        self._call(ADAPT, account, window.name, window.limit, _milliseconds(window.seconds), limit, remaining, reset_ms)

    def exhausted(self, account: str, window: Window | Bucket, seconds: float) -> None:
        """A 429 came: grants nothing in this window for so many seconds, to no process."""
        if isinstance(window, Bucket):
            self._call(BLOCK_POINTS, account, window.name, window.limit, window.per_second, seconds)
        else:
            blocked = _milliseconds(seconds)
            self._call(BLOCK, account, window.name, window.limit, _milliseconds(window.seconds), blocked)

    def _take(self, account: str, windows: Sequence[Window | Bucket], cost: int) -> tuple[float, str, list[int]]:
        """Seconds to wait and for what; 0 if all was taken. Points are given back where a window has no slot."""
        counted, buckets = _by_kind(windows)
        taken: list[Bucket] = []
        wait, full_window, token = 0.0, "", list[int]()
        for bucket in buckets:
            (wait,) = self._call(TAKE_POINTS, account, bucket.name, bucket.limit, bucket.per_second, cost)
            if wait > 0:
                full_window = bucket.name
                break
            taken.append(bucket)
        if counted and wait == 0:
            row = self._call(
                ACQUIRE,
                account,
                [window.name for window in counted],
                [window.limit for window in counted],
                [_milliseconds(window.seconds) for window in counted],
                self._lease_ms,
            )
            wait, full_window, token = row[0] / 1000, row[1] or "", row[2]
        if wait > 0:
            for bucket in taken:
                self._settle_points(Lease(account, (bucket,), 0.0, cost=cost), bucket, Spent(cost=0))
        return wait, full_window, token

    def _settle_points(self, lease: Lease, bucket: Bucket, spent: Spent) -> None:
        said = (spent.cost, spent.available, spent.limit, spent.per_second)
        self._call(SETTLE_POINTS, lease.account, bucket.name, lease.cost, *said)

    def _call(self, statement: str, *parameters: object) -> TupleRow:
        with (self._connections or pool()).connection() as connection:
            row = connection.execute(statement.encode(), parameters).fetchone()
        assert row is not None
        return row


def _by_kind(windows: Sequence[Window | Bucket]) -> tuple[list[Window], list[Bucket]]:
    buckets = [window for window in windows if isinstance(window, Bucket)]
    return [window for window in windows if not isinstance(window, Bucket)], buckets


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
