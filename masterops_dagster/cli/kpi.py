"""`masterops kpi`: the businesses' figures, as a table for people or as JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from masterops_dagster.cli import choices
from masterops_dagster.cli.problems import BadInput, NotRunning, Problem

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from masterops_dagster.reporting.kpis import AccountAge, Definition, Grain, Kpi

SECTION_WIDTH = 130
"""From this width of the terminal on, businesses stand side by side."""
BOTH_CHANGES_WIDTH = 100
"""Narrower than this, the change against last year has no room; its figure still stands there."""


def kpi(
    business: Annotated[
        str | None, typer.Option("--business", metavar="B", help="Only this business, or `group`.")
    ] = None,
    grain: Annotated[str | None, typer.Option("--grain", metavar="G", help="day, week, month, fy or all.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day, 2026-03-01.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, inclusive.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """The businesses' figures beside the period before and last year; by default of the current month.

    As JSON without a grain or a window: all there is.
    """
    from rich.console import Console

    from masterops_dagster.reporting.kpis import LEVELS, Grain, NoKpis

    if business is not None and business not in LEVELS:
        raise choices.unknown("business", business, LEVELS)
    if grain is not None and grain not in list(Grain):
        raise choices.unknown("grain", grain, Grain)
    first, last = _day(start, "--from"), _day(end, "--to")
    if first and last and first > last:
        raise BadInput(f"--from {first} is after --to {last}")
    try:
        if as_json:
            _write_json(business, grain, first, last)
        else:
            Console().print(overview(business, Grain(grain or Grain.MONTH), first, last))
    except NoKpis as error:
        raise NotRunning(str(error)) from error


def overview(
    business: str | None = None, grain: Grain | None = None, start: date | None = None, end: date | None = None
) -> RenderableType:
    """The table: of the running period of the grain (a month by default), or of all periods in the window.

    Raises `DatabaseUnavailable` or `NoKpis`.
    """
    from rich.console import Group

    from masterops_dagster import clock
    from masterops_dagster.database.connection import connect
    from masterops_dagster.reporting import kpis

    chosen = grain or kpis.Grain.MONTH
    today = clock.today()
    if start is None and end is None:
        start = end = today
    with connect() as connection:
        figures = kpis.read_kpis(connection, business, chosen, start, end)
        definitions = kpis.read_definitions(connection)
        ages = kpis.read_ages(connection)
    if not figures:
        raise Problem(f"no figures for {business or 'any business'} from {start or 'the beginning'} to {end or 'now'}")
    periods = [figures] if chosen is kpis.Grain.ALL else _by_period(figures)
    return Group(*(part for period in periods for part in _period(period, definitions, today)), *_footer(ages))


def _write_json(business: str | None, grain: str | None, start: date | None, end: date | None) -> None:
    """One row per line, numbers as exact as they are shown."""
    import msgspec

    from masterops_dagster.database.connection import connect
    from masterops_dagster.reporting.kpis import read_kpis

    with connect() as connection:
        figures = read_kpis(connection, business, grain, start, end)
    encoder = msgspec.json.Encoder(decimal_format="number")
    rows = ",\n".join(encoder.encode(figure.rounded()).decode() for figure in figures)
    sys.stdout.write(f"[\n{rows}\n]\n" if rows else "[]\n")


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{option} {text!r} is no date; write it as 2026-03-01") from error


def _by_period(figures: Sequence[Kpi]) -> list[list[Kpi]]:
    starts = sorted({figure.period_start for figure in figures})
    return [[figure for figure in figures if figure.period_start == start] for start in starts]


def _period(figures: Sequence[Kpi], definitions: dict[str, Definition], today: date) -> Iterator[RenderableType]:
    """A heading, then businesses side by side where there is room, else one below the other."""
    from rich.console import Console

    from masterops_dagster.reporting.kpis import LEVELS

    having = {figure.business_key for figure in figures}
    present = [key for key in LEVELS if key in having]
    yield _heading(figures, today)
    if len(present) > 1 and Console().width >= SECTION_WIDTH:
        yield _columns(figures, definitions, present)
    else:
        for key in present:
            yield _section(key, [figure for figure in figures if figure.business_key == key], definitions)


def _heading(figures: Sequence[Kpi], today: date) -> RenderableType:
    from rich.text import Text

    from masterops_dagster.reporting.kpis import Grain, period_start

    grain, start = Grain(figures[0].grain), min(figure.period_start for figure in figures)
    names = {
        Grain.DAY: f"{start:%A, %-d %B %Y}",
        Grain.WEEK: f"Week from {start:%-d %B %Y}",
        Grain.MONTH: f"{start:%B %Y}",
        Grain.FY: f"Financial year {start.year}/{(start.year + 1) % 100:02}",
        Grain.ALL: f"Since {start:%-d %B %Y}",
    }
    heading = Text(f"\n{names[grain]}", style="bold")
    if grain is Grain.ALL:
        return heading
    if start == period_start(grain, today):
        days = (today - start).days + 1
        part = "today so far" if grain is Grain.DAY else f"so far: {days} day{'s' if days > 1 else ''}"
        heading.append(f"  {part}, compared with as much of the earlier ones", style="dim")
    elif not all(figure.complete for figure in figures):
        heading.append("  incomplete: not every system has been read past its end", style="yellow")
    return heading


def _columns(figures: Sequence[Kpi], definitions: dict[str, Definition], present: Sequence[str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    by_cell = {(figure.kpi, figure.business_key): figure for figure in figures}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for key in present:
        table.add_column(_name(key), justify="right", no_wrap=True)
    for definition in _in_order(definitions, figures):
        cells = []
        for key in present:
            figure = by_cell.get((definition.kpi, key))
            cells.append(Text("–", style="dim") if figure is None else Text("\n").join(_cell(figure, definition)))
        table.add_row(Text(f"{definition.label}\n", overflow="fold"), *cells)
    table.caption = "below each figure: against the period before, against last year"
    table.caption_justify = "left"
    return table


def _cell(figure: Kpi, definition: Definition) -> tuple[Text, Text]:
    from rich.text import Text

    changes = Text("  ").join(
        (
            _change(figure.value, figure.prior_value, definition),
            _change(figure.value, figure.last_year_value, definition),
        )
    )
    return Text(_amount(figure.value, figure.unit)), changes


def _section(key: str, figures: Sequence[Kpi], definitions: dict[str, Definition]) -> RenderableType:
    from rich.console import Console
    from rich.table import Table

    by_kpi = {figure.kpi: figure for figure in figures}
    wide = Console().width >= BOTH_CHANGES_WIDTH
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(_name(key), header_style="bold", min_width=32 if wide else 20)
    for heading in ("", "before", "", "last year", "") if wide else ("", "before", "", "last year"):
        table.add_column(heading, justify="right", no_wrap=True)
    for definition in _in_order(definitions, figures):
        figure = by_kpi[definition.kpi]
        row: list[RenderableType] = [definition.label, _amount(figure.value, figure.unit)]
        for earlier in (figure.prior_value, figure.last_year_value):
            row.append("–" if earlier is None else _amount(earlier, figure.unit))
            row.append(_change(figure.value, earlier, definition))
        table.add_row(*(row if wide else row[:-1]))
    return table


def _in_order(definitions: dict[str, Definition], figures: Sequence[Kpi]) -> list[Definition]:
    present = {figure.kpi for figure in figures}
    return [definition for definition in definitions.values() if definition.kpi in present]


def _footer(ages: Sequence[AccountAge]) -> Iterator[RenderableType]:
    from rich.text import Text

    from masterops_dagster import clock
    from masterops_dagster.businesses import MELBOURNE

    if not ages:
        yield Text("\nno system has been read yet", style="yellow")
        return
    oldest = min(ages, key=lambda age: age.read_until)
    old = clock.now() - oldest.read_until
    when = oldest.read_until.astimezone(MELBOURNE)
    yield Text(
        f"\nEverything read up to {when:%-d %B %Y %H:%M} Melbourne time, {_age(old.total_seconds())} ago"
        f" ({oldest.account} is furthest behind).",
        style="dim",
    )
    simulated = [age.account for age in ages if age.simulated]
    if simulated:
        yield Text(f"simulated data: {', '.join(simulated)} come from the stand-in world", style="bold yellow")


def _name(key: str) -> str:
    from masterops_dagster.businesses import GROUP, business

    return "Group" if key == GROUP else business(key).name


def _amount(value: Decimal, unit: str) -> str:
    match unit:
        case "AUD":
            return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"
        case "percent":
            return f"{value:.1f} %"
        case "count":
            return f"{value:,.0f}"
        case "days":
            return f"{value:,.1f} days"
        case _:
            return f"{value:,.2f}"


def _change(value: Decimal, earlier: Decimal | None, definition: Definition) -> Text:
    from rich.text import Text

    from masterops_dagster.reporting.kpis import change

    difference = change(value, earlier, definition.unit)
    if difference is None:
        return Text("–", style="dim")
    rounded = round(difference, 1) or Decimal(0)  # no -0.0
    text = f"{rounded:+.1f} {'pts' if definition.unit == 'percent' else '%'}"
    if not rounded:
        return Text(text, style="dim")
    return Text(text, style="green" if (difference > 0) == (definition.direction == "up") else "red")


def _age(seconds: float) -> str:
    if seconds < 5400:
        return f"{max(seconds, 0) / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
