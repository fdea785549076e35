"""What outsiders may see: what each business's services do, in words that name no system, account, run or host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from masterops_dagster.api.board import GROUPS, PLATFORM, SHARED, Board, Row, State, worst
from masterops_dagster.observability.health.uptime import Day

SERVICES: Mapping[str, str] = {
    "shopify": "Online shop",
    "bigcommerce": "Online shop",
    "woocommerce": "Online shop",
    "unleashed": "Stock and orders",
    "hubspot": "Customer records",
    "n8n": "Automation",
}
"""Everything else is part of `Figures and reports`."""
REPORTS = "Figures and reports"
ALL = "All businesses"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a business, or of all."""

    name: str
    state: State
    days: Sequence[Day]
    percent: float | None


@dataclass(frozen=True, slots=True)
class PublicGroup:
    """A business with its services."""

    key: str
    name: str
    state: State
    services: Sequence[Service]


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """An incident that is not over, or was: only what is affected, and since when."""

    title: str
    severity: str
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class PublicBoard:
    """The public page. `trusted` says whether it is the state of now."""

    at: datetime
    state: State
    sentence: str
    trusted: bool
    simulated: bool
    groups: Sequence[PublicGroup]
    open: Sequence[PublicIncident]
    recent: Sequence[PublicIncident]


def public(known: Board) -> PublicBoard:
    """The board without its inside."""
    groups = []
    for group in known.groups:
        if group.key not in (SHARED, PLATFORM):
            groups.append(_group(group.key, group.name, group.rows))
    shared = [row for group in known.groups if group.key in (SHARED, PLATFORM) for row in group.rows]
    if shared:
        groups.append(_group(SHARED, ALL, shared))
    state = worst(group.state for group in groups) if known.trusted else "unknown"
    return PublicBoard(
        at=known.at,
        state=state,
        sentence=_sentence(groups, state) if known.trusted else "The state of now is not known",
        trusted=known.trusted,
        simulated=known.simulated,
        groups=groups,
        open=[
            PublicIncident(
                _title(one.incident.system, one.incident.business_key),
                one.incident.severity,
                one.incident.opened_at,
                None,
            )
            for one in known.open
            if one.incident.severity != "info"
        ],
        recent=[
            PublicIncident(_title(one.system, one.business_key), one.severity, one.opened_at, one.resolved_at)
            for one in known.recent
            if one.severity != "info"
        ],
    )


def _group(key: str, name: str, rows: Sequence[Row]) -> PublicGroup:
    by_service: dict[str, list[Row]] = {}
    for row in rows:
        by_service.setdefault(SERVICES.get(row.system, REPORTS), []).append(row)
    services = [
        Service(
            service,
            worst(row.state for row in its),
            min((row.days for row in its if row.days), key=_up, default=()),
            min((row.percent for row in its if row.percent is not None), default=None),
        )
        for service, its in by_service.items()
    ]
    return PublicGroup(key, name, worst(service.state for service in services), services)


def _up(days: Sequence[Day]) -> float:
    """How well they went, for the worst of several to stand for all."""
    known = [day.percent for day in days if day.percent is not None]
    return sum(known) / len(known) if known else 100.0


def _title(system: str | None, business_key: str | None) -> str:
    service = SERVICES.get(system or "", REPORTS)
    return f"{GROUPS.get(business_key or '', ALL)}: {service}"


def _sentence(groups: Sequence[PublicGroup], state: State) -> str:
    affected = [
        f"{service.name} of {group.name}" for group in groups for service in group.services if service.state == state
    ]
    match state:
        case "up":
            return "All services work"
        case "maintenance":
            return "Maintenance is under way; all else works"
        case "unknown":
            return "Nothing has been checked yet"
    verb = {"down": "unavailable", "degraded": "slower than usual, or not complete"}[state]
    if len(affected) == 1:
        return f"{affected[0]} is {verb}"
    return f"{affected[0]} and {len(affected) - 1} more are {verb}"
