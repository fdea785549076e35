"""Shared fixtures: a real PostgreSQL per test process, a migrated database per test, a state folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg
import pytest
import trustme
from graphql import GraphQLSchema, build_client_schema
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster import settings as settings_module
from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.database import connection, migrations, server
from masterops_dagster.observability.logging import stop_recording
from masterops_dagster.observability.recorder import close_own
from masterops_dagster.simulator.world.store import World
from tests import dbt_in_process
from tests.made_once import made_once
from tests.published_schemas import HOW_TO_GET_IT, shopify_introspection
from tests.stand_ins import StandIns, start_stand_ins

if TYPE_CHECKING:
    from tests.refreshing import Platform

TEMPLATE = "migrated"
MEMORY = Path("/dev/shm")
PLENTY = 4 * 2**30
POSTGRES_15 = "MASTEROPS_TEST_POSTGRES_15_BIN_DIR"
POSTGRES_15_PLACES = (
    Path("/usr/lib/postgresql/15/bin"),
    Path("/usr/pgsql-15/bin"),
    Path("/opt/homebrew/opt/postgresql@15/bin"),
)


def postgres_15_programs() -> Path | None:
    """The folder of PostgreSQL 15's programs on this machine, or None."""
    named = os.environ.get(POSTGRES_15)
    places = (Path(named),) if named else POSTGRES_15_PLACES
    return next((place for place in places if (place / "postgres").exists()), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests whose programs are not installed; the summary says which and what to install."""
    if postgres_15_programs() is None:
        left_out = [item for item in items if item.get_closest_marker("postgres15")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)
    if "real_n8n" not in str(config.getoption("markexpr")):  # minutes and gigabytes: only where it is asked for
        left_out = [item for item in items if item.get_closest_marker("real_n8n")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)

    items.sort(key=lambda item: _place_in_line(item.path.stem))  # stable: within a file nothing moves


LONGEST = ("test_up_life", "test_numbers_are_true")
"""The two files that take longest come first, beside others that mostly wait: their workers must not end last."""

LEFT_OUT = pytest.StashKey[int]()


def _place_in_line(file: str) -> int:
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what was left out."""
    if config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{config.stash[LEFT_OUT]} tests left out: PostgreSQL 15 was not found. Install it (Debian: apt-get "
            f"install postgresql-15) or name the folder of its programs in {POSTGRES_15}."
        )


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """The embedded server of this test process, with the template database, migrated, in it."""
    with _quick_folder(tmp_path_factory) as folder:
        running = server.start(folder / "server")
        _forgo_durability(running)
        _create_database(running, TEMPLATE)
        migrations.migrate(running.url_of(TEMPLATE))
        yield running
        server.stop(folder / "server", mode="immediate")


@pytest.fixture(scope="session")
def postgres_15_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """A server of PostgreSQL 15, the oldest that is supported; for tests marked `postgres15`."""
    directory = tmp_path_factory.mktemp("postgres15") / "server"
    yield server.start(directory, bin_dir=postgres_15_programs())
    server.stop(directory, mode="immediate")


@dataclass(frozen=True)
class Databases:
    """Databases for tests that need more than one."""

    running: server.Server

    @contextmanager
    def copied(self, template: str | None = None) -> Iterator[str]:
        """The URL of a copy of a database to which nobody is connected, by name; of a migrated one without it."""
        yield from _fresh_database(self.running, template or TEMPLATE)


@pytest.fixture(scope="session")
def databases(postgres_server: server.Server) -> Databases:
    return Databases(postgres_server)


@pytest.fixture(scope="module")
def doomed_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Databases on a server of a module's own, which may be killed; what is committed there is on the disk."""
    directory = tmp_path_factory.mktemp("doomed") / "server"
    running = server.start(directory)
    _create_database(running, TEMPLATE)
    migrations.migrate(running.url_of(TEMPLATE))
    yield Databases(running)
    server.stop(directory, mode="immediate")


@pytest.fixture
def database_url(postgres_server: server.Server) -> Iterator[str]:
    """The URL of a migrated database that only this test uses."""
    yield from _fresh_database(postgres_server, TEMPLATE)


@pytest.fixture(scope="module")
def module_database_url(postgres_server: server.Server) -> Iterator[str]:
    """The URL of a migrated database that the tests of a module share; dbt may build in it."""
    yield from _fresh_database(postgres_server, TEMPLATE, dbt_in_process.DATABASE)


@pytest.fixture
def empty_database_url(postgres_server: server.Server) -> Iterator[str]:
    """The URL of a database without any migration."""
    yield from _fresh_database(postgres_server, "template1")


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """An autocommitting connection to this test's database."""
    with connection.connect(database_url) as opened:
        yield opened


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Path]:
    """A state folder of this test's own; settings point to it and to this test's database, and to no real account."""
    yield from _state(tmp_path / "state", database_url, monkeypatch)


