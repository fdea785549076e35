"""What the facts mean to a person: which state everything is in, in words, and what deserves to be said first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from masterops_dagster.api.facts import CheckState, Facts, History, KpiRead, Running, primary, targets
from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, GROUP, MELBOURNE
from masterops_dagster.observability.alerts.timeline import Entry
from masterops_dagster.observability.health.uptime import Day
from masterops_dagster.observability.incidents import Incident
from masterops_dagster.sources.catalogue import READ_ACCOUNTS

State = Literal["unknown", "up", "maintenance", "degraded", "down"]
ORDER: tuple[State, ...] = ("unknown", "up", "maintenance", "degraded", "down")
WORDS: Mapping[State, str] = {
    "unknown": "Not checked",
    "up": "Up",
    "maintenance": "Maintenance",
    "degraded": "Degraded",
    "down": "Down",
}

NAMES = {
    "hubspot": "HubSpot",
    "shopify": "Shopify",
    "unleashed": "Unleashed",
    "bigcommerce": "BigCommerce",
    "woocommerce": "WooCommerce",
    "n8n": "n8n",
    "supabase": "Supabase",
    "postgres": "Database",
    "dagster": "Dagster",
    "disk": "Disks",
}
SHARED, PLATFORM = "shared", "platform"
GROUPS = {
    **{business.key: business.name for business in BUSINESSES},
    SHARED: "Shared by all businesses",
    PLATFORM: "Platform",
}
PLATFORM_SYSTEMS = ("postgres", "dagster", "disk")
"""In the order in which they are shown, before others."""
LEVELS = {GROUP: "Group", **{business.key: business.name for business in BUSINESSES}}

PATIENCE = timedelta(seconds=10)
"""Between a holder that died and the one that takes over, nobody is reported missing for so long."""
DATA_LATE = timedelta(hours=2)
KPI_LATE = timedelta(hours=3)
"""As the assets' own freshness warns: the refresh runs hourly, so two in a row are missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One integration, or one part of the platform. `of` names its business, where it has one.

    It is down if its first check is: a failed execution leaves n8n degraded, not down.
    """

    key: str
    system: str
    name: str
    of: str | None
    state: State
    since: datetime | None
    said: str | None
    response_ms: float | None
    checks: Sequence[tuple[CheckState, State]]
    days: Sequence[Day]
    percent: float | None
    p50_ms: float | None
    p95_ms: float | None
    trend: Sequence[float | None]
    simulated: bool

    @property
    def full_name(self) -> str:
        return f"{self.name} of {self.of}" if self.of else self.name


@dataclass(frozen=True, slots=True)
class Group:
    """A business with its integrations, what all share, or the platform itself."""

    key: str
    name: str
    state: State
    rows: Sequence[Row]
    incidents: int


@dataclass(frozen=True, slots=True)
class Age:
    """How old the data of an account is, in business time; None where it has never been read."""

    account: str
    name: str
    of: str | None
    read_up_to: datetime | None
    age: timedelta | None
    streams: int
    simulated: bool

    @property
    def late(self) -> bool:
        return self.age is None or self.age > DATA_LATE


@dataclass(frozen=True, slots=True)
class KpiAge:
    """How old the figures of a KPI are, in business time; None where a stream that it needs was never read."""

    kpi: str
    label: str
    loaded_until: datetime | None
    age: timedelta | None

    @property
    def late(self) -> bool:
        return self.age is None or self.age > KPI_LATE


@dataclass(frozen=True, slots=True)
class KpiLevel:
    """The KPIs of a business or of the group; `loaded_until` is of the oldest, None if one has none."""

    key: str
    name: str
    kpis: Sequence[KpiAge]

    @property
    def late(self) -> int:
        return sum(kpi.late for kpi in self.kpis)

    @property
    def oldest(self) -> KpiAge:
        return max(self.kpis, key=lambda kpi: kpi.age or timedelta.max)


@dataclass(frozen=True, slots=True)
class Open:
    """An incident that is not over, with its time line, the last first."""

    incident: Incident
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that changes what all the rest means."""

    kind: Literal["unreachable", "unwatched", "simulated"]
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Board:
    """The page. `at` is when its facts were gathered; all ages are as of then."""

    at: datetime
    business_at: datetime
    state: State
    sentence: str
    banners: Sequence[Banner]
    groups: Sequence[Group]
    open: Sequence[Open]
    recent: Sequence[Incident]
    data: Sequence[Age]
    kpis: Sequence[KpiLevel] | None
    running: Sequence[Running]
    checks: int
    last_checked_at: datetime | None

    @property
    def simulated(self) -> bool:
        return any(one.simulated for one in self.data)

    @property
    def trusted(self) -> bool:
        """Whether the states are those of now."""
        return all(banner.kind == "simulated" for banner in self.banners)


