"""What a person gets for input that can't work, as it is typed: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster.businesses import account
from masterops_dagster.cli.main import app
from masterops_dagster.database.connection import close_pools, connect
from masterops_dagster.settings import settings
from masterops_dagster.simulator.world.store import World
from masterops_dagster.sources import raw_tables

Database = psycopg.Connection[TupleRow]
Refused = Callable[..., str]

TEELIXIR = account("unleashed_teelixir")


@pytest.fixture
def refused(state_dir: Path) -> Refused:
    """Runs `masterops …`; returns what it says, which is one line for a person and no traceback."""

    def run(*arguments: str, status: int = 2) -> str:
        settings.cache_clear()
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == status, (done.output, done.exception)
        assert isinstance(done.exception, SystemExit)
        said = done.stderr.strip()
        assert said.startswith("masterops: ")
        assert len(said.splitlines()) == 1, said
        return said.removeprefix("masterops: ")

    return run


@pytest.fixture
def on_database(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Points the settings to another database."""

    def point(url: str) -> None:
        monkeypatch.setenv("SUPABASE_DB_URL", url)
        settings.cache_clear()
        close_pools()

    return point


# ---- settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MASTEROPS_WEBSERVER_PORT", "many"),
        ("MASTEROPS_ENV", "prod"),
        ("MASTEROPS_HISTORY_START", "2025-13-01"),
        ("MASTEROPS_DELETIONS_HELD_PERCENT", "120"),
        ("MASTEROPS_REQUEST_TIMEOUT_SECONDS", "soon"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_named_with_its_value(
    variable: str, value: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    said = refused("status", status=1)
    assert said.startswith(f"settings are wrong: {variable} is {value!r}: ")


def test_a_secret_of_the_wrong_kind_is_named_without_its_value(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_DB_URL", "mysql://root:hunter2@db/shop")
    said = refused("kpi", status=1)
    assert "SUPABASE_DB_URL" in said
    assert "postgresql://" in said
    assert "hunter2" not in said


# ---- names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kpi", "--business", "telixir"], "unknown business 'telixir': did you mean 'teelixir'? known: group, "),
        (["refresh", "--business", "Teelixir"], "unknown business 'Teelixir': did you mean 'teelixir'? known: "),
        (["refresh", "--system", "hubspots"], "unknown system 'hubspots': did you mean 'hubspot'? known: "),
        (["kpi", "--grain", "monthly"], "unknown grain 'monthly': did you mean 'month'? known: day, "),
        (["reload", "sales_order"], "unknown stream 'sales_order': did you mean 'sales_orders'? known: "),
        (["reload", "orders"], "orders is a stream of several accounts; add --account shopify_teelixir | "),
        (
            ["reload", "orders", "--account", "unleashed_teelixir"],
            "unknown stream of unleashed_teelixir 'orders': did you mean 'sales_orders'? known: ",
        ),
        (["reset-cursor", "deals", "--account", "hubspto"], "unknown account 'hubspto': did you mean 'hubspot'? known"),
        (["go-live", "shopify-teelixir"], "unknown account 'shopify-teelixir': did you mean 'shopify_teelixir'? known"),
        (["dead-letters", "list", "--account", "nobody"], "unknown account 'nobody'; known: hubspot, "),
        (["dead-letters", "list", "--stream", "contact"], "unknown stream 'contact': did you mean 'contacts'? known: "),
    ],
)
def test_a_name_that_there_is_not_gets_the_nearest_one(arguments: list[str], said: str, refused: Refused) -> None:
    assert refused(*arguments).startswith(said)


# ---- windows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2026-03-02", "--to", "2026-03-01"], "--from 2026-03-02 is after --to 2026-03-01: turn them round"),
        (["--from", "2026-03-02", "--to", "2999-01-01"], "--to 2999-01-01 is in the future; today is "),
        (["--from", "2026-03-02"], "days need both --from and --to"),
        (["--from", "2/3/2026", "--to", "2026-03-03"], "--from '2/3/2026' is no day; write it as 2026-03-01"),
    ],
)
def test_a_window_that_is_none_is_refused_before_anything_is_read(
    arguments: list[str], said: str, refused: Refused
) -> None:
    assert refused("reload", "deals", *arguments).startswith(said)


def test_a_cursor_is_not_put_into_the_future(refused: Refused) -> None:
    assert refused("reset-cursor", "deals", "--to", "2999-01-01").startswith("--to 2999-01-01 is in the future")
    assert refused("reset-cursor", "deals", "--to", "soon").startswith("--to 'soon' is no moment like 2026-03-01T17:30")


