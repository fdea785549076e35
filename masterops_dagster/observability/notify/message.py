"""What a message says, whatever channel carries it: a heading, facts in order, links, how to acknowledge."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from masterops_dagster.businesses import BUSINESSES, MELBOURNE
from masterops_dagster.observability.notify.contacts import Address

Change = Literal["opened", "worsened", "escalated", "resolved", "digest", "test"]

HEADINGS: dict[str, str] = {
    "worsened": "worse: {severity}",
    "escalated": "not acknowledged: {severity}",
    "resolved": "over",
    "digest": "digest",
    "test": "test",
}
REPEAT = "This may be a repeat: whether it arrived before could not be confirmed."
SIMULATED = "Simulated data: the account is served by the stand-in world, no real system is concerned."


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Item(_Kept):
    """One incident in a digest."""

    title: str
    severity: str
    since: datetime
    over_at: datetime | None = None
    impact: str | None = None
    url: str | None = None
    simulated: bool = False


class Content(_Kept):
    """What is kept in the outbox. Moments are real time; `channels` are all of the contact's, in order."""

    change: Change
    title: str
    severity: str
    what: str
    since: datetime
    over_at: datetime | None = None
    impact: str | None = None
    business_key: str | None = None
    system: str | None = None
    account: str | None = None
    runbook: str | None = None
    incident_url: str | None = None
    acknowledge: str | None = None
    note: str | None = None
    simulated: bool = False
    in_digest: bool = False
    items: tuple[Item, ...] = ()
    channels: tuple[Address, ...]


class Message(_Kept):
    """A content on its way to one address. `key` is the same however often it is tried."""

    notification_id: UUID
    incident_id: UUID | None
    key: str
    contact: str
    to: str
    created_at: datetime
    may_repeat: bool
    content: Content

    @property
    def subject(self) -> str:
        """One line: `[critical] HubSpot can't be reached`."""
        content = self.content
        kind = HEADINGS.get(content.change, "{severity}").format(severity=content.severity)
        marks = f"[{kind}] [simulated]" if content.simulated else f"[{kind}]"
        return " ".join(f"{marks} {content.title}".split())

    @property
    def notes(self) -> list[str]:
        """What must not be overlooked."""
        return [
            note
            for note in (
                REPEAT if self.may_repeat else None,
                self.content.note,
                SIMULATED if self.content.simulated else None,
            )
            if note
        ]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What, since when, impact, where: labels and texts, in the order in which they are read."""
        content = self.content
        if content.change in ("digest", "test"):
            return []
        since = told_time(content.since)
        if content.over_at is not None:
            lasted = told_duration(content.over_at - content.since)
            when = ("Was", f"{since} to {told_time(content.over_at)}, {lasted}")
        else:
            when = ("Since", f"{since} ({told_duration(self.created_at - content.since)} when this was written)")
        facts = [
            when,
            ("Impact", content.impact),
            ("Business", business_name(content.business_key)),
            ("System", " ".join(dict.fromkeys(one for one in (content.system, content.account) if one))),
        ]
        return [(label, value) for label, value in facts if value]

    @property
    def links(self) -> list[tuple[str, str]]:
        """Labels and addresses."""
        found = [("Runbook", self.content.runbook), ("Incident", self.content.incident_url)]
        return [(label, link) for label, link in found if link and link.startswith("http")]

    @property
    def text(self) -> str:
        """All of it in plain lines."""
        content = self.content
        lines = [*self.notes, content.what]
        lines += [f"{label}: {value}" for label, value in self.facts]
        lines += [f"- {told_item(item)}" for item in content.items]
        if content.runbook:
            lines.append(f"Runbook: {content.runbook}")
        if content.incident_url:
            lines.append(f"Incident: {content.incident_url}")
        if content.acknowledge:
            lines.append(f"Acknowledge: {content.acknowledge}")
        return "\n".join(lines)


def told_time(moment: datetime) -> str:
    """Melbourne time, with its zone: `Mon 5 Oct 2026 09:30 AEDT`."""
    local = moment.astimezone(MELBOURNE)
    return f"{local:%a} {local.day} {local:%b %Y %H:%M %Z}"


def told_duration(length: timedelta) -> str:
    """`45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def told_item(item: Item) -> str:
    """One line of a digest."""
    state = f"over after {told_duration(item.over_at - item.since)}" if item.over_at else "goes on"
    simulated = ", simulated data" if item.simulated else ""
    link = f" {item.url}" if item.url else ""
    return f"{item.title} (since {told_time(item.since)}, {state}{simulated}){link}"


def business_name(key: str | None) -> str | None:
    """The name that people know."""
    return next((business.name for business in BUSINESSES if business.key == key), key)