def board(facts: Facts, unreachable_at: datetime | None = None) -> Board:
    """Judges the facts; `unreachable_at` is when newer ones were last asked for in vain."""
    simulated = {one.account for one in facts.data if one.simulated}
    groups = _groups(facts, simulated)
    data = _ages(facts)
    banners = tuple(_banners(facts, unreachable_at, simulated))
    broken = next((one for one in banners if one.kind != "simulated"), None)
    said = (_worst_of_banners(broken), broken.title) if broken else _overall(groups, facts.open, data)
    return Board(
        at=facts.at,
        business_at=facts.business_at,
        state=said[0],
        sentence=said[1],
        banners=banners,
        groups=groups,
        open=[Open(one, facts.timelines.get(one.incident_id, ())) for one in facts.open],
        recent=facts.recent,
        data=data,
        kpis=None if facts.kpis is None else _levels(facts.kpis, facts.business_at),
        running=facts.running,
        checks=len(facts.checks),
        last_checked_at=max((one.last_checked_at for one in facts.checks if one.last_checked_at), default=None),
    )


def span(length: timedelta) -> str:
    """`less than a minute`, `3 min`, `2.5 h`, `4 days`."""
    seconds = length.total_seconds()
    if seconds < 60:
        return "less than a minute"
    if seconds < 5400:
        return f"{seconds // 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds // 86400:.0f} days"


def worst(states: Iterable[State]) -> State:
    """The worst of them; unknown only where all are."""
    return max(states, key=ORDER.index, default="unknown")


# ---- integrations


def _groups(facts: Facts, simulated: set[str]) -> list[Group]:
    by_target = targets(facts.checks)
    members: dict[str, list[Row]] = {key: [] for key in GROUPS}
    for account in ACCOUNTS:
        checks = by_target.pop(account.key, [])
        if not checks and account not in READ_ACCOUNTS:
            continue
        of = GROUPS[account.business_key] if account.business_key else None
        row = _row(account.key, account.system, of, checks, facts, account.key in simulated)
        members[account.business_key or SHARED].append(row)
    for key in [
        *(key for key in PLATFORM_SYSTEMS if key in by_target),
        *sorted(by_target.keys() - {*PLATFORM_SYSTEMS}),
    ]:
        checks = by_target[key]
        of = checks[0].business_key if checks[0].business_key in GROUPS else None
        row = _row(key, checks[0].system or key, GROUPS[of] if of else None, checks, facts, False)
        members[of or PLATFORM].append(row)
    return [_group(key, rows, facts.open) for key, rows in members.items() if rows]


def _group(key: str, rows: Sequence[Row], incidents: Sequence[Incident]) -> Group:
    its_own = [one for one in incidents if one.business_key == key]
    state = worst(row.state for row in rows)
    if any(one.severity != "info" for one in its_own):
        state = worst((state, "degraded"))
    return Group(key, GROUPS[key], state, rows, len(its_own))


def _row(key: str, system: str, of: str | None, checks: Sequence[CheckState], facts: Facts, simulated: bool) -> Row:
    judged = [(check, _state(check, facts)) for check in checks]
    first = primary(checks)
    weighed = [(check, "degraded" if its == "down" and check is not first else its) for check, its in judged]
    state = worst(its for _, its in weighed)
    leading = [check for check, its in weighed if its == state]
    history: History = facts.history
    uptime = history.uptimes.get(first.check_id) if first else None
    return Row(
        key=key,
        system=system,
        name=NAMES.get(system, system.replace("_", " ")),
        of=of,
        state=state,
        since=min((check.since for check in leading), default=None),
        said=next((check.message for check in leading if check.message), None) if state != "up" else None,
        response_ms=first.response_ms if first and state != "down" else None,
        checks=judged,
        days=history.days.get(first.check_id, ()) if first else (),
        percent=uptime.ninety_days.percent if uptime else None,
        p50_ms=uptime.ninety_days.p50_ms if uptime else None,
        p95_ms=uptime.ninety_days.p95_ms if uptime else None,
        trend=history.trends.get(first.check_id, ()) if first else (),
        simulated=simulated,
    )


