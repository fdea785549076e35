"""n8n's streams, from the stand-in into PostgreSQL: nothing that was under way is forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.businesses import account
from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.n8n import N8N
from masterops_dagster.sources.ingest import ingest
from masterops_dagster.sources.window import Window as LoadWindow
from tests.stand_ins import StandIns

ACCOUNT = account("n8n")
WAIT_SECONDS = 4


@pytest.fixture
def n8n(connected: StandIns) -> Iterator[N8N]:
    endpoint = connected.endpoint("n8n")
    window, patience = Window("1s", 10_000, 1.0), Patience(timeout=5.0, deadline=20.0)
    with N8N(
        endpoint["base_url"], "n8n", endpoint["api_key"], window=window, budget=InMemoryBudget(), patience=patience
    ) as connector:
        yield connector


def start(n8n: N8N, **step: Any) -> str:
    """Starts an execution of a new workflow and returns its id."""
    path = str(uuid4())
    hook = {"name": "Go", "type": "n8n-nodes-base.webhook", "parameters": {"path": path, "httpMethod": "POST"}}
    workflow = n8n.create_workflow({"name": path, "nodes": [hook, {"name": "Step", **step}]})
    n8n.activate(workflow.id)
    assert httpx.post(f"{n8n.base_url}/webhook/{path}").status_code == 200
    running = n8n.executions(workflow_id=workflow.id, status="running")
    return next(one.id for one in (*running, *n8n.executions(workflow_id=workflow.id)))


def wait(seconds: int) -> dict[str, Any]:
    return {"type": "n8n-nodes-base.wait", "parameters": {"amount": seconds, "unit": "seconds"}}


def test_all_streams_load_and_a_sweep_agrees(database: psycopg.Connection[TupleRow], n8n: N8N) -> None:
    report = ingest(ACCOUNT, reader=n8n)
    assert {stream.stream: stream.dead_letters for stream in report.streams} == {
        "workflows": 0,
        "executions": 0,
        "tags": 0,
        "credentials": 0,
    }
    assert all(stream.rows for stream in report.streams)
    swept = ingest(ACCOUNT, window=LoadWindow.sweep(), reader=n8n)
    assert {stream.stream for stream in swept.streams if stream.source_count not in (None, stream.our_count)} == set()
    rows = database.execute(
        "select name, is_archived, node_types::text, _extra::text from raw_n8n.workflows"
    ).fetchall()
    archived = {name for name, is_archived, _, _ in rows if is_archived}
    assert "Teelixir: order export to CSV" in archived
    assert all("n8n-nodes-base." in kinds for _, _, kinds, _ in rows)
    assert not any("parameters" in extra for *_, extra in rows if extra)


def test_an_execution_that_ran_at_one_load_and_ended_since_is_seen_by_the_next(
    database: psycopg.Connection[TupleRow], n8n: N8N, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status() -> tuple[str, datetime | None]:
        row = database.execute("select status, stopped_at from raw_n8n.executions where id = %s", [id]).fetchone()
        assert row is not None
        return row[0], row[1]

    monkeypatch.setenv("MASTEROPS_CURSOR_OVERLAP_MINUTES", "0")
    from masterops_dagster.settings import settings

    settings.cache_clear()
    id = int(start(n8n, **wait(WAIT_SECONDS)))
    later = int(start(n8n, type="n8n-nodes-base.noOp"))
    begun = n8n.execution(id).started_at
    time.sleep(0.2)
    first = ingest(ACCOUNT, ["executions"], reader=n8n)
    assert status() == ("running", None)
    assert database.execute("select status from raw_n8n.executions where id = %s", [later]).fetchone() == ("success",)
    ((cursor,),) = database.execute("select watermark from ops.cursors where account = 'n8n'").fetchall()
    assert begun is not None
    assert cursor <= begun
    while datetime.now(UTC).timestamp() < begun.timestamp() + WAIT_SECONDS + 0.2:
        time.sleep(0.1)
    second = ingest(ACCOUNT, ["executions"], reader=n8n)
    assert status()[0] == "success"
    assert second.streams[0].rows <= first.streams[0].rows


def test_a_retry_that_succeeds_shows_in_the_execution_that_it_retried(
    database: psycopg.Connection[TupleRow], n8n: N8N
) -> None:
    ingest(ACCOUNT, ["executions"], reader=n8n)
    old = database.execute(
        "select id from raw_n8n.executions where status = 'error' and retry_success_id is null order by started_at"
    ).fetchone()
    assert old is not None
    retry = n8n.retry(str(old[0]))
    ingest(ACCOUNT, ["executions"], reader=n8n)
    found = database.execute("select retry_success_id from raw_n8n.executions where id = %s", [old[0]]).fetchone()
    assert found == (retry.id,)
