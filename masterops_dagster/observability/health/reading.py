"""What a probe tells of what it looked at, and how it says that it couldn't look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from masterops_dagster.observability.health.check import Check


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer. `values` are those that the kind of probe tells, as far as known; `response_ms` is added, if missing.

    `degraded` says what is wrong although it answers, beyond what conditions say. `detail` is for people and alerts.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    degraded: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


Probe = Callable[[Check, datetime], Reading]
"""Looks once, at a moment of real time. What can go wrong where it looks is in `looking.EXPECTED`; anything else that
it raises is a defect of the probe."""


class ProbeFailed(Exception):
    """What was looked at is not as it must be; the message says what to do."""


class CannotCheck(Exception):
    """The check couldn't be made, for a reason that says nothing about what was to be looked at."""
