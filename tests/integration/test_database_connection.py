"""Connections say what is wrong, keep passwords to themselves and come back after a cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from masterops_dagster.database.connection import (
    DatabaseUnavailable,
    connect,
    location,
    pool,
    through_transaction_pooler,
)


def test_a_connection_commits_each_statement_unless_grouped(database_url: str) -> None:
    with connect(database_url) as one, connect(database_url) as another:
        one.execute("create table seen ()")
        assert another.execute("select to_regclass('seen')::text").fetchone() == ("seen",)


def test_no_database_is_reported_with_its_place_and_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"no database at 127\.0\.0\.1:1/masterops") as refused:
        connect("postgresql://someone:hunter2@127.0.0.1:1/masterops")
    assert "hunter2" not in str(refused.value)


def test_a_process_has_one_pool_and_a_cut_connection_is_replaced(state_dir: Path) -> None:
    assert pool() is pool()
    with pool().connection() as connection:
        pid = connection.info.backend_pid
    with connect() as admin:
        admin.execute("select pg_terminate_backend(%s)", [pid])
    with pool().connection() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_forked_process_gets_a_pool_of_its_own(state_dir: Path) -> None:
    parent = pool()
    child = os.fork()
    if child == 0:
        os._exit(0 if pool() is not parent else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_prepared_statements_are_off_through_the_transaction_pooler_only() -> None:
    assert through_transaction_pooler("postgresql://u:p@aws-0.pooler.supabase.com:6543/postgres")
    assert not through_transaction_pooler("postgresql://u:p@aws-0.pooler.supabase.com:5432/postgres")
    assert location("postgresql://u:p@db.example.com/postgres") == "db.example.com:5432/postgres"
