"""OpenTelemetry, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set: traces run → load → request, and metrics of requests.

A trace has the id of its Dagster run, so that all processes of a run, and who looks for it, find the same one. Without
an endpoint nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from masterops_dagster.connectors.telemetry import OK, REPAIRED, RequestEvent
from masterops_dagster.observability import correlation
from masterops_dagster.settings import settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator

SERVICE = "masterops"
EXPORT_SECONDS = 5.0
NAMED_BY = ("operation", "account", "stream")
"""What a span's name is made of, where it is given."""

_starting = threading.Lock()
_exporters: _Exporters | None = None


def start() -> None:
    """Begins to export, if there is where to; what is held is sent when the process ends."""
    global _exporters
    endpoint = settings().otlp_endpoint
    with _starting:
        if endpoint is not None and _exporters is None:
            _exporters = _Exporters(endpoint)
            atexit.register(stop)


def stop() -> None:
    """Sends what is held, and ends exporting."""
    global _exporters
    with _starting:
        if _exporters is not None:
            before, _exporters = _exporters, None
            before.close()


@contextmanager
def scope(**ids: object) -> Iterator[None]:
    """`correlation.bound`, and a span where traces are exported."""
    exporters = _exporters
    if exporters is None:
        with correlation.bound(**ids):
            yield
        return
    name = " ".join(str(ids[part]) for part in NAMED_BY if ids.get(part) is not None) or "scope"
    with correlation.bound(**ids):
        known = {f"masterops.{part}": str(value) for part, value in correlation.current().items() if part != "trace_id"}
        with (
            exporters.tracer.start_as_current_span(name, attributes=known) as span,
            correlation.bound(trace_id=f"{span.get_span_context().trace_id:032x}"),
        ):
            yield


def request_spans() -> RequestSpans | None:
    """The sink that makes spans and metrics of requests; None where nothing is exported."""
    return RequestSpans(_exporters) if _exporters is not None else None


class RequestSpans:
    """A span for each request, within the one that is open where it was sent, and what all requests add up to."""

    def __init__(self, exporters: _Exporters) -> None:
        self._tracer = exporters.tracer
        meter = exporters.meters.get_meter(SERVICE)
        self._requests = meter.create_counter("masterops.requests", unit="{request}", description="Requests sent.")
        self._seconds = meter.create_histogram("masterops.request.duration", unit="s", description="Time to the end.")
        self._bytes = meter.create_counter("masterops.request.received", unit="By", description="Bytes received.")

    def record(self, event: RequestEvent) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes: dict[str, str | int | float] = {
            "masterops.system": event.system,
            "masterops.account": event.account,
            "masterops.outcome": event.outcome,
            "masterops.attempts": event.attempts,
            "masterops.budget_wait_ms": event.budget_wait_ms,
            "http.request.method": event.method,
            "url.template": event.path_template,
        }
        if event.status is not None:
            attributes["http.response.status_code"] = event.status
        if event.correlation_id is not None:
            attributes["masterops.correlation_id"] = event.correlation_id
        sent = int(event.occurred_at.timestamp() * 1e9)
        span = self._tracer.start_span(event.operation, kind=SpanKind.CLIENT, attributes=attributes, start_time=sent)
        if event.outcome not in (OK, REPAIRED):
            span.set_status(Status(StatusCode.ERROR, event.outcome))
        duration = timedelta(milliseconds=event.duration_ms)
        span.end(sent + duration // timedelta(microseconds=1) * 1000)
        labels = {"system": event.system, "account": event.account, "outcome": event.outcome}
        self._requests.add(1, labels)
        self._seconds.record(duration.total_seconds(), labels)
        self._bytes.add(event.bytes_received, labels)


def _ids_of_runs() -> IdGenerator:
    """Makes the ids of spans; a trace that begins within a run of Dagster's gets that one's."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class RunIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            try:
                return UUID(str(correlation.current().get("run_id"))).int
            except ValueError:
                return super().generate_trace_id()

    return RunIds()


class _Exporters:
    """What sends spans and metrics to the endpoint, each from a thread of its own; it drops what it can't send."""

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": SERVICE, "deployment.environment.name": settings().env})
        self.traces: TracerProvider = TracerProvider(
            resource=resource, shutdown_on_exit=False, id_generator=_ids_of_runs()
        )
        spans = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_SECONDS)
        self.traces.add_span_processor(BatchSpanProcessor(spans))
        metrics = OTLPMetricExporter(f"{endpoint}/v1/metrics", timeout=EXPORT_SECONDS)
        reader = PeriodicExportingMetricReader(metrics, export_interval_millis=15_000)
        self.meters: MeterProvider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.tracer = self.traces.get_tracer(SERVICE)

    def close(self) -> None:
        self.traces.shutdown()
        self.meters.shutdown(timeout_millis=EXPORT_SECONDS * 1000)
