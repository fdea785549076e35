"""An account moves from the stand-in world to real credentials by itself, and rows of two origins never mix.

A stand-in that is reached by credentials in the environment counts as real: nothing else tells the two apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster.businesses import ACCOUNTS, Account, account
from masterops_dagster.cli.main import app
from masterops_dagster.connectors.registry import open_connector
from masterops_dagster.settings import settings
from masterops_dagster.sources.ingest import ingest
from masterops_dagster.sources.origins import STAND_IN, ForeignRows, rows_held
from tests.stand_ins import StandIns

Database = psycopg.Connection[TupleRow]

HUBSPOT = account("hubspot")
TEELIXIR = account("unleashed_teelixir")
ELEVATE = account("unleashed_elevate_wholesale")
SHOP = account("woocommerce_red_hill_fresh")
ORIGIN = "select origin, simulated from ops.origins where account = %s"

GoLive = Callable[..., None]


@pytest.fixture
def credentials(connected: StandIns, monkeypatch: pytest.MonkeyPatch) -> GoLive:
    """Sets an account's credentials in the environment, by default its own at the stand-in."""

    def give(of: Account, whose: Account | None = None) -> None:
        endpoints = json.loads(settings().world_endpoints_file.read_text())
        for name, value in endpoints[(whose or of).key].items():
            monkeypatch.setenv(f"{of.key}_{name}".upper(), value)
        settings.cache_clear()

    return give


def masterops(*arguments: str, answer: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), input=answer)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (HUBSPOT, r"HubSpot portal \d+"),
        (TEELIXIR, "Unleashed account [0-9a-f]{12}"),
        (SHOP, r"shop 127\.0\.0\.1:\d+/woocommerce/red_hill_fresh"),
    ],
    ids=["hubspot", "unleashed", "woocommerce"],
)
def test_a_system_says_whose_account_it_is(of: Account, said: str, connected: StandIns) -> None:
    with open_connector(settings().access(of), settings()) as connector:
        identity = connector.identity()
        assert connector.identity() == identity
    assert re.fullmatch(said, identity)


def test_two_accounts_of_one_system_are_told_apart(connected: StandIns) -> None:
    found = set()
    for of in (TEELIXIR, ELEVATE):
        with open_connector(settings().access(of), settings()) as connector:
            found.add(connector.identity())
    assert len(found) == 2


def test_a_first_load_is_remembered_as_simulated_or_by_the_systems_own_name(
    credentials: GoLive, database: Database
) -> None:
    ingest(SHOP, ["products"])
    assert database.execute(ORIGIN, [SHOP.key]).fetchone() == (STAND_IN, True)
    credentials(HUBSPOT)
    ingest(HUBSPOT, ["owners"])
    origin = database.execute(ORIGIN, ["hubspot"]).fetchone()
    assert origin is not None
    assert origin[0].startswith("HubSpot portal ")
    assert origin[1] is False


def test_real_credentials_do_not_load_onto_simulated_rows(credentials: GoLive, database: Database) -> None:
    ingest(HUBSPOT, ["owners"])
    before = rows_held(database, HUBSPOT)
    credentials(HUBSPOT)
    with pytest.raises(
        ForeignRows, match=r"holds rows of the stand-in world.*HubSpot portal.*`masterops go-live hubspot`"
    ):
        ingest(HUBSPOT, ["owners"])
    assert rows_held(database, HUBSPOT) == before
    status, said = masterops("reload", "owners", "--account", "hubspot")
    assert (status, "Traceback" in said) == (1, False)