def test_figures_of_a_reversed_window_are_refused(refused: Refused) -> None:
    assert refused("kpi", "--from", "2026-03-02", "--to", "2026-03-01") == "--from 2026-03-02 is after --to 2026-03-01"


def test_days_of_a_snapshot_can_not_be_read_again_and_why(refused: Refused) -> None:
    said = refused(
        *("reload", "stock_on_hand", "--account", "unleashed_teelixir", "--from", "2026-03-01", "--to", "2026-03-02"),
        status=1,
    )
    assert "stock_on_hand can't be backfilled: it is a snapshot, the system only tells its present state" in said
    assert "is known only if it was read on that day" in said
    said = refused("reset-cursor", "stock_on_hand", "--account", "unleashed_teelixir", status=1)
    assert "has no cursor: it is read whole each time" in said


# ---- an export file


@pytest.fixture
def world(state_dir: Path, small_world: Path) -> Path:
    directory = state_dir / "world"
    directory.mkdir(exist_ok=True)
    (directory / "world.sqlite").write_bytes((small_world / "world" / "world.sqlite").read_bytes())
    return directory


HEADER = (
    "order_number,ordered_at,shipped_at,customer_email,customer_name,sku,product_name,category,quantity,line_total,"
    "line_cost,tax_rate,status"
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Order,Date,Total\n1,2026-01-01,5\n", "export.csv has the wrong columns (missing: 'order_number', "),
        (HEADER.replace(",", ";").encode(), "export.csv has the wrong columns ("),
        (
            f"{HEADER}\n1,2026-01-01,,a@b.example,Zo\xeb\n".encode("latin-1"),
            "export.csv is not UTF-8: byte 0xeb in line 2",
        ),
        (HEADER.encode("utf-16"), "export.csv is not UTF-8: byte 0xff in line 1; save it as UTF-8 CSV"),
        (b"PK\x03\x04\x14\x00\x06\x00\xb8sheet1.xml", "export.csv is not UTF-8: byte 0xb8 in line 1"),
        (b"", "export.csv has the wrong columns (missing: "),
        (f"{HEADER}\n".encode(), "export.csv has no rows below its header"),
    ],
    ids=["other columns", "semicolons", "latin-1", "utf-16", "a spreadsheet", "empty", "header only"],
)
def test_an_export_file_that_is_none_is_refused_and_the_world_stays_as_it_was(
    content: bytes, said: str, refused: Refused, world: Path, tmp_path: Path
) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(content)
    before = orders(world)
    assert refused("world", "import", str(file), "--business", "red_hill_fresh").startswith(said)
    assert orders(world) == before > 0


