"""The embedded database goes into a file and comes back whole, also into a later major version of PostgreSQL."""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from masterops_dagster import settings as settings_module
from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.main import app
from masterops_dagster.cli.up import require_the_rest
from masterops_dagster.database import backup, migrations, programs, server
from masterops_dagster.database.connection import connect
from masterops_dagster.settings import settings
from tests.conftest import postgres_15_programs


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of its own, whose database is the embedded one."""
    monkeypatch.setitem(settings_module.Settings.model_config, "env_file", None)
    for variable in ("SUPABASE_DB_URL", "DAGSTER_DB_URL", "MASTEROPS_POSTGRES_BIN_DIR"):
        monkeypatch.delenv(variable, raising=False)
    for account in ACCOUNTS:
        monkeypatch.delenv(f"{account.key}_ACCESS_TOKEN".upper(), raising=False)
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("MASTEROPS_STATE_DIR", str(folder))
    settings.cache_clear()
    yield folder
    for made in folder.glob("postgres*"):
        server.stop(made, mode="immediate")
        if programs.data_home(made).is_relative_to(programs.OUTSIDE):
            shutil.rmtree(programs.data_home(made))
    settings.cache_clear()


def run(*arguments: str, answer: str | None = None) -> Result:
    settings.cache_clear()
    return CliRunner().invoke(app, list(arguments), input=answer)


def fill(running: server.Server, rows: int = 500) -> None:
    migrations.migrate(running.url)
    with connect(running.url) as connection:
        connection.execute("create schema raw_shop")
        connection.execute(
            "create table raw_shop.orders as"
            " select n as id, 'Zoë 健康 ' || n as name, n * 1.005 as total from generate_series(1, %s) n",
            [rows],
        )
        connection.execute("create schema raw_shop_staging")
        connection.execute("create table raw_shop_staging.orders as table raw_shop.orders")
        connection.execute("create role report_reader login password 'pw'")
        connection.execute("grant select on raw_shop.orders to report_reader")
        connection.execute("insert into ops.cursors (account, stream, watermark) values ('shop', 'orders', now())")
    with connect(running.url_of("dagster")) as connection:
        connection.execute("create table runs as select 7 as id")


def content(running: server.Server) -> list[object]:
    with connect(running.url) as connection:
        found: list[object] = connection.execute("select * from raw_shop.orders order by id").fetchall()
        found += connection.execute("select account, stream, watermark from ops.cursors").fetchall()
        found += connection.execute("select version from supabase_migrations.schema_migrations order by 1").fetchall()
        found += connection.execute(
            "select has_table_privilege('report_reader', 'raw_shop.orders', 'select')"
        ).fetchall()
    with connect(running.url_of("dagster")) as connection:
        return [*found, *connection.execute("table runs").fetchall()]


def test_what_was_backed_up_while_it_ran_comes_back_and_what_came_later_is_kept_beside(state: Path) -> None:
    directory = state / "postgres"
    running = server.start(directory)
    fill(running)
    before = content(running)
    result = run("backup")
    assert result.exit_code == 0, result.output
    (archive,) = (state / "backups").iterdir()
    assert archive.stat().st_mode & 0o077 == 0
    with connect(running.url) as connection:
        connection.execute("delete from raw_shop.orders")
    refused = run("restore", str(archive), "--yes")
    assert refused.exit_code == 1
    assert "masterops down" in refused.output
    server.stop(directory)
    assert run("restore", str(archive), answer="n\n").exit_code == 1
    assert list(state.glob("postgres.*")) == []
    restored = run("restore", str(archive), answer="y\n")
    assert restored.exit_code == 0, restored.output
    (former,) = state.glob("postgres.before-*")
    assert content(server.start(directory)) == before
    with connect(server.start(former).url) as connection:
        assert connection.execute("select count(*) from raw_shop.orders").fetchone() == (0,)
    with connect(server.start(directory).url) as connection:
        assert connection.execute("select count(*) from raw_shop_staging.orders").fetchone() == (0,)
        assert migrations.pending(server.start(directory).url) == []


def test_a_backup_of_a_stopped_database_leaves_it_stopped(state: Path, tmp_path: Path) -> None:
    fill(server.start(state / "postgres"))
    server.stop(state / "postgres")
    assert run("backup", "--to", str(tmp_path / "x.backup")).exit_code == 0
    assert server.status(state / "postgres") is None
    twice = run("backup", "--to", str(tmp_path / "x.backup"))
    assert twice.exit_code == 1
    assert "is there already" in twice.output


def test_a_backup_is_one_moment_while_rows_come(state: Path, tmp_path: Path) -> None:
    running = server.start(state / "postgres")
    fill(running, rows=50_000)
    ended = threading.Event()

    def write() -> None:
        with connect(running.url) as connection:
            while not ended.is_set():
                connection.execute(
                    "insert into raw_shop.orders select -random(), 'late', 0 from generate_series(1, 100)"
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = backup.take(running, tmp_path / "x.backup")
    finally:
        ended.set()
        writer.join()
    made = tmp_path / "restored"
    assert backup.restore(tmp_path / "x.backup", made) == taken
    with connect(server.start(made).url) as connection:
        counted = connection.execute("select count(*) from raw_shop.orders").fetchone()
    server.stop(made, mode="immediate")
    assert counted == (taken.databases["masterops"].tables["raw_shop.orders"],)


def test_an_archive_that_is_cut_off_damaged_or_something_else_is_refused(state: Path, tmp_path: Path) -> None:
    fill(server.start(state / "postgres"))
    good = tmp_path / "good.backup"
    backup.take(server.start(state / "postgres"), good)
    whole = good.read_bytes()
    with zipfile.ZipFile(good) as pieces:
        place = pieces.getinfo("masterops.dump").header_offset + 2000
    for name, wrong in {
        "cut off": whole[: len(whole) // 2],
        "damaged": whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
        "something else": b"select 1;",
    }.items():
        (tmp_path / name).write_bytes(wrong)
        with pytest.raises(backup.BackupFailed, match=r"cut off|damaged|no backup"):
            backup.check(tmp_path / name)
    with pytest.raises(backup.BackupFailed, match="there is no"):
        backup.check(tmp_path / "nothing")


def test_a_database_elsewhere_is_not_ours_to_back_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_DB_URL", "postgresql://postgres@db.example.com/postgres")
    for command in (["backup"], ["restore", "x", "--yes"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "SUPABASE_DB_URL" in result.output


@pytest.mark.postgres15
def test_the_way_from_one_major_version_to_the_next_is_told_and_works(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_programs = postgres_15_programs()
    running = server.start(state / "postgres", bin_dir=old_programs)
    fill(running)
    before = content(running)
    server.stop(state / "postgres")
    with pytest.raises(server.ServerFailed, match=r"(?s)made by PostgreSQL 15.*masterops backup.*masterops restore"):
        require_the_rest()
    monkeypatch.setenv("MASTEROPS_POSTGRES_BIN_DIR", str(old_programs))
    archive = tmp_path / "before.backup"
    assert run("backup", "--to", str(archive)).exit_code == 0
    monkeypatch.delenv("MASTEROPS_POSTGRES_BIN_DIR")
    result = run("restore", str(archive), "--yes")
    assert result.exit_code == 0, result.output
    assert server.made_by(state / "postgres") == 18
    require_the_rest()
    assert content(server.start(state / "postgres")) == before
    back = tmp_path / "back.backup"
    assert run("backup", "--to", str(back)).exit_code == 0
    with pytest.raises(backup.BackupFailed, match="can't go into 15"):
        backup.restore(back, tmp_path / "fifteen", bin_dir=old_programs)
