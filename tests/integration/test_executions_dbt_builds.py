"""What dbt built in a run is among all that ran, also where dbt failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

RESULT = {"timing": [], "execution_time": 1.5, "failures": 2, "message": "Got 2 results, configured to fail if != 0"}
RESULTS = {
    "metadata": {"invocation_id": "inv", "generated_at": "2026-11-28T10:00:30Z"},
    "results": [
        {**RESULT, "unique_id": "model.masterops.fct_orders", "status": "success"},
        {**RESULT, "unique_id": "test.masterops.revenue_adds_up", "status": "fail"},
    ],
}


class FailingDbt:
    """An invocation of dbt as dagster-dbt hands it out: leaves its results, then ends with an error."""

    def __init__(self, target_path: Path) -> None:
        self.target_path = target_path

    def cli(self, arguments: list[str], context: object) -> FailingDbt:
        return self

    def stream(self) -> FailingDbt:
        return self

    def fetch_column_metadata(self) -> FailingDbt:
        return self

    def __iter__(self) -> Iterator[object]:
        (self.target_path / "run_results.json").write_text(json.dumps(RESULTS))
        raise RuntimeError("dbt failed")


def test_the_nodes_of_an_invocation_are_recorded_also_when_it_fails(
    database, state_dir, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    from masterops_dagster.database.dbt import dbt_env
    from masterops_dagster.defs import warehouse

    for name in dbt_env("postgresql://a:b@c/d"):
        monkeypatch.setenv(name, "")
    context = SimpleNamespace(op=SimpleNamespace(name="marts"), run=SimpleNamespace(run_id="the run"))
    with pytest.raises(RuntimeError, match="dbt failed"):
        list(warehouse.build(context, FailingDbt(tmp_path)))
    rows = database.execute(
        "select name, status, error, error_class, parent_id from ops.workflow_execution_logs where source = 'dbt'"
    ).fetchall()
    assert sorted(rows) == [
        ("fct_orders", "succeeded", False, None, "the run"),
        ("revenue_adds_up", "failed", True, "TestFailed", "the run"),
    ]
