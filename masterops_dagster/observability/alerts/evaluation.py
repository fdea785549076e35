"""One evaluation of all rules: signals → states of alerts → incidents → what is to be told, in one transaction.

Two processes that evaluate at once come one after the other, by an advisory lock; the second finds nothing to do. A
signal whose query fails leaves its alerts as they are, stops no other rule, and is an alert of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import TupleRow

from masterops_dagster.observability.alerts import signals, store
from masterops_dagster.observability.alerts.rules import ENGINE, SEVERITIES, Label, Rule
from masterops_dagster.observability.alerts.signals import Moment, Reading
from masterops_dagster.observability.alerts.silences import Silence, in_force
from masterops_dagster.observability.alerts.states import Alert, Bad, Change, Labels, advance, fingerprint, judge, text
from masterops_dagster.observability.incidents import Incident, unresolved
from masterops_dagster.observability.leases import Lease

Connection = psycopg.Connection[TupleRow]

BROKEN = "signal_broken"
SIGNAL_TIMEOUT = "2s"
UNWATCHED = timedelta(minutes=5)
"""A longer gap between two evaluations means that the platform was off: watching begins anew."""
SHOWN = 20
"""So many subjects an incident names."""

log = structlog.get_logger("masterops.alerts")


Announced = Literal["opened", "worsened", "resolved"]


class Announce(Protocol):
    """Writes down, in the caller's transaction, what is to be told of an incident; returns how many messages."""

    def __call__(self, connection: Connection, incident: Incident, kind: Announced, at: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation changed. `broken` are the signals that could not be read, with what the database said."""

    at: datetime
    changes: tuple[Change, ...]
    opened: tuple[Incident, ...]
    worsened: tuple[Incident, ...]
    resolved: tuple[Incident, ...]
    broken: Mapping[str, str]
    messages: int


def evaluate(
    connection: Connection,
    rules: Sequence[Rule],
    at: datetime,
    *,
    business_at: datetime,
    lease: Lease | None = None,
    announce: Announce | None = None,
) -> Evaluation:
    """Evaluates all rules as of a moment of real time. `rules` are in the order of `load_rules`, and all that there
    are: alerts of rules that are not among them end. Raises `LeaseLost` if the lease is not held any more.
    """
    if announce is None:
        from masterops_dagster.observability.notify.plan import announce as planned

        announce = planned
    with connection.transaction():
        store.lock(connection, at)
        if lease is not None:
            lease.require(connection)
        watching = store.watching(connection)
        since = watching.since if watching and timedelta(0) <= at - watching.last <= UNWATCHED else at
        before = watching.last if watching else None
        due = [rule for rule in rules if _is_due(rule, before, at)]
        bad, broken = _bad(connection, due, Moment(at, business_at))
        alerts = store.alerts(connection)
        round_ = _Round(at, since, alerts, in_force(connection, at))
        for rule in due:
            if rule.signal not in broken:
                round_.apply(rule, bad[rule.id], business_at)
        round_.end_those_without_a_rule(rules)
        told = _tell(connection, rules, round_, at)
        store.save(connection, round_.alerts.values(), round_.forgotten, round_.changes, at)
        store.watched(connection, since, at)
        messages = sum(announce(connection, incident, kind, at) for kind, found in told.items() for incident in found)
    for name, said in broken.items():
        log.error("a signal can't be read", signal=name, error=said)
    return Evaluation(
        at,
        tuple(round_.changes),
        tuple(told["opened"]),
        tuple(told["worsened"]),
        tuple(told["resolved"]),
        broken,
        messages,
    )


def unreadable(connection: Connection, rules: Sequence[Rule], at: datetime, *, business_at: datetime) -> list[str]:
    """The signals that can't be read now, each in a line with what the database says. Writes nothing."""
    with connection.transaction():
        connection.execute("set transaction read only")
        _, broken = _bad(connection, rules, Moment(at, business_at))
    return [f"signal {name}: {said}" for name, said in broken.items()]


def cause_of(rule: Rule, labels: Labels) -> str:
    """What alerts have in common that are one incident: `stream_stale:hubspot`."""
    return ":".join([rule.id, *(labels.get(label) or "none" for label in rule.group_by)])


def in_hours(rule: Rule, business_at: datetime) -> bool:
    """Whether the rule may tell something new at that time."""
    return rule.business_hours is None or rule.business_hours.contain(business_at)


def parameters_of(rule: Rule) -> Mapping[str, Any]:
    """What its signal gets: the rule's parameters, and its business hours."""
    hours = rule.business_hours
    given = {"days": hours.days, "from": str(hours.start), "to": str(hours.end)} if hours else None
    return dict(rule.parameters) | ({"business_hours": given} if given else {})


class _Round:
    """The alerts while they are looked at: rules that explain others come before them."""

    def __init__(
        self,
        at: datetime,
        watching_since: datetime,
        alerts: Mapping[tuple[str, str], Alert],
        silences: Sequence[Silence],
    ) -> None:
        self.at = at
        self.watching_since = watching_since
        self.alerts = dict(alerts)
        self.silences = silences
        self.forgotten: list[Alert] = []
        self.changes: list[Change] = []

    def apply(self, rule: Rule, bad: Mapping[str, Bad], business_at: datetime) -> None:
        """Brings the rule's alerts up to date with what is bad."""
        mine = {key[1] for key in self.alerts if key[0] == rule.id}
        open_hours = in_hours(rule, business_at)
        for print_ in sorted({*mine, *bad}):
            alert, found = self.alerts.get((rule.id, print_)), bad.get(print_)
            if not open_hours and not (alert and alert.live):
                found = None
            explains = self._explanation(rule, found or alert)
            suspected = explains is not None and explains.state == "pending"
            now, change = advance(
                rule, alert, found, self.at, watching_since=self.watching_since, may_fire=not suspected
            )
            if change is not None:
                self.changes.append(replace(change, alert=replace(change.alert)))
            if now is None:
                if alert is not None:
                    self.forgotten.append(self.alerts.pop((rule.id, print_)))
                continue
            self.alerts[rule.id, print_] = now
            if now.live and now.incident_id is None and found is not None:  # what is about to end says nothing
                self._mute_or_speak(rule, now, explains)

    def end_those_without_a_rule(self, rules: Sequence[Rule]) -> None:
        """A rule that was taken out of the file ends its alerts."""
        known = {rule.id for rule in rules}
        for alert in [alert for key, alert in self.alerts.items() if key[0] not in known]:
            if alert.live:
                before, alert.state, alert.resolved_at = alert.state, "resolved", self.at
                self.changes.append(Change(replace(alert), before, "resolved"))
            elif alert.state == "pending":
                self.forgotten.append(self.alerts.pop((alert.rule_id, alert.fingerprint)))

    def silence_of(self, alert: Alert) -> Silence | None:
        """The first silence that covers it."""
        return next((one for one in self.silences if one.covers(alert.rule_id, alert.labels)), None)

    def _mute_or_speak(self, rule: Rule, alert: Alert, explains: Alert | None) -> None:
        silenced = self.silence_of(alert)
        if explains is not None and explains.live:
            alert.detail.pop("explained_until", None)
            alert.suppressed_by = explains.fingerprint
        elif silenced is not None:
            alert.suppressed_by = f"{silenced.kind} {silenced.silence_id}"
        elif alert.suppressed_by is not None and ":" in alert.suppressed_by:
            ended = datetime.fromisoformat(alert.detail.setdefault("explained_until", self.at.isoformat()))
            if self.at - ended >= rule.after_explained:
                alert.suppressed_by = None
        else:
            alert.suppressed_by = None

    def _explanation(self, rule: Rule, about: Bad | Alert | None) -> Alert | None:
        """What explains an alert of the rule: something live before something suspected."""
        if about is None or not rule.explained_by:
            return None
        found = [
            alert
            for explaining, label in rule.explained_by.items()
            for alert in self._of(explaining)
            if _same(label, about, alert.labels)
        ]
        if len(accounts := about.detail.get("accounts") or []) > 1:  # all of them must be explained
            explained = {alert.labels.account for alert in found if alert.live}
            found = [alert for alert in found if alert.labels.account is None or explained.issuperset(accounts)]
        return min(found, key=lambda alert: not alert.live, default=None)

    def _of(self, rule_id: str) -> Iterable[Alert]:
        return (alert for alert in self.alerts.values() if alert.rule_id == rule_id and alert.state != "resolved")


def _same(label: Label | str, about: Bad | Alert, explaining: Labels) -> bool:
    if label == "any":
        return True
    if label == "account" and about.detail.get("accounts"):
        return explaining.account in about.detail["accounts"]
    theirs = explaining.get(label)
    return theirs is not None and theirs == about.labels.get(label)


def _is_due(rule: Rule, before: datetime | None, at: datetime) -> bool:
    """A rule of every ten minutes is due when a new stretch of ten minutes has begun since the last evaluation."""
    seconds = rule.every.total_seconds()
    return before is None or not seconds or before.timestamp() // seconds != at.timestamp() // seconds


def _bad(
    connection: Connection, rules: Sequence[Rule], moment: Moment
) -> tuple[dict[str, dict[str, Bad]], dict[str, str]]:
    """By rule and fingerprint what is bad now, and the signals that can't be read."""
    wanted = {_asked(rule): rule for rule in rules if rule.signal != ENGINE}
    missing = signals.missing_tables(connection, [signals.signal(rule.signal) for rule in wanted.values()])
    wanted = {key: rule for key, rule in wanted.items() if not missing.intersection(signals.signal(rule.signal).needs)}
    connection.execute("select set_config('statement_timeout', %s, true)", [SIGNAL_TIMEOUT])
    readings, broken = _read_all(connection, wanted, moment)
    connection.execute("set local statement_timeout to default")
    found: dict[str, dict[str, Bad]] = {}
    for rule in rules:
        if rule.signal == ENGINE:
            known = [Reading(name, None, None, None, 1.0, {"error": said}, None) for name, said in broken.items()]
        else:
            known = readings.get(_asked(rule), [])
        judged = [bad for reading in known if (bad := judge(rule, reading)) is not None]
        found[rule.id] = {fingerprint(rule, bad.labels): bad for bad in judged}
    return found, broken


def _asked(rule: Rule) -> tuple[str, str]:
    """Rules that ask the same signal for the same share its readings."""
    return rule.signal, json.dumps(parameters_of(rule), sort_keys=True)


def _read_all(
    connection: Connection, wanted: Mapping[tuple[str, str], Rule], moment: Moment
) -> tuple[dict[tuple[str, str], list[Reading]], dict[str, str]]:
    """All at once, as a rule; one by one where one of them fails, so that it alone is left out."""

    def read(rule: Rule) -> list[Reading]:
        return signals.read(connection, signals.signal(rule.signal), moment, parameters_of(rule))

    try:
        with connection.transaction():
            return {key: read(rule) for key, rule in wanted.items()}, {}
    except psycopg.Error:
        if connection.closed:
            raise
    readings: dict[tuple[str, str], list[Reading]] = {}
    broken: dict[str, str] = {}
    for key, rule in wanted.items():
        try:
            with connection.transaction():
                readings[key] = read(rule)
        except psycopg.Error as error:
            if connection.closed:
                raise
            broken[rule.signal] = str(error).strip().partition("\n")[0]
    return readings, broken


def _tell(
    connection: Connection, rules: Sequence[Rule], round_: _Round, at: datetime
) -> dict[Announced, list[Incident]]:
    """Brings the incidents up to date with the alerts; returns those that opened, worsened and ended."""
    by_id = {rule.id: rule for rule in rules}
    open_ = {incident.incident_id: incident for incident in unresolved(connection)}
    by_cause = {incident.cause: incident.incident_id for incident in open_.values()}
    new: dict[str, list[Alert]] = defaultdict(list)
    for alert in round_.alerts.values():
        if alert.speaks and alert.incident_id is None:
            new[cause_of(by_id[alert.rule_id], alert.labels)].append(alert)

    told: dict[Announced, list[Incident]] = {"opened": [], "worsened": [], "resolved": []}
    for cause, alerts in sorted(new.items()):
        rule = by_id[alerts[0].rule_id]
        if cause not in by_cause:
            incident = store.open_incident(connection, _described(rule, cause, alerts, at))
            open_[incident.incident_id] = incident
            by_cause[cause] = incident.incident_id
            told["opened"].append(incident)
        for alert in alerts:
            _join(alert, open_[by_cause[cause]], round_.changes)

    members: dict[UUID, list[Alert]] = defaultdict(list)
    for alert in round_.alerts.values():
        if alert.live and alert.incident_id is not None:
            members[alert.incident_id].append(alert)
    for incident in open_.values():
        alerts = members[incident.incident_id]
        if not alerts:
            told["resolved"].append(store.resolve_incident(connection, incident, at))
        elif incident not in told["opened"]:
            worse = max((alert.severity for alert in alerts), key=SEVERITIES.index)
            fresh = _described(by_id[alerts[0].rule_id], incident.cause, alerts, at)
            if SEVERITIES.index(worse) > SEVERITIES.index(incident.severity):
                if all(round_.silence_of(alert) for alert in alerts):
                    continue  # told once the silence is over
                told["worsened"].append(store.worsen_incident(connection, incident, fresh))
                for alert in alerts:
                    if alert.severity == worse:
                        round_.changes.append(Change(replace(alert), alert.state, "worsened"))
                    alert.state = "firing"
            elif fresh.title != incident.title or fresh.detail["subjects"] != incident.detail.get("subjects"):
                store.redescribe_incident(connection, incident, fresh)
    return told


def _join(alert: Alert, incident: Incident, changes: list[Change]) -> None:
    """The alert becomes part of the incident, and so does the step that this evaluation made of it."""
    alert.incident_id = incident.incident_id
    if incident.state == "acknowledged":
        alert.state = "acknowledged"
    steps = [i for i, change in enumerate(changes) if change.alert.fingerprint == alert.fingerprint]
    if steps:
        changes[steps[-1]] = replace(changes[steps[-1]], alert=replace(alert))
    else:
        changes.append(Change(replace(alert), "suppressed", "firing"))


def _described(rule: Rule, cause: str, alerts: Sequence[Alert], at: datetime) -> Incident:
    """The incident that these alerts are, as it would be opened now."""
    worst = max(alerts, key=lambda alert: SEVERITIES.index(alert.severity))
    alerts = sorted(alerts, key=lambda alert: alert.fingerprint)
    labels = worst.labels
    title = rule.title_many if rule.title_many and len(alerts) > 1 else rule.title
    subjects = [alert.labels.subject for alert in alerts]

    def common(values: Iterable[str | None]) -> str | None:
        found = set(values)
        return found.pop() if len(found) == 1 else None

    return Incident(
        incident_id=UUID(int=0),
        opened_at=at,
        began_at=min(alert.since for alert in alerts),
        cause=cause,
        rule_id=rule.id,
        title=text(title, labels, worst.detail, count=len(alerts)),
        severity=worst.severity,
        system=common(alert.labels.system for alert in alerts),
        account=common(alert.labels.account for alert in alerts),
        business_key=common(alert.labels.business for alert in alerts),
        owner=rule.owner,
        state="open",
        impact=text(rule.impact, labels, worst.detail, count=len(alerts)),
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        escalation_step=0,
        escalate_at=None,
        detail={
            "message": worst.message,
            "messages": [alert.message for alert in alerts][:SHOWN],
            "subjects": subjects[:SHOWN],
            "count": len(alerts),
            "runbook": rule.runbook,
            "reading": dict(worst.detail),
        },
    )
