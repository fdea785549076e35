"""Every KPI beside what the world itself knows, in both directions, at every grain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import product

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.reporting.kpis import Kpi, read_kpis, shown
from masterops_dagster.simulator.world.truth import ALL_SYSTEMS, GRAINS, TruthRow, period_start, truth_of_grains
from tests.refreshing import Platform

DAILY = {
    "debtors": "debtors",
    "days_sales_outstanding": "debtors",
    "stock_value": "stock_value",
    "stock_outs": "stock_outs",
    "stock_cover": "stock_value",
    "back_order_rate": None,
}
"""Known of days alone, namely of those of this other figure (None: of all days on which orders were looked at). A
longer period has the figure of the last such day; none if there was nothing to divide by on that day."""

SNAPSHOTS = ("stock_value", "stock_outs", "back_order_rate")
"""Known of the present day alone; a day that has gone keeps what was true on it."""

ONLY_OURS = ("cost_coverage",)
"""What the world doesn't compute."""

Key = tuple[str, str, str, date]
"""Business, KPI, grain, first day of the period."""


@dataclass
class Comparison:
    """Holds the KPIs of a platform against its world, and remembers the states of the days on which it did so."""

    platform: Platform
    days: set[date] = field(default_factory=set)
    """Those on which it did so."""
    _snapshots: dict[tuple[str, str, date], Decimal] = field(default_factory=dict)
    _on_hand: dict[tuple[str, date], Decimal] = field(default_factory=dict)

    def differences(self) -> list[str]:
        """One line for each figure that is wrong, missing, or too many; empty if the numbers are true."""
        ours = self.figures()
        for (business, kpi, grain, day), row in ours.items():
            if (kpi, grain) == ("stock_cover", "day") and row.numerator is not None:
                self._on_hand.setdefault((business, day), row.numerator)
        theirs = self.true_figures()
        return [
            f"{' '.join(map(str, key))}: KPI {ours[key].value if key in ours else 'missing'},"
            f" truth {theirs.get(key, 'missing')}"
            for key in sorted(ours.keys() | theirs.keys())
            if key not in ours or key not in theirs or shown(ours[key].value, ours[key].unit) != theirs[key]
        ]

    def figures(self) -> dict[Key, Kpi]:
        """The KPIs as they stand in the database, less those that the world doesn't compute."""
        rows = read_kpis(self.platform.connection)
        return {
            (row.business_key, row.kpi, row.grain, row.period_start): row for row in rows if row.kpi not in ONLY_OURS
        }

    def true_figures(self) -> dict[Key, Decimal]:
        """The same from the world's own records."""
        world = self.platform.world
        at = world.now()
        rows = {grain: _of_businesses(own) for grain, own in truth_of_grains(world, at).items()}
        world.close()
        today = at.astimezone(MELBOURNE).date()
        self.days.add(today)
        found = {(row.business_key, row.metric, grain, row.date): row.value for grain in GRAINS for row in rows[grain]}
        for row in rows["day"]:
            if row.metric in SNAPSHOTS:
                self._snapshots[row.business_key, row.metric, row.date] = row.value
        found |= {(business, kpi, "day", day): value for (business, kpi, day), value in self._snapshots.items()}
        found |= dict(self._covers(found, today))
        found |= dict(self._states(found))
        return found

    def _covers(self, found: dict[Key, Decimal], today: date) -> Iterator[tuple[Key, Decimal]]:
        """Stock covers of days that have gone: what was on hand then, over what is known of their sales now."""
        for (business, day), on_hand in self._on_hand.items():
            units = sum(
                (found.get((business, "units", "day", day - timedelta(days=back)), Decimal(0)) for back in range(90)),
                Decimal(0),
            )
            if day < today and units:
                yield (business, "stock_cover", "day", day), shown(on_hand * 90 / units)

    def _states(self, found: dict[Key, Decimal]) -> Iterator[tuple[Key, Decimal]]:
        """Figures of longer periods that are those of a day."""
        days: dict[tuple[str, str], set[date]] = defaultdict(set)
        for business, kpi, grain, day in found:
            if grain == "day":
                days[business, kpi].add(day)
        starts = {business: min(of_orders) for (business, kpi), of_orders in days.items() if kpi == "orders"}
        for (business, start), (kpi, known_of), grain in product(starts.items(), DAILY.items(), GRAINS[1:]):
            known = days[business, known_of] if known_of else self.days
            last = {period_start(day, grain, start): day for day in sorted(known)}
            for period, day in last.items():
                if (value := found.get((business, kpi, "day", day))) is not None:
                    yield (business, kpi, grain, period), value


def _of_businesses(rows: list[TruthRow]) -> list[TruthRow]:
    """The figures of each business and the group; not what one of a business's systems adds to them."""
    return [row for row in rows if row.system == ALL_SYSTEMS]
