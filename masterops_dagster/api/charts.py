"""The geometry of the small pictures: bars of days and lines of response times, for templates to draw as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from masterops_dagster.observability.health.uptime import Day

WIDTH, HEIGHT, MARGIN = 120.0, 28.0, 2.0
FULL, GOOD = 100.0, 98.0


@dataclass(frozen=True, slots=True)
class Line:
    """One polyline for each stretch without a gap, in a box of 120 by 28, and the place of the last point."""

    stretches: Sequence[str]
    last: tuple[float, float] | None


def day_class(day: Day) -> str:
    """`none`, `full`, `some` (98 % and more) or `bad`."""
    if day.percent is None:
        return "none"
    return "full" if day.percent >= FULL else "some" if day.percent >= GOOD else "bad"


def bad_days(days: Sequence[Day]) -> list[Day]:
    """Those on which something failed, the last first."""
    return [day for day in reversed(days) if day.percent is not None and day.percent < FULL]


def sparkline(values: Sequence[float | None]) -> Line:
    """From 0 at the bottom to the largest value at the top; a single value is a short dash."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    points = [
        None
        if value is None
        else (round(MARGIN + place * step, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top, 1))
        for place, value in enumerate(values)
    ]
    stretches = []
    for known, run in groupby(points, key=lambda point: point is not None):
        if not known:
            continue
        stretch = [point for point in run if point is not None]
        if len(stretch) == 1:
            x, y = stretch[0]
            stretch = [(x - 1, y), (x + 1, y)]
        stretches.append(" ".join(f"{x:g},{y:g}" for x, y in stretch))
    return Line(stretches, next((point for point in reversed(points) if point is not None), None))


def spoken(values: Sequence[float | None]) -> str:
    """The line in words, for those who can't see it."""
    known = [value for value in values if value is not None]
    if not known:
        return "No response times in the last 24 hours"
    return f"Response time over the last 24 hours: {min(known):.0f} to {max(known):.0f} ms, now {known[-1]:.0f} ms"
