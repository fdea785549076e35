"""Asks an account something cheap for which it must know us, and looks how much of its quota is left."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.connectors.errors import DeadlineExceeded
from masterops_dagster.database.connection import DatabaseUnavailable, pool
from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.probes.connections import connected
from masterops_dagster.observability.health.reading import CannotCheck, Reading
from masterops_dagster.settings import AccountAccess

CHEAP_CALLS: Mapping[str, Callable[[Any], object]] = {
    "hubspot": lambda hubspot: hubspot.identity(),
    "shopify": lambda shopify: shopify.identity(),
    "bigcommerce": lambda bigcommerce: bigcommerce.identity(),
    "unleashed": lambda unleashed: unleashed.count("Warehouses"),
    "woocommerce": lambda woocommerce: woocommerce.count("products"),
    "n8n": lambda n8n: n8n.request("GET", "/api/v1/workflows", operation="list a workflow", params={"limit": 1}),
    "supabase": lambda supabase: supabase.count("users"),
}
"""One request each, which no system answers without good credentials."""

LEFT = """
select window_name, window_ms / 1000.0, current_limit, current_limit - cardinality(leases) - coalesce(
    (select sum(slots) from unnest(used_until, used_slots) as used (until, slots) where until > ops.now_ms()), 0
)
from ops.rate_budgets
where account = %(account)s
union all
select bucket_name, current_limit / current_per_second, current_limit,
    current_limit - greatest(0, full_at - ops.now_seconds()) * current_per_second
from ops.point_budgets
where account = %(account)s
"""
"""By our own count, corrected by what the system's answers say."""

LONG_WINDOW = 3600.0
"""Seconds. Loads may use a shorter window up, since it is soon full again; a longer one is the account's quota."""

LAST_GOOD = """
select max(occurred_at) from ops.api_metrics
where account = %(account)s and occurred_at > %(since)s and outcome in ('ok', 'repaired')
"""
RECENT = timedelta(minutes=2)


def integration(check: Check, at: datetime) -> Reading:
    """One authenticated call. Raises the connector's errors.

    While our own loads use the whole rate budget nothing is sent: what they heard of the system counts.
    """
    assert check.account is not None
    assert check.system is not None
    with connected(check.account, check.timeout * 0.9) as (access, connector):
        before, began = connector.requests, time.monotonic()
        try:
            CHEAP_CALLS[check.system](connector)
        except DeadlineExceeded as error:
            if connector.requests > before:
                raise
            return _busy(check.account, at, str(error))
        except psycopg.OperationalError as error:
            raise CannotCheck(f"the rate budget can't be asked: {error}") from error
        took_ms = round((time.monotonic() - began) * 1000, 1)
    values, windows = quota(check.account)
    days_left = token_days_left(access, at)
    if days_left is not None:
        values["token_days_left"] = days_left
    detail = {"quota": windows, "simulated": access.simulated}
    return Reading({"response_ms": took_ms, **values}, detail=detail)


def token_days_left(access: AccountAccess, at: datetime) -> float | None:
    """How long the account's credentials last, where one of them is a JWT that says so; None where none is.

    n8n's API keys and Supabase's legacy keys are JWTs. Tokens that the connector renews by itself are not meant.
    """
    ends = [end for secret in access.secrets.values() if (end := _expiry(secret.get_secret_value())) is not None]
    return round((min(ends) - at) / timedelta(days=1), 2) if ends else None


def _expiry(secret: str) -> datetime | None:
    parts = secret.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    return datetime.fromtimestamp(end, UTC) if isinstance(end, int | float) else None


def quota(account: str) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The smallest shares left, in per cent, and each window with its limit and what is left of it."""
    rows = _query(LEFT, {"account": account})
    windows: dict[str, dict[str, float]] = {}
    values: dict[str, float] = {}
    for name, seconds, limit, left in rows:
        share = round(100 * max(0.0, float(left)) / limit, 1)
        windows[name] = {"limit": float(limit), "left": round(max(0.0, float(left)), 1), "seconds": float(seconds)}
        value = "quota_left" if seconds >= LONG_WINDOW else "burst_left"
        values[value] = min(share, values.get(value, 100.0))
    return values, windows


def _busy(account: str, at: datetime, said: str) -> Reading:
    values, windows = quota(account)
    detail = {"quota": windows, "asked": False}
    rows = _query(LAST_GOOD, {"account": account, "since": at - RECENT})
    last_good = rows[0][0] if rows else None
    no_time = {"response_ms": 0.0}
    if last_good is not None:
        message = (
            f"not asked, our own loads use the whole rate budget; they had a good answer at {last_good:%H:%M:%S} UTC"
        )
        return Reading({**no_time, **values}, message, detail=detail)
    return Reading({**no_time, **values}, degraded=f"nothing could be sent: {said}", detail=detail)


def _query(query: str, parameters: Mapping[str, object]) -> list[TupleRow]:
    """Nothing where there is no database: what is left is not known then."""
    try:
        with pool().connection() as connection:
            return connection.execute(query.encode(), parameters).fetchall()
    except (DatabaseUnavailable, psycopg.OperationalError):
        return []
