"""Records as they can be seen at a moment of business time, and what is written to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world import clock
from masterops_dagster.simulator.world.records import Query
from masterops_dagster.simulator.world.store import DuplicateValue, UnknownRecord, World

LINKED = (("HUBSPOT_DEFINED", 1, None),)


class Clock:
    """Business time in a test's hands."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world")
    World.open(directory, scale=0.05, now=Clock()).close()
    return directory


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def world(made: Path, tmp_path: Path, time: Clock) -> World:
    (tmp_path / "world.sqlite").write_bytes((made / "world.sqlite").read_bytes())
    return World.open(tmp_path, now=time)


def test_what_is_dated_later_cannot_be_seen(world: World, time: Clock) -> None:
    for account, resource in (("unleashed_teelixir", "SalesOrders"), ("woocommerce_red_hill_fresh", "orders")):
        assert max(record.business_at for record in world.scan(account, resource)) <= time.at
    before = world.count("woocommerce_red_hill_fresh", "orders")
    time.pass_by(days=30)
    assert world.count("woocommerce_red_hill_fresh", "orders") > before


def test_an_order_changes_when_its_time_has_come(world: World, time: Clock) -> None:
    placed = Query(fields={"OrderStatus": ["Placed"]}, order="business_at", descending=True)
    order = world.page("unleashed_teelixir", "SalesOrders", placed).records[0]
    time.pass_by(days=80)
    later = world.get("unleashed_teelixir", "SalesOrders", order.id)
    assert later is not None
    assert later.body["OrderStatus"] in ("Completed", "Deleted")
    assert later.modified_at > order.modified_at
    assert later.created_at == order.created_at