def test_the_stand_in_does_not_answer_for_an_account_that_was_real(
    credentials: GoLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials(SHOP)
    ingest(SHOP, ["products"])
    for name in ("BASE_URL", "CONSUMER_KEY", "CONSUMER_SECRET"):
        monkeypatch.delenv(f"WOOCOMMERCE_RED_HILL_FRESH_{name}")
    settings.cache_clear()
    with pytest.raises(ForeignRows, match=r"without credentials the stand-in world would answer.*Set WOOCOMMERCE_RED"):
        ingest(SHOP, ["products"])


def test_credentials_of_another_company_are_refused_naming_both(credentials: GoLive, database: Database) -> None:
    credentials(TEELIXIR)
    ingest(TEELIXIR, ["warehouses"])
    before = rows_held(database, TEELIXIR)
    credentials(TEELIXIR, whose=ELEVATE)
    with pytest.raises(
        ForeignRows, match=r"holds rows of Unleashed account .*the credentials belong to Unleashed account"
    ):
        ingest(TEELIXIR, ["warehouses"])
    assert rows_held(database, TEELIXIR) == before
    status, said = masterops("go-live", TEELIXIR.key, "--yes")
    assert status == 1
    assert "which are real" in said


def test_rows_of_before_origins_were_kept_are_known_by_their_loads(credentials: GoLive, database: Database) -> None:
    ingest(SHOP, ["products"])
    (first,) = database.execute("select min(business_at) from ops.loads").fetchone() or (None,)
    database.execute("delete from ops.origins")
    ingest(SHOP, ["products"])
    kept = database.execute("select origin, first_seen_at from ops.origins").fetchone()
    assert kept == (STAND_IN, first)
    database.execute("delete from ops.origins")
    credentials(SHOP)
    with pytest.raises(ForeignRows, match=r"holds rows of the stand-in world"):
        ingest(SHOP, ["products"])


def test_going_live_takes_the_accounts_own_rows_away_and_the_next_load_is_a_first_one(
    credentials: GoLive, database: Database
) -> None:
    ingest(SHOP)
    ingest(HUBSPOT, ["owners"])
    database.execute("create view seen as select * from raw_woocommerce_red_hill_fresh.orders")
    database.execute("create schema marts")
    database.execute("create table marts.fct_inventory_daily (account text, date date)")
    database.execute("insert into marts.fct_inventory_daily values (%s, now()), ('hubspot', now())", [SHOP.key])
    others = rows_held(database, HUBSPOT)
    known(database, SHOP, "customer", 1)
    known(database, HUBSPOT, "customer", 2)
    credentials(SHOP)

    status, said = masterops("go-live", SHOP.key, answer="n\n")
    assert (status, "orders:" in said) == (1, True)
    assert rows_held(database, SHOP)["orders"] > 0

    status, said = masterops("go-live", SHOP.key, answer="y\n")
    assert status == 0, said
    assert "simulated rows are gone; `masterops refresh` reads shop 127.0.0.1" in said
    assert rows_held(database, SHOP) == {}
    assert rows_held(database, HUBSPOT) == others
    for left in ("seen", "ops.cursors", "ops.loads", "core.identities", "marts.fct_inventory_daily"):
        of = "" if left == "seen" else f" where account = '{SHOP.key}'"
        assert database.execute(f"select count(*) from {left}{of}").fetchone() == (0,), left  # type: ignore[arg-type]
    assert database.execute("select count(*) from core.identities").fetchone() == (1,)
    assert database.execute("select count(*) from marts.fct_inventory_daily").fetchone() == (1,)
    done = database.execute("select detail ->> 'origin', made_at from ops.interventions").fetchone()
    assert done is not None
    assert done[0].startswith("shop 127.0.0.1")
    assert done[1] <= datetime.now(UTC)

    report = ingest(SHOP)
    assert report.stream("orders").rows > 0
    assert not any(stream.simulated for stream in report.streams)
    assert database.execute(ORIGIN, [SHOP.key]).fetchone() != (STAND_IN, True)
    status, said = masterops("go-live", SHOP.key)
    assert (status, "holds no simulated rows" in said) == (0, True)


def known(database: Database, of: Account, entity: str, number: int) -> None:
    """An identity of the account."""
    own = f"00000000-0000-0000-0000-{number:012}"
    database.execute(
        "insert into core.identities (entity, system, account, external_id, own_id, entity_id, rule)"
        " values (%s, %s, %s, '1', %s, %s, 'alone')",
        [entity, of.system, of.key, own, own],
    )


def test_going_live_needs_credentials_and_says_which_step_is_missing(connected: StandIns) -> None:
    status, said = masterops("go-live", "hubspot")
    assert status == 1
    assert said.startswith("masterops: hubspot has no credentials yet: set them")


def test_every_account_that_is_read_can_say_whose_it_is() -> None:
    from masterops_dagster.connectors import registry
    from masterops_dagster.sources.catalogue import streams_of

    connectors = {connector.system: connector for connector in registry.AnyConnector.__args__}
    assert {of.system for of in ACCOUNTS if streams_of(of)} <= connectors.keys()
    assert [name for name, one in connectors.items() if not hasattr(one, "identity")] == []
