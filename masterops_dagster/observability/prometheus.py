"""`/metrics` for Prometheus: the state of the platform out of `ops`, asked anew at every scrape.

Counters count since midnight UTC and begin again at 0 then, as those of a restarted program do: `rate()` and
`increase()` see to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from psycopg.rows import TupleRow, dict_row

from masterops_dagster import clock

Connection = psycopg.Connection[TupleRow]

STATES = ("up", "degraded", "down", "unknown")
SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric, and the query whose rows are its samples: `value`, and every other column as a label.

    Parameters: `at` and `business_at`, `midnight` (UTC).
    """

    name: str
    kind: str
    says: str
    query: str


MEASURES = (
    Measure(
        "masterops_executions_total",
        "counter",
        "What began since midnight UTC and ended: runs, steps, ticks, dbt nodes, n8n executions.",
        """
        select source, kind, status, count(*) as value
        from ops.workflow_execution_logs
        where started_at >= %(midnight)s and started_at <= %(at)s
        group by 1, 2, 3
        """,
    ),
    Measure(
        "masterops_load_age_seconds",
        "gauge",
        "How old an account's data is: business time since its oldest stream was read.",
        """
        select account, extract(epoch from %(business_at)s::timestamptz - loaded_until) as value
        from ops.load_ages()
        where loaded_until is not null
        """,
    ),
    Measure(
        "masterops_running_executions",
        "gauge",
        "What runs or waits now.",
        "select source, kind, status, count(*) as value from ops.running_executions group by 1, 2, 3",
    ),
    Measure(
        "masterops_dead_letters",
        "gauge",
        "Rows that could not be loaded and wait for a person.",
        "select account, stream, count(*) as value from ops.dead_letters where status = 'open' group by 1, 2",
    ),
    Measure(
        "masterops_notifications_waiting",
        "gauge",
        "Notifications that are not sent yet; held: in quiet hours or for the digest.",
        """
        select given.state, (
            select count(*) from ops.notifications
            where state = given.state and created_at > %(at)s - interval '31 days' and created_at <= %(at)s
        ) as value
        from unnest(array['waiting', 'sending', 'held']) as given (state)
        """,
    ),
    Measure(
        "masterops_notification_oldest_waiting_seconds",
        "gauge",
        "How long the oldest notification has been due and is not sent; 0 if none is.",
        """
        select coalesce(extract(epoch from %(at)s - min(created_at)), 0) as value
        from ops.notifications
        where state in ('waiting', 'sending')
        and created_at > %(at)s - interval '31 days' and created_at <= %(at)s
        """,
    ),
    Measure(
        "masterops_quota_used_ratio",
        "gauge",
        "Share of an account's rate limit that is in use, by all processes together.",
        "select account, quota, used_share as value from ops.quota_use_at(%(at)s) where used_share is not null",
    ),
)

REQUESTS = """
select
    account,
    outcome,
    count(*) as requests,
    sum(duration_ms) / 1000 as seconds,
    sum(bytes_received) as bytes,
    sum(budget_wait_ms) / 1000 as waited
from ops.api_metrics
where occurred_at >= %(midnight)s and occurred_at <= %(at)s
group by 1, 2
order by 1, 2
"""
"""Asked once for all that counts requests: it reads a whole day."""
COUNTERS = (
    ("masterops_requests", "requests", "Requests to outside systems since midnight UTC, by outcome."),
    ("masterops_response_bytes", "bytes", "Bytes of answers as they came over the wire, since midnight UTC."),
    ("masterops_budget_wait_seconds", "waited", "Seconds that requests waited for a rate limit, since midnight UTC."),
)
QUANTILES = (0.5, 0.95, 0.99)
RECENT_DURATIONS = """
select
    account,
    percentile_cont(%(quantiles)s::double precision[]) within group (order by duration_ms::double precision)
        as durations
from ops.api_metrics
where occurred_at > %(at)s - interval '10 minutes' and occurred_at <= %(at)s
group by account
"""
HEALTH = "select check_id, system, account, status from ops.health_states order by check_id"
INCIDENTS = "select severity, count(*) as incidents from ops.incidents where state <> 'resolved' group by 1"


def exposition(connection: Connection, at: datetime) -> bytes:
    """All metrics at a moment of real time, in Prometheus' text format."""
    moments: dict[str, object] = {
        "at": at,
        "business_at": at + clock.offset(),
        "midnight": at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
        "quantiles": list(QUANTILES),
    }
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Asked(connection, moments))
    return generate_latest(registry)


class _Asked:
    """Asks the database once the registry collects."""

    def __init__(self, connection: Connection, moments: Mapping[str, object]) -> None:
        self._connection = connection
        self._moments = moments

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for measure in MEASURES:
            yield self._measured(measure)
        requests = self._rows(REQUESTS)
        for name, column, says in COUNTERS:
            yield _counted(name, column, says, requests)
        yield self._request_durations(requests)
        yield self._health()
        yield self._incidents()

    def _measured(self, measure: Measure) -> Metric:
        metric = Metric(measure.name.removesuffix("_total"), measure.says, measure.kind)
        for row in self._rows(measure.query):
            value = row.pop("value")
            metric.add_sample(measure.name, _labels(row), float(value))
        return metric

    def _request_durations(self, requests: Sequence[dict[str, Any]]) -> Metric:
        name = "masterops_request_duration_seconds"
        says = "Requests from sending to the last byte: quantiles of the last ten minutes, sums since midnight UTC."
        metric = Metric(name, says, "summary")
        recent = {row["account"]: row["durations"] for row in self._rows(RECENT_DURATIONS)}
        for account, of_account in groupby(requests, lambda row: row["account"]):
            rows = list(of_account)
            for quantile, duration in zip(QUANTILES, recent.get(account, ()), strict=False):
                metric.add_sample(name, {"account": account, "quantile": str(quantile)}, duration / 1000)
            metric.add_sample(f"{name}_sum", {"account": account}, float(sum(row["seconds"] for row in rows)))
            metric.add_sample(f"{name}_count", {"account": account}, sum(row["requests"] for row in rows))
        return metric

    def _health(self) -> Metric:
        metric = Metric("masterops_health_state", "1 for the state in which each health check is, else 0.", "gauge")
        for row in self._rows(HEALTH):
            labels = _labels({"check": row["check_id"], "system": row["system"], "account": row["account"]})
            for state in STATES:
                metric.add_sample(metric.name, {**labels, "state": state}, float(row["status"] == state))
        return metric

    def _incidents(self) -> Metric:
        metric = Metric("masterops_open_incidents", "Incidents that are not over.", "gauge")
        found = {row["severity"]: row["incidents"] for row in self._rows(INCIDENTS)}
        for severity in SEVERITIES:
            metric.add_sample(metric.name, {"severity": severity}, found.get(severity, 0))
        return metric

    def _rows(self, query: str) -> Sequence[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, self._moments).fetchall()


def _counted(name: str, column: str, says: str, requests: Sequence[dict[str, Any]]) -> Metric:
    metric = Metric(name, says, "counter")
    for row in requests:
        labels = {"account": row["account"], "outcome": row["outcome"]}
        metric.add_sample(f"{name}_total", labels, float(row[column]))
    return metric


def _labels(given: Mapping[str, object]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in given.items()}
