"""Migrations land once, in order, whole or not at all, and share their history with the Supabase CLI."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.database import migrations, server
from masterops_dagster.database.connection import connect
from masterops_dagster.database.migrations import MIGRATIONS, MigrationError, migrate, pending, read

FIRST, SECOND = "20260101000000_first.sql", "20260102000000_second.sql"
HISTORY = "select version, name, statements from supabase_migrations.schema_migrations order by version"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations; the second needs the first."""
    (tmp_path / FIRST).write_text("-- things\ncreate table thing (id int);\ninsert into thing values (1);\n")
    (tmp_path / SECOND).write_text("alter table thing add column name text default '100 %s';")
    return tmp_path


def rows(url: str, question: str) -> list[tuple[object, ...]]:
    with connect(url) as connection:
        return connection.execute(question.encode()).fetchall()


def test_migrations_land_in_order_and_only_once(empty_database_url: str, folder: Path) -> None:
    assert [migration.name for migration in pending(empty_database_url, folder)] == ["first", "second"]
    assert [migration.name for migration in migrate(empty_database_url, folder)] == ["first", "second"]
    assert migrate(empty_database_url, folder) == []
    assert rows(empty_database_url, "table thing") == [(1, "100 %s")]


def test_the_history_is_what_the_supabase_cli_would_have_written(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    assert rows(empty_database_url, HISTORY) == [
        ("20260101000000", "first", ["-- things\ncreate table thing (id int)", "insert into thing values (1)"]),
        ("20260102000000", "second", ["alter table thing add column name text default '100 %s'"]),
    ]
    columns = rows(
        empty_database_url,
        "select column_name, data_type, is_nullable from information_schema.columns"
        " where table_schema = 'supabase_migrations' order by ordinal_position",
    )
    assert columns == [("version", "text", "NO"), ("statements", "ARRAY", "YES"), ("name", "text", "YES")]


def test_a_failing_migration_leaves_nothing_and_names_its_statement(empty_database_url: str, folder: Path) -> None:
    (folder / SECOND).write_text("create table other ();\nselect 1,\n  nonsense\nfrom thing;")
    with pytest.raises(
        MigrationError, match=r"second\.sql failed at statement 2: .*nonsense.*\nline 2 of the statement"
    ):
        migrate(empty_database_url, folder)
    assert rows(empty_database_url, "select version from supabase_migrations.schema_migrations") == [
        ("20260101000000",)
    ]
    assert rows(empty_database_url, "select to_regclass('other')") == [(None,)]
    (folder / SECOND).write_text("create table other ();")
    assert [migration.name for migration in migrate(empty_database_url, folder)] == ["second"]


def test_two_runners_at_once_apply_each_migration_once(empty_database_url: str, folder: Path) -> None:
    (folder / FIRST).write_text("create table thing (id int); select pg_sleep(0.2);")
    landed: list[str] = []
    runners = [
        threading.Thread(target=lambda: landed.extend(m.name for m in migrate(empty_database_url, folder)))
        for _ in range(3)
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert sorted(landed) == ["first", "second"]


def test_a_migration_waits_for_a_table_in_use_without_making_others_wait_for_long(
    empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TABLE_WAIT", "200ms")
    migrate(empty_database_url, folder)
    (folder / "20260103000000_third.sql").write_text("alter table thing add column more text;")
    waits: list[float] = []
    with connect(empty_database_url) as load, connect(empty_database_url) as reader:
        with load.transaction():
            load.execute("insert into thing (id) values (2)")
            migrator = threading.Thread(target=migrate, args=(empty_database_url, folder))
            migrator.start()
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                begun = time.monotonic()
                reader.execute("select count(*) from thing")
                waits.append(time.monotonic() - begun)
                time.sleep(0.02)
            assert pending(empty_database_url, folder) != []
        migrator.join(20)
    assert 0.1 < max(waits) < 1.0
    assert pending(empty_database_url, folder) == []
    assert rows(empty_database_url, "select id, more from thing order by id") == [(1, None), (2, None)]


def test_a_table_that_is_never_free_is_told_with_who_has_it(
    empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TABLE_WAIT", "50ms")
    migrate(empty_database_url, folder)
    (folder / "20260103000000_third.sql").write_text("create table new (); alter table thing add column more text;")
    with connect(empty_database_url, application_name="masterops-load-shop") as load, load.transaction():
        load.execute("insert into thing (id) values (2)")
        with pytest.raises(MigrationError, match=r"third\.sql .*masterops-load-shop for \d+ s"):
            migrate(empty_database_url, folder, patience=0.2)
    assert rows(empty_database_url, "select to_regclass('new')") == [(None,)]


def test_a_landed_migration_that_was_edited_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    (folder / FIRST).write_text("create table thing (id bigint);")
    with pytest.raises(MigrationError, match=r"20260101000000_first\.sql was edited after it had landed"):
        migrate(empty_database_url, folder)


def test_white_space_around_statements_is_no_edit(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    (folder / SECOND).write_text("\n\n" + (folder / SECOND).read_text() + "\n\n")
    assert migrate(empty_database_url, folder) == []


def test_a_landed_migration_without_a_file_is_refused_as_the_cli_does(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    (folder / FIRST).unlink()
    with pytest.raises(MigrationError, match="no file has: 20260101000000"):
        migrate(empty_database_url, folder)


def test_a_new_migration_dated_before_a_landed_one_is_refused_as_the_cli_does(
    empty_database_url: str, folder: Path
) -> None:
    migrate(empty_database_url, folder)
    (folder / "20260101120000_late.sql").write_text("select 1;")
    with pytest.raises(MigrationError, match=r"late\.sql is dated before 20260102000000"):
        migrate(empty_database_url, folder)


def test_rows_that_the_cli_marked_as_applied_without_statements_are_accepted(
    empty_database_url: str, folder: Path
) -> None:
    with connect(empty_database_url) as connection:
        connection.execute("create schema supabase_migrations")
        connection.execute("create table supabase_migrations.schema_migrations (version text not null primary key)")
        connection.execute("insert into supabase_migrations.schema_migrations values ('20260101000000')")
        connection.execute("create table thing ()")
    assert [migration.name for migration in migrate(empty_database_url, folder)] == ["second"]
    assert pending(empty_database_url, folder) == []


def test_what_a_migration_sets_for_its_session_does_not_reach_the_next(empty_database_url: str, folder: Path) -> None:
    (folder / FIRST).write_text("create table thing (); select set_config('search_path', '', false);")
    assert len(migrate(empty_database_url, folder)) == 2


def test_a_file_with_a_name_that_the_cli_would_not_take_is_refused(folder: Path) -> None:
    (folder / "extra.sql").write_text("select 1;")
    with pytest.raises(MigrationError, match=r"extra\.sql is not named"):
        read(folder)


# ---- this repository's own


def test_business_time_is_real_time_plus_the_offset(database: psycopg.Connection[tuple[object, ...]]) -> None:
    assert database.execute("select ops.now() = now()").fetchone() == (True,)
    database.execute("insert into ops.clock (offset_seconds) values (86400)")
    assert database.execute("select ops.now() - now() = interval '1 day'").fetchone() == (True,)


def test_every_table_of_ours_says_what_it_is_for(database: psycopg.Connection[tuple[object, ...]]) -> None:
    silent = database.execute(
        "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = relnamespace"
        " where nspname in ('ops', 'core') and relkind in ('r', 'p') and not relispartition"
        " and obj_description(c.oid, 'pg_class') is null"
    ).fetchall()
    assert silent == []


def test_sql_knows_the_business_of_an_account_as_python_does(database: psycopg.Connection[tuple[object, ...]]) -> None:
    for account in ACCOUNTS:
        assert database.execute("select ops.business_of(%s)", [account.key]).fetchone() == (account.business_key,)


def test_policies_can_ask_who_is_asking_as_on_supabase(database: psycopg.Connection[tuple[object, ...]]) -> None:
    user = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
    asked = "select auth.uid()::text, auth.role(), auth.jwt() ->> 'email'"
    assert database.execute(asked).fetchone() == (None, None, None)
    with database.transaction():
        claims = f'{{"sub": "{user}", "role": "authenticated", "email": "a@b.example"}}'
        database.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        database.execute("set local role authenticated")
        assert database.execute(asked).fetchone() == (user, "authenticated", "a@b.example")


def test_where_supabase_has_been_nothing_is_created_and_no_privilege_is_needed(
    postgres_server: server.Server, empty_database_url: str
) -> None:
    """Roles exist in the cluster, `auth` has functions of its own, which stay, and the migrating role is ordinary."""
    with connect(empty_database_url) as connection:
        connection.execute("create schema auth")
        for name, kind in (("uid", "uuid"), ("role", "text"), ("jwt", "jsonb")):
            connection.execute(
                f"create function auth.{name}() returns {kind} language sql as 'select null::{kind}'".encode()
            )
        before = connection.execute("select proname, xmin::text from pg_proc where pronamespace = 'auth'::regnamespace")
        functions = sorted(before.fetchall())
        database = connection.info.dbname
        connection.execute("drop role if exists ordinary")
        connection.execute("create role ordinary login password 'ordinary' nosuperuser nocreaterole")
        connection.execute(sql.SQL("grant create on database {} to ordinary").format(sql.Identifier(database)))
    url = empty_database_url.replace(f"postgres:{postgres_server.password}", "ordinary:ordinary")
    assert len(migrate(url)) == len(read(MIGRATIONS))
    with connect(empty_database_url) as connection:
        after = connection.execute("select proname, xmin::text from pg_proc where pronamespace = 'auth'::regnamespace")
        assert sorted(after.fetchall()) == functions
        connection.execute("drop owned by ordinary cascade")
        connection.execute("drop role ordinary")


@pytest.mark.postgres15
def test_everything_lands_on_postgresql_15_too(postgres_15_server: server.Server) -> None:
    assert rows(postgres_15_server.url, "show server_version")[0][0].startswith("15.")  # type: ignore[attr-defined]
    migrate(postgres_15_server.url)
    assert pending(postgres_15_server.url) == []
    assert rows(postgres_15_server.url, "select ops.now() = now(), lower('ÄÖ')") == [(True, "äö")]
