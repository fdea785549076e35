"""Contacts, routes, escalations, quiet hours and the digest: `contacts.yaml`, checked as it is read.

A wrong file raises `ContactsInvalid`; each line of its message names the place and what is wrong there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from masterops_dagster.businesses import BUSINESSES, GROUP, MELBOURNE
from masterops_dagster.observability.incidents import Incident, Severity

CONTACTS_FILE = Path(__file__).parent / "contacts.yaml"

ChannelKind = Literal["slack", "email", "webhook"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = ("slack", "email", "webhook")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class ContactsInvalid(ValueError):
    """The file can't be used; each line of the message names a place in it and what is wrong."""


def _duration(value: object) -> object:
    if isinstance(value, str) and value[-1:] in UNITS and value[:-1].isdigit():
        return timedelta(seconds=int(value[:-1]) * UNITS[value[-1]])
    raise ValueError(f"{value!r} is no duration; write it as 90s, 15m or 2h")


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Severities = Annotated[tuple[Severity, ...], BeforeValidator(_one_or_many)]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Address(_Strict):
    """One way to reach a contact: a Slack channel, an e-mail address, a name for the webhook's receiver."""

    kind: ChannelKind
    to: str = Field(min_length=1)

    def __str__(self) -> str:
        return f"{self.kind} {self.to}"

    @classmethod
    def kept(cls, row: Mapping[str, Any]) -> Self:
        """As the outbox keeps it, where more may stand beside it."""
        return cls(kind=row["kind"], to=row["to"])

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, value: Any) -> Any:
        """`{slack: "#alerts"}`, as in the file."""
        if isinstance(value, Mapping) and len(value) == 1:
            ((kind, to),) = value.items()
            if kind not in CHANNEL_KINDS:
                raise ValueError(f"there is no channel {kind!r}; known: {', '.join(CHANNEL_KINDS)}")
            return {"kind": kind, "to": to}
        return value

    @model_validator(mode="after")
    def _looks_like_one(self) -> Self:
        if self.kind == "email" and (self.to.count("@") != 1 or any(sign in self.to for sign in " <>,;\n")):
            raise ValueError(f"{self.to!r} is no e-mail address")
        return self


class Contact(_Strict):
    """Who is told; `channels` in the order in which they are tried."""

    name: str = Field(min_length=1)
    channels: tuple[Address, ...] = Field(min_length=1)

    def reached_by(self, first: ChannelKind | None) -> tuple[Address, ...]:
        """Its channels, those of a kind before the others."""
        return tuple(sorted(self.channels, key=lambda address: address.kind != first))


class Route(_Strict):
    """Whom incidents of these businesses, severities, owners and systems are told to; what isn't named matches all."""

    business: Names = ()
    severity: Severities = ()
    owner: Names = ()
    system: Names = ()
    contacts: Names = Field(min_length=1)
    escalation: str | None = None

    def matches(self, business: str | None, severity: str, owner: str | None, system: str | None) -> bool:
        asked = ((self.business, business), (self.severity, severity), (self.owner, owner), (self.system, system))
        return all(not wanted or value in wanted for wanted, value in asked)

    @field_validator("business")
    @classmethod
    def _business_exists(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = (*(business.key for business in BUSINESSES), GROUP)
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"there is no business {unknown[0]!r}; known: {', '.join(known)}")
        return value


class Step(_Strict):
    """Who is told when nobody acknowledged `after` the step before it; `channel` is tried before their others."""

    after: Annotated[timedelta, BeforeValidator(_duration)] = Field(gt=timedelta(0))
    contacts: Names = Field(min_length=1)
    channel: ChannelKind | None = None


class QuietHours(_Strict):
    """Melbourne time, over midnight if `from` is later than `to`."""

    start: time = Field(alias="from")
    end: time = Field(alias="to")
    severities: Severities = ("warning",)

    @model_validator(mode="after")
    def _critical_is_never_held(self) -> Self:
        if "critical" in self.severities:
            raise ValueError("critical is never held")
        if self.start == self.end:
            raise ValueError("from and to are the same")
        return self

    def until(self, at: datetime) -> datetime | None:
        """When the quiet hours end in which the moment lies; None outside of them.

        On days when daylight saving begins or ends they end by the clock on the wall, so last longer or shorter.
        """
        local = at.astimezone(MELBOURNE)
        days = [local.date() - timedelta(days=1), local.date()] if self.start > self.end else [local.date()]
        for day in days:
            last = day + timedelta(days=1) if self.start > self.end else day
            begins, ends = on_the_wall(day, self.start), on_the_wall(last, self.end)
            if begins <= at < ends:
                return ends
        return None


