"""What ran in Dagster is taken over from its storage: every run, step and tick once, with what went wrong."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test, instance_for_test
from dagster._utils.error import SerializableErrorInfo
from psycopg import sql

from masterops_dagster.connectors.errors import AuthenticationError
from masterops_dagster.database.connection import connect
from masterops_dagster.observability import executions
from masterops_dagster.observability.executions import books

pytestmark = pytest.mark.usefixtures("state_dir")

RUNS = """
select kind, name, execution_id, status, attempt, error, error_class, account, business_key, parent_id
from ops.workflow_execution_logs where source = 'dagster' order by kind desc, name, attempt
"""


class IngestFailed(Exception):
    """Sums up what the log says in full, as the one of `sources.ingest` does."""


@dg.op(name="unleashed_teelixir_by_day")
def refused() -> None:
    raise AuthenticationError(
        "no such key password=hunter2hunter2", system="unleashed", account="unleashed_teelixir", operation="orders"
    )


@dg.op(name="hubspot_whole")
def loads() -> None:
    pass


@dg.op(name="shopify_teelixir_whole", retry_policy=dg.RetryPolicy(max_retries=1))
def comes_right(context: dg.OpExecutionContext) -> None:
    if context.retry_number == 0:
        raise IngestFailed("shopify_teelixir: 1 of 3 streams failed")


@dg.job
def refresh() -> None:
    refused()
    loads()
    comes_right()


@pytest.fixture(scope="module")
def storage_url(databases) -> Iterator[str]:
    """Dagster's storage, on a server whose clocks show Melbourne's time."""
    with databases.copied("template1") as url:
        with connect(url) as storage:
            name = sql.Identifier(storage.info.dbname)
            storage.execute(sql.SQL("alter database {} set timezone to 'Australia/Melbourne'").format(name))
        yield url


@pytest.fixture(scope="module")
def instance(storage_url: str) -> Iterator[dg.DagsterInstance]:
    with instance_for_test(overrides={"storage": {"postgres": {"postgres_url": storage_url}}}) as made:
        yield made


@pytest.fixture(scope="module")
def run_id(instance: dg.DagsterInstance) -> str:
    """One run with three steps: one fails, one succeeds, one at its second try."""
    return refresh.execute_in_process(instance=instance, raise_on_error=False).run_id


def harvest(database: psycopg.Connection, storage_url: str, at: datetime | None = None) -> executions.Harvested:
    done = executions.harvest(database, at or datetime.now(UTC), dagster_url=storage_url)
    assert done.problems == []
    return done


def test_a_run_and_its_steps_are_taken_over_once_with_the_error_that_was_their_own(database, storage_url, run_id):
    database.execute(
        "insert into ops.integration_logs (occurred_at, error, level, logger, event, account, run_id, error_class)"
        " values (clock_timestamp(), true, 'error', 'x', 'a stream could not be loaded', 'shopify_teelixir', %s,"
        " 'Unavailable')",
        [run_id],
    )
    assert harvest(database, storage_url).rows == 5
    assert harvest(database, storage_url).rows == 0
    rows = database.execute(RUNS).fetchall()
    assert rows == [
        ("step", "hubspot_whole", f"{run_id}/hubspot_whole", "succeeded", 1, False, None, "hubspot", None, run_id),
        *(
            (
                *("step", "shopify_teelixir_whole", f"{run_id}/shopify_teelixir_whole", status, attempt),
                *(status == "failed", error_class, "shopify_teelixir", "teelixir", run_id),
            )
            for attempt, status, error_class in ((1, "failed", "Unavailable"), (2, "succeeded", None))
        ),
        (
            *("step", "unleashed_teelixir_by_day", f"{run_id}/unleashed_teelixir_by_day", "failed", 1, True),
            *("AuthenticationError", "unleashed_teelixir", "teelixir", run_id),
        ),
        ("run", "refresh", run_id, "failed", 1, True, "AuthenticationError", "unleashed_teelixir", "teelixir", None),
    ]
    (message,) = database.execute(
        "select error_message from ops.workflow_execution_logs where name like 'unleashed%'"
    ).fetchone()
    assert message.startswith("unleashed_teelixir: orders: no such key")
    assert "hunter2" not in message
    told = (
        "select bool_and(ended_at >= started_at and duration_ms >= 0),"
        " bool_and(started_at between clock_timestamp() - interval '10 minutes' and clock_timestamp())"
        " from ops.workflow_execution_logs"
    )
    assert database.execute(told).fetchone() == (True, True)


def test_what_runs_stands_among_the_running_until_it_has_ended(database, storage_url, instance, run_id):
    harvest(database, storage_url)
    begun = create_run_for_test(instance, job_name="sweep", status=DagsterRunStatus.STARTED)
    queued = create_run_for_test(instance, job_name="refresh", status=DagsterRunStatus.NOT_STARTED)
    database.execute(
        "insert into ops.loads (account, stream, kind, dagster_run_id, started_at)"
        " values ('hubspot', 'contacts', 'live', %s, clock_timestamp() + interval '1 minute')",
        [begun.run_id],
    )
    assert harvest(database, storage_url).running == 2
    running = (
        "select execution_id, name, status, last_progress_at > seen_at, seen_at - started_at < '1 minute'"
        " from ops.running_executions order by name"
    )
    assert database.execute(running).fetchall() == [
        (queued.run_id, "refresh", "not_started", False, True),
        (begun.run_id, "sweep", "started", True, True),
    ]
    instance.report_run_failed(begun, "the process is gone")
    instance.report_run_canceled(queued)
    assert harvest(database, storage_url).rows == 2
    assert database.execute(running).fetchall() == []
    ended = (
        "select execution_id, status, error_message from ops.workflow_execution_logs"
        " where execution_id = any(%s) order by name"
    )
    assert database.execute(ended, [[begun.run_id, queued.run_id]]).fetchall() == [
        (queued.run_id, "cancelled", None),
        (begun.run_id, "failed", "the process is gone"),
    ]


def test_two_harvests_at_once_and_one_killed_in_the_middle_leave_each_execution_once(
    database, database_url, storage_url, run_id, monkeypatch
):
    with connect(database_url) as killed, killed.transaction(force_rollback=True):
        executions.dagster_runs.take_over(killed, psycopg.connect(storage_url), datetime.now(UTC))
        assert killed.execute("select count(*) > 0 from ops.workflow_execution_logs").fetchone() == (True,)
    assert database.execute("select count(*) from ops.workflow_execution_logs").fetchone() == (0,)

    store = books.store
    monkeypatch.setattr(books, "store", lambda *given: (time.sleep(0.2), store(*given))[1])
    begin = threading.Barrier(2)

    def one() -> None:
        with connect(database_url) as mine:
            begin.wait()
            executions.harvest(mine, datetime.now(UTC), dagster_url=storage_url)

    both = [threading.Thread(target=one) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    twice = "select execution_id, attempt from ops.workflow_execution_logs group by 1, 2 having count(*) > 1"
    assert database.execute(twice).fetchall() == []
    assert database.execute("select count(*) from ops.workflow_execution_logs where kind = 'step'").fetchone() == (4,)


def test_ticks_that_failed_or_requested_runs_are_kept_and_every_tick_of_a_schedule(database, storage_url, instance):
    at = datetime.now(UTC)

    def tick(name: str, status: TickStatus, kind: InstigatorType = InstigatorType.SENSOR, **more: object):
        return instance.create_tick(TickData("origin", name, kind, status, at.timestamp(), selector_id=name, **more))

    error = SerializableErrorInfo("ValueError: bad cursor\n", [], "ValueError")
    wrapper = SerializableErrorInfo("Error in sensor\n", [], "SensorExecutionError", cause=error)
    wrapped = SerializableErrorInfo("dagster.DagsterError: no\n", [], "DagsterUserCodeProcessError", cause=wrapper)
    for _ in range(3):
        tick("monitoring", TickStatus.SKIPPED)
        tick("monitoring", TickStatus.SUCCESS, run_ids=[])
    tick("monitoring", TickStatus.FAILURE, error=wrapped)
    tick("inbox", TickStatus.SUCCESS, run_ids=["a run"])
    tick("nightly_sweep", TickStatus.SKIPPED, InstigatorType.SCHEDULE, skip_reason="nothing to do")
    going = tick("hourly_refresh", TickStatus.STARTED, InstigatorType.SCHEDULE)
    tick("inbox", TickStatus.SUCCESS, run_ids=["another"])

    ticks = (
        "select kind, name, status, error_class, abs(extract(epoch from started_at - %s)) < 0.01"
        " from ops.workflow_execution_logs where kind in ('sensor', 'schedule')"
        " order by length(execution_id), execution_id"
    )
    assert harvest(database, storage_url).rows >= 4
    before = database.execute(ticks, [at]).fetchall()
    assert before == [
        ("sensor", "monitoring", "failed", "ValueError", True),
        ("sensor", "inbox", "succeeded", None, True),
        ("schedule", "nightly_sweep", "skipped", None, True),
        ("sensor", "inbox", "succeeded", None, True),
    ]
    instance.update_tick(going.with_status(TickStatus.SUCCESS, end_timestamp=at.timestamp() + 1, run_ids=["a third"]))
    assert harvest(database, storage_url).rows == 1
    assert ("schedule", "hourly_refresh", "succeeded", None, True) in database.execute(ticks, [at]).fetchall()
    assert harvest(database, storage_url).rows == 0


def test_a_storage_that_cannot_be_reached_is_a_problem_and_leaves_what_is_known(database, storage_url, instance):
    create_run_for_test(instance, job_name="sweep", status=DagsterRunStatus.STARTED)
    harvest(database, storage_url)
    before = database.execute("select execution_id from ops.running_executions").fetchall()
    done = executions.harvest(database, datetime.now(UTC), dagster_url="postgresql://nobody@127.0.0.1:9/dagster")
    (problem,) = done.problems
    assert problem.startswith("Dagster's storage could not be read: DatabaseUnavailable: no database at 127.0.0.1:9")
    assert database.execute("select execution_id from ops.running_executions").fetchall() == before
    assert before


def test_a_harvest_with_nothing_new_asks_little(database, storage_url, run_id):
    harvest(database, storage_url)
    took = []
    for _ in range(5):
        began = time.thread_time()
        harvest(database, storage_url)
        took.append(time.thread_time() - began)
    assert min(took) < 0.05


def test_a_new_storage_of_dagster_is_read_from_its_beginning(database, storage_url, run_id):
    database.execute(
        "insert into ops.harvests (source, position) values ('dagster', '5000'), ('dagster ticks', '5000')"
    )
    assert harvest(database, storage_url).rows >= 5


def test_what_ended_before_telemetry_is_kept_is_left_out(database, storage_url, run_id):
    assert harvest(database, storage_url, datetime.now(UTC) + timedelta(days=120)).rows == 0
