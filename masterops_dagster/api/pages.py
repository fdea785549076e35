"""The templates and what they may call: times as people in Melbourne read them, ages, pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from masterops_dagster.api import charts
from masterops_dagster.api.board import NAMES, WORDS, Board, span
from masterops_dagster.api.facts import IncidentFacts
from masterops_dagster.api.live import Known
from masterops_dagster.api.public import public
from masterops_dagster.api.story import tell
from masterops_dagster.businesses import GROUP, MELBOURNE, business
from masterops_dagster.observability.health.uptime import Day
from masterops_dagster.observability.incidents import Incident
from masterops_dagster.observability.links import run_url

HERE = Path(__file__).parent
STATIC = HERE / "static"


def status(known: Known) -> tuple[str, Callable[[str], str]]:
    """The status page: what changes in it, and what makes a page of that."""
    return _face("state.html", "status.html", {"board": known.board, "known": known})


def status_public(known: Known) -> tuple[str, Callable[[str], str]]:
    """The same for outsiders."""
    board: Board | None = known.board
    shown = public(board) if board else None
    return _face("public_state.html", "public.html", {"board": shown, "known": known})


def incident(found: IncidentFacts, at: datetime) -> str:
    """One incident, with its story and what to do."""
    return render(
        "incident.html",
        incident=found.incident,
        steps=tell(found.incident, found.entries),
        failed=found.failed,
        logs=logs_command(found.incident),
        at=at,
    )


def runbook(rule_id: str, html: str) -> str:
    """A runbook, rendered before."""
    return render("runbook.html", rule_id=rule_id, html=Markup(html))  # noqa: S704 - of our own files, without raw HTML


def problem(title: str, text: str) -> str:
    """What stands in the way."""
    return render("problem.html", title=title, text=text)


def logs_command(incident: Incident) -> str:
    """The command that shows what was said about an incident."""
    about = f" --system {incident.system}" if incident.system in NAMES else ""
    since = (incident.began_at - timedelta(minutes=10)).astimezone(MELBOURNE)
    return f"masterops logs{about} --since {since:%Y-%m-%dT%H:%M}"


def render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


def _face(state: str, page: str, values: Mapping[str, object]) -> tuple[str, Callable[[str], str]]:
    def whole(state: str) -> str:
        inner = Markup(state)  # noqa: S704 - rendered from a template
        version = hashlib.sha256(state.encode()).hexdigest()[:16]
        return render(page, state=inner, version=version, **values)

    return render(state, **values), whole


# ---- what templates call


def ago(moment: datetime | None, at: datetime) -> str:
    """`just now`, `3 min ago`."""
    if moment is None:
        return "never"
    return "just now" if at - moment < timedelta(seconds=60) else f"{span(at - moment)} ago"


def lasting(since: datetime, at: datetime) -> str:
    """`just now`, `for 3 min`."""
    return "just now" if at - since < timedelta(seconds=60) else f"for {span(at - since)}"


def moment(value: datetime, at: datetime | None = None) -> str:
    """`14:03` on the same Melbourne day as `at`, else `28 Nov 14:03`."""
    local = value.astimezone(MELBOURNE)
    if at is not None and local.date() == at.astimezone(MELBOURNE).date():
        return f"{local:%H:%M}"
    return f"{local:%-d %b %H:%M}"


def second(value: datetime) -> str:
    return f"{value.astimezone(MELBOURNE):%H:%M:%S}"


def iso(value: datetime | date) -> str:
    return value.isoformat()


def percent(value: float | None) -> str:
    """Never 100 % where anything failed."""
    if value is None:
        return "–"
    return "100 %" if value >= 100 else f"{min(value, 99.99):.2f} %"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def day_bars(days: Sequence[Day]) -> Markup:
    """A bar for each day, with what it stands for. They change once a minute, and are most of the page."""
    return _day_bars(tuple(days))


def business_name(key: str | None) -> str:
    return "Group" if key in (None, GROUP) else business(str(key)).name


def static(name: str) -> str:
    """The address of a file, which changes with its content."""
    return f"/static/{name}?v={_digest(name)}"


@lru_cache(maxsize=200)
def _day_bars(days: tuple[Day, ...]) -> Markup:
    if not days:
        return Markup("".join(f'<rect class="none" x="{place * 10 + 1}"/>' for place in range(90)))  # noqa: S704
    return Markup("\n").join(
        Markup('<rect class="{}" x="{}"><title>{:%a %-d %b}: {}</title></rect>').format(
            charts.day_class(day), place * 10 + 1, day.day, _said(day)
        )
        for place, day in enumerate(days)
    )


def _said(day: Day) -> str:
    if day.percent is not None:
        return percent(day.percent)
    return "maintenance" if day.checks else "not checked"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=ago,
        lasting=lasting,
        moment=moment,
        second=second,
        iso=iso,
        percent=percent,
        milliseconds=milliseconds,
        span=span,
    )
    environment.globals.update(
        words=WORDS,
        names=NAMES,
        business_name=business_name,
        static=static,
        day_bars=day_bars,
        bad_days=charts.bad_days,
        sparkline=charts.sparkline,
        spoken=charts.spoken,
        tell=tell,
        run_url=run_url,
    )
    return environment
