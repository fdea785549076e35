"""When nobody is to be told: silences, and maintenance windows, in which uptime doesn't count either.

A silence names labels that must all be equal: `rule`, `system`, `account`, `business`, `check` (the alert's subject).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from masterops_dagster.observability.alerts.states import Labels

Connection = psycopg.Connection[TupleRow]
Kind = Literal["silence", "maintenance"]

LABELS = ("rule", "system", "account", "business", "check")

ADD = """
insert into ops.silences (kind, matches, starts_at, ends_at, created_by, reason)
values (%s, %s, %s, %s, %s, %s)
returning silence_id
"""

# What is told already isn't told to the next step while the silence lasts.
HOLD_ESCALATION = """
update ops.incidents set escalate_at = greatest(escalate_at, %(until)s)
where state <> 'resolved' and escalate_at is not null
and coalesce(%(matches)s ->> 'rule', rule_id) = rule_id
and coalesce(%(matches)s ->> 'system', system, '') = coalesce(system, '')
and coalesce(%(matches)s ->> 'account', account, '') = coalesce(account, '')
and coalesce(%(matches)s ->> 'business', business_key, '') = coalesce(business_key, '')
and (%(matches)s ->> 'check' is null or detail -> 'subjects' = jsonb_build_array(%(matches)s ->> 'check'))
"""

IN_FORCE = """
select silence_id, kind, matches, starts_at, ends_at, created_by, reason
from ops.silences
where starts_at <= %(at)s and ends_at > %(at)s
order by silence_id
"""


END = (
    "update ops.silences set ends_at = %(at)s where silence_id = %(number)s and starts_at < %(at)s and ends_at > %(at)s"
)


@dataclass(frozen=True, slots=True)
class Silence:
    """From when to when, for what, by whom and why; real time."""

    silence_id: int
    kind: Kind
    matches: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    reason: str

    def covers(self, rule_id: str, labels: Labels) -> bool:
        """Whether all of its labels are those of the alert."""
        have = {
            "rule": rule_id,
            "system": labels.system,
            "account": labels.account,
            "business": labels.business,
            "check": labels.subject,
        }
        return all(have.get(name) == value for name, value in self.matches.items())


def silence(
    connection: Connection,
    matches: Mapping[str, str],
    until: datetime,
    by: str,
    reason: str,
    kind: Kind = "silence",
    *,
    at: datetime,
) -> int:
    """Tells nobody of what matches, from `at` on; returns its number. No labels at all match everything.

    Raises `ValueError` for a label that there is not, and for an end that has passed.
    """
    if wrong := sorted(set(matches) - set(LABELS)):
        raise ValueError(f"{wrong[0]!r} is no label of alerts; known: {', '.join(LABELS)}")
    if until <= at:
        raise ValueError(f"it would end at {until:%Y-%m-%d %H:%M} UTC, which has passed")
    with connection.transaction():
        row = connection.execute(ADD, [kind, Jsonb(dict(matches)), at, until, by, reason]).fetchone()
        connection.execute(HOLD_ESCALATION, {"until": until, "matches": Jsonb(dict(matches))})
    assert row is not None
    return int(row[0])


def in_force(connection: Connection, at: datetime) -> list[Silence]:
    """All that hold at that moment, the oldest first."""
    with connection.cursor(row_factory=class_row(Silence)) as cursor:
        return cursor.execute(IN_FORCE, {"at": at}).fetchall()


def end_silence(connection: Connection, number: int, at: datetime) -> bool:
    """Ends it now; False if it wasn't in force."""
    return connection.execute(END, {"number": number, "at": at}).rowcount == 1