class Digest(_Strict):
    """When in the day, Melbourne time, these severities are told."""

    at: time
    severities: Severities = ("info",)

    @model_validator(mode="after")
    def _critical_does_not_wait(self) -> Self:
        if "critical" in self.severities:
            raise ValueError("critical doesn't wait for a digest")
        return self

    def last(self, at: datetime) -> datetime:
        """The moment of the digest that was due last."""
        today = at.astimezone(MELBOURNE).date()
        due = on_the_wall(today, self.at)
        return due if due <= at else on_the_wall(today - timedelta(days=1), self.at)

    def next(self, at: datetime) -> datetime:
        """The moment of the next digest."""
        last = self.last(at).astimezone(MELBOURNE).date()
        return on_the_wall(last + timedelta(days=1), self.at)


class Contacts(_Strict):
    """The whole file."""

    contacts: Mapping[str, Contact]
    routes: tuple[Route, ...] = Field(min_length=1)
    escalations: Mapping[str, tuple[Step, ...]] = {}
    quiet_hours: QuietHours
    digest: Digest

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        last = self.routes[-1]
        if last.business or last.severity or last.owner or last.system:
            raise ValueError("the last route must match everything: name neither business, severity, owner nor system")
        known = ", ".join(self.contacts)
        for number, route in enumerate(self.routes, 1):
            if unknown := [name for name in route.contacts if name not in self.contacts]:
                raise ValueError(f"route {number}: there is no contact {unknown[0]!r}; known: {known}")
            if route.escalation is not None and route.escalation not in self.escalations:
                raise ValueError(f"route {number}: there is no escalation {route.escalation!r}")
        for name, steps in self.escalations.items():
            for number, step in enumerate(steps, 1):
                if unknown := [one for one in step.contacts if one not in self.contacts]:
                    raise ValueError(f"escalation {name}, step {number}: there is no contact {unknown[0]!r}")
        return self

    def route(self, incident: Incident) -> Route:
        """The first one that matches."""
        return self.route_of(incident.business_key, incident.severity, incident.owner, incident.system)

    def route_of(self, business: str | None, severity: str, owner: str | None, system: str | None) -> Route:
        """The first one that matches."""
        return next(route for route in self.routes if route.matches(business, severity, owner, system))

    def steps(self, incident: Incident) -> Sequence[Step]:
        """How the incident escalates; not at all where it is told in the digest."""
        policy = self.route(incident).escalation
        if policy is None or incident.severity in self.digest.severities:
            return ()
        return self.escalations[policy]

    def held_until(self, severity: str, at: datetime) -> datetime | None:
        """Until when something of that severity is held, if it is quiet."""
        return self.quiet_hours.until(at) if severity in self.quiet_hours.severities else None


@cache
def contacts() -> Contacts:
    """The file as this process read it first: an edit that goes wrong harms no process that runs."""
    return load_contacts()


def load_contacts(path: Path = CONTACTS_FILE) -> Contacts:
    """Reads the file. Raises `ContactsInvalid`."""
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ContactsInvalid(f"{path.name} is no YAML: {error}") from error
    try:
        return Contacts.model_validate(content)
    except ValidationError as error:
        raise ContactsInvalid("\n".join(_described(path, item) for item in error.errors())) from None


def on_the_wall(day: date, clock: time) -> datetime:
    """The moment, in UTC, at which Melbourne's clocks show that time."""
    return datetime.combine(day, clock, tzinfo=MELBOURNE).astimezone(UTC)


def _described(path: Path, error: Mapping[str, Any] | Any) -> str:
    place = " → ".join(str(part + 1) if isinstance(part, int) else str(part) for part in error["loc"])
    said = error["msg"].removeprefix("Value error, ")
    return ": ".join(part for part in (path.name, place, said) if part)
