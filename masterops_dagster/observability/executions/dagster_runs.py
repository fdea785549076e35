"""Runs and steps out of Dagster's own storage, by plain SQL: importing Dagster takes seconds.

Steps are taken over as they end, runs once they have ended. The position is the highest `runs.id` that was looked at;
runs that had not ended by then stand in `ops.running_executions` and are looked at again. Since ids are given out
before they are committed, a few before the position are looked at again, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
from psycopg.rows import TupleRow, class_row

from masterops_dagster.observability.executions import books
from masterops_dagster.observability.executions.belonging import account_of, common_account
from masterops_dagster.observability.executions.books import Connection, Running
from masterops_dagster.observability.executions.execution import Execution, Status
from masterops_dagster.observability.executions.failures import Failure, own_error, storable
from masterops_dagster.settings import settings

Storage = psycopg.Connection[TupleRow]

SOURCE = "dagster"
AT_ONCE = 300
"""Runs in one harvest: the first one of an old installation goes in bites."""
LOOKED_AT_AGAIN = 50

UNENDED = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "SUSPENDED", "CANCELING")
ENDED: Mapping[str, Status] = {"SUCCESS": "succeeded", "FAILURE": "failed", "CANCELED": "cancelled"}
WRAPPERS = ("IngestFailed",)
"""Errors that sum up others of the same run, each of which was logged by itself."""
TAGS = (
    *("dagster/schedule_name", "dagster/sensor_name", "dagster/backfill", "dagster/partition", "dagster/parent_run_id"),
    *("dagster/retry_number", "dagster/max_runtime", "masterops/kind"),
)

NEWEST = "select coalesce(max(id), 0) from runs"
LOOK = """
select
    runs.id,
    runs.run_id,
    coalesce(runs.pipeline_name, '') as job,
    runs.status,
    runs.start_time,
    runs.end_time,
    runs.create_timestamp::timestamptz as created_at,
    last_event.id as last_event_id,
    last_event.timestamp as last_event_at,
    coalesce(
        (select jsonb_object_agg(key, value) from run_tags where run_id = runs.run_id and key = any(%(tags)s)),
        '{}'
    ) as tags
from runs
left join lateral (
    select id, timestamp from event_logs where run_id = runs.run_id order by id desc limit 1
) as last_event on true
where runs.id in (
    (
        select id from runs
        where id > %(position)s and (end_time is null or end_time > %(oldest)s)
        order by id
        limit %(at_once)s
    )
    union
    select id from runs where run_id = any(%(known)s)
    union
    select id from runs where id > %(again)s and id <= %(position)s and (end_time is null or end_time > %(recently)s)
)
order by runs.id
"""
STEPS = """
select
    id,
    run_id,
    coalesce(step_key, '') as step,
    dagster_event_type as type,
    timestamp,
    case when dagster_event_type in ('STEP_FAILURE', 'STEP_UP_FOR_RETRY', 'PIPELINE_FAILURE') then event end as event
from event_logs
where run_id = any(%(runs)s) and dagster_event_type = any(%(types)s)
order by run_id, id
"""
STEP_EVENTS: Mapping[str, Status | None] = {
    "STEP_START": None,
    "STEP_RESTARTED": None,
    "STEP_SUCCESS": "succeeded",
    "STEP_FAILURE": "failed",
    "STEP_UP_FOR_RETRY": "failed",
    "STEP_SKIPPED": "skipped",
}
RUN_FAILED = "PIPELINE_FAILURE"

PROGRESS = """
select max(moment)
from (
    select greatest(max(started_at), max(finished_at)) as moment from ops.loads where dagster_run_id = %(run_id)s
    union all
    select max(occurred_at) from ops.api_metrics where run_id = %(run_id)s and occurred_at > %(since)s
) as moments
"""
LOGGED = """
select error_class
from ops.integration_logs
where run_id = %(run_id)s and error and error_class is not null and (account = %(account)s or %(account)s::text is null)
and occurred_at >= %(since)s
order by occurred_at desc
limit 1
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A row of Dagster's `runs`, and the last event of that run, whose moment is UTC without saying so.

    Dagster lets the database write `created_at` in the time zone of the connection, which is the server's as ours is.
    """

    id: int
    run_id: str
    job: str
    status: str
    start_time: float | None
    end_time: float | None
    created_at: datetime
    last_event_id: int | None
    last_event_at: datetime | None
    tags: dict[str, str]

    @property
    def started_at(self) -> datetime:
        """When it began, or was asked for if it never did."""
        if self.start_time is not None:
            return datetime.fromtimestamp(self.start_time, UTC)
        return self.created_at

    @property
    def ended_at(self) -> datetime:
        """When it ended; the last event's moment where Dagster didn't write that down."""
        if self.end_time is not None:
            return max(datetime.fromtimestamp(self.end_time, UTC), self.started_at)
        return max(self.last_event_at.replace(tzinfo=UTC), self.started_at) if self.last_event_at else self.started_at

    @property
    def attempt(self) -> int:
        """1, or more where Dagster started a lost run again."""
        return int(self.tags.get("dagster/retry_number", "0")) + 1


@dataclass(frozen=True, slots=True)
class Event:
    """A row of `event_logs`; `event` is its JSON where it tells of a failure."""

    id: int
    run_id: str
    step: str
    type: str
    timestamp: datetime
    event: str | None

    @property
    def at(self) -> datetime:
        return self.timestamp.replace(tzinfo=UTC)

    @property
    def failure(self) -> Failure:
        """What the event says of the error; its own message if it names none."""
        said: dict[str, Any] = json.loads(self.event or "{}").get("dagster_event") or {}
        data = said.get("event_specific_data") or {}
        return own_error(data.get("error")) or Failure(None, said.get("message") or "")


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt of a step; without a status it has not ended."""

    key: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None = None
    status: Status | None = None
    failure: Failure | None = None


