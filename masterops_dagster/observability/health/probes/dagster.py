"""Looks at Dagster from outside: its storage by SQL, its UI over HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import connect, dagster_url
from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.reading import ProbeFailed, Reading
from masterops_dagster.observability.links import WEBSERVER
from masterops_dagster.settings import settings

NEEDED = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING")
"""Daemons without which nothing starts by itself, or is found when it hangs; others are shown but don't count."""

HEARTBEATS = "select daemon_type, body from daemon_heartbeats order by daemon_type"
"""The moment is read from the body: the column has lost its time zone."""
QUEUE = """
select count(*), min(create_timestamp::timestamptz) filter (where status = 'QUEUED'),
    count(*) filter (where status = 'QUEUED')
from runs
where status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
"""
"""`create_timestamp` is `current_timestamp` without its zone, which is the server's."""
LOCATIONS = """
{ workspaceOrError { __typename
    ... on PythonError { message }
    ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename
        ... on PythonError { message } } } } } }
"""


def daemons(check: Check, at: datetime) -> Reading:
    """How long ago the needed daemon that is silent for longest reported. Raises `ProbeFailed` if one never did."""
    with _storage(check.timeout) as connection:
        reports = {name: json.loads(body) for name, body in connection.execute(HEARTBEATS)}
    ages = {name: at.timestamp() - float(report["timestamp"]) for name, report in reports.items()}
    never = [name for name in NEEDED if name not in ages]
    if never:
        raise ProbeFailed(f"Dagster's daemon has never reported: {', '.join(never)}. Is `dagster-daemon` running?")
    silent = max(NEEDED, key=lambda name: ages[name])
    troubles = [f"{name}: {said}" for name, report in reports.items() for said in _errors(report)]
    return Reading(
        {"heartbeat_age_s": round(max(0.0, ages[silent]), 1)},
        f"silent for longest: {silent}",
        degraded="; ".join(troubles),
        detail={"ages_s": {name: round(age, 1) for name, age in ages.items()}},
    )


def webserver(check: Check, at: datetime) -> Reading:
    """Whether the UI answers."""
    answer = httpx.get(f"{_base_url()}/server_info", timeout=check.timeout.total_seconds() * 0.9, trust_env=False)
    if not answer.is_success:
        raise ProbeFailed(f"the Dagster UI answers {answer.status_code}")
    return Reading(detail={"version": answer.json().get("dagster_webserver_version")})


def code_location(check: Check, at: datetime) -> Reading:
    """Whether every code location is loaded. Raises `ProbeFailed` with Dagster's reason."""
    answer = httpx.post(
        f"{_base_url()}/graphql",
        json={"query": LOCATIONS},
        timeout=check.timeout.total_seconds() * 0.9,
        trust_env=False,
    )
    if not answer.is_success:
        raise ProbeFailed(f"Dagster's GraphQL answers {answer.status_code}")
    workspace: dict[str, Any] = answer.json()["data"]["workspaceOrError"]
    if workspace["__typename"] == "PythonError":
        raise ProbeFailed(f"Dagster has no workspace: {_first_line(workspace['message'])}")
    entries = workspace["locationEntries"]
    if not entries:
        raise ProbeFailed("Dagster has no code location: is `workspace.yaml` given?")
    for entry in entries:
        found = entry["locationOrLoadError"]
        if found and found["__typename"] == "PythonError":
            raise ProbeFailed(f"the code location {entry['name']} can't be loaded: {_first_line(found['message'])}")
    loading = [entry["name"] for entry in entries if not entry["locationOrLoadError"]]
    said = f"still loading: {', '.join(loading)}" if loading else ""
    return Reading(degraded=said, detail={"locations": [entry["name"] for entry in entries]})


def queue(check: Check, at: datetime) -> Reading:
    """How many runs wait, and for how long the first of them has."""
    with _storage(check.timeout) as connection:
        row = connection.execute(QUEUE).fetchone()
    assert row is not None
    unfinished, oldest, queued = row
    waited = (at - oldest).total_seconds() if oldest else 0.0
    values = {"queued": float(queued), "oldest_queued_s": round(max(0.0, waited), 1)}
    return Reading(values, f"{unfinished} unfinished runs, {queued} of them waiting")


def _storage(timeout: timedelta) -> psycopg.Connection[TupleRow]:
    """Dagster's own storage. Raises `DatabaseUnavailable`."""
    patience = max(2, math.floor(timeout.total_seconds()))
    return connect(dagster_url(), application_name="masterops health", connect_timeout=patience)


def _base_url() -> str:
    """Where the UI is: `MASTEROPS_DAGSTER_URL`, else, in `local`, where `up` runs it."""
    current = settings()
    if current.dagster_url:
        return current.dagster_url
    ports = current.state_dir / "ports.json"
    kept = json.loads(ports.read_text()).get(WEBSERVER) if current.env == "local" and ports.exists() else None
    if kept is None:
        raise ProbeFailed(
            "the Dagster UI is nowhere: " + ("run make up" if current.env == "local" else "set MASTEROPS_DAGSTER_URL")
        )
    return f"http://127.0.0.1:{kept['port']}"


def _errors(report: Mapping[str, Any]) -> list[str]:
    """What a daemon reports of itself beside being alive."""
    said = report.get("errors") or []
    return [_first_line(str(error.get("message", ""))) for error in said if isinstance(error, dict)]


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")
