"""One round of health checks: those that are due are made, and their results and states written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from masterops_dagster.clock import business_day
from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.looking import CheckResult, look
from masterops_dagster.observability.health.maintenance import maintenance
from masterops_dagster.observability.health.reading import Probe
from masterops_dagster.observability.health.state import State
from masterops_dagster.observability.health.uptime import BUCKET_BOUNDS_MS, bucket
from masterops_dagster.observability.leases import Lease

Connection = psycopg.Connection[TupleRow]

EARLY = timedelta(seconds=3)
"""Rounds don't come to the second: what is due so soon is made in this one, or at a fifth of its `every`."""

DUE = "select check_id, next_check_at from ops.health_states where check_id = any(%s)"
ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('ops.health_states', 0))"
"""A state counts on the one before, and the first has no row yet that could be locked."""
STATES = """
select check_id, status, since, failures, successes, detail, first_failure_at, last_ok_at
from ops.health_states
where check_id = any(%s)
"""
FORGET = "delete from ops.health_states where check_id <> all(%s)"
KEEP_RESULT = """
insert into ops.health_checks (
    checked_at, error, check_id, system, account, business_key, outcome, response_ms, message, excused, checked_by,
    detail
)
values (
    %(at)s, %(error)s, %(check_id)s, %(system)s, %(account)s, %(business_key)s, %(outcome)s, %(response_ms)s,
    %(message)s, %(excused)s, %(holder)s, %(detail)s
)
"""
KEEP_STATE = """
insert into ops.health_states (
    check_id, system, account, business_key, status, since, failures, successes, first_failure_at, last_checked_at,
    last_ok_at, next_check_at, response_ms, message, detail
)
values (
    %(check_id)s, %(system)s, %(account)s, %(business_key)s, %(status)s, %(since)s, %(failures)s, %(successes)s,
    %(first_failure_at)s, %(at)s, %(last_ok_at)s, %(next_check_at)s, %(response_ms)s, %(message)s, %(state_detail)s
)
on conflict (check_id) do update set
    system = excluded.system,
    account = excluded.account,
    business_key = excluded.business_key,
    status = excluded.status,
    since = excluded.since,
    failures = excluded.failures,
    successes = excluded.successes,
    first_failure_at = excluded.first_failure_at,
    last_checked_at = excluded.last_checked_at,
    last_ok_at = excluded.last_ok_at,
    next_check_at = excluded.next_check_at,
    response_ms = excluded.response_ms,
    message = excluded.message,
    detail = excluded.detail
"""
COUNT = """
insert into ops.health_days as known (check_id, day, checks, failed, excused, response_buckets)
values (%(check_id)s, %(day)s, 1, %(failed)s, %(excused_count)s, %(buckets)s)
on conflict (check_id, day) do update set
    checks = known.checks + excluded.checks,
    failed = known.failed + excluded.failed,
    excused = known.excused + excluded.excused,
    response_buckets = coalesce(
        (
            select array_agg(coalesce(here, 0) + coalesce(there, 0) order by place)
            from unnest(known.response_buckets, excluded.response_buckets) with ordinality as sums (here, there, place)
        ),
        '{}'
    )
"""


def run_due(
    connection: Connection,
    checks: Sequence[Check],
    at: datetime,
    *,
    holder: str,
    probes: Mapping[str, Probe] | None = None,
    lease: Lease | None = None,
    force: bool = False,
) -> list[CheckResult]:
    """Makes the checks that are due at a moment of real time, and keeps what came of it; returns the results.

    `checks` are all that there are: states of others are forgotten. With `force` these are made, due or not, and
    others stay as they are. With a `lease` nothing is kept unless it still holds: raises `LeaseLost`.
    """
    results = look(list(checks) if force else _due(connection, checks, at), at, probes)
    with connection.transaction():
        if lease is not None:
            lease.require(connection)
        connection.execute(ONE_AT_A_TIME)
        if not force:
            connection.execute(FORGET, [[check.id for check in checks]])
        windows = maintenance(connection, at)
        results = [replace(one, excused=any(window.covers(one.check) for window in windows)) for one in results]
        _keep(connection, results, holder)
    return results


def _due(connection: Connection, checks: Sequence[Check], at: datetime) -> list[Check]:
    """Those never made, and those whose moment has come; the next moment is never further away than `every`."""
    ids = [check.id for check in checks]
    next_check: dict[str, datetime] = {row[0]: row[1] for row in connection.execute(DUE, [ids])}
    return [
        check
        for check in checks
        if check.id not in next_check or not at < next_check[check.id] - min(EARLY, check.every / 5) <= at + check.every
    ]


def _keep(connection: Connection, results: Sequence[CheckResult], holder: str) -> None:
    rows = {row[0]: row[1:] for row in connection.execute(STATES, [[one.check.id for one in results]])}
    written = [_row(one, _known(rows.get(one.check.id), one.checked_at), holder) for one in results]
    with connection.cursor() as cursor:
        cursor.executemany(KEEP_RESULT, written)
        cursor.executemany(KEEP_STATE, written)
        cursor.executemany(COUNT, [row for row in written if row["outcome"] != "broken"])


def _known(row: TupleRow | None, at: datetime) -> State:
    """The state so far; `unknown` before the first result."""
    if row is None:
        return State("unknown", at)
    status, since, failures, successes, detail, first_failure_at, last_ok_at = row
    in_a_row = detail.get("in_a_row", {})
    return State(
        status,
        since,
        failures,
        successes,
        well=in_a_row.get("ok", 0),
        degraded=in_a_row.get("degraded", 0),
        broken=in_a_row.get("broken", 0),
        first_failure_at=first_failure_at,
        last_ok_at=last_ok_at,
    )


def _row(result: CheckResult, before: State, holder: str) -> dict[str, object]:
    check, at, outcome = result.check, result.checked_at, result.outcome
    state = before.after(outcome, at, check)
    in_a_row = {"ok": state.well, "degraded": state.degraded, "broken": state.broken}
    failed = outcome in ("failed", "timed_out")
    buckets = [0] * (len(BUCKET_BOUNDS_MS) + 1)
    if result.response_ms is not None and not result.excused:
        buckets[bucket(result.response_ms)] = 1
    return {
        "at": at,
        "day": business_day(at),
        "error": outcome not in ("ok", "degraded"),
        "check_id": check.id,
        "system": check.system,
        "account": check.account,
        "business_key": check.business_key,
        "outcome": outcome,
        "response_ms": result.response_ms,
        "message": result.message,
        "excused": result.excused,
        "holder": holder,
        # a hundred thousand results a day: of those that are ok only what can be measured stays
        "detail": Jsonb({"values": result.detail.get("values", {})} if outcome == "ok" else dict(result.detail)),
        "status": state.status,
        "since": state.since,
        "failures": state.failures,
        "successes": state.successes,
        "first_failure_at": state.first_failure_at,
        "last_ok_at": state.last_ok_at,
        "next_check_at": state.next_check_at(outcome, at, check),
        "state_detail": Jsonb({**result.detail, "outcome": outcome, "what": check.what, "in_a_row": in_a_row}),
        "failed": int(failed and not result.excused),
        "excused_count": int(result.excused),
        "buckets": buckets,
    }
