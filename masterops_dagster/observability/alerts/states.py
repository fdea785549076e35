"""The life of one alert, without a database: pending → firing → acknowledged → resolved, by an injected clock.

What fires for the third time within an hour flaps: it is held open until it has been quiet for a while. An alert that
something else explains, or that a silence covers, fires without a word; it speaks up if it still holds afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from string import Formatter
from typing import Any, Literal
from uuid import UUID

from masterops_dagster.observability.alerts.baseline import is_unusual, usual
from masterops_dagster.observability.alerts.rules import Rule
from masterops_dagster.observability.alerts.signals import Reading
from masterops_dagster.observability.incidents import Severity

FLAPS = 2
"""Resolved so often within an hour, the next firing is held open."""
FLAPPING_WITHIN = timedelta(hours=1)
QUIET = timedelta(minutes=30)
"""So long what flaps must be quiet before it is over."""
REMEMBERED = timedelta(hours=1)
"""So long a resolved alert is kept, so that flapping shows."""
LIVE = ("firing", "acknowledged")

State = Literal["pending", "firing", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Labels:
    """What an alert is about."""

    subject: str
    system: str | None = None
    account: str | None = None
    business: str | None = None

    def get(self, name: str) -> str | None:
        value: str | None = getattr(self, name)
        return value


@dataclass(frozen=True, slots=True)
class Bad:
    """A reading for which a rule's condition holds."""

    labels: Labels
    severity: Severity
    value: float
    message: str
    began_at: datetime | None
    detail: Mapping[str, Any]


@dataclass(slots=True)
class Alert:
    """The state of one rule for one subject, as `ops.alert_states` holds it."""

    rule_id: str
    fingerprint: str
    labels: Labels
    state: State
    severity: Severity
    value: float | None
    message: str
    since: datetime
    last_seen_at: datetime
    fired_at: datetime | None = None
    clear_since: datetime | None = None
    resolved_at: datetime | None = None
    incident_id: UUID | None = None
    suppressed_by: str | None = None
    flaps: list[datetime] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def speaks(self) -> bool:
        """Whether people are to know of it."""
        return self.live and self.suppressed_by is None


@dataclass(frozen=True, slots=True)
class Change:
    """One step in the life of an alert; `to_state` is `cleared` where it ended before it was told."""

    alert: Alert
    from_state: str | None
    to_state: str


def fingerprint(rule: Rule, labels: Labels) -> str:
    """Names an alert: `stream_stale:hubspot.contacts`."""
    return f"{rule.id}:{labels.subject}"


def judge(rule: Rule, reading: Reading) -> Bad | None:
    """What is bad about a reading, by the rule; None if nothing is, or if the rule isn't about it."""
    labels = Labels(reading.subject, reading.system, reading.account, reading.business_key)
    if reading.value is None or not _is_about(rule, labels, reading.detail):
        return None
    value, condition = reading.value, rule.condition
    detail = dict(reading.detail)
    severity = rule.severity
    if condition.unusual is not None:
        past = [float(one) for one in detail.get("past") or [] if one is not None]
        if not is_unusual(value, past, condition.unusual):
            return None
        detail["usual"] = written(usual(past).middle, rule.unit)
    elif condition.above is not None:
        if not value > condition.above:
            return None
        if condition.critical is not None and value > condition.critical:
            severity = "critical"
    elif condition.below is not None:
        if not value < condition.below:
            return None
        if condition.critical is not None and value < condition.critical:
            severity = "critical"
    message = text(rule.message, labels, detail, value=written(value, rule.unit))
    return Bad(labels, severity, value, message, reading.began_at, detail)


def advance(
    rule: Rule, alert: Alert | None, bad: Bad | None, at: datetime, *, watching_since: datetime, may_fire: bool
) -> tuple[Alert | None, Change | None]:
    """The alert after a look at a moment: the new state, None if it is to be forgotten, and the step if there was one.

    `may_fire` is false while something that would explain it is only suspected. Raises nothing; never writes.
    """
    if bad is not None:
        return _holds(rule, alert, bad, at, watching_since, may_fire)
    if alert is None:
        return None, None
    return _is_clear(rule, alert, at)


