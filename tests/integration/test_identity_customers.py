"""One buyer is one customer, whichever systems know them, and stays the same one."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row

from masterops_dagster.database import server
from masterops_dagster.database.connection import connect
from masterops_dagster.database.migrations import migrate
from masterops_dagster.identity import (
    InvalidDecision,
    explain,
    override,
    resolve,
    veto,
    withdraw_override,
    withdraw_veto,
)
from tests.factories import LONG_AGO, Staging

Database = psycopg.Connection[TupleRow]
LATER = LONG_AGO + timedelta(days=100)
CONTACTS, CUSTOMERS, SHOP_CUSTOMERS = (
    ("stg_hubspot__contacts", "hubspot_id"),
    ("stg_unleashed__customers", "unleashed_id"),
    ("stg_woocommerce__customers", "woocommerce_id"),
)


@pytest.fixture
def staging(database: Database) -> Staging:
    return Staging(database)


def customer_of(database: Database, external_id: str) -> UUID:
    found = database.execute(
        "select entity_id from core.identities where entity = 'customer' and external_id = %s", [external_id]
    ).fetchone()
    assert found is not None, external_id
    return found[0]


def number_of(database: Database, external_id: str) -> int:
    found = database.execute(
        "select identity_id from core.identities where entity = 'customer' and external_id = %s", [external_id]
    ).fetchone()
    assert found is not None
    return int(found[0])


def golden(database: Database, external_id: str) -> dict[str, object]:
    found = (
        database.cursor(row_factory=dict_row)
        .execute("select * from core.customers where customer_id = %s", [customer_of(database, external_id)])
        .fetchone()
    )
    assert found is not None
    return found


def count(database: Database, table: str) -> int:
    found = database.execute(f"select count(*) from core.{table}".encode()).fetchone()
    assert found is not None
    return int(found[0])


# ---- matching


def test_one_e_mail_in_every_system_is_one_customer(database: Database, staging: Staging) -> None:
    ids = [
        staging.unleashed_customer("teelixir", email="mia@example.com"),
        staging.unleashed_customer("elevate_wholesale", email="mia@example.com"),
        staging.shop_customer("mia@example.com"),
        staging.shop_order("mia@example.com"),
        staging.store_customer("mia@example.com"),
        staging.store_order("mia@example.com", business="elevate_wholesale"),
        staging.grocery_customer("mia@example.com"),
        staging.grocery_order("mia@example.com"),
        staging.contact("mia@example.com"),
    ]
    resolve(database)
    assert len({customer_of(database, id) for id in ids}) == 1
    assert count(database, "customers") == 1


def test_two_unrelated_e_mails_are_two_customers(database: Database, staging: Staging) -> None:
    staging.shop_order("mia@example.com")
    staging.shop_order("noah@example.com")
    resolve(database)
    assert count(database, "customers") == 2


def test_a_second_address_in_the_crm_ties_two_buyers(database: Database, staging: Staging) -> None:
    guest, customer = staging.shop_order("mia@home.example"), staging.unleashed_customer(email="mia@work.example")
    staging.contact("mia@home.example", additional_emails=["mia@work.example"])
    resolve(database)
    assert customer_of(database, guest) == customer_of(database, customer)


def test_a_customer_code_ties_a_contact_to_the_customer_of_its_business_only(
    database: Database, staging: Staging
) -> None:
    ours = staging.unleashed_customer("teelixir", customer_code="CAFE1")
    theirs = staging.unleashed_customer("elevate_wholesale", customer_code="CAFE1")
    contact = staging.contact("sam@cafe.example", source_business="teelixir", unleashed_customer_code="CAFE1")
    resolve(database)
    assert customer_of(database, contact) == customer_of(database, ours) != customer_of(database, theirs)


def test_contacts_with_one_code_are_not_one_by_that_where_unleashed_has_no_such_customer(
    database: Database, staging: Staging
) -> None:
    for email in ("a@cafe.example", "b@cafe.example"):
        staging.contact(email, source_business="teelixir", unleashed_customer_code="GONE")
    resolve(database)
    assert count(database, "customers") == 2


def test_the_crms_shopify_number_ties_a_contact_to_that_stores_customer(database: Database, staging: Staging) -> None:
    customer = staging.store_customer("mia@home.example", number="7001")
    other = staging.store_customer("noah@home.example", "elevate_wholesale", number="7002")
    contact = staging.contact("mia@work.example", shopify_customer_id="7001")
    for email in ("a@cafe.example", "b@cafe.example"):
        staging.contact(email, shopify_customer_id="9999")
    resolve(database)
    assert customer_of(database, contact) == customer_of(database, customer) != customer_of(database, other)
    assert count(database, "customers") == 4, "a number that no store knows ties nobody"


def test_one_abn_in_two_unleashed_accounts_is_one_customer(database: Database, staging: Staging) -> None:
    staging.unleashed_customer("teelixir", abn="51824753556")
    staging.unleashed_customer("elevate_wholesale", abn="51824753556")
    resolve(database)
    assert count(database, "customers") == 1


def test_a_long_chain_of_ties_is_one_customer(database: Database, staging: Staging) -> None:
    for link in range(60):
        staging.contact(f"{link:02}@example.com", additional_emails=[f"{link + 1:02}@example.com"])
    resolve(database)
    assert count(database, "customers") == 1


def test_an_order_without_account_and_e_mail_is_a_customer_of_its_own(database: Database, staging: Staging) -> None:
    assert staging.shop_order(None) == "order:1"
    staging.shop_order(None)
    resolve(database)
    assert count(database, "customers") == 2


def test_an_order_belongs_to_its_account_even_with_another_e_mail(database: Database, staging: Staging) -> None:
    account = staging.shop_customer("mia@example.com")
    staging.shop_order("friend@example.com", customer=account)
    friend = staging.shop_order("friend@example.com")
    resolve(database)
    assert customer_of(database, account) != customer_of(database, friend)
    assert golden(database, account)["email"] == "mia@example.com"


def test_buyers_whose_records_are_gone_before_the_first_load_are_customers_too(
    database: Database, staging: Staging
) -> None:
    shop = staging.shop_order("mia@example.com", customer="77")
    staging.unleashed_order("deleted-guid", customer_name="Old Café")
    resolve(database)
    assert golden(database, shop)["email"] == "mia@example.com"
    assert golden(database, "deleted-guid")["company_name"] == "Old Café"
    assert resolve(database).changed == 0


# ---- the golden record


def test_the_store_wins_over_unleashed_and_unleashed_over_other_shops_and_the_crm(
    database: Database, staging: Staging
) -> None:
    staging.contact(
        "mia@example.com", first_name="M.", last_name="Crm", phone="+61411111111", updated_at=LATER, city="X"
    )
    customer = staging.unleashed_customer(
        email="mia@example.com",
        first_name="Mia",
        customer_name="Mia's Café",
        addresses=[{"StreetAddress": "1 Main St", "Suburb": "Red Hill", "PostalCode": "3937"}],
    )
    staging.store_customer("mia@example.com", last_name="Store")
    staging.grocery_customer("mia@example.com", first_name="G.", phone="+61422222222", modified_at=LATER, city="Y")
    resolve(database)
    record = golden(database, customer)
    # a name and an address are taken whole
    assert (record["first_name"], record["last_name"]) == (None, "Store")
    assert (record["company_name"], record["phone"]) == ("Mia's Café", "+61422222222")
    assert (record["address"], record["city"], record["postcode"]) == ("1 Main St", "Red Hill", "3937")


def test_of_two_records_of_one_system_the_newer_wins(database: Database, staging: Staging) -> None:
    staging.contact("mia@example.com", first_name="New", updated_at=LATER)
    old = staging.contact("mia@example.com", first_name="Old")
    resolve(database)
    assert golden(database, old)["first_name"] == "New"


@pytest.mark.parametrize(
    ("others", "contact_type", "wholesale"),
    [
        ({"customer_type": "Retailer"}, "stockist", True),
        ({"customer_type": "Distributor"}, "distributor", True),
        ({"customer_type": "Shopify"}, "customer", False),
    ],
)
def test_unleashed_customers_are_wholesale_unless_they_came_from_the_store(
    database: Database, staging: Staging, others: dict[str, object], contact_type: str, wholesale: bool
) -> None:
    customer = staging.unleashed_customer(email="mia@example.com", **others)
    resolve(database)
    record = golden(database, customer)
    assert (record["contact_type"], record["wholesale_account"]) == (contact_type, wholesale)


def test_an_unleashed_customer_whose_e_mail_belongs_to_a_store_customer_stays_retail(
    database: Database, staging: Staging
) -> None:
    customer = staging.unleashed_customer(email="mia@example.com", customer_type="Distributor")
    staging.contact("mia@example.com", shopify_customer_id="7000001", contact_type="distributor")
    resolve(database)
    record = golden(database, customer)
    assert (record["contact_type"], record["wholesale_account"]) == ("customer", False)


def test_who_buys_for_a_company_in_a_store_is_wholesale(database: Database, staging: Staging) -> None:
    buyer = staging.store_customer("sam@cafe.example", "elevate_wholesale")
    staging.store_order("sam@cafe.example", buyer, business="elevate_wholesale", company_shopify_id="cafe")
    person = staging.store_customer("mia@example.com")
    staging.store_order("mia@example.com", person)
    resolve(database)
    for customer, contact_type, wholesale in ((buyer, "stockist", True), (person, "customer", False)):
        record = golden(database, customer)
        assert (record["contact_type"], record["wholesale_account"]) == (contact_type, wholesale)


# ---- stability


def test_a_second_run_writes_nothing(database: Database, staging: Staging) -> None:
    staging.contact("mia@example.com", additional_emails=["m@example.com"], merged_hubspot_ids=["1", "2"])
    staging.shop_order("m@example.com")
    staging.unleashed_customer(email="noah@example.com", abn="51824753556")
    staging.unleashed_customer("elevate_wholesale", abn="51824753556")
    first = resolve(database)
    assert first.customer.created == count(database, "customers")
    assert resolve(database).changed == 0


def test_a_customer_keeps_its_id_when_more_of_it_is_found(database: Database, staging: Staging) -> None:
    guest = staging.shop_order("mia@example.com")
    resolve(database)
    before = customer_of(database, guest)
    staging.shop_customer("mia@example.com", created_at=LONG_AGO - timedelta(days=999))
    contact = staging.contact("mia@example.com")
    report = resolve(database)
    assert customer_of(database, guest) == customer_of(database, contact) == before
    assert report.customer.moved == 0


def test_a_merge_keeps_the_older_id_and_undoing_it_brings_the_other_back(database: Database, staging: Staging) -> None:
    guest = staging.shop_order("mia@home.example")
    contact = staging.contact("mia@work.example")
    resolve(database)
    older, younger = customer_of(database, guest), customer_of(database, contact)
    staging.change(*CONTACTS, contact, additional_emails=["mia@home.example"])
    assert resolve(database).customer.moved == 1
    assert customer_of(database, contact) == older
    assert count(database, "customers") == 1
    staging.change(*CONTACTS, contact, additional_emails=[])
    resolve(database)
    assert (customer_of(database, guest), customer_of(database, contact)) == (older, younger)
    assert [(change.from_entity_id, change.to_entity_id) for change in explain(database, younger).changes] == [
        (younger, older),
        (older, younger),
    ]


def test_a_hubspot_merge_ties_the_merged_contact_known_or_not(database: Database, staging: Staging) -> None:
    known = staging.contact("old@example.com", id="900")
    resolve(database)
    before = customer_of(database, known)
    staging.remove(*CONTACTS, known)
    survivor = staging.contact("new@example.com", merged_hubspot_ids=["900", "901"])
    resolve(database)
    assert {customer_of(database, id) for id in ("900", "901", survivor)} == {before}
    assert count(database, "customers") == 1
    # the merge is undone: both are there again
    staging.change(*CONTACTS, survivor, merged_hubspot_ids=[])
    staging.contact("old@example.com", id="900")
    resolve(database)
    assert customer_of(database, survivor) != customer_of(database, "900") == before


def test_a_record_that_is_gone_keeps_its_customer_and_ties_nothing(database: Database, staging: Staging) -> None:
    contact = staging.contact("mia@home.example", additional_emails=["mia@work.example"])
    home, work = staging.shop_order("mia@home.example"), staging.unleashed_customer(email="mia@work.example")
    resolve(database)
    before = customer_of(database, contact)
    staging.change(*CONTACTS, contact, is_archived=True)
    resolve(database)
    marked = database.execute(
        "select external_id from core.identities where gone_at is not null and entity = 'customer'"
    )
    assert marked.fetchall() == [(contact,)]
    assert customer_of(database, home) != customer_of(database, work)
    assert before in (customer_of(database, home), customer_of(database, work))
    assert customer_of(database, contact) == before
    assert resolve(database).changed == 0
    staging.change(*CONTACTS, contact, is_archived=False)
    resolve(database)
    assert customer_of(database, home) == customer_of(database, work) == before


def test_orders_of_a_deleted_account_stay_with_their_customer(database: Database, staging: Staging) -> None:
    account = staging.shop_customer("mia@example.com", first_name="Mia")
    staging.shop_order("mia@example.com", customer=account)
    contact = staging.contact("mia@example.com")
    resolve(database)
    before = customer_of(database, account)
    staging.remove(*SHOP_CUSTOMERS, account)
    resolve(database)
    assert customer_of(database, account) == customer_of(database, contact) == before


# ---- what a person decides


def test_an_override_wins_until_it_is_withdrawn(database: Database, staging: Staging) -> None:
    guest = staging.shop_order("mia@example.com", first_name="mia")
    resolve(database)
    id = customer_of(database, guest)
    override(database, "customer", id, "first_name", "Mia", reason="as she writes it", made_by="kim")
    override(database, "customer", id, "wholesale_account", "true", reason="agreed", made_by="kim")
    assert resolve(database).customer.updated == 1
    record = golden(database, guest)
    assert (record["first_name"], record["wholesale_account"]) == ("Mia", True)
    staging.change("stg_woocommerce__orders", "customer_external_id", guest, first_name="MIA")
    resolve(database)
    assert golden(database, guest)["first_name"] == "Mia"
    assert withdraw_override(database, "customer", id, "first_name", withdrawn_by="kim")
    resolve(database)
    assert golden(database, guest)["first_name"] == "MIA"
    assert resolve(database).changed == 0


def test_an_override_follows_its_record_into_a_merge_and_out_of_it(database: Database, staging: Staging) -> None:
    guest, contact = staging.shop_order("mia@home.example"), staging.contact("mia@work.example")
    resolve(database)
    override(
        database, "customer", customer_of(database, contact), "phone", "+61400000000", reason="called", made_by="kim"
    )
    staging.change(*CONTACTS, contact, additional_emails=["mia@home.example"])
    resolve(database)
    assert golden(database, guest)["phone"] == "+61400000000"
    staging.change(*CONTACTS, contact, additional_emails=[])
    resolve(database)
    assert golden(database, guest)["phone"] is None
    assert golden(database, contact)["phone"] == "+61400000000"


def test_what_cannot_be_decided_is_refused_with_a_reason(database: Database, staging: Staging) -> None:
    guest = staging.shop_order("mia@example.com")
    staging.company()
    resolve(database)
    id = customer_of(database, guest)
    for field, value, complaint in (
        ("shoe_size", "42", "no field 'shoe_size'"),
        ("wholesale_account", "maybe", "true or false"),
        ("wholesale_account", None, "never empty"),
    ):
        with pytest.raises(InvalidDecision, match=complaint):
            override(database, "customer", id, field, value, reason="", made_by="kim")
    with pytest.raises(InvalidDecision, match="there is no customer"):
        override(database, "customer", UUID(int=0), "email", None, reason="", made_by="kim")
    company = database.execute("select identity_id from core.identities where entity = 'company'").fetchone()
    assert company is not None
    with pytest.raises(InvalidDecision, match="not two records of one kind"):
        veto(database, number_of(database, guest), company[0], reason="", made_by="kim")


def test_a_vetoed_match_is_undone_until_the_veto_is_withdrawn(database: Database, staging: Staging) -> None:
    guest, contact = staging.shop_order("info@cafe.example"), staging.contact("info@cafe.example")
    resolve(database)
    together = customer_of(database, guest)
    pair = number_of(database, guest), number_of(database, contact)
    veto(database, *pair, reason="two cafés, one mailbox", made_by="kim")
    resolve(database)
    assert customer_of(database, guest) == together != customer_of(database, contact)
    assert resolve(database).changed == 0
    assert [found.reason for found in explain(database, together).vetoes] == ["two cafés, one mailbox"]
    assert withdraw_veto(database, *pair, withdrawn_by="kim")
    resolve(database)
    assert customer_of(database, contact) == together


def test_vetoed_records_are_not_tied_through_a_third_either(database: Database, staging: Staging) -> None:
    first, second, third = (staging.contact("info@cafe.example") for _ in range(3))
    other = staging.shop_order("other@example.com")
    staging.contact("other@example.com")
    resolve(database)
    veto(database, number_of(database, first), number_of(database, second), reason="two people", made_by="kim")
    resolve(database)
    assert customer_of(database, first) == customer_of(database, third) != customer_of(database, second)
    assert len(explain(database, customer_of(database, other)).records) == 2


# ---- why


def test_a_customer_explains_what_ties_its_records(database: Database, staging: Staging) -> None:
    customer = staging.unleashed_customer("teelixir", customer_code="CAFE1", abn="51824753556")
    twin = staging.unleashed_customer("elevate_wholesale", abn="51824753556")
    contact = staging.contact("sam@cafe.example", source_business="teelixir", unleashed_customer_code="CAFE1")
    guest = staging.shop_order("sam@cafe.example", first_name="Sam")
    resolve(database)
    why = explain(database, customer_of(database, guest))
    names = {record.identity_id: record.external_id for record in why.records}
    assert [(tie.rule, tie.value, {names[id] for id in tie.identity_ids}) for tie in why.ties] == [
        ("customer_code", "teelixir:CAFE1", {customer, contact}),
        ("abn", "51824753556", {customer, twin}),
        ("email", "sam@cafe.example", {contact, guest}),
    ]
    assert {record.external_id: record.rule for record in why.records} == {
        customer: "customer_code",
        contact: "customer_code",
        twin: "abn",
        guest: "email",
    }
    assert next(record.said for record in why.records if record.external_id == guest)["first_name"] == "Sam"


def test_an_id_that_was_merged_away_still_finds_its_customer(database: Database, staging: Staging) -> None:
    guest, contact = staging.shop_order("mia@home.example"), staging.contact("mia@work.example")
    resolve(database)
    former = customer_of(database, contact)
    staging.change(*CONTACTS, contact, additional_emails=["mia@home.example"])
    resolve(database)
    assert explain(database, former).entity_id == customer_of(database, guest)
    with pytest.raises(LookupError, match="there is no customer"):
        explain(database, UUID(int=0))


@pytest.mark.postgres15
def test_identity_works_on_postgresql_15_too(postgres_15_server: server.Server) -> None:
    migrate(postgres_15_server.url)
    with connect(postgres_15_server.url) as database:
        staging = Staging(database)
        guest, contact = staging.shop_order("mia@example.com"), staging.contact("mia@example.com")
        resolve(database)
        assert customer_of(database, guest) == customer_of(database, contact)
        assert resolve(database).changed == 0
        database.execute("drop schema staging cascade")
