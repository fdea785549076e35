"""What is unusual for the hour of the week: no alarm on an ordinary rhythm, one on a drop, whatever the weeks held."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import sqrt

import pytest

from masterops_dagster.observability.alerts.baseline import is_unusual, usual
from masterops_dagster.observability.alerts.rules import Unusual

LOW = Unusual(deviations=4, side="low", least=12)
WEEK = 7 * 24


def orders_of(hour: int, chance: random.Random) -> int:
    """Busy days, quiet nights, quieter week-ends, and chance."""
    day, of_day = hour // 24 % 7, hour % 24
    expected = (25 if 8 <= of_day <= 20 else 3) * (0.6 if day >= 5 else 1)
    return max(0, round(chance.gauss(expected, sqrt(expected))))


def alarms(series: Sequence[int], weeks: int = 6) -> list[int]:
    """The hours at which it would fire."""
    first = weeks * WEEK
    return [
        hour
        for hour in range(first, len(series))
        if is_unusual(series[hour], [series[hour - week * WEEK] for week in range(1, weeks + 1)], LOW)
    ]


def test_ordinary_weeks_raise_no_alarm_whatever_the_seed() -> None:
    for seed in range(3):
        chance = random.Random(seed)
        assert alarms([orders_of(hour, chance) for hour in range(16 * WEEK)]) == []


def test_a_shop_that_stops_selling_by_day_is_an_alarm_within_two_hours() -> None:
    chance = random.Random(7)
    series = [orders_of(hour, chance) for hour in range(8 * WEEK)]
    noon_of_tuesday = 7 * WEEK + 24 + 12
    series[noon_of_tuesday:] = [0] * (len(series) - noon_of_tuesday)
    assert noon_of_tuesday <= alarms(series)[0] <= noon_of_tuesday + 1


def test_a_holiday_among_the_weeks_neither_hides_a_drop_nor_makes_one() -> None:
    past = [25, 0, 27, 24, 26, 23]
    assert is_unusual(2, past, LOW)
    assert not is_unusual(22, past, LOW)


def test_nothing_is_unusual_before_enough_weeks_are_known_or_where_little_happens() -> None:
    assert not is_unusual(0, [30, 31, 29], LOW)
    assert not is_unusual(0, [6, 7, 5, 8], LOW)


@pytest.mark.parametrize(("side", "low", "high"), [("low", True, False), ("high", False, True), ("both", True, True)])
def test_only_the_side_that_counts(side: str, low: bool, high: bool) -> None:
    condition = Unusual.model_validate({"deviations": 4, "side": side})
    past = [100, 104, 96, 101]
    assert is_unusual(20, past, condition) is low
    assert is_unusual(200, past, condition) is high


def test_weeks_that_agree_to_the_digit_still_leave_room_for_chance() -> None:
    assert usual([100, 100, 100, 100]).deviation == 10
