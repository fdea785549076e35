"""The page of faults shows the matrix that is tested."""

from __future__ import annotations

from masterops_dagster.settings import PROJECT_ROOT
from tests.fault_matrix import LOADED, QUICK, TROUBLES, doses, table

PAGE = PROJECT_ROOT / "docs" / "faults.md"


def test_the_page_shows_the_matrix_that_is_tested() -> None:
    page = PAGE.read_text()
    assert table() in page
    assert doses() in page
    assert f"{len(LOADED) * len(TROUBLES)} cells" in page


def test_some_cells_are_in_every_run_of_the_tests() -> None:
    assert {name for _, name in QUICK} <= {trouble.name for trouble in TROUBLES}
    assert {key for key, _ in QUICK} <= set(LOADED)
