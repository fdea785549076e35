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

from masterops_dagster.connectors.budget import BudgetTimeout, Lease, Window
from masterops_dagster.database.connection import pool

ACQUIRE = "select wait_ms, full_window, token from ops.acquire_budget(%s, %s::text[], %s::integer[], %s::bigint[], %s)"
SETTLE = "select ops.settle_budget(%s, %s::text[], %s::bigint[])"
ADAPT = "select ops.adapt_budget(%s, %s, %s, %s, %s, %s, %s)"
BLOCK = "select ops.block_budget(%s, %s, %s, %s, %s)"

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

    def acquire(self, account: str, windows: Sequence[Window], deadline: float) -> Lease:
        """Waits for a slot in every window; `deadline` is a `time.monotonic()` moment. Raises `BudgetTimeout`."""
        begun = time.monotonic()
        # ascending, as ops.acquire_budget wants it
        ordered = tuple(sorted(windows, key=lambda window: window.name))
        while True:
            wait, full_window, token = self._take(account, ordered)
            now = time.monotonic()
            if wait == 0:
                return Lease(account, ordered, now - begun, token)
            if now + wait > deadline:
                raise BudgetTimeout(account, full_window, wait)
            # waiting processes see the same moment; the few milliseconds keep them from all asking at once
            time.sleep(min(wait, LONGEST_SLEEP) + random.uniform(0, 0.005))  # noqa: S311

    def settle(self, lease: Lease) -> None:
        """The request was answered or given up: its slots become free a window's length from now."""
        self._call(SETTLE, lease.account, [window.name for window in lease.windows], lease.token)

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

    def exhausted(self, account: str, window: Window, seconds: float) -> None:
        """A 429 came: grants nothing in this window for so many seconds, to no process."""
        blocked = _milliseconds(seconds)
        self._call(BLOCK, account, window.name, window.limit, _milliseconds(window.seconds), blocked)

    def _take(self, account: str, windows: Sequence[Window]) -> tuple[float, str, list[int]]:
        row = self._call(
            ACQUIRE,
            account,
            [window.name for window in windows],
            [window.limit for window in windows],
            [_milliseconds(window.seconds) for window in windows],
            self._lease_ms,
        )
        wait_ms, full_window, token = row
        return wait_ms / 1000, full_window or "", token

    def _call(self, statement: str, *parameters: object) -> TupleRow:
        with (self._connections or pool()).connection() as connection:
            row = connection.execute(statement.encode(), parameters).fetchone()
        assert row is not None
        return row


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
