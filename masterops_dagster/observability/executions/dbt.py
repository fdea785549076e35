"""dbt's nodes out of run_results.json, which each invocation leaves: models, seeds, snapshots and tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from masterops_dagster.observability.executions.execution import Execution, Status
from masterops_dagster.observability.executions.failures import storable
from masterops_dagster.observability.recorder import Recorder, recorder

STATUSES: Mapping[str, Status] = {
    "success": "succeeded",
    "pass": "succeeded",
    "warn": "succeeded",
    "no-op": "succeeded",
    "skipped": "skipped",
}
"""Everything else is a failure: `error`, `runtime error`, `partial success`, and `fail` of a test."""


def record_nodes(run_results: Path, run_id: str, into: Recorder | None = None) -> int:
    """Records every node of an invocation, and returns how many; 0 where dbt ended before it wrote any results."""
    if not run_results.exists():
        return 0
    nodes = list(read_nodes(json.loads(run_results.read_text()), run_id))
    recorded = into or recorder()
    for node in nodes:
        recorded.execution(node)
    return len(nodes)


def read_nodes(run_results: Mapping[str, Any], run_id: str) -> Iterator[Execution]:
    """The nodes of an invocation. `run_id` is the run that it belongs to."""
    invocation = run_results["metadata"]["invocation_id"]
    generated_at = datetime.fromisoformat(run_results["metadata"]["generated_at"])
    for result in run_results["results"]:
        resource_type, _, rest = result["unique_id"].split(".", 2)
        status = STATUSES.get(result["status"], "failed")
        begun = [datetime.fromisoformat(part["started_at"]) for part in result["timing"] if part.get("started_at")]
        ended = [datetime.fromisoformat(part["completed_at"]) for part in result["timing"] if part.get("completed_at")]
        failed = status == "failed"
        yield Execution(
            started_at=min(begun, default=generated_at),
            error=failed,
            source="dbt",
            kind="node",
            name=_name(resource_type, rest),
            execution_id=f"{invocation}/{result['unique_id']}",
            parent_id=run_id,
            status=status,
            ended_at=max(ended, default=generated_at),
            duration_ms=result["execution_time"] * 1000,
            error_class=_error_class(result) if failed else None,
            error_message=storable(result["message"] or result["status"]) if failed else None,
            detail={
                "type": resource_type,
                "unique_id": result["unique_id"],
                "said": result["status"],
                "failures": result.get("failures"),
            },
        )


def _name(resource_type: str, rest: str) -> str:
    """The node's name, a generic test's without the hash at its end."""
    return re.sub(r"\.[0-9a-f]{10}$", "", rest) if resource_type == "test" else rest


def _error_class(result: Mapping[str, Any]) -> str:
    """`TestFailed`, or what dbt's message begins with: "Database Error in model …"."""
    if result["status"] == "fail":
        return "TestFailed"
    said = re.match(r"\s*(\w+) Error\b", result["message"] or "")
    return f"{said[1]}Error" if said else "DbtError"
