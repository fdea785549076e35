"""Rows of the past for tests of alerts: what went well, and some of everything that goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from masterops_dagster.observability.incidents import Incident

AT = datetime(2026, 11, 26, 4, 30, tzinfo=UTC)
"""Thursday, 15:30 in Melbourne."""

Connection = psycopg.Connection[TupleRow]


class Told:
    """Keeps what is announced, as the outbox would."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Incident]] = []

    def __call__(self, connection: Connection, incident: Incident, kind: str, at: datetime) -> int:
        self.messages.append((kind, incident))
        return 1

    @property
    def said(self) -> list[str]:
        """`opened hubspot does not answer`."""
        return [f"{kind} {incident.title}" for kind, incident in self.messages]


class History:
    """Writes rows; moments are given as how long before `AT`."""

    def __init__(self, connection: Connection, at: datetime = AT) -> None:
        self.connection = connection
        self.at = at
        connection.execute("select ops.ensure_partitions(%s, %s)", [at - timedelta(days=70), at + timedelta(days=40)])

    def insert(self, table: str, **values: Any) -> None:
        columns = ", ".join(values)
        places = ", ".join(["%s"] * len(values))
        self.connection.execute(
            f"insert into {table} ({columns}) values ({places})",
            [Jsonb(value) if isinstance(value, dict | list) and table != "raw" else value for value in values.values()],
        )

    def ago(self, **how_long: float) -> datetime:
        return self.at - timedelta(**how_long)

    def health(
        self, check: str, status: str, since: datetime, *, system: str, account: str | None = None, **detail: Any
    ) -> None:
        """A check that has been in a state since then, and was made every quarter of a minute, thinned out."""
        self.connection.execute("delete from ops.health_states where check_id = %s", [check])
        outcome = {"up": "ok", "degraded": "degraded", "down": "failed", "unknown": "broken"}[status]
        message = "the check itself is broken" if status == "unknown" else f"{check} is {status}"
        self.insert(
            "ops.health_states", check_id=check, system=system, account=account, status=status, since=since,
            first_failure_at=since if status == "down" else None, last_checked_at=self.at, next_check_at=self.at,
            message=message, detail=detail,
        )  # fmt: skip
        for moment in (since, since + (self.at - since) / 2):
            self.insert(
                "ops.health_checks", checked_at=moment, error=outcome in ("failed", "broken"), check_id=check,
                system=system, account=account, outcome=outcome, message=message, checked_by="a test", detail=detail,
            )  # fmt: skip

    def requests(
        self,
        account: str,
        count: int,
        until: datetime,
        *,
        seconds: float = 300,
        outcome: str = "ok",
        duration_ms: float = 300,
    ) -> None:
        """So many requests, evenly, in the seconds before a moment."""
        self.connection.execute(
            """
            insert into ops.api_metrics (
                occurred_at, error, system, account, operation, method, path_template, status, outcome, duration_ms,
                bytes_received, attempts, budget_wait_ms
            )
            select %(until)s::timestamptz - make_interval(secs => i * %(seconds)s::float / %(count)s),
                %(outcome)s <> 'ok', split_part(%(account)s, '_', 1), %(account)s, 'list orders', 'GET', '/orders', 200,
                %(outcome)s, %(duration)s, 1000, 1, 0
            from generate_series(0, %(count)s - 1) as i
            """,
            {
                "until": until,
                "seconds": seconds,
                "count": count,
                "outcome": outcome,
                "account": account,
                "duration": duration_ms,
            },
        )  # fmt: skip

    def load(
        self,
        account: str,
        stream: str,
        finished: datetime | None,
        *,
        status: str = "succeeded",
        run: str | None = None,
        started: datetime | None = None,
    ) -> None:
        began = started or (finished or self.at) - timedelta(seconds=20)
        self.insert(
            "ops.loads", account=account, stream=stream, kind="live", status=status, started_at=began,
            finished_at=finished, business_at=began, rows=10, dagster_run_id=run,
        )  # fmt: skip

    def execution(
        self,
        source: str,
        kind: str,
        name: str,
        status: str,
        started: datetime,
        *,
        minutes: float = 2,
        id: str | None = None,
        **more: Any,
    ) -> None:
        self.insert(
            "ops.workflow_execution_logs", source=source, kind=kind, name=name, status=status, started_at=started,
            error=status == "failed", execution_id=id or f"{name}-{started.timestamp():.0f}",
            ended_at=started + timedelta(minutes=minutes), **more,
        )  # fmt: skip

    def empty_warehouse(self) -> None:
        """The columns of what dbt builds that signals look at."""
        for statement in (
            "create schema marts",
            "create schema kpi",
            """create table marts.fct_orders (
                order_id uuid default gen_random_uuid(), account text, business_key text, ordered_at timestamptz
            )""",
            """create table kpi.kpis (
                business_key text, kpi text, grain text, period_start date, value numeric, prior_value numeric,
                unit text, complete boolean
            )""",
            "create table kpi.definitions (kpi text, label text, direction text)",
            "create table kpi.kpi_freshness (kpi text, business_key text, loaded_until timestamptz)",
        ):
            self.connection.execute(statement)

    def everything_wrong(self) -> None:
        """Each rule has something to say at `AT`, and nothing sixty days before."""
        ago = self.ago
        self.empty_warehouse()
        self.health("integration_hubspot", "down", ago(minutes=3), system="hubspot", account="hubspot")
        self.health(
            "integration_shopify_teelixir", "degraded", ago(minutes=30), system="shopify", account="shopify_teelixir",
            quota_left=4.0, token_days_left=2.5,
        )  # fmt: skip
        self.health("database", "down", ago(minutes=1), system="postgres")
        self.health("pool", "up", ago(minutes=1), system="postgres", connections_used=92)
        for check in ("database_bloat", "dagster_queue", "n8n_workflows"):
            self.health(
                check,
                "degraded",
                ago(minutes=9),
                system=check.partition("_")[0],
                account="n8n" if "n8n" in check else None,
            )
        for check in ("disk", "dagster_daemons", "dagster_code_location", "dagster_webserver", "certificate_shop:443"):
            self.health(check, "down", ago(minutes=9), system="dagster")
        self.health("n8n_server", "down", ago(minutes=9), system="n8n", account="n8n")
        self.health("n8n_executions", "up", ago(minutes=1), system="n8n", account="n8n", failed_last_hour=2)
        self.health("database_session", "unknown", ago(minutes=2), system="postgres")

        self.requests("unleashed_teelixir", 20, ago(minutes=1), seconds=120, outcome="authentication")
        for week in range(1, 6):
            self.requests("shopify_teelixir", 40, ago(weeks=week), seconds=900)
        self.requests("shopify_teelixir", 900, self.at, seconds=900, duration_ms=12_000)
        self.insert(
            "ops.rate_budgets", account="hubspot", window_name="day", window_ms=86_400_000, configured_limit=1000,
            current_limit=1000,
        )  # fmt: skip
        self.connection.execute(
            "update ops.rate_budgets set used_until = array[%s::bigint], used_slots = array[960]",
            [int((self.at + timedelta(hours=2)).timestamp() * 1000)],
        )

        self.execution("dagster", "schedule", "hourly_refresh", "succeeded", ago(hours=3), minutes=0)
        self.execution("dagster", "run", "refresh", "succeeded", ago(hours=5))
        self.execution(
            "dagster",
            "run",
            "refresh",
            "failed",
            ago(hours=2),
            id="run-2",
            error_class="Unavailable",
            error_message="503",
        )
        self.load("hubspot", "contacts", ago(hours=2), status="failed", run="run-2")
        self.load("hubspot", "deals", ago(hours=4))
        self.load("bigcommerce_buy_organics_online", "orders", None, status="running", started=ago(hours=2))
        self.execution(
            "n8n", "execution", "Stock to shop", "failed", ago(minutes=20), error_class="NodeError", error_message="no"
        )
        for source, kind, name in (("dagster", "run", "refresh"), ("n8n", "execution", "Stock to shop")):
            self.insert(
                "ops.running_executions", source=source, execution_id=f"running-{source}", kind=kind, name=name,
                status="running", started_at=ago(hours=3), last_progress_at=ago(hours=1),
            )  # fmt: skip
        self.execution(
            "masterops", "command", "dagster-daemon", "failed", ago(minutes=2), minutes=0, error_class="ProgramDied",
            error_message="killed",
        )  # fmt: skip

        for seconds in (30, 60):
            self.execution("dagster", "sensor", "automation", "failed", ago(seconds=seconds), minutes=0)

        self.load("woocommerce_red_hill_fresh", "orders", ago(minutes=10))
        for week in range(1, 9):
            self.orders("woocommerce_red_hill_fresh", 30, ago(weeks=week))
        self.orders("woocommerce_red_hill_fresh", 1, ago(days=1))
        self.insert("kpi.definitions", kpi="revenue", label="Revenue", direction="up")
        for business in ("group", "red_hill_fresh"):
            self.insert(
                "kpi.kpis", business_key=business, kpi="revenue", grain="week", period_start="2026-11-16", value=500,
                prior_value=1000, unit="AUD", complete=True,
            )  # fmt: skip
            self.insert("kpi.kpi_freshness", kpi="revenue", business_key=business, loaded_until=ago(hours=5))

        self.insert(
            "ops.reconciliations", account="hubspot", stream="contacts", checked_at=ago(hours=1), source_count=1000,
            our_count=990, method="sweep",
        )  # fmt: skip
        self.insert(
            "ops.held_deletions",
            account="hubspot",
            stream="companies",
            held_rows=70,
            our_rows=100,
            held_since=ago(hours=1),
        )
        self.insert(
            "ops.dead_letters", account="hubspot", stream="deals", external_id="1", reason="amount: no number",
            payload={}, created_at=ago(hours=1),
        )  # fmt: skip

        self.notification("slack", "email", state="waiting", attempts=2, created_at=ago(minutes=10))
        self.insert(
            "ops.integration_logs", occurred_at=ago(minutes=1), error=False, level="warning", logger="masterops",
            event="telemetry_dropped", program="dagster", fields={"dropped": 12},
        )  # fmt: skip
        self.insert(
            "ops.leases", name="monitor", holder="watch here:1", acquired_at=ago(minutes=2), renewed_at=self.at,
            expires_at=self.at,
        )  # fmt: skip

    def orders(self, account: str, count: int, until: datetime) -> None:
        """So many orders within two hours before a moment."""
        self.connection.execute(
            """
            insert into marts.fct_orders (account, business_key, ordered_at)
            select %(account)s, substr(%(account)s, position('_' in %(account)s) + 1),
                %(until)s::timestamptz - i * interval '2 hours' / %(count)s
            from generate_series(0, %(count)s - 1) as i
            """,
            {"account": account, "until": until, "count": count},
        )

    def notification(self, *channels: str, state: str, created_at: datetime, attempts: int = 0, **more: Any) -> None:
        addresses = [{"kind": channel, "to": "somebody"} for channel in channels]
        self.insert(
            "ops.notifications", created_at=created_at, kind="opened", contact="platform", channels=addresses,
            channel=channels[0], deduplication_key=f"{created_at}", content={"channels": addresses}, state=state,
            attempts=attempts, next_attempt_at=created_at, last_error="HTTP 500" if attempts else None, **more,
        )  # fmt: skip