def take_over(connection: Connection, storage: Storage, at: datetime) -> tuple[int, int]:
    """Writes down what ended and what runs. Returns how many of each."""
    locked = books.lock(connection, SOURCE, at)
    if locked is None:
        return 0, 0
    position = resumed(storage, NEWEST, locked)
    known = books.known_running(connection, SOURCE)
    looked_at = _look(storage, position, list(known), at)
    taken = books.recorded(connection, SOURCE, [(run.run_id, run.started_at) for run in looked_at])
    runs = [run for run in looked_at if run.run_id not in taken]
    moved = [run for run in runs if run.status in ENDED or _has_moved(run, known)]
    steps = _steps(storage, [run.run_id for run in moved])
    ended: list[Execution] = []
    for run in moved:
        of_run, last_words = steps.get(run.run_id, ([], None))
        done = [_of_step(connection, run, step) for step in _closed(run, of_run)]
        ended += done
        if run.status in ENDED:
            ended.append(_of_run(run, done, last_words))
    running = [
        _of_running(connection, run, known, steps.get(run.run_id, ([], None))[0], at)
        for run in runs
        if run.status in UNENDED
    ]
    rows = books.store(connection, ended)
    books.keep_running(connection, SOURCE, running, known)
    highest = max((run.id for run in looked_at), default=0)
    if highest > position:
        books.move(connection, SOURCE, str(highest), at)
    return rows, len(running)


def resumed(storage: Storage, newest: str, position: str) -> int:
    """Where to go on: from the beginning at first, and where the newest is older than the position: a new storage."""
    row = storage.execute(newest).fetchone()
    assert row is not None
    reached = int(position or 0)
    return reached if row[0] >= reached else 0


def _look(storage: Storage, position: int, known: Sequence[str], at: datetime) -> list[Run]:
    with storage.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            LOOK,
            {
                "position": position,
                "again": position - LOOKED_AT_AGAIN,
                "recently": (at - timedelta(hours=1)).timestamp(),
                "oldest": (at - timedelta(days=settings().telemetry_retention_days)).timestamp(),
                "known": list(known),
                "at_once": AT_ONCE,
                "tags": list(TAGS),
            },
        ).fetchall()


def _has_moved(run: Run, known: Mapping[str, tuple[datetime | None, dict[str, Any]]]) -> bool:
    return run.run_id not in known or known[run.run_id][1].get("last_event_id") != run.last_event_id


def _steps(storage: Storage, runs: Sequence[str]) -> dict[str, tuple[list[Step], Failure | None]]:
    """By run: the attempts of its steps, and what Dagster said of the run's own failure."""
    if not runs:
        return {}
    found: dict[str, tuple[list[Step], Failure | None]] = {}
    with storage.cursor(row_factory=class_row(Event)) as cursor:
        events = cursor.execute(STEPS, {"runs": list(runs), "types": [*STEP_EVENTS, RUN_FAILED]}).fetchall()
    for run_id, of_run in groupby(events, lambda event: event.run_id):
        listed = list(of_run)
        last_words = next((event.failure for event in listed if event.type == RUN_FAILED), None)
        by_step = sorted((event for event in listed if event.step and event.type != RUN_FAILED), key=lambda e: e.step)
        attempts = [one for key, of_step in groupby(by_step, lambda e: e.step) for one in _attempts(key, of_step)]
        found[run_id] = attempts, last_words
    return found


def _attempts(key: str, events: Iterable[Event]) -> list[Step]:
    attempts: list[Step] = []
    begun: datetime | None = None
    for event in events:
        status = STEP_EVENTS[event.type]
        if status is None:
            begun = event.at
            continue
        failure = event.failure if status == "failed" else None
        attempts.append(Step(key, len(attempts) + 1, begun or event.at, event.at, status, failure))
        begun = None
    if begun is not None:
        attempts.append(Step(key, len(attempts) + 1, begun))
    return attempts


