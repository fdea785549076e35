"""Companies by ABN and customer code, products by SKU within a business."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.identity import resolve
from tests.factories import LONG_AGO, Staging

Database = psycopg.Connection[TupleRow]


@pytest.fixture
def staging(database: Database) -> Staging:
    return Staging(database)


def groups(database: Database, entity: str) -> set[frozenset[str]]:
    """The external ids that are one, for each of ours."""
    found = database.execute(
        "select array_agg(external_id) from core.identities where entity = %s group by entity_id", [entity]
    )
    return {frozenset(ids) for (ids,) in found}


def test_companies_are_one_by_abn_code_or_merge(database: Database, staging: Staging) -> None:
    by_abn = staging.unleashed_customer("teelixir", abn="51824753556"), staging.company(abn="51824753556")
    by_code = (
        staging.unleashed_customer("elevate_wholesale", customer_code="CAFE1"),
        staging.company(source_business="elevate_wholesale", unleashed_customer_code="CAFE1"),
    )
    merged = staging.company(merged_hubspot_ids=["700"]), "700"
    alone = staging.company(source_business="teelixir", unleashed_customer_code="CAFE1")
    resolve(database)
    assert groups(database, "company") == {
        frozenset(by_abn), frozenset(by_code), frozenset(merged), frozenset([alone])
    }  # fmt: skip
    assert resolve(database).changed == 0


def test_a_company_has_its_terms_from_unleashed_and_its_tier_from_the_crm(database: Database, staging: Staging) -> None:
    staging.unleashed_customer(abn="51824753556", customer_name="Café Pty Ltd", payment_terms="30 days")
    staging.company(
        abn="51824753556",
        company_name="cafe",
        wholesale_discount_tier="gold",
        minimum_order_value="250.00",
        updated_at=None,
    )
    resolve(database)
    record = database.execute(
        "select company_name, payment_terms, wholesale_discount_tier, minimum_order_value::text from core.companies"
    ).fetchall()
    assert record == [("Café Pty Ltd", "30 days", "gold", "250.00")]


def test_one_sku_of_a_business_is_one_product_with_its_latest_name(database: Database, staging: Staging) -> None:
    later = LONG_AGO + timedelta(days=5)
    one = staging.shop_product("KALE-1", product_name="Kale, green", modified_at=later), staging.shop_product("KALE-1")
    elsewhere = staging.unleashed_product("KALE-1")
    resolve(database)
    assert groups(database, "product") == {frozenset(one), frozenset([elsewhere])}
    named = database.execute("select product_name from core.products where business_key = 'red_hill_fresh'").fetchall()
    assert named == [("Kale, green",)]


def test_variants_of_a_store_are_the_products_of_their_skus(database: Database, staging: Staging) -> None:
    stocked, sold = staging.unleashed_product("CHAGA"), staging.store_variant("CHAGA")
    elsewhere = staging.store_variant("CHAGA", "elevate_wholesale")
    groceries = staging.grocery_variant("OATS"), staging.grocery_variant("OATS", product_name="Oats")
    resolve(database)
    assert groups(database, "product") == {
        frozenset([stocked, sold]), frozenset([elsewhere]), frozenset(groceries)
    }  # fmt: skip
    assert resolve(database).changed == 0


def test_products_without_a_sku_stand_alone(database: Database, staging: Staging) -> None:
    staging.shop_product(None)
    staging.shop_product(None)
    resolve(database)
    assert len(groups(database, "product")) == 2


def test_businesses_share_a_product_only_where_it_is_configured(database: Database, staging: Staging) -> None:
    ours, theirs = staging.unleashed_product("CHAGA"), staging.unleashed_product("TX-CHAGA", "elevate_wholesale")
    resolve(database)
    assert len(groups(database, "product")) == 2
    database.execute(
        "insert into core.shared_products (business_key, sku, shared_sku)"
        " values ('teelixir', 'CHAGA', 'CHAGA'), ('elevate_wholesale', 'TX-CHAGA', 'CHAGA')"
    )
    resolve(database)
    assert groups(database, "product") == {frozenset([ours, theirs])}


def test_a_product_that_was_deleted_stays_the_product_of_its_sku(database: Database, staging: Staging) -> None:
    old = staging.unleashed_product("REISHI")
    order = staging.unleashed_order("someone")
    staging.unleashed_line(order, old, sku="REISHI")
    staging.unleashed_line(order, "never-seen", sku="REISHI", product_name="Reishi, long ago")
    resolve(database)
    staging.remove("stg_unleashed__products", "unleashed_id", old)
    new = staging.unleashed_product("REISHI")
    resolve(database)
    assert groups(database, "product") == {frozenset([old, "never-seen", new])}
    assert resolve(database).changed == 0


def test_the_crms_product_is_the_one_of_the_only_business_that_sells_its_sku(
    database: Database, staging: Staging
) -> None:
    sold = staging.unleashed_product("LIONS-MANE")
    for business in ("teelixir", "elevate_wholesale"):
        staging.unleashed_product("CHAGA", business)
    library = staging.hubspot_product("LIONS-MANE")
    staging.hubspot_product("CHAGA")
    staging.hubspot_product("NOBODY-SELLS")
    resolve(database)
    assert frozenset([sold, library]) in groups(database, "product")
    assert len(groups(database, "product")) == 3
