"""Dagster's default run launcher, able to say whether a run's process still lives.

Its own can't: a run whose code server was killed would count as running until its time limit. With this one, run
monitoring marks it failed at the next poll and `run_retries` starts it again. Named by `dagster.yaml`.
"""

from __future__ import annotations

from dagster import DagsterRun, DefaultRunLauncher, deserialize_value
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult


class WatchedRunLauncher(DefaultRunLauncher):
    """Asks the code server that was told to execute a run whether it still does."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """`NOT_FOUND` where a new code server answers in the place of the one that was killed.

        Raises `DagsterUserCodeUnreachableError` while none answers; run monitoring logs it and asks again.
        """
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "the run does not say which code server executes it")
        answer = deserialize_value(
            client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id)), CanCancelExecutionResult
        )
        if answer.can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code server was restarted; the run's process is gone")