@pytest.fixture(scope="module")
def platform(
    small_world: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A small world behind stand-ins, a database, and all that leads from the one to the other; nothing is read yet."""
    from tests.refreshing import platform_on  # and with it half of the package

    with pytest.MonkeyPatch.context() as patch:
        for state in _state(tmp_path_factory.mktemp("platform") / "state", module_database_url, patch):
            shutil.copytree(small_world / "world", state / "world")
            with platform_on(state, module_database_url, patch, tmp_path_factory) as ready:
                yield ready


def _state(directory: Path, database_url: str, patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings point to a new state folder and a database as long as this is not exhausted."""
    directory.mkdir(mode=0o700)
    _forget_accounts(patch)
    patch.setenv("MASTEROPS_STATE_DIR", str(directory))
    patch.setenv("SUPABASE_DB_URL", database_url)
    settings_module.settings.cache_clear()
    yield directory
    _end_recording()
    connection.close_pools()
    settings_module.settings.cache_clear()


def _end_recording() -> None:
    """What later tests say must not go into another database, least of all into that of a platform that runs here."""
    stop_recording()
    close_own(timeout=1)


def _forget_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes `.env` and every variable of an account away, so that no test can reach a real system."""
    monkeypatch.setitem(settings_module.Settings.model_config, "env_file", None)
    prefixes = tuple(f"{account.key}_".upper() for account in ACCOUNTS)
    for name in list(os.environ):
        if name.upper().startswith((*prefixes, "MASTEROPS_", "DAGSTER_DB_URL")):
            monkeypatch.delenv(name)


@contextmanager
def _quick_folder(temporary: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is plenty: a copy of a database is hundreds of files, a tenth of the cost there."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > PLENTY:
        with TemporaryDirectory(prefix="masterops-test-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    else:
        yield temporary.mktemp("postgres")


def _forgo_durability(running: server.Server) -> None:
    """Data that nobody will miss need not reach the disk; `test_database_server.py` tests that ours do."""
    with connection.connect(running.url_of("postgres")) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        admin.execute("select pg_reload_conf()")


def _fresh_database(running: server.Server, template: str, name: str = "") -> Iterator[str]:
    name = name or f"test_{os.urandom(6).hex()}"
    _create_database(running, name, template)
    yield running.url_of(name)
    with connection.connect(running.url_of("postgres")) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _create_database(running: server.Server, name: str, template: str = "template1") -> None:
    with connection.connect(running.url_of("postgres")) as admin:
        command = sql.SQL("create database {} template {} strategy file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        admin.execute(command)


# ---- the stand-ins for the outside systems


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a small world in it, to be copied."""
    return made_once(tmp_path_factory, "small_world", _small_world)


def _small_world(state: Path) -> None:
    state.mkdir(mode=0o700)
    World.open(state / "world", scale=0.05).close()


@pytest.fixture(scope="session")
def running_stand_ins(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIns]:
    """One process for all tests of this test process."""
    state = tmp_path_factory.mktemp("stand_ins") / "state"
    shutil.copytree(small_world, state)
    running = start_stand_ins(state)
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture
def stand_ins(running_stand_ins: StandIns) -> Iterator[StandIns]:
    """Stand-ins without faults, with limits out of reach; what a test puts in force ends with it."""
    running_stand_ins.calm()
    yield running_stand_ins
    running_stand_ins.calm()


@pytest.fixture(scope="session")
def stand_ins_over_tls(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIns]:
    """Stand-ins behind TLS; whoever trusts `authority.pem` in their state folder trusts them."""
    state = tmp_path_factory.mktemp("stand_ins_over_tls") / "state"
    shutil.copytree(small_world, state)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(state / "authority.pem")
    certificate.private_key_pem.write_to_path(state / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(state / "cert.pem")
    running = start_stand_ins(state, "--tls-cert", str(state / "cert.pem"), "--tls-key", str(state / "key.pem"))
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture
def connected(stand_ins: StandIns, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """Settings lead to the stand-ins, at a pace that suits a test."""
    monkeypatch.setenv("MASTEROPS_WOOCOMMERCE_REQUESTS_PER_SECOND", "1000")
    monkeypatch.setenv("MASTEROPS_N8N_REQUESTS_PER_SECOND", "1000")
    monkeypatch.setenv("MASTEROPS_HUBSPOT_SEARCH_REQUESTS_PER_SECOND", "1000")
    (state_dir / "world").mkdir(exist_ok=True)
    for name in ("endpoints.json", "clock.json"):
        if (stand_ins.world_dir / name).exists():
            shutil.copy(stand_ins.world_dir / name, state_dir / "world" / name)
    settings_module.settings.cache_clear()
    return stand_ins


@pytest.fixture(scope="session")
def published_shopify_schema() -> GraphQLSchema:
    """Shopify's Admin schema as it publishes it; what needs it is left out where neither npm nor the file is there."""
    introspection = shopify_introspection()
    if introspection is None:
        pytest.skip(f"Shopify's published schema isn't here: {HOW_TO_GET_IT}")
    return build_client_schema(introspection)  # type: ignore[arg-type]
