"""Business time: real time plus the offset that the stand-in world stores, which is zero outside `local`.

KPI completeness, the age of data and load windows use it; leases, retries, signatures and auth stay on real time.
`ops.now()` is its twin in SQL; `masterops world new-day` moves both.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.settings import settings


def offset() -> timedelta:
    """How far business time is ahead of real time."""
    current = settings()
    if current.env != "local" or not current.clock_file.exists():
        return timedelta(0)
    return timedelta(seconds=float(json.loads(current.clock_file.read_text())["offset_seconds"]))


def now() -> datetime:
    """Business time, timezone-aware, UTC."""
    return datetime.now(UTC) + offset()


def today() -> date:
    """The business day in Melbourne."""
    return business_day(now())


def business_day(moment: datetime) -> date:
    """The Melbourne day of an aware moment."""
    return moment.astimezone(MELBOURNE).date()


def day_start(day: date) -> datetime:
    """The first moment of a Melbourne day, in UTC; a day is 23 or 25 hours long where daylight saving changes."""
    return datetime(day.year, day.month, day.day, tzinfo=MELBOURNE).astimezone(UTC)