def flapping(alert: Alert, at: datetime) -> bool:
    """Whether it came and went so often of late that it is held open."""
    return len([one for one in alert.flaps if at - one < FLAPPING_WITHIN]) >= FLAPS


def text(template: str, labels: Labels, detail: Mapping[str, Any], **more: object) -> str:
    """The template with labels, the detail's fields and more filled in; what isn't known reads `unknown`."""
    known = {
        "subject": labels.subject,
        "system": labels.system,
        "account": labels.account,
        "business": labels.business,
        **detail,
        **more,
    }
    filled = {
        name: "unknown" if known.get(name) is None else str(known[name])
        for _, name, _, _ in Formatter().parse(template)
        if name is not None
    }
    return template.format_map(filled)


def written(value: float, unit: str) -> str:
    """As a person reads it: `2 h 5 min`, `31 %`, `12 rows`."""
    if unit == "duration":
        return _duration(value)
    number = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"
    if unit == "percent":
        return f"{number} %"
    if not unit:
        return number
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}"


def _holds(
    rule: Rule, alert: Alert | None, bad: Bad, at: datetime, watching_since: datetime, may_fire: bool
) -> tuple[Alert, Change | None]:
    before = alert.state if alert is not None and alert.state != "resolved" else None
    if alert is None or alert.state == "resolved":
        flaps = [one for one in alert.flaps if at - one < FLAPPING_WITHIN] if alert else []
        since = min(bad.began_at or at, at)
        alert = Alert(
            rule.id, fingerprint(rule, bad.labels), bad.labels, "pending", bad.severity, bad.value, bad.message,
            since, at, flaps=flaps,
        )  # fmt: skip
    kept = {name: value for name, value in alert.detail.items() if name == "explained_until"}
    alert.severity, alert.value, alert.message = bad.severity, bad.value, bad.message
    alert.labels, alert.detail = bad.labels, dict(bad.detail) | kept
    alert.last_seen_at, alert.clear_since = at, None
    if alert.state == "pending":
        alert.since = min(alert.since, at)
        ripe = at - alert.since >= rule.wait and at - watching_since >= rule.settle
        if ripe and may_fire:
            alert.state, alert.fired_at = "firing", at
    changed = alert.state != before
    return alert, Change(alert, before, alert.state) if changed else None


def _is_clear(rule: Rule, alert: Alert, at: datetime) -> tuple[Alert | None, Change | None]:
    if alert.state == "pending":
        return None, Change(alert, "pending", "cleared")
    if alert.state == "resolved":
        over = alert.resolved_at is not None and at - alert.resolved_at > REMEMBERED
        return (None if over else alert), None
    alert.clear_since = min(alert.clear_since or at, at)
    needed = max(rule.resolve_after, QUIET) if flapping(alert, at) else rule.resolve_after
    if at - alert.clear_since < needed:
        return alert, None
    before, alert.state, alert.resolved_at = alert.state, "resolved", at
    alert.flaps = [*(one for one in alert.flaps if at - one < FLAPPING_WITHIN), at]
    return alert, Change(alert, before, "resolved")


def _is_about(rule: Rule, labels: Labels, detail: Mapping[str, Any]) -> bool:
    """Whether every field that `only` names has a value given there: `n8n_*` is what begins so, `!disk` all else."""
    for name, patterns in rule.only.items():
        value = str(labels.get(name) if name in Labels.__slots__ else detail.get(name))
        wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
        unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        if wanted and not any(fnmatchcase(value, pattern) for pattern in wanted):
            return False
        if any(fnmatchcase(value, pattern) for pattern in unwanted):
            return False
    return True


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"
