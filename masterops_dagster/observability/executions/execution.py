"""What ran and ended, as `ops.workflow_execution_logs` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Source = Literal["dagster", "dbt", "n8n", "masterops"]
Kind = Literal["run", "step", "sensor", "schedule", "node", "execution", "command"]
Status = Literal["succeeded", "failed", "cancelled", "skipped"]


@dataclass(frozen=True, slots=True)
class Execution:
    """One row. Moments are real time, aware; `error` says that it is kept as long as errors are.

    `execution_id` is a run's id; run/step; invocation/node; n8n's execution id. `parent_id` is the run it belongs to.
    """

    started_at: datetime
    error: bool
    source: Source
    kind: Kind
    name: str
    execution_id: str
    parent_id: str | None = None
    system: str | None = None
    account: str | None = None
    business_key: str | None = None
    status: Status = "succeeded"
    attempt: int = 1
    ended_at: datetime | None = None
    duration_ms: float | None = None
    error_class: str | None = None
    error_message: str | None = None
    correlation_id: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