def _state(check: CheckState, facts: Facts) -> State:
    labels = {
        "system": check.system,
        "account": check.account,
        "business": check.business_key,
        "check": check.check_id,
    }
    for window in facts.maintenance:
        if all(labels.get(label) == wanted for label, wanted in window.matches.items()):
            return "maintenance"
    return next((state for state in ORDER if state == check.status), "unknown")


# ---- age


def _ages(facts: Facts) -> list[Age]:
    read = {one.account: one for one in facts.data}
    found = []
    for account in READ_ACCOUNTS:
        one = read.get(account.key)
        found.append(
            Age(
                account=account.key,
                name=NAMES[account.system],
                of=GROUPS[account.business_key] if account.business_key else None,
                read_up_to=one.read_up_to if one else None,
                age=max(facts.business_at - one.read_up_to, timedelta(0)) if one and one.read_up_to else None,
                streams=one.streams if one else 0,
                simulated=bool(one and one.simulated),
            )
        )
    return found


def _levels(kpis: Sequence[KpiRead], business_at: datetime) -> list[KpiLevel]:
    found = []
    for key, name in LEVELS.items():
        ages = [
            KpiAge(one.kpi, one.label, one.loaded_until, _age(one.loaded_until, business_at))
            for one in kpis
            if one.business_key == key
        ]
        if ages:
            found.append(KpiLevel(key, name, ages))
    return found


def _age(moment: datetime | None, at: datetime) -> timedelta | None:
    return max(at - moment, timedelta(0)) if moment else None


# ---- in words


def _banners(facts: Facts, unreachable_at: datetime | None, simulated: set[str]) -> Iterable[Banner]:
    if unreachable_at:
        yield Banner(
            "unreachable",
            "The database can’t be reached",
            f"What follows is {span(unreachable_at - facts.at)} old: it was known at"
            f" {facts.at.astimezone(MELBOURNE):%H:%M:%S} and may be wrong by now.",
        )
    held = facts.monitor
    if held is None:
        yield Banner(
            "unwatched",
            "Nothing is being watched yet",
            "The monitor has never run on this database. It starts with masterops up, within half a minute.",
        )
    elif held.expired and held.expired_for > PATIENCE:
        yield Banner(
            "unwatched",
            "Nobody is watching",
            "The monitor has stopped: no check is made and nobody is told of anything."
            " Neither Dagster’s sensor nor masterops watch has renewed its lease.",
        )
    if simulated:
        every = {one.account for one in facts.data} <= simulated
        yield Banner(
            "simulated",
            "Simulated data",
            "All accounts are answered by the stand-in world, not by the systems themselves."
            if every
            else f"{_accounts(len(simulated))} answered by the stand-in world, not by the systems themselves.",
        )


def _accounts(number: int) -> str:
    return "1 account, marked below, is" if number == 1 else f"{number} accounts, marked below, are"


def _worst_of_banners(banner: Banner) -> State:
    return "unknown" if banner.title.endswith("yet") else "down"


def _overall(groups: Sequence[Group], incidents: Sequence[Incident], data: Sequence[Age]) -> tuple[State, str]:
    rows = [row for group in groups for row in group.rows]
    down = [row for row in rows if row.state == "down"]
    degraded = [row for row in rows if row.state == "degraded"]
    critical = [one for one in incidents if one.severity == "critical"]
    telling = [one for one in incidents if one.severity != "info"]
    late = [one for one in data if one.read_up_to and one.late]
    if down:
        return "down", f"{_listed([row.full_name for row in down])} {'is' if len(down) == 1 else 'are'} down"
    if critical:
        return "down", _titles(critical)
    if degraded:
        verb = "works" if len(degraded) == 1 else "work"
        return "degraded", f"{_listed([row.full_name for row in degraded])} {verb} worse than usual"
    if telling:
        return "degraded", _titles(telling)
    if late:
        return "degraded", f"All systems answer, but data of {_listed([_of(one.name, one.of) for one in late])} is late"
    if any(row.state == "maintenance" for row in rows):
        return "maintenance", "Maintenance is under way; all else works"
    if worst(row.state for row in rows) == "unknown":
        return "unknown", "Nothing has been checked yet"
    return "up", "Everything works"


def _titles(incidents: Sequence[Incident]) -> str:
    more = len(incidents) - 1
    return incidents[0].title + (f", and {more} more" if more else "")


def _of(name: str, business: str | None) -> str:
    return f"{name} of {business}" if business else name


def _listed(names: Sequence[str]) -> str:
    match names:
        case [one]:
            return one
        case [one, other]:
            return f"{one} and {other}"
    return f"{names[0]} and {len(names) - 1} more"
