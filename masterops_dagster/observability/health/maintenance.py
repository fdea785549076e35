"""Maintenance windows: what fails within one is expected, and doesn't count for uptime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.observability.health.check import Check

WINDOWS = """
select silence_id, matches, starts_at, ends_at, reason
from ops.silences
where kind = 'maintenance' and starts_at <= %(at)s and %(at)s < ends_at
order by silence_id
"""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """One window. `matches` are labels that must all be equal; without any it is about everything."""

    silence_id: int
    matches: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    reason: str

    def covers(self, check: Check) -> bool:
        """Whether the check is meant; a window for an alert rule alone is about no check."""
        labels = {
            "system": check.system,
            "account": check.account,
            "business": check.business_key,
            "check": check.id,
        }
        return all(labels.get(label) == wanted for label, wanted in self.matches.items())


def maintenance(connection: psycopg.Connection[TupleRow], at: datetime) -> tuple[Maintenance, ...]:
    """The windows that are open at a moment."""
    return tuple(Maintenance(*row) for row in connection.execute(WINDOWS, {"at": at}))
