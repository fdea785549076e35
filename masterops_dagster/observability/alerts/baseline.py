"""What is usual: the median of the same hour in past weeks, and how far its values lie apart.

Counts scatter by chance alone, and few weeks may happen to agree to the digit: the deviation is at least what chance
makes of such a count (its square root), and a tenth of the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

from masterops_dagster.observability.alerts.rules import Unusual

MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its standard deviation."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Median and deviation of past values of one hour of the week."""

    middle: float
    deviation: float

    def distance(self, value: float) -> float:
        """How many deviations the value lies above (or, negative, below) the median."""
        return (value - self.middle) / self.deviation


def usual(past: Sequence[float]) -> Usual:
    """Of at least one value; robust: a holiday or an outage among them hardly moves it."""
    middle = median(past)
    scatter = MAD_TO_SIGMA * median(abs(value - middle) for value in past)
    return Usual(middle, max(scatter, sqrt(max(middle, 0.0)), 0.1 * abs(middle), 1e-9))


def is_unusual(value: float, past: Sequence[float], condition: Unusual) -> bool:
    """Whether the value is so far from what past weeks had, on the side that counts."""
    if len(past) < condition.weeks:
        return False
    known = usual(past)
    if max(value, known.middle) < condition.least:
        return False
    distance = known.distance(value)
    return (condition.side != "high" and distance < -condition.deviations) or (
        condition.side != "low" and distance > condition.deviations
    )
