"""The page of KPIs says what the YAML beside each KPI says today."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from masterops_dagster.database.dbt import kpi_keys
from masterops_dagster.reporting import kpi_docs


def test_the_committed_page_is_as_new_as_the_yaml() -> None:
    assert kpi_docs.PAGE.read_text() == kpi_docs.render(), "run `python -m masterops_dagster.reporting.kpi_docs`"


def test_every_kpi_has_a_section_and_a_row_that_leads_to_it() -> None:
    page = kpi_docs.render()
    for key in kpi_keys():
        assert page.count(f"\n## {key}\n") == 1
        assert page.count(f"](#{key})") == 1


def test_kpis_stand_in_the_order_in_which_they_are_shown() -> None:
    positions = [kpi.config.meta.position for kpi in kpi_docs.described_kpis()]
    assert positions == sorted(positions)


def test_a_kpi_without_a_formula_is_refused() -> None:
    revenue = next(kpi for kpi in kpi_docs.described_kpis() if kpi.name == "revenue").model_dump()
    del revenue["config"]["meta"]["formula"]
    with pytest.raises(ValidationError, match="formula"):
        kpi_docs.KpiModel.model_validate(revenue)
