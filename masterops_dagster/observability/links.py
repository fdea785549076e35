"""Addresses that alerts, checks and logs carry: of an incident, a runbook, a run. None where no page is reachable."""

from __future__ import annotations

import json
from uuid import UUID

from masterops_dagster.settings import settings

STATUS_PAGE = "status-page"
WEBSERVER = "webserver"
"""Programs of `up`, under whose names the ports file keeps where they listen."""


def status_url() -> str | None:
    """Where people find the status page: `MASTEROPS_STATUS_URL`, else, in `local`, where `up` runs it."""
    return settings().status_url or _local(STATUS_PAGE)


def incident_url(incident_id: UUID) -> str | None:
    base = status_url()
    return f"{base}/incidents/{incident_id}" if base else None


def runbook_url(rule_id: str) -> str | None:
    base = status_url()
    return f"{base}/runbooks/{rule_id}" if base else None


def run_url(run_id: str) -> str | None:
    """A run in the Dagster UI: `MASTEROPS_DAGSTER_URL`, else, in `local`, where `up` runs it."""
    base = settings().dagster_url or _local(WEBSERVER)
    return f"{base}/runs/{run_id}" if base else None


def _local(program: str) -> str | None:
    ports = settings().state_dir / "ports.json"
    if settings().env != "local" or not ports.exists():
        return None
    kept = json.loads(ports.read_text()).get(program)
    return f"http://127.0.0.1:{kept['port']}" if kept else None