def test_a_business_that_there_is_not_can_not_be_imported_into(refused: Refused, world: Path, tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(HEADER)
    said = refused("world", "import", str(file), "--business", "red_hill")
    assert said.startswith("unknown business 'red_hill': did you mean 'red_hill_fresh'? known: ")


def test_a_system_that_there_is_not_can_not_misbehave_or_be_calmed(refused: Refused, world: Path) -> None:
    assert refused("world", "misbehave", "hubspott", "--kind", "latency").startswith("unknown system 'hubspott'")
    assert refused("world", "misbehave", "hubspot", "--kind", "sulk").startswith(
        "unknown kind 'sulk'; known: rate_limit"
    )
    assert refused("world", "calm", "hubspott").startswith("unknown system 'hubspott'; known: hubspot")


def orders(directory: Path) -> int:
    world = World(directory)
    try:
        return world.count("woocommerce_red_hill_fresh", "orders")
    finally:
        world.close()


# ---- the database


def test_a_database_that_is_too_old_is_refused_before_anything_starts(
    refused: Refused, on_database: Callable[[str], None], database_url: str, state_dir: Path
) -> None:
    with presenting_itself_as(database_url, "14.9") as url:
        on_database(url)
        said = refused("up", "--detach", status=1)
    assert said == "PostgreSQL 15 or later is needed; this server is 14"
    assert not (state_dir / "supervisor").exists()


def test_a_role_without_rights_is_told_which_it_lacks(
    refused: Refused, on_database: Callable[[str], None], empty_database_url: str
) -> None:
    with a_role(empty_database_url) as url:
        on_database(url)
        said = refused("up", "--detach", status=1)
    assert said.startswith("the role a_reader may not create schemas in the database test_")
    assert said.endswith("to a_reader")


def test_a_role_that_may_not_read_is_told_in_one_line(
    refused: Refused, on_database: Callable[[str], None], database_url: str
) -> None:
    with a_role(database_url) as url:
        on_database(url)
        said = refused("kpi", status=1)
        assert "make up" in said or "permission denied" in said
        said = refused("reset-cursor", "deals", status=1)
    assert said.startswith("the database refuses: permission denied for ")


def test_somebody_elses_schema_of_our_name_is_refused_and_stays(
    refused: Refused, on_database: Callable[[str], None], empty_database_url: str
) -> None:
    with connect(empty_database_url) as theirs:
        theirs.execute("create schema ops; create table ops.loads (lorry text)")
    on_database(empty_database_url)
    said = refused("up", "--detach", status=1)
    assert "has a schema ops that no migration of masterops made: use a database of its own" in said
    with connect(empty_database_url) as theirs:
        assert theirs.execute("select count(*) from ops.loads").fetchone() == (0,)


def test_somebody_elses_table_among_the_raw_ones_is_refused_and_stays(refused: Refused, database: Database) -> None:
    database.execute("create schema raw_unleashed_teelixir; create table raw_unleashed_teelixir.invoices (paid text)")
    said = refused("reset-cursor", "invoices", "--account", "unleashed_teelixir", status=1)
    assert said.startswith("raw_unleashed_teelixir.invoices has no column guid, its key: it is no table of masterops")
    columns = database.execute("select * from raw_unleashed_teelixir.invoices").description or []
    assert [column.name for column in columns] == ["paid"]


def test_a_column_of_another_type_is_named(refused: Refused, database: Database) -> None:
    raw_tables.prepare(database, TEELIXIR)
    database.execute("alter table raw_unleashed_teelixir.invoices alter column total type text")
    said = refused("reset-cursor", "invoices", "--account", "unleashed_teelixir", status=1)
    assert said.startswith("raw_unleashed_teelixir.invoices.total is text and its stream declares numeric(24,6)")


def test_a_migration_edited_after_it_landed_is_named_with_what_to_do(
    refused: Refused, database: Database, state_dir: Path
) -> None:
    database.execute(
        "update supabase_migrations.schema_migrations set statements = array['select 1'] where name = 'ops'"
    )
    said = refused("up", "--detach", status=1)
    assert said.startswith("20261124000200_ops.sql was edited after it had landed: restore it")
    assert not (state_dir / "supervisor").exists()


def test_a_database_that_is_not_there_is_named_without_its_password(
    refused: Refused, on_database: Callable[[str], None]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        on_database(f"postgresql://someone:hunter2@127.0.0.1:{free.getsockname()[1]}/shop")
        said = refused("reset-cursor", "deals", status=1)
    assert said.startswith("no database at 127.0.0.1:")
    assert "hunter2" not in said


@contextmanager
def presenting_itself_as(url: str, version: str) -> Iterator[str]:
    """The same server, through a relay that gives it another version number. Gives a URL of the relay."""
    parts = conninfo_to_dict(url)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((str(parts["host"]), int(str(parts["port"]))))
            threading.Thread(target=relay, args=(client, server, bytes), daemon=True).start()
            threading.Thread(target=relay, args=(server, client, renamed), daemon=True).start()

    def renamed(sent: bytes) -> bytes:
        name = b"server_version\0"
        at = sent.find(name)
        if at < 0:
            return sent
        end = sent.index(b"\0", at + len(name)) + 1
        value = name + version.encode() + b"\0"
        return sent[: at - 4] + (len(value) + 4).to_bytes(4, "big") + value + sent[end:]

    def relay(source: socket.socket, target: socket.socket, changed: Callable[[bytes], bytes]) -> None:
        with source, target, suppress(OSError):  # whichever way ends first closes both
            while sent := source.recv(65536):
                target.sendall(changed(sent))

    threading.Thread(target=serve, daemon=True).start()
    options = "sslmode=disable&gssencmode=disable"
    user, password, name = parts["user"], parts["password"], parts["dbname"]
    yield f"postgresql://{user}:{password}@127.0.0.1:{listener.getsockname()[1]}/{name}?{options}"
    listener.close()


@contextmanager
def a_role(url: str) -> Iterator[str]:
    """A role that may connect and nothing else; gone afterwards. Gives a URL with it."""
    with connect(url) as owner:
        owner.execute("create role a_reader login password 'reads'")
        parts = conninfo_to_dict(url)
        yield f"postgresql://a_reader:reads@{parts['host']}:{parts['port']}/{parts['dbname']}"
        owner.execute("drop role a_reader")