def test_windows_are_half_open_and_orders_are_kept(world: World) -> None:
    account, resource = "unleashed_teelixir", "SalesOrders"
    everything = list(world.scan(account, resource, Query(order="business_at")))
    middle = everything[len(everything) // 2].business_at
    earlier = world.count(account, resource, Query(business_to=middle))
    later = world.page(account, resource, Query(business_from=middle, order="business_at", descending=True), limit=5)
    assert earlier + later.total == len(everything)
    assert [r.id for r in later.records] == [r.id for r in reversed(everything[-5:])]
    assert world.page(account, resource, offset=len(everything) - 1, limit=10).total == len(everything)


def test_fields_ids_parents_and_tests_of_the_body_select(world: World) -> None:
    account = "woocommerce_red_hill_fresh"
    variations = world.page(account, "products/variations", Query(parents=["2000"])).records
    assert [v.parent for v in variations] == ["2000"] * 3
    one = world.page(account, "orders", limit=1).records[0]
    assert [r.id for r in world.scan(account, "orders", Query(ids=[one.id, "0"]))] == [one.id]
    assert world.count(account, "orders", Query(matching=lambda body: body["id"] == one.number)) == 1
    assert world.count(account, "orders", Query(fields={"billing.country": ["NZ"]})) == 0
    assert world.count(account, "orders", Query(after_number=one.number)) == world.count(account, "orders") - 1


def test_stock_is_the_same_all_day_and_another_the_next(world: World, time: Clock) -> None:
    def levels() -> list[object]:
        on_hand = [r.body["QtyOnHand"] for r in world.scan("unleashed_teelixir", "StockOnHand")]
        shop = [r.body["stock_quantity"] for r in world.scan("woocommerce_red_hill_fresh", "products/variations")]
        return [on_hand, shop]

    time.at = datetime(2026, 3, 10, 0, 1, tzinfo=MELBOURNE)
    morning = levels()
    time.at = datetime(2026, 3, 10, 23, 59, tzinfo=MELBOURNE)
    assert levels() == morning
    time.pass_by(minutes=2)
    assert levels() != morning


def test_a_written_object_outlives_the_process(world: World, time: Clock) -> None:
    made = world.create("contacts", {"email": " New@Example.COM", "firstname": "Nina", "phone": ""})
    again = World(world.directory, time)
    read = again.find("contacts", "email", "new@example.com")
    assert read is not None
    assert read.id == made.id
    assert read.body["properties"]["phone"] is None
    assert read.body["createdAt"] == "2026-03-10T01:00:00.000Z"


def test_a_second_contact_with_one_email_is_refused(world: World) -> None:
    first = world.create("contacts", {"email": "one@example.com"})
    with pytest.raises(DuplicateValue, match=f"Existing ID: {first.id}"):
        world.create("contacts", {"email": "ONE@example.com"})
    record, new = world.upsert("contacts", "email", "one@example.com", {"firstname": "One"})
    assert (record.id, new) == (first.id, False)


def test_an_update_survives_what_the_world_has_in_store(world: World, time: Clock) -> None:
    product = world.page("hubspot", "products").records[0]
    world.update("products", product.id, {"description": "Our own words"})
    time.pass_by(days=366)
    later = world.get("hubspot", "products", product.id)
    assert later is not None
    assert later.body["properties"]["description"] == "Our own words"
    assert later.body["properties"]["price"] != product.body["properties"]["price"]


def test_a_merge_leaves_one_record_that_names_the_other(world: World, time: Clock) -> None:
    kept = world.create("contacts", {"email": "kept@example.com"})
    gone = world.create("contacts", {"email": "gone@example.com", "city": "Red Hill"})
    company = world.create("companies", {"name": "Between them"})
    world.associate("contacts", gone.id, "companies", company.id, LINKED)
    time.pass_by(seconds=1)
    properties = world.merge("contacts", kept.id, gone.id).body["properties"]
    assert properties["hs_merged_object_ids"] == gone.id
    assert properties["hs_additional_emails"] == "gone@example.com"
    assert properties["city"] == "Red Hill"
    assert world.get("hubspot", "contacts", gone.id, archived=None) is None
    found = world.find("contacts", "email", "gone@example.com")
    assert found is not None
    assert found.id == kept.id
    assert [to.to_id for to in world.associations("companies", "contacts", [company.id])[company.id]] == [kept.id]


def test_an_archived_object_is_found_among_the_archived_only(world: World) -> None:
    made = world.create("companies", {"name": "Closed"})
    world.archive("companies", made.id)
    assert world.get("hubspot", "companies", made.id) is None
    archived = world.get("hubspot", "companies", made.id, archived=True)
    assert archived is not None
    assert archived.body["archived"] is True
    with pytest.raises(UnknownRecord):
        world.update("companies", made.id, {"name": "Open"})


def test_associations_read_from_both_ends_and_end(world: World, time: Clock) -> None:
    contact, company = world.create("contacts", {}), world.create("companies", {})
    world.associate("contacts", contact.id, "companies", company.id, LINKED)
    assert world.associations("contacts", "companies", [contact.id])[contact.id][0].types == LINKED
    assert world.associations("companies", "contacts", [company.id])[company.id][0].types[0][1] == 2
    time.pass_by(seconds=1)
    world.dissociate("companies", company.id, "contacts", contact.id)
    assert world.associations("contacts", "companies", [contact.id]) == {}


def test_a_batch_that_fails_leaves_nothing(world: World) -> None:
    before = world.count("hubspot", "contacts")

    def batch() -> None:
        with world.transaction():
            world.create("contacts", {"email": "half@example.com"})
            world.update("contacts", "1", {})

    with pytest.raises(UnknownRecord):
        batch()
    assert world.count("hubspot", "contacts") == before


def test_a_new_day_keeps_the_time_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    before = clock.now(tmp_path).astimezone(MELBOURNE)
    clock.advance(tmp_path, 200)
    after = clock.now(tmp_path).astimezone(MELBOURNE)
    assert after.date() == before.date() + timedelta(days=200)
    assert (
        timedelta(0)
        <= after.replace(tzinfo=None) - before.replace(tzinfo=None) - timedelta(days=200)
        < timedelta(seconds=5)
    )
