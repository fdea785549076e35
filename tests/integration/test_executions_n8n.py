"""n8n's executions, as its raw tables hold them, among all that ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from masterops_dagster.observability.executions import n8n

AT = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)

TABLES = """
create schema raw_n8n;
create table raw_n8n.workflows (id text, name text);
create table raw_n8n.executions (
    id bigint primary key, workflow_id text, status text, mode text, started_at timestamptz, stopped_at timestamptz,
    modified_at timestamptz, wait_till timestamptz, retry_of text,
    _deleted_at timestamptz, _loaded_at timestamptz, _load_id bigint
);
insert into raw_n8n.workflows values ('w1', 'Orders to Slack')
"""
ENDED = """
select execution_id, name, status, error, error_class, duration_ms::int, started_at
from ops.workflow_execution_logs where source = 'n8n' order by started_at
"""
RUNNING = "select execution_id, status, started_at from ops.running_executions where source = 'n8n'"


@pytest.fixture
def raw(database, state_dir) -> psycopg.Connection:
    for statement in TABLES.split(";"):
        database.execute(statement)
    return database


def loaded(raw: psycopg.Connection, seen_at: datetime, *executions: tuple[int, str, datetime, float | None]) -> None:
    """One load, that saw these executions: id, status, begin, seconds."""
    (load_id,) = raw.execute(
        "insert into ops.loads (account, stream, kind, status) values ('n8n', 'executions', 'live', 'succeeded')"
        " returning load_id"
    ).fetchone()
    for number, status, begun, seconds in executions:
        stopped = None if seconds is None else begun + timedelta(seconds=seconds)
        raw.execute(
            "insert into raw_n8n.executions values (%(id)s, 'w1', %(status)s, 'trigger', %(begun)s, %(stopped)s,"
            " %(modified)s, null, null, null, %(seen)s, %(load)s) on conflict (id) do update set"
            " status = excluded.status, stopped_at = excluded.stopped_at, _load_id = excluded._load_id,"
            " _loaded_at = excluded._loaded_at",
            {"id": number, "status": status, "begun": begun, "stopped": stopped, "modified": stopped or begun}
            | {"seen": seen_at, "load": load_id},
        )


def take_over(raw: psycopg.Connection, at: datetime) -> tuple[int, int]:
    with raw.transaction():
        return n8n.take_over(raw, at)


def test_an_execution_is_taken_over_once_however_often_it_is_loaded(raw):
    minute = timedelta(minutes=1)
    first, second = (1, "success", AT - 9 * minute, 2.5), (2, "error", AT - 5 * minute, 1.0)
    loaded(raw, AT, first, second)
    assert take_over(raw, AT) == (2, 0)
    assert take_over(raw, AT) == (0, 0)
    loaded(raw, AT, first, second, (3, "canceled", AT - 3 * minute, 0.5))
    assert take_over(raw, AT) == (1, 0)
    assert raw.execute(ENDED).fetchall() == [
        ("1", "Orders to Slack", "succeeded", False, None, 2500, AT - 9 * minute),
        ("2", "Orders to Slack", "failed", True, "ExecutionError", 1000, AT - 5 * minute),
        ("3", "Orders to Slack", "cancelled", False, None, 500, AT - 3 * minute),
    ]


def test_what_was_running_when_last_seen_counts_as_running_as_long_again(raw):
    begun = AT - timedelta(minutes=61)
    loaded(raw, AT, (1, "running", begun, None), (2, "running", AT - timedelta(minutes=1), None))
    assert take_over(raw, AT) == (0, 2)
    assert take_over(raw, AT + timedelta(minutes=11)) == (0, 1)
    assert raw.execute(RUNNING).fetchall() == [("1", "running", begun)]
    later = AT + timedelta(minutes=60)
    loaded(raw, later, (1, "success", begun, 3700), (2, "success", AT - timedelta(minutes=1), 70))
    assert take_over(raw, later) == (2, 0)
    assert raw.execute(RUNNING).fetchall() == []


def test_the_stand_ins_moments_are_put_back_to_real_time(raw, state_dir):
    raw.execute("insert into ops.origins (account, origin, simulated) values ('n8n', 'stand-in world', true)")
    (state_dir / "world").mkdir()
    (state_dir / "world" / "clock.json").write_text('{"offset_seconds": 864000}')
    ahead = timedelta(days=10)
    loaded(raw, AT + ahead, (1, "success", AT + ahead - timedelta(minutes=2), 2.5))
    take_over(raw, AT)
    assert [row[-1] for row in raw.execute(ENDED)] == [AT - timedelta(minutes=2)]


def test_before_n8n_was_ever_read_there_is_nothing(database, state_dir):
    assert take_over(database, AT) == (0, 0)
