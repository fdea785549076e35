"""Every KPI beside what the world itself knows, in both directions, at every grain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.reporting.kpis import Kpi, read_kpis, shown
from masterops_dagster.simulator.world.truth import GRAINS, TruthRow, period_start, truth_periods
from tests.refreshing import Platform

DAILY = ("debtors", "days_sales_outstanding", "stock_value", "stock_outs", "stock_cover", "back_order_rate")
"""Known of days alone; a longer period has the figure of its last day that has one."""

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

    def snapshot_days(self) -> set[date]:
        """The days whose states are known."""
        return {day for _, _, day in self._snapshots}

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
        rows = {grain: _connected(truth_periods(world, at, grain)) for grain in GRAINS}
        world.close()
        found = {(row.business_key, row.metric, grain, row.date): row.value for grain in GRAINS for row in rows[grain]}
        for row in rows["day"]:
            if row.metric in SNAPSHOTS:
                self._snapshots[row.business_key, row.metric, row.date] = row.value
        found |= {(business, kpi, "day", day): value for (business, kpi, day), value in self._snapshots.items()}
        found |= dict(self._covers(found, at.astimezone(MELBOURNE).date()))
        found |= dict(_last_days(found))
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


def _connected(rows: list[TruthRow]) -> list[TruthRow]:
    """Without Teelixir's Shopify store, which is not connected."""
    return [row for row in rows if row.system != "shopify"]


def _last_days(found: dict[Key, Decimal]) -> Iterator[tuple[Key, Decimal]]:
    """Figures of longer periods that are those of a day."""
    starts = {business: day for business, kpi, grain, day in found if (kpi, grain) == ("orders", "all")}
    latest: dict[Key, tuple[date, Decimal]] = {}
    for (business, kpi, grain, day), value in sorted(found.items()):
        if grain == "day" and kpi in DAILY:
            for longer in GRAINS[1:]:
                latest[business, kpi, longer, period_start(day, longer, starts[business])] = (day, value)
    yield from ((key, value) for key, (_, value) in latest.items())
