"""A database as it looks after 90 days of watching: what the status page shows, without anything that runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, GROUP
from masterops_dagster.clock import business_day

Connection = psycopg.Connection[TupleRow]

SHOP_DOWN = UUID("0d5a1f6e-58a4-4c0e-9d0f-1f4f5f0c1a01")
SLOW = UUID("0d5a1f6e-58a4-4c0e-9d0f-1f4f5f0c1a02")
OVER = UUID("0d5a1f6e-58a4-4c0e-9d0f-1f4f5f0c1a03")
RUN = "5f0c1a01-58a4-4c0e-9d0f-0d5a1f6e0001"
SECRET_WORDS = ("bigcommerce_buy_organics_online", "store-k7.example.com", "503 upstream", RUN)
"""Internals that stand in the rows; outsiders must see none of them."""

PLATFORM = (
    ("database", "postgres"),
    ("database_bloat", "postgres"),
    ("disk", "disk"),
    ("dagster_daemons", "dagster"),
    ("dagster_queue", "dagster"),
)
KPIS = ("Revenue", "Orders", "Average order value", "Units per order", "Gross margin", "Stock value", "Customers")

DAYS = """
insert into ops.health_days (check_id, day, checks, failed, excused, response_buckets)
select
    check_id, %(today)s::date - back, 2880,
    case when (hashtext(check_id || back) %% 17) = 3 then (hashtext(check_id) %% 90 + 90) / 3 else 0 end, 0,
    array[0, 0, 40, 200, 900, 1200, 400, 100, 30, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
from ops.health_states, generate_series(0, 89) as back
"""
CHECKS = """
insert into ops.health_checks (
    checked_at, error, check_id, system, account, business_key, outcome, response_ms, checked_by
)
select
    %(at)s - step * %(every)s, false, check_id, system, account, business_key, 'ok',
    90 + 60 * sin(step / 40.0 + hashtext(check_id) %% 7) + (hashtext(check_id || step) %% 25), 'dagster 1'
from ops.health_states, generate_series(1, (86400 / extract(epoch from %(every)s::interval))::integer) as step
where not (status = 'down' and step * %(every)s < interval '40 minutes')
"""


def well(connection: Connection, at: datetime, every: timedelta = timedelta(minutes=5)) -> None:
    """Everything is up, watched by Dagster, read by ten minutes ago, and simulated; figures are built."""
    for account in ACCOUNTS:
        _state(connection, at, f"integration_{account.key}", account.system, account.key, account.business_key)
    for check_id, system in PLATFORM:
        _state(connection, at, check_id, system, None, None)
    connection.execute("select ops.ensure_partitions(%s, %s)", [at - timedelta(days=40), at + timedelta(days=1)])
    connection.execute(DAYS, {"today": business_day(at)})
    connection.execute(CHECKS, {"at": at, "every": every})
    watched_until(connection, timedelta(seconds=30))
    read = at - timedelta(minutes=10)
    for account in ACCOUNTS[:-1]:
        connection.execute("insert into ops.origins values (%s, 'stand-in world', true, %s)", [account.key, read])
        connection.execute(
            "insert into ops.loads (account, stream, kind, status, business_at, simulated)"
            " values (%s, 'orders', 'live', 'succeeded', %s, true)",
            [account.key, read],
        )
    connection.execute("create schema if not exists kpi")
    connection.execute("create table kpi.definitions (kpi text, label text, position integer)")
    connection.execute("create table kpi.kpi_freshness (kpi text, business_key text, loaded_until timestamptz)")
    for position, label in enumerate(KPIS):
        kpi = label.lower().replace(" ", "_")
        connection.execute("insert into kpi.definitions values (%s, %s, %s)", [kpi, label, position])
        for key in (GROUP, *(business.key for business in BUSINESSES)):
            connection.execute("insert into kpi.kpi_freshness values (%s, %s, %s)", [kpi, key, read])


def trouble(connection: Connection, at: datetime) -> None:
    """A shop is down and told of, another system is slow and acknowledged, data and figures of a business are late."""
    began = at - timedelta(minutes=38)
    connection.execute(
        "update ops.health_states set status = 'down', since = %s, message = %s, failures = 80"
        " where check_id = 'integration_bigcommerce_buy_organics_online'",
        [began, "503 upstream unavailable at store-k7.example.com"],
    )
    connection.execute(
        "update ops.health_states set status = 'degraded', since = %s, response_ms = 4210, message = %s"
        " where check_id = 'integration_unleashed_elevate_wholesale'",
        [at - timedelta(hours=2), "response_ms is 4210 ms, should be < 3000 ms"],
    )
    connection.execute(
        "update ops.health_days set failed = 260 where check_id like '%%bigcommerce%%' and day = %s",
        [business_day(at)],
    )
    for table, column in (("ops.loads", "business_at"), ("kpi.kpi_freshness", "loaded_until")):
        where = "account like '%%buy_organics%%'" if table == "ops.loads" else "business_key = 'buy_organics_online'"
        connection.execute(f"update {table} set {column} = {column} - interval '5 hours' where {where}")  # noqa: S608
    _incident(
        connection, SHOP_DOWN, "integration_down", "BigCommerce of Buy Organics Online is down", "critical",
        "bigcommerce", "bigcommerce_buy_organics_online", "buy_organics_online", began, began + timedelta(seconds=23),
        impact="Orders of the shop don’t arrive; stock shown there may be wrong.", detail={"run_id": RUN},
    )  # fmt: skip
    _incident(
        connection, SLOW, "integration_degraded", "Unleashed of Elevate Wholesale is slow", "warning", "unleashed",
        "unleashed_elevate_wholesale", "elevate_wholesale", at - timedelta(hours=2), at - timedelta(minutes=119),
        acknowledged_at=at - timedelta(minutes=100),
    )  # fmt: skip
    _incident(
        connection, OVER, "stream_stale", "Orders of Shopify of Teelixir came late", "warning", "shopify",
        "shopify_teelixir", "teelixir", at - timedelta(days=3), at - timedelta(days=3) + timedelta(seconds=31),
        resolved_at=at - timedelta(days=3) + timedelta(minutes=47),
    )  # fmt: skip
    connection.execute(
        "insert into ops.alerts (occurred_at, rule_id, fingerprint, incident_id, to_state, severity, subject, message)"
        " values (%s, 'integration_down', 'f', %s, 'firing', 'critical', 'bigcommerce_buy_organics_online', %s)",
        [began + timedelta(seconds=23), SHOP_DOWN, "The shop has not answered twice in a row"],
    )
    for after, kind, contact, channel in (
        (25, "opened", "operations", "slack"),
        (926, "escalated", "Olivia", "email"),
    ):
        connection.execute(
            "insert into ops.notifications (created_at, incident_id, kind, contact, channels, channel,"
            " deduplication_key, content, state, next_attempt_at, sent_at)"
            " values (%(at)s, %(incident)s, %(kind)s, %(contact)s, '[]', %(channel)s, %(key)s, '{}', 'sent', %(at)s,"
            " %(at)s)",
            {
                "at": began + timedelta(seconds=after),
                "incident": SHOP_DOWN,
                "kind": kind,
                "contact": contact,
                "channel": channel,
                "key": f"{SHOP_DOWN}/{kind}",
            },
        )
    connection.execute(
        "insert into ops.workflow_execution_logs (started_at, error, source, kind, name, execution_id, account, status,"
        " error_class) values (%s, true, 'dagster', 'run', 'refresh', %s, 'bigcommerce_buy_organics_online', 'failed',"
        " 'Unavailable')",
        [at - timedelta(minutes=20), RUN],
    )
    connection.execute(
        "insert into ops.running_executions (source, execution_id, kind, name, status, started_at)"
        " values ('dagster', %s, 'run', 'refresh', 'started', %s)",
        [RUN, at - timedelta(minutes=4)],
    )
    connection.execute(
        "insert into ops.loads (account, stream, kind, started_at) values ('hubspot', 'contacts', 'live', %s)",
        [at - timedelta(minutes=3)],
    )


def watched_until(connection: Connection, ahead: timedelta) -> None:
    """The monitor's lease ends so far from now, by the database's clock."""
    connection.execute(
        "insert into ops.leases values ('monitor', 'dagster 1', 1, clock_timestamp(), clock_timestamp(),"
        " clock_timestamp() + %(ahead)s)"
        " on conflict (name) do update set expires_at = clock_timestamp() + %(ahead)s",
        {"ahead": ahead},
    )


def _state(
    connection: Connection, at: datetime, check_id: str, system: str, account: str | None, business_key: str | None
) -> None:
    connection.execute(
        "insert into ops.health_states (check_id, system, account, business_key, status, since, last_checked_at,"
        " next_check_at, response_ms) values (%s, %s, %s, %s, 'up', %s, %s, %s, %s)",
        [check_id, system, account, business_key, at - timedelta(days=9), at, at, 120 + len(check_id)],
    )


def _incident(
    connection: Connection,
    incident_id: UUID,
    rule_id: str,
    title: str,
    severity: str,
    system: str,
    account: str,
    business_key: str,
    began_at: datetime,
    opened_at: datetime,
    *,
    acknowledged_at: datetime | None = None,
    resolved_at: datetime | None = None,
    impact: str | None = None,
    detail: dict[str, object] | None = None,
) -> None:
    state = "resolved" if resolved_at else "acknowledged" if acknowledged_at else "open"
    connection.execute(
        "insert into ops.incidents (opened_at, incident_id, cause, rule_id, title, severity, system, account,"
        " business_key, owner, state, impact, began_at, acknowledged_at, acknowledged_by, resolved_at, detail)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'operations', %s, %s, %s, %s, %s, %s, %s)",
        [
            opened_at,
            incident_id,
            f"{rule_id}/{account}",
            rule_id,
            title,
            severity,
            system,
            account,
            business_key,
            state,
            impact,
            began_at,
            acknowledged_at,
            "Olivia" if acknowledged_at else None,
            resolved_at,
            Jsonb(detail or {}),
        ],
    )
