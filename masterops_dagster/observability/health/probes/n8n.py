"""Looks at n8n: whether it lives, whether executions end well, whether workflows run when they should."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import takewhile

from masterops_dagster import clock
from masterops_dagster.connectors.n8n import N8N, Execution, Workflow
from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.probes.connections import connected
from masterops_dagster.observability.health.probes.n8n_schedule import SCHEDULE_TRIGGER, last_due
from masterops_dagster.observability.health.reading import Reading

ACCOUNT = "n8n"
LATENESS = timedelta(minutes=5)
"""How long after its moment a workflow may start: n8n spreads its triggers, and a restart takes a while."""
HOUR = timedelta(hours=1)
NAMED = 5
"""So many workflows are named; the rest is counted."""


def server(check: Check, at: datetime) -> Reading:
    """Whether n8n and its own database answer."""
    with _n8n(check) as (n8n, _):
        n8n.check_health()
    return Reading()


def executions(check: Check, at: datetime) -> Reading:
    """Failures of the last hour, and the oldest executions that have not ended, or not even begun."""
    with _n8n(check) as (n8n, simulated):
        moment = at + clock.offset() if simulated else at
        recent = [one for status in ("error", "crashed") for one in _since(n8n, status, moment - HOUR)]
        running = _oldest(n8n.executions(status="running"))
        unstarted = _oldest(n8n.executions(status="new"))
    values = {
        "failed_last_hour": float(len(recent)),
        "oldest_running_min": _minutes(running, moment),
        "oldest_unstarted_min": _minutes(unstarted, moment),
    }
    detail = {
        "failed_workflows": sorted({one.workflow_id for one in recent}),
        "oldest_running": running.id if running else None,
        "oldest_unstarted": unstarted.id if unstarted else None,
    }
    return Reading(values, detail=detail)


def workflows(check: Check, at: datetime) -> Reading:
    """Active workflows whose schedule says that they should have run since, and that didn't.

    The stand-in's workflows don't run by themselves, so nothing is missed there.
    """
    with _n8n(check) as (n8n, simulated):
        if simulated:
            return Reading({"missed": 0.0}, "the stand-in's workflows don't run by themselves")
        missed, scheduled = [], 0
        for workflow in _scheduled(n8n):
            due = _due(workflow, at)
            if due is None:
                continue
            scheduled += 1
            last = next(n8n.executions(workflow_id=workflow.id), None) or next(
                n8n.executions(workflow_id=workflow.id, status="running"), None
            )
            if last is None or (last.started_at is not None and last.started_at < due):
                missed.append((workflow, due))
    named = ", ".join(f"{workflow.name} (due {due:%d %b %H:%M} UTC)" for workflow, due in missed[:NAMED])
    more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
    said = f"should have run and did not: {named}{more}" if missed else f"{scheduled} workflows with a schedule"
    listed = [{"id": workflow.id, "name": workflow.name, "due": due.isoformat()} for workflow, due in missed]
    return Reading({"missed": float(len(missed))}, said, detail={"missed_workflows": listed})


@contextmanager
def _n8n(check: Check) -> Iterator[tuple[N8N, bool]]:
    with connected(ACCOUNT, check.timeout * 0.9) as (access, connector):
        assert isinstance(connector, N8N)
        yield connector, access.simulated


def _since(n8n: N8N, status: str, moment: datetime) -> list[Execution]:
    """Those that began at or after a moment; the list comes newest first."""
    found: Iterable[Execution] = n8n.executions(status=status)  # type: ignore[arg-type]
    return list(takewhile(lambda one: one.started_at is not None and one.started_at >= moment, found))


def _oldest(found: Iterable[Execution]) -> Execution | None:
    begun = [(one.started_at, one.id, one) for one in found if one.started_at is not None]
    return min(begun)[2] if begun else None


def _minutes(execution: Execution | None, moment: datetime) -> float:
    if execution is None or execution.started_at is None:
        return 0.0
    return round(max(0.0, (moment - execution.started_at).total_seconds() / 60), 1)


def _scheduled(n8n: N8N) -> Iterator[Workflow]:
    """The active workflows with a schedule trigger, whole: the list names only the types of their nodes."""
    for page in n8n.read("workflows"):
        for item in page.items:
            types = item.get("nodeTypes")
            scheduled = isinstance(types, list) and SCHEDULE_TRIGGER in types
            if scheduled and item.get("active") and not item.get("isArchived"):
                yield n8n.workflow(str(item["id"]))


def _due(workflow: Workflow, at: datetime) -> datetime | None:
    """The last moment since which it should have run; None without a schedule, or if it was changed after it."""
    due = last_due(workflow, at - LATENESS)
    changed = due is not None and workflow.updated_at is not None and workflow.updated_at >= due
    return None if changed else due
