"""Telemetry as people and programs ask for it: views, `masterops metrics`, and `/metrics` for Prometheus."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from masterops_dagster.cli.main import app
from masterops_dagster.observability.prometheus import exposition

AT = datetime.now(UTC).replace(microsecond=0)
HUBSPOT, UNLEASHED = "hubspot", "unleashed_teelixir"

pytestmark = pytest.mark.usefixtures("state_dir")


def requested(database: psycopg.Connection, account: str, durations: list[int], outcome: str = "ok", **more: object):
    """Requests of an account just now, one for each duration in ms."""
    given = {"operation": "contacts.list", "at": AT - timedelta(seconds=30)} | more
    for duration in durations:
        database.execute(
            "insert into ops.api_metrics (occurred_at, error, system, account, operation, method, path_template,"
            " status, outcome, duration_ms, bytes_received, attempts, budget_wait_ms)"
            " values (%(at)s, %(outcome)s not in ('ok', 'repaired'), %(system)s, %(account)s, %(operation)s, 'GET',"
            " '/crm/{object}', 200, %(outcome)s, %(duration)s, 1000, 1, 250)",
            given | {"account": account, "system": account.split("_")[0], "outcome": outcome, "duration": duration},
        )


def executed(database: psycopg.Connection, name: str, status: str, seconds: float, **more: object) -> None:
    given = {"source": "dagster", "kind": "run", "at": AT - timedelta(minutes=5), "error_class": None} | more
    database.execute(
        "insert into ops.workflow_execution_logs (started_at, error, source, kind, name, execution_id, status,"
        " duration_ms, error_class) values (%(at)s, %(status)s = 'failed', %(source)s, %(kind)s, %(name)s,"
        " gen_random_uuid()::text, %(status)s, %(seconds)s * 1000, %(error_class)s)",
        given | {"name": name, "status": status, "seconds": seconds},
    )


@pytest.fixture
def busy(database: psycopg.Connection) -> psycopg.Connection:
    """A platform with some telemetry of everything."""
    requested(database, HUBSPOT, list(range(1, 100)))
    requested(database, HUBSPOT, [900], "authentication")
    requested(database, HUBSPOT, [5], "rate_limited", operation="contacts.search")
    requested(database, UNLEASHED, [40, 60], operation="orders.list")
    requested(database, UNLEASHED, [9999], at=AT - timedelta(days=2))
    executed(database, "refresh", "succeeded", 60, at=AT - timedelta(hours=1))
    executed(database, "refresh", "failed", 30, error_class="AuthenticationError")
    executed(database, "kpi_values", "succeeded", 2, source="dbt", kind="node")
    for stream, hours in (("contacts", 1), ("contacts", 2), ("owners", 3)):
        database.execute(
            "insert into ops.loads (account, stream, kind, status, business_at, finished_at)"
            " values ('hubspot', %s, 'live', 'succeeded', %s, %s)",
            [stream, AT - timedelta(hours=hours), AT],
        )
    database.execute("delete from ops.loads where stream = 'contacts' and business_at < %s", [AT - timedelta(hours=1)])
    database.execute(
        "insert into ops.rate_budgets (account, window_name, window_ms, configured_limit, current_limit, used_until,"
        " used_slots) values ('unleashed_teelixir', '300s', 300000, 200, 200, %s, array[20, 30])",
        [[int((AT.timestamp() - 1) * 1000), int((AT.timestamp() + 60) * 1000)]],
    )
    database.execute(
        "insert into ops.point_budgets (account, bucket_name, configured_limit, configured_per_second, current_limit,"
        " current_per_second, full_at) values ('shopify_teelixir', 'cost', 2000, 100, 2000, 100, %s)",
        [AT.timestamp() + 5],
    )
    database.execute(
        "insert into ops.health_states (check_id, system, account, status, since, next_check_at, message)"
        " values ('integration_hubspot', 'hubspot', 'hubspot', 'down', %(at)s, %(at)s, 'refused'),"
        " ('database', 'postgres', null, 'up', %(at)s, %(at)s, null)",
        {"at": AT},
    )
    database.execute(
        "insert into ops.incidents (opened_at, cause, rule_id, title, severity, account, began_at)"
        " values (%(at)s, 'c', 'integration_down', 't', 'critical', 'hubspot', %(at)s)",
        {"at": AT},
    )
    database.execute(
        "insert into ops.dead_letters (account, stream, reason, payload) values ('hubspot', 'contacts', 'r', '{}')"
    )
    database.execute(
        "insert into ops.notifications (created_at, kind, contact, channels, channel, deduplication_key, content,"
        " next_attempt_at) values (%(at)s, 'opened', 'ops', '[]', 'slack', 'k', '{}', %(at)s)",
        {"at": AT - timedelta(seconds=90)},
    )
    database.execute(
        "insert into ops.running_executions (source, execution_id, kind, name, status, started_at)"
        " values ('dagster', 'r', 'run', 'refresh', 'started', %s)",
        [AT],
    )
    return database


def test_an_integrations_latest_state_is_one_row(busy):
    row = busy.execute(
        "select health, requests_last_hour, errors_last_hour, streams, loaded_until, open_incidents, message,"
        " business_key"
        " from ops.integration_status where account = 'hubspot'"
    ).fetchone()
    assert row == ("down", 101, 1, 2, AT - timedelta(hours=3), 1, "refused", None)
    unasked = "select health, requests_last_hour from ops.integration_status where account = 'unleashed_teelixir'"
    assert busy.execute(unasked).fetchone() is None  # nothing was ever loaded or checked there


def test_errors_durations_hours_and_the_slowest_are_of_their_window(busy):
    rates = "select account, requests, errors, rate_limited, commonest_error from ops.error_rates order by 1"
    assert busy.execute(rates).fetchall() == [
        (HUBSPOT, 101, 1, 1, "authentication"),
        (UNLEASHED, 2, 0, 0, None),
    ]
    durations = (
        "select p50_ms, round(p95_ms::numeric, 2)::float, max_ms from ops.request_latencies"
        " where operation = 'contacts.list' and account = 'hubspot'"
    )
    assert busy.execute(durations).fetchone() == (50.5, 95.05, 900)
    slowest = "select account, duration_ms::int, outcome from ops.slowest_requests order by duration_ms desc limit 2"
    assert busy.execute(slowest).fetchall() == [(HUBSPOT, 900, "authentication"), (HUBSPOT, 99, "ok")]
    by_hour = "select sum(requests) from ops.requests_by_hour where account = %s"
    assert busy.execute(by_hour, [UNLEASHED]).fetchone() == (3,)


def test_a_quota_counts_what_is_in_use_now(busy):
    used = "select account, used, quota_limit, used_share from ops.quota_use_at(%s) order by 1"
    assert busy.execute(used, [AT]).fetchall() == [
        ("shopify_teelixir", 500, 2000, 0.25),
        (UNLEASHED, 30, 200, 0.15),
    ]
    assert busy.execute("select count(*) from ops.quota_use").fetchone() == (2,)


def test_history_by_name_says_how_it_went_last(busy):
    history = (
        "select executions, succeeded, failed, failure_rate, p50_ms, last_status, last_error_class"
        " from ops.execution_history where name = 'refresh'"
    )
    assert busy.execute(history).fetchone() == (2, 1, 1, 0.5, 45000, "failed", "AuthenticationError")


def test_views_of_a_day_read_only_the_months_that_it_touches(database):
    database.execute("select ops.ensure_partitions(%s, %s)", [AT - timedelta(days=400), AT])
    plan = "\n".join(row[0] for row in database.execute("explain (analyze, costs off) select * from ops.error_rates"))
    assert f"api_metrics_rest_{AT - timedelta(days=360):%Y_%m}" not in plan.replace("never executed", "")
    assert "Subplans Removed" in plan


def test_metrics_shows_tables_to_people_and_json_to_programs(busy):
    soon = int(datetime.now(UTC).timestamp() * 1000) + 60_000  # this module may have been imported minutes ago
    busy.execute("update ops.rate_budgets set used_until = %s", [[soon - 120_000, soon]])
    shown = CliRunner().invoke(app, ["metrics"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for said in ("hubspot", "authentication", "1.0%", "contacts.list", "900 ms", "15.0%", "AuthenticationError"):
        assert said in shown.output
    told = CliRunner().invoke(app, ["metrics", "--system", "unleashed", "--since", "3d", "--json"])
    answers = json.loads(told.stdout)
    assert [(row["account"], row["requests"]) for row in answers["requests"]] == [(UNLEASHED, 3)]
    assert answers["slowest"][0]["duration_ms"] == 9999
    assert [row["quota"] for row in answers["quotas"]] == ["300s"]
    wrong = CliRunner().invoke(app, ["metrics", "--system", "netsuite"])
    assert wrong.exit_code == 2


def test_prometheus_can_read_the_state_of_everything(busy):
    families = {one.name: one for one in text_string_to_metric_families(exposition(busy, AT).decode())}

    def value(family: str, **labels: str) -> float:
        (found,) = [sample.value for sample in families[family].samples if labels.items() <= sample.labels.items()]
        return found

    assert all(one.documentation for one in families.values())
    if AT.hour or AT.minute:  # the requests are of today
        assert value("masterops_requests", account=HUBSPOT, outcome="ok") == 99
        assert value("masterops_requests", account=HUBSPOT, outcome="authentication") == 1
        assert families["masterops_requests"].samples[0].name == "masterops_requests_total"
        durations = families["masterops_request_duration_seconds"]
        assert durations.type == "summary"
        assert value("masterops_request_duration_seconds", account=UNLEASHED, quantile="0.5") == 0.05
        counted = [s.value for s in durations.samples if s.name.endswith("_count") and s.labels["account"] == HUBSPOT]
        assert counted == [101]
    assert value("masterops_load_age_seconds", account=HUBSPOT) == 3 * 3600
    assert value("masterops_running_executions", source="dagster", status="started") == 1
    assert value("masterops_health_state", check="integration_hubspot", state="down") == 1
    assert value("masterops_health_state", check="integration_hubspot", state="up") == 0
    assert value("masterops_open_incidents", severity="critical") == 1
    assert value("masterops_open_incidents", severity="info") == 0
    assert value("masterops_dead_letters", account=HUBSPOT, stream="contacts") == 1
    assert value("masterops_notifications_waiting", state="waiting") == 1
    assert value("masterops_notification_oldest_waiting_seconds") == 90
    assert value("masterops_quota_used_ratio", account=UNLEASHED) == 0.15


def test_prometheus_gets_an_answer_from_an_empty_platform(database):
    assert b"masterops_open_incidents" in exposition(database, AT)
