"""What dbt says of its nodes, as executions."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from masterops_dagster.observability.executions.dbt import read_nodes, record_nodes
from masterops_dagster.observability.executions.execution import Execution


def result(unique_id: str, status: str, message: str | None = None, **more: object) -> dict[str, object]:
    timing = [
        {"name": name, "started_at": f"2026-11-28T10:00:{at:02}.000000Z", "completed_at": f"2026-11-28T10:00:{at + 2}Z"}
        for name, at in (("compile", 10), ("execute", 12))
    ]
    return {
        "unique_id": unique_id,
        "status": status,
        "message": message,
        "timing": timing,
        "execution_time": 2.5,
    } | more


RESULTS = {
    "metadata": {"invocation_id": "inv", "generated_at": "2026-11-28T10:00:30Z"},
    "results": [
        result("model.masterops.fct_orders", "success", "SELECT 12"),
        result("test.masterops.unique_fct_orders_order_id.0a1b2c3d4e", "fail", "Got 3 results", failures=3),
        result("test.masterops.revenue_adds_up", "warn", "Got 1 result", failures=1),
        result("model.masterops.kpi_values", "error", "Database Error in model kpi_values\n  division by zero"),
        result("model.masterops.kpi_daily", "skipped", timing=[], execution_time=0.0),
    ],
}


def test_every_node_is_an_execution_of_its_run() -> None:
    model, *_ = nodes = list(read_nodes(RESULTS, "run"))
    assert {(node.source, node.kind, node.parent_id) for node in nodes} == {("dbt", "node", "run")}
    assert (model.name, model.execution_id) == ("fct_orders", "inv/model.masterops.fct_orders")
    assert (model.status, model.error, model.error_message, model.duration_ms) == ("succeeded", False, None, 2500)
    assert model.ended_at is not None
    assert (model.ended_at - model.started_at).total_seconds() == 4


def test_a_failed_test_is_an_error_and_a_warning_is_none() -> None:
    _, failed, warned, broken, skipped = read_nodes(RESULTS, "run")
    assert (failed.name, failed.status, failed.error) == ("unique_fct_orders_order_id", "failed", True)
    assert (failed.error_class, failed.error_message, failed.detail["failures"]) == ("TestFailed", "Got 3 results", 3)
    assert (warned.name, warned.status, warned.error) == ("revenue_adds_up", "succeeded", False)
    assert (broken.error_class, broken.status) == ("DatabaseError", "failed")
    assert "division by zero" in (broken.error_message or "")
    assert (skipped.status, skipped.started_at.isoformat()) == ("skipped", "2026-11-28T10:00:30+00:00")


def test_what_dbt_left_is_recorded_and_an_invocation_without_results_records_nothing(tmp_path: Path) -> None:
    recorded: list[Execution] = []
    into = SimpleNamespace(execution=recorded.append)
    assert record_nodes(tmp_path / "run_results.json", "run", into) == 0  # type: ignore[arg-type]
    (tmp_path / "run_results.json").write_text(json.dumps(RESULTS))
    assert record_nodes(tmp_path / "run_results.json", "run", into) == 5  # type: ignore[arg-type]
    assert len(recorded) == 5
