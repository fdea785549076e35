"""The state that results add up to: down after so many failures in a row, up again after so many answers in a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.looking import Outcome

Status = Literal["unknown", "up", "degraded", "down"]

CONFIRM_AFTER = timedelta(seconds=15)
"""How soon a check is made again while it is in doubt or down."""


@dataclass(frozen=True, slots=True)
class State:
    """The present state of a check, and how many results of each kind came in a row.

    `successes` counts answers, degraded ones included; `well` counts those that were ok. `first_failure_at` is when the
    present row of results other than ok began; it stays until the status is `up`.
    """

    status: Status
    since: datetime
    failures: int = 0
    successes: int = 0
    well: int = 0
    degraded: int = 0
    broken: int = 0
    first_failure_at: datetime | None = None
    last_ok_at: datetime | None = None

    def after(self, outcome: Outcome, at: datetime, check: Check) -> State:
        """The state once another result is in."""
        answered = outcome in ("ok", "degraded")
        counted = replace(
            self,
            failures=self.failures + 1 if outcome in ("failed", "timed_out") else 0 if answered else self.failures,
            successes=self.successes + 1 if answered else 0,
            well=self.well + 1 if outcome == "ok" else 0,
            degraded=self.degraded + 1 if outcome == "degraded" else 0,
            broken=self.broken + 1 if outcome == "broken" else 0,
            first_failure_at=self.first_failure_at if outcome == "ok" else self.first_failure_at or at,
            last_ok_at=at if outcome == "ok" else self.last_ok_at,
        )
        status = counted._status(outcome, check)
        return replace(
            counted,
            status=status,
            since=at if status != self.status else self.since,
            first_failure_at=None if status == "up" and outcome == "ok" else counted.first_failure_at,
        )

    def next_check_at(self, outcome: Outcome, at: datetime, check: Check) -> datetime:
        """Sooner than declared while the status may be about to change, or is `down`."""
        settled = (outcome, self.status) in (("ok", "up"), ("degraded", "degraded"))
        return at + (check.every if settled else min(check.every, CONFIRM_AFTER))

    def _status(self, outcome: Outcome, check: Check) -> Status:
        if self.failures >= check.fail_after:
            return "down"
        if self.broken >= check.fail_after:
            return "unknown"
        if outcome not in ("ok", "degraded"):
            return self.status
        if self.status == "down" and self.successes < check.recover_after:
            return "down"
        if self.status in ("down", "unknown"):
            return "up" if outcome == "ok" else "degraded"
        if self.degraded >= check.fail_after:
            return "degraded"
        if self.status == "degraded" and self.well >= check.recover_after:
            return "up"
        return self.status
