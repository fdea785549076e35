"""Which records a day brings; always the same for a seed, scale and start."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import date

from masterops_dagster.simulator.world.records import Association, Version


def first_day(start: date) -> date:
    """History begins on the first of a month, fifteen months before the world was made."""
    months = start.year * 12 + start.month - 1 - 15
    return date(months // 12, months % 12 + 1, 1)


def base(seed: int, scale: float, start: date, imported: Set[str]) -> Iterator[Version | Association]:
    """What is there when history begins."""
    yield from ()


def day(seed: int, scale: float, start: date, imported: Set[str], day: date) -> Iterator[Version | Association]:
    """What one Melbourne day brings, with all that later becomes of it."""
    yield from ()