def _closed(run: Run, steps: Iterable[Step]) -> list[Step]:
    """The attempts that ended, those included that the end of their run cut off."""
    closed = [step for step in steps if step.status is not None]
    if run.status in ENDED:
        cut: Status = "cancelled" if run.status == "CANCELED" else "failed"
        why = Failure("RunEnded", "the run ended before the step did")
        closed += [
            Step(step.key, step.attempt, step.started_at, max(run.ended_at, step.started_at), cut, why)
            for step in steps
            if step.status is None
        ]
    return closed


def _of_step(connection: Connection, run: Run, step: Step) -> Execution:
    owner = account_of(step.key)
    failure = _unwrapped(connection, run, step, owner.key if owner else None)
    assert step.status is not None
    assert step.ended_at is not None
    return Execution(
        started_at=step.started_at,
        error=step.status == "failed",
        source="dagster",
        kind="step",
        name=step.key,
        execution_id=f"{run.run_id}/{step.key}",
        parent_id=run.run_id,
        system=owner.system if owner else None,
        account=owner.key if owner else None,
        business_key=owner.business_key if owner else None,
        status=step.status,
        attempt=step.attempt,
        ended_at=step.ended_at,
        duration_ms=(step.ended_at - step.started_at).total_seconds() * 1000,
        error_class=failure.error_class if failure else None,
        error_message=storable(failure.message) if failure else None,
        detail={"job": run.job},
    )


def _of_run(run: Run, steps: Sequence[Execution], last_words: Failure | None) -> Execution:
    """A failed run names the error, and the account, of the step that failed first and did not come right."""
    status = ENDED[run.status]
    last_tries = {step.name: step for step in steps}.values()
    failed = sorted(
        (step for step in last_tries if step.status == "failed"), key=lambda step: step.ended_at or run.ended_at
    )
    owner = common_account(step.name for step in (failed if status == "failed" and failed else steps))
    if status != "failed":
        failure = None
    elif failed:
        failure = Failure(failed[0].error_class, failed[0].error_message or "")
    else:
        failure = last_words or Failure(None, "Dagster does not say why")
    return Execution(
        started_at=run.started_at,
        error=status == "failed",
        source="dagster",
        kind="run",
        name=run.job,
        execution_id=run.run_id,
        system=owner.system if owner else None,
        account=owner.key if owner else None,
        business_key=owner.business_key if owner else None,
        status=status,
        attempt=run.attempt,
        ended_at=run.ended_at,
        duration_ms=(run.ended_at - run.started_at).total_seconds() * 1000,
        error_class=failure.error_class if failure else None,
        error_message=storable(failure.message) if failure else None,
        detail={"steps": len(last_tries), "failed_steps": [step.name for step in failed], "tags": run.tags},
    )


def _unwrapped(connection: Connection, run: Run, step: Step, account: str | None) -> Failure | None:
    """A load's own error says only that streams failed: which error that was stands in its log."""
    if step.failure is None or step.failure.error_class not in WRAPPERS:
        return step.failure
    row = connection.execute(
        LOGGED, {"run_id": run.run_id, "account": account, "since": step.started_at - timedelta(minutes=1)}
    ).fetchone()
    return Failure(row[0], step.failure.message) if row else step.failure


def _of_running(
    connection: Connection,
    run: Run,
    known: Mapping[str, tuple[datetime | None, dict[str, Any]]],
    steps: Sequence[Step],
    at: datetime,
) -> Running:
    """What runs now, with the steps that it is at; progress is an event, a load or a request."""
    before, detail = known.get(run.run_id, (None, {}))
    since = max(filter(None, (before, run.started_at, at - timedelta(days=1))))
    row = connection.execute(PROGRESS, {"run_id": run.run_id, "since": since}).fetchone()
    of_event = run.last_event_at.replace(tzinfo=UTC) if run.last_event_at else run.started_at
    if _has_moved(run, known):
        detail = {
            "last_event_id": run.last_event_id,
            "steps": [step.key for step in steps if step.status is None],
            "tags": run.tags,
        }
    owner = common_account(detail.get("steps", []))
    return Running(
        source=SOURCE,
        execution_id=run.run_id,
        kind="run",
        name=run.job,
        status=run.status.lower(),
        started_at=run.started_at,
        last_progress_at=max(filter(None, (of_event, row[0] if row else None))),
        seen_at=at,
        system=owner.system if owner else None,
        account=owner.key if owner else None,
        business_key=owner.business_key if owner else None,
        detail=json.dumps(detail),
    )
