"""A rule tried on the past: the same states, over what its signal would have read then. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.observability.alerts import signals
from masterops_dagster.observability.alerts.evaluation import in_hours, parameters_of
from masterops_dagster.observability.alerts.rules import ENGINE, Rule
from masterops_dagster.observability.alerts.signals import Moment
from masterops_dagster.observability.alerts.states import Alert, advance, judge

Connection = psycopg.Connection[TupleRow]


class NoPast(ValueError):
    """What the rule looks at is known for the present only."""


@dataclass(slots=True)
class Firing:
    """One time that the rule would have fired. `resolved_at` is None where it still would."""

    subject: str
    severity: str
    began_at: datetime
    fired_at: datetime
    resolved_at: datetime | None
    value: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Backtest:
    """How often a rule would have fired. `pending` counts what ended before it was told."""

    rule_id: str
    start: datetime
    end: datetime
    step: timedelta
    looks: int
    firings: tuple[Firing, ...]
    pending: int


def backtest(
    connection: Connection,
    rule: Rule,
    at: datetime,
    days: int,
    step: timedelta = timedelta(minutes=15),
    *,
    business_offset: timedelta = timedelta(0),
) -> Backtest:
    """Looks every `step` over so many days before `at`, without silences and without what other rules explain.

    Raises `NoPast` for a rule whose signal knows only the present.
    """
    if rule.signal == ENGINE or not signals.signal(rule.signal).replays:
        raise NoPast(f"{rule.id} looks at what is known of the present only: it can't be tried on the past")
    found = signals.signal(rule.signal)
    step = max(step, rule.every)
    start = at - timedelta(days=days)
    alerts: dict[str, Alert] = {}
    firings: list[Firing] = []
    current: dict[str, Firing] = {}
    looks = pending = 0
    with connection.transaction():
        connection.execute("set transaction read only")
        absent = bool(signals.missing_tables(connection, [found]))
        moment = start
        while moment <= at and not absent:
            looks += 1
            business_at = moment + business_offset
            readings = signals.read(connection, found, Moment(moment, business_at), parameters_of(rule))
            bad = {one.labels.subject: one for reading in readings if (one := judge(rule, reading)) is not None}
            for subject in sorted({*alerts, *bad}):
                alert, seen = alerts.get(subject), bad.get(subject)
                if not in_hours(rule, business_at) and not (alert and alert.live):
                    seen = None
                now, change = advance(rule, alert, seen, moment, watching_since=start - rule.settle, may_fire=True)
                alerts.pop(subject, None)
                if now is not None:
                    alerts[subject] = now
                if change is None:
                    continue
                if change.to_state == "firing":
                    told = change.alert
                    current[subject] = Firing(
                        subject, told.severity, told.since, moment, None, told.value, told.message
                    )
                    firings.append(current[subject])
                elif change.to_state == "resolved":
                    current[subject].resolved_at = moment
                elif change.to_state == "cleared":
                    pending += 1
            moment += step
    return Backtest(rule.id, start, at, step, looks, tuple(firings), pending)
