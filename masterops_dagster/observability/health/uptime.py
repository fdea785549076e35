"""Uptime and response times of months, from the counts of each Melbourne day. Maintenance doesn't count.

A day is as long as it is: 23 or 25 hours where daylight saving changes; each check in it counts once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.clock import business_day

Connection = psycopg.Connection[TupleRow]

BUCKET_BOUNDS_MS = (5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000)
"""Upper bounds, inclusive, of the buckets of `ops.health_days.response_buckets`; the last bucket has none."""

DAYS = """
select check_id, day, checks, failed, excused, response_buckets
from ops.health_days
where day between %(first)s and %(last)s and (%(check_id)s::text is null or check_id = %(check_id)s)
order by check_id, day
"""


@dataclass(frozen=True, slots=True)
class Day:
    """One check on one Melbourne day. `checks` includes those `excused`; `percent` is as in a `Period`."""

    day: date
    checks: int
    failed: int
    excused: int
    p50_ms: float | None
    p95_ms: float | None

    @property
    def percent(self) -> float | None:
        return _percent(self.checks, self.failed, self.excused)


@dataclass(frozen=True, slots=True)
class Period:
    """The last so many Melbourne days, today included. Percentiles are exact to the bucket, even within it."""

    days: int
    checks: int
    failed: int
    excused: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @property
    def percent(self) -> float | None:
        """Share of the checks outside maintenance that were answered, 0 to 100; None where there are none."""
        return _percent(self.checks, self.failed, self.excused)


@dataclass(frozen=True, slots=True)
class Uptime:
    """One check: today, and the last 7, 30 and 90 days."""

    check_id: str
    day: Period
    week: Period
    month: Period
    ninety_days: Period


def uptime(connection: Connection, check_id: str, at: datetime) -> Uptime:
    """The uptime of one check at a moment."""
    return _uptime(check_id, _counts(connection, at, 90, check_id), business_day(at))


def uptimes(connection: Connection, at: datetime) -> dict[str, Uptime]:
    """That of all checks, by id."""
    counts = _counts(connection, at, 90, None)
    by_check: dict[str, list[_Counts]] = {}
    for one in counts:
        by_check.setdefault(one.check_id, []).append(one)
    return {check_id: _uptime(check_id, found, business_day(at)) for check_id, found in by_check.items()}


def daily(connection: Connection, check_id: str, at: datetime, days: int = 90) -> list[Day]:
    """The last days of one check, oldest first, today last; a day without a check has zeros."""
    return _days(_counts(connection, at, days, check_id), business_day(at), days)


def all_daily(connection: Connection, at: datetime, days: int = 90) -> dict[str, list[Day]]:
    """Those of all checks, by id."""
    by_check: dict[str, list[_Counts]] = {}
    for one in _counts(connection, at, days, None):
        by_check.setdefault(one.check_id, []).append(one)
    return {check_id: _days(found, business_day(at), days) for check_id, found in by_check.items()}


def bucket(response_ms: float) -> int:
    """Which bucket a response time falls into, from 0."""
    return bisect_left(BUCKET_BOUNDS_MS, response_ms)


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """The response time in ms below which so large a share (0 to 1) of the answers came; None without answers.

    Within a bucket answers are taken as spread evenly; what lies beyond the last bound counts as the last bound.
    """
    wanted = share * sum(buckets)
    if not wanted:
        return None
    for place, count in enumerate(buckets):
        if count and wanted <= count:
            if place >= len(BUCKET_BOUNDS_MS):
                break
            low = BUCKET_BOUNDS_MS[place - 1] if place else 0
            return low + (BUCKET_BOUNDS_MS[place] - low) * wanted / count
        wanted -= count
    return float(BUCKET_BOUNDS_MS[-1])


@dataclass(frozen=True, slots=True)
class _Counts:
    check_id: str
    day: date
    checks: int
    failed: int
    excused: int
    buckets: list[int]


def _counts(connection: Connection, at: datetime, days: int, check_id: str | None) -> list[_Counts]:
    last = business_day(at)
    values = {"first": last - timedelta(days=days - 1), "last": last, "check_id": check_id}
    return [_Counts(*row) for row in connection.execute(DAYS, values)]


def _uptime(check_id: str, counts: Sequence[_Counts], today: date) -> Uptime:
    return Uptime(check_id, *(_period(counts, today, days) for days in (1, 7, 30, 90)))


def _period(counts: Iterable[_Counts], today: date, days: int) -> Period:
    within = [one for one in counts if one.day > today - timedelta(days=days)]
    buckets = [0] * (len(BUCKET_BOUNDS_MS) + 1)
    for one in within:
        for place, count in enumerate(one.buckets):
            buckets[place] += count
    return Period(
        days,
        sum(one.checks for one in within),
        sum(one.failed for one in within),
        sum(one.excused for one in within),
        *(percentile(buckets, share) for share in (0.5, 0.95, 0.99)),
    )


def _days(counts: Sequence[_Counts], today: date, days: int) -> list[Day]:
    known = {one.day: one for one in counts}
    found = []
    for back in range(days - 1, -1, -1):
        day = today - timedelta(days=back)
        one = known.get(day) or _Counts("", day, 0, 0, 0, [])
        p50, p95 = percentile(one.buckets, 0.5), percentile(one.buckets, 0.95)
        found.append(Day(day, one.checks, one.failed, one.excused, p50, p95))
    return found


def _percent(checks: int, failed: int, excused: int) -> float | None:
    counted = checks - excused
    return 100 * (counted - failed) / counted if counted else None
