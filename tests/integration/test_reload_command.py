"""`masterops reload`, `reset-cursor` and what `status`, `doctor` and `refresh` say of held-back deletions, as typed."""

from __future__ import annotations

import io

import psycopg
import pytest
from psycopg.rows import TupleRow
from rich.console import Console
from typer.testing import CliRunner

from masterops_dagster.businesses import account
from masterops_dagster.cli import doctor, status
from masterops_dagster.cli.main import app
from masterops_dagster.cli.processes import places
from masterops_dagster.cli.refresh import accept
from masterops_dagster.cli.view import View
from masterops_dagster.settings import settings
from masterops_dagster.sources import deletions
from masterops_dagster.sources.ingest import ingest
from tests.in_memory_system import InMemorySystem, Resource
from tests.stand_ins import StandIns

Database = psycopg.Connection[TupleRow]

SHOP = account("woocommerce_red_hill_fresh")
ORDERS = "select count(*) from raw_woocommerce_red_hill_fresh.orders where _deleted_at is null"


def masterops(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def loaded(connected: StandIns) -> StandIns:
    ingest(SHOP, ["orders"])
    return connected


def test_a_stream_is_read_anew_whole_and_for_some_days(loaded: StandIns, database: Database) -> None:
    (before,) = database.execute(ORDERS).fetchone() or (0,)
    database.execute("update raw_woocommerce_red_hill_fresh.orders set status = 'spoilt'")
    (day,) = database.execute(
        "select max(date_created_at at time zone 'Australia/Melbourne')::date"
        " from raw_woocommerce_red_hill_fresh.orders"
    ).fetchone() or (None,)
    said = masterops("reload", "orders", "--account", SHOP.key, "--from", str(day), "--to", str(day))
    assert f"{SHOP.key} orders: " in said
    assert said.endswith("`masterops refresh` builds on it\n")
    (spoilt,) = database.execute(f"{ORDERS} and status = 'spoilt'").fetchone() or (0,)
    assert 0 < spoilt < before
    masterops("reload", "orders", "--account", SHOP.key)
    assert database.execute(f"{ORDERS} and status = 'spoilt'").fetchone() == (0,)
    assert database.execute(ORDERS).fetchone() == (before,)


def test_a_cursor_is_reset_and_where_it_stood_is_told(loaded: StandIns) -> None:
    said = masterops("reset-cursor", "order_lines", "--account", SHOP.key, "--to", "2026-03-01T08:00")
    assert said.startswith(
        f"{SHOP.key} orders: the next load reads what was modified since 2026-03-01 08:00 (it stood at"
    )
    said = masterops("reset-cursor", "orders", "--account", SHOP.key)
    assert "the next load reads everything (it stood at 2026-03-01 08:00)" in said
    assert "(it had none)" in masterops("reset-cursor", "orders", "--account", SHOP.key)


def test_held_back_deletions_show_and_are_agreed_to(loaded: StandIns, database: Database) -> None:
    (held,) = database.execute(ORDERS).fetchone() or (0,)
    emptied = InMemorySystem()
    emptied.resources["orders"] = Resource("id", "date_modified_gmt", "date_created_gmt")
    ingest(SHOP, ["orders"], reader=emptied)
    assert database.execute(ORDERS).fetchone() == (held,)
    said = (
        f"{SHOP.key} orders: the system says that {held} of {held} rows are gone; they are kept until somebody agrees"
    )
    assert [one.said for data in status.ages() for one in data.held_back] == [said]
    found = {finding.subject: finding for finding in doctor.database(places())}
    assert found["deletions"].said == said
    assert "`masterops refresh --accept-deletions`" in found["deletions"].advice

    told = Console(file=io.StringIO(), width=200)
    with View(told) as view:
        accept([SHOP], view)
        accept([account("hubspot")], view)
    assert isinstance(told.file, io.StringIO)
    assert f"agreed: {SHOP.key} orders: {held} of {held} rows may go" in told.file.getvalue()
    assert "no deletions are held back" in told.file.getvalue()
    ingest(SHOP, ["orders"], reader=emptied)
    assert database.execute(ORDERS).fetchone() == (0,)
    assert deletions.held(database, [SHOP]) == []
    assert database.execute("select action, detail from ops.interventions").fetchall() == [
        ("accept-deletions", {"rows": held, "of": held})
    ]


def test_doctor_says_that_an_account_with_credentials_holds_simulated_rows(
    loaded: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in loaded.endpoint(SHOP.key).items():
        monkeypatch.setenv(f"{SHOP.key}_{name}".upper(), value)
    settings.cache_clear()
    found = {finding.subject: finding for finding in doctor.database(places())}
    assert found["origins"].said == f"{SHOP.key} has credentials, and its rows are simulated"
    assert found["origins"].advice == f"`masterops go-live {SHOP.key}`"
