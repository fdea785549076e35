"""The KPIs as they stand in `kpi.kpis`, read with the rules by which they are shown: rounding, changes, age.

Values are unrounded decimals in the database. Money is shown with cents, anything else with six digits at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

import psycopg
from psycopg.rows import TupleRow, class_row

from masterops_dagster.businesses import BUSINESSES, GROUP

CENTS = Decimal("0.01")
SIX_DIGITS = Decimal("0.000001")
LEVELS = (GROUP, *(business.key for business in BUSINESSES))
"""The business keys under which there are figures, in the order in which they are shown."""

KPIS = """
-- the figures of one level or all, of the periods that have a day in the window
select
    business_key, kpi, grain, period_start, value, numerator, denominator, unit, prior_value, last_year_value, complete
from kpi.kpis
where (%(business)s::text is null or business_key = %(business)s)
and (%(grain)s::text is null or grain = %(grain)s)
and (%(end)s::date is null or period_start <= %(end)s)
and (
    %(start)s::date is null
    or period_start + case grain
        when 'day' then interval '1 day'
        when 'week' then interval '7 days'
        when 'month' then interval '1 month'
        when 'fy' then interval '1 year'
        else interval '1000 years'
    end > %(start)s
)
order by business_key, grain, period_start, kpi
"""

DEFINITIONS = """
-- in the order in which they are shown
select kpi, label, position, description, formula, unit, direction, kind, owner
from kpi.definitions
order by position, kpi
"""

AGES = """
-- how far each account has been read: as far as the stream that is furthest behind
select account, min(read_until) as read_until, bool_or(simulated) as simulated
from (
    select distinct on (account, stream) account, business_at as read_until, simulated
    from ops.loads
    where status = 'succeeded' and kind = 'live'
    order by account, stream, load_id desc
) as streams
group by account
order by account
"""


class Grain(StrEnum):
    """How long a period is; weeks begin on Monday, financial years on 1 July."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    FY = "fy"
    ALL = "all"


class NoKpis(LookupError):
    """The KPIs have not been built yet."""


@dataclass(frozen=True, slots=True)
class Kpi:
    """One figure of a business or the group. `denominator` is None where nothing is divided; percent is 0 to 100.

    While a period runs, `prior_value` and `last_year_value` cover as many days of the earlier one as it has had.
    """

    business_key: str
    kpi: str
    grain: str
    period_start: date
    value: Decimal
    numerator: Decimal | None
    denominator: Decimal | None
    unit: str
    prior_value: Decimal | None
    last_year_value: Decimal | None
    complete: bool

    def rounded(self) -> Kpi:
        """As it is shown: money in cents, anything else with six digits."""
        return Kpi(
            self.business_key,
            self.kpi,
            self.grain,
            self.period_start,
            shown(self.value, self.unit),
            None if self.numerator is None else shown(self.numerator),
            None if self.denominator is None else shown(self.denominator),
            self.unit,
            None if self.prior_value is None else shown(self.prior_value, self.unit),
            None if self.last_year_value is None else shown(self.last_year_value, self.unit),
            self.complete,
        )


@dataclass(frozen=True, slots=True)
class Definition:
    """What a KPI means. `direction` says whether `up` or `down` is good."""

    kpi: str
    label: str
    position: int
    description: str
    formula: str
    unit: str
    direction: str
    kind: str
    owner: str


@dataclass(frozen=True, slots=True)
class AccountAge:
    """Up to which business time an account has been read, and whether the stand-in world answered."""

    account: str
    read_until: datetime
    simulated: bool


def read_kpis(
    connection: psycopg.Connection[TupleRow],
    business: str | None = None,
    grain: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> list[Kpi]:
    """Figures by business, grain, period and KPI; with a window, of the periods that have a day in it (both ends
    inclusive). `business` may be `group`. Raises `NoKpis` before the first build.
    """
    parameters = {"business": business, "grain": grain, "start": start, "end": end}
    try:
        with connection.cursor(row_factory=class_row(Kpi)) as cursor:
            return cursor.execute(KPIS, parameters).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise NoKpis("there are no KPIs yet: the first load has not been finished") from error


def read_definitions(connection: psycopg.Connection[TupleRow]) -> dict[str, Definition]:
    """What each KPI means, by key. Raises `NoKpis` before the first build."""
    try:
        with connection.cursor(row_factory=class_row(Definition)) as cursor:
            return {definition.kpi: definition for definition in cursor.execute(DEFINITIONS)}
    except psycopg.errors.UndefinedTable as error:
        raise NoKpis("there are no KPIs yet: the first load has not been finished") from error


def read_ages(connection: psycopg.Connection[TupleRow]) -> list[AccountAge]:
    """How far each account that was ever read live has been read."""
    with connection.cursor(row_factory=class_row(AccountAge)) as cursor:
        return cursor.execute(AGES).fetchall()


def shown(value: Decimal, unit: str = "") -> Decimal:
    """Rounded as it is shown, half up, without trailing zeros beyond cents."""
    if unit == "AUD":
        return value.quantize(CENTS, ROUND_HALF_UP)
    rounded = value.quantize(SIX_DIGITS, ROUND_HALF_UP).normalize()
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def change(value: Decimal, earlier: Decimal | None, unit: str) -> Decimal | None:
    """From the earlier figure to this one: percentage points for percent, else percent of the earlier figure.

    None where there is nothing to compare with.
    """
    if earlier is None:
        return None
    if unit == "percent":
        return value - earlier
    return (value - earlier) / abs(earlier) * 100 if earlier else None


def period_start(grain: Grain, day: date) -> date:
    """The first day of the period of that grain in which the day lies. `all` has no start of its own."""
    match grain:
        case Grain.WEEK:
            return day - timedelta(days=day.weekday())
        case Grain.MONTH:
            return day.replace(day=1)
        case Grain.FY:
            return date(day.year if day.month >= 7 else day.year - 1, 7, 1)
        case _:
            return day
