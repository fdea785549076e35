"""One id leads from a run to its load, its log lines, its requests and its trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster.businesses import account
from masterops_dagster.cli.main import app
from masterops_dagster.defs.ingestion import raw_assets
from masterops_dagster.observability import correlation, tracing
from masterops_dagster.settings import PROJECT_ROOT, settings
from masterops_dagster.sources.catalogue import stream
from tests.contract.server import ScriptedServer, as_json

Database = psycopg.Connection[TupleRow]

TEELIXIR = account("unleashed_teelixir")


@pytest.fixture
def unleashed(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A system that refuses every request, and says under which id it knows it."""
    refuse = as_json({"Description": "not for you"}, status=403, **{"X-Request-Id": "theirs-4711"})
    with ScriptedServer(lambda request: refuse) as server:
        monkeypatch.setenv("UNLEASHED_TEELIXIR_BASE_URL", server.url)
        monkeypatch.setenv("UNLEASHED_TEELIXIR_API_ID", "the-id")
        monkeypatch.setenv("UNLEASHED_TEELIXIR_API_KEY", "the-secret-key")
        settings.cache_clear()
        yield server


@pytest.fixture
def collector(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Takes what is exported over OTLP."""
    with ScriptedServer(lambda request: as_json({})) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        settings.cache_clear()
        yield server
        tracing.stop()


def failed_run() -> str:
    """The id of a run that loads a stream, in vain."""
    asset = raw_assets(TEELIXIR, [stream(TEELIXIR, "warehouses")], "whole", None)
    result = dg.materialize([asset], raise_on_error=False)
    assert not result.success
    return result.run_id


def spans_of(collector: ScriptedServer) -> dict[str, Span]:
    """By name."""
    bodies = [request.body for request in collector.seen if request.path == "/v1/traces"]
    return {
        span.name: span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def test_a_failed_request_is_found_from_its_run_in_every_table_and_in_the_trace(
    collector: ScriptedServer, unleashed: ScriptedServer, database: Database
) -> None:
    run_id = failed_run()
    trace_id = run_id.replace("-", "")

    (load,) = database.execute("select stream, status, error from ops.loads where dagster_run_id = %s", [run_id])
    assert load[:2] == ("warehouses", "failed")
    assert "not for you" in load[2]

    requests = database.execute(
        "select account, stream, operation, status, outcome, correlation_id, trace_id from ops.api_metrics"
        " where run_id = %s and error",
        [run_id],
    ).fetchall()
    assert requests == [
        ("unleashed_teelixir", "warehouses", "list Warehouses", 403, "authentication", "theirs-4711", trace_id)
    ]

    lines = database.execute(
        "select level, event, operation, account, stream, business_key, correlation_id, trace_id, error_class"
        " from ops.integration_logs where run_id = %s order by occurred_at",
        [run_id],
    ).fetchall()
    whose = ("unleashed_teelixir", "warehouses", "teelixir", "theirs-4711", trace_id)
    assert ("warning", "request failed", "list Warehouses", *whose, None) in lines
    assert ("error", "a stream could not be loaded", "read", *whose, "AuthenticationError") in lines
    assert not database.execute("select 1 from ops.integration_logs t where t::text like '%the-secret-key%'").fetchall()

    found = CliRunner().invoke(app, ["logs", "--run", run_id[:8], "--level", "error", "--json"])
    (line,) = map(json.loads, found.stdout.splitlines())
    assert line["fields"]["error"] == load[2]

    tracing.stop()
    spans = spans_of(collector)
    run, of_account, reading = spans["run"], spans["load unleashed_teelixir"], spans["read warehouses"]
    request = spans["list Warehouses"]
    assert {span.trace_id.hex() for span in spans.values()} == {trace_id}
    assert run.parent_span_id == b""
    assert of_account.parent_span_id == run.span_id
    assert reading.parent_span_id == of_account.span_id
    assert request.parent_span_id == reading.span_id
    assert request.status.code == Status.STATUS_CODE_ERROR
    assert request.start_time_unix_nano < request.end_time_unix_nano
    metrics = {
        metric.name
        for sent in collector.seen
        if sent.path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(sent.body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert metrics == {"masterops.requests", "masterops.request.duration", "masterops.request.received"}


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from masterops_dagster.observability import logging, telemetry\n"
        "logging.configure()\n"
        "with telemetry.recorded(operation='run', run_id='r'): telemetry.request_sink()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "MASTEROPS_STATE_DIR": str(tmp_path)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_subprocesses_know_the_run_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(correlation.RUN_ID, raising=False)
    with correlation.handed_on("run-1"):
        assert correlation.current() == {"run_id": "run-1"}
        with correlation.bound(run_id="run-2", account=None):
            assert correlation.current() == {"run_id": "run-2"}
        assert os.environ[correlation.FOR_DBT] == "run-1"
    assert correlation.current() == {}
    assert correlation.FOR_DBT not in os.environ
