"""The owners' table fits the terminal: no figure is cut off."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from rich.console import Console

from masterops_dagster.cli.kpi import _section
from masterops_dagster.reporting.kpis import Definition, Kpi


@pytest.mark.parametrize("width", [80, 100])
def test_every_figure_of_a_section_can_be_read_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    figure = Kpi(
        business_key="group",
        kpi="stock_value",
        grain="month",
        period_start=date(2026, 11, 1),
        value=Decimal("2263619.92"),
        numerator=Decimal("2263619.92"),
        denominator=None,
        unit="AUD",
        prior_value=Decimal("1131809.96"),
        last_year_value=Decimal("4527239.84"),
        complete=False,
    )
    definition = Definition(
        "stock_value", "Days sales outstanding (estimate)", 1, "", "", "AUD", "up", "state", "team:data-platform"
    )
    console = Console(width=width, record=True)
    console.print(_section("group", [figure], {"stock_value": definition}))
    printed = console.export_text()
    for amount in ("$2,263,619.92", "$1,131,809.96", "$4,527,239.84", "+100.0 %"):
        assert amount in printed
    assert ("-50.0 %" in printed) == (width >= 100)
