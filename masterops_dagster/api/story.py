"""The time line of an incident as a person reads it, the last first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from masterops_dagster.api.board import span
from masterops_dagster.observability.alerts.timeline import Entry
from masterops_dagster.observability.incidents import Incident

Kind = Literal["began", "opened", "pending", "firing", "acknowledged", "resolved", "told", "waiting", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One line: `title` says what happened, `text` more about it."""

    at: datetime
    kind: Kind
    title: str
    text: str | None


def tell(incident: Incident, entries: Sequence[Entry]) -> list[Step]:
    """What the incident itself knows, what its alerts did and who was told."""
    steps = [Step(incident.began_at, "began", "It began", None)]
    after = incident.opened_at - incident.began_at
    noticed = f"{after.total_seconds():.0f} s after it began" if after.total_seconds() < 120 else f"after {span(after)}"
    steps.append(Step(incident.opened_at, "opened", "Noticed", noticed))
    steps += [_step(entry) for entry in entries if entry.state != "pending"]
    told = {entry.state for entry in entries if entry.what == "alert"}
    if incident.acknowledged_at and "acknowledged" not in told:
        by = f"by {incident.acknowledged_by}" if incident.acknowledged_by else None
        steps.append(Step(incident.acknowledged_at, "acknowledged", "Acknowledged", by))
    if incident.resolved_at and "resolved" not in told:
        steps.append(Step(incident.resolved_at, "resolved", "Over", None))
    return sorted(steps, key=lambda step: step.at)[::-1]  # also of what happened in the same moment, the last first


def _step(entry: Entry) -> Step:
    if entry.what == "notification":
        text = entry.text[:1].upper() + entry.text[1:]
        return Step(entry.occurred_at, "failed" if entry.state == "failed" else _sending(entry.state), text, None)
    match entry.state:
        case "firing":
            return Step(entry.occurred_at, "firing", entry.text, None)
        case "acknowledged":
            return Step(entry.occurred_at, "acknowledged", f"Acknowledged by {entry.who or 'somebody'}", None)
        case _:
            return Step(entry.occurred_at, "resolved", "Over", entry.text)


def _sending(state: str) -> Kind:
    return "told" if state == "sent" else "waiting"
