"""Shopify's connector understands its stand-in, with which it shares no code, over real HTTP.

The world trades while these tests run: rows may come between two requests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from masterops_dagster.connectors.base import Patience, Record
from masterops_dagster.connectors.budget import Bucket, InMemoryBudget
from masterops_dagster.connectors.errors import AuthenticationError, NotFound, Rejected
from masterops_dagster.connectors.shopify import BulkPatience, Shopify, access_token, client_credentials
from masterops_dagster.connectors.shopify.resources import RESOURCES
from masterops_dagster.connectors.telemetry import InMemorySink
from masterops_dagster.sources.arrow import Converter
from masterops_dagster.sources.shopify import STREAMS
from masterops_dagster.sources.stream import Stream
from tests.stand_ins import StandIns

TEELIXIR, ELEVATE = "shopify_teelixir", "shopify_elevate_wholesale"
STORES = (TEELIXIR, ELEVATE)
HASTE = Patience(timeout=10.0, deadline=60.0, attempts=12, pause=0.01, pause_max=0.05)
SOON = BulkPatience(first_look=0.02, longest_pause=0.1, whole=30.0)
WIDE = Bucket("points", 1_000_000, 1_000_000.0)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def open_store(stand_ins: StandIns, key: str = TEELIXIR, *, bucket: Bucket = WIDE, **instead: Any) -> Shopify:
    access = stand_ins.endpoint(key)
    options = {"auth": access_token(access["access_token"]), "sink": InMemorySink(), "bulk_from": 1_000_000, **instead}
    return Shopify(
        access["base_url"],
        key,
        budget=InMemoryBudget(),
        bucket=bucket,
        patience=HASTE,
        bulk_patience=SOON,
        **options,
    )


@pytest.fixture
def store(stand_ins: StandIns) -> Iterator[Shopify]:
    with open_store(stand_ins) as store:
        yield store


def rows(store: Shopify, resource: str, **window: datetime) -> dict[object, Record]:
    """What is read, by key; the last one wins."""
    found: dict[object, Record] = {}
    for page in store.read(resource, **window):
        for record in page.items:
            key = (record["item"]["id"], record["location"]["id"]) if resource == "inventory_levels" else record["id"]  # type: ignore[index]
            found[key] = record
    return found


WHOLE: dict[tuple[str, str, str], dict[object, Record]] = {}
"""What was read undisturbed, once for all tests: stand-ins, store, resource."""


def whole(stand_ins: StandIns, key: str, resource: str) -> dict[object, Record]:
    """All of a resource, in pages."""
    place = (stand_ins.origin, key, resource)
    if place not in WHOLE:
        with open_store(stand_ins, key) as store:
            WHOLE[place] = rows(store, resource)
    return WHOLE[place]


def same(ours: dict[object, Record], theirs: dict[object, Record]) -> bool:
    """Whether two readings agree on all that did not change meanwhile."""
    common = ours.keys() & theirs.keys()
    moved = {key for key in common if ours[key].get("updatedAt") != theirs[key].get("updatedAt")}
    few = len(ours.keys() ^ theirs.keys()) + len(moved) <= 8
    return few and all(ours[key] == theirs[key] for key in common - moved)


@pytest.mark.parametrize("key", STORES)
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_resource_is_read_whole_as_count_and_keys_say(stand_ins: StandIns, key: str, resource: str) -> None:
    found = whole(stand_ins, key, resource)
    with open_store(stand_ins, key) as store:
        counted = store.count(resource)
        keys = [one for page in store.keys(resource) for one in page]
    assert found
    assert counted is None or abs(counted - len(found)) <= 3
    assert len(set(keys) ^ found.keys()) <= 3


@pytest.mark.parametrize("key", STORES)
@pytest.mark.parametrize("stream", [stream for stream in STREAMS if not stream.parent], ids=lambda stream: stream.name)
def test_every_record_fits_its_stream_and_no_field_is_unknown(stand_ins: StandIns, key: str, stream: Stream) -> None:
    children = [child for child in STREAMS if child.parent == stream.name]
    found = list(whole(stand_ins, key, stream.resource).values())
    columns = [column.name for column in stream.columns if not column.path]
    converted = Converter(stream, [child.items for child in children]).convert(
        found, {name: datetime(2026, 3, 1, tzinfo=UTC).date() for name in columns}
    )
    assert converted.rejected == ()
    assert converted.unknown_fields == {}
    for child in children:
        items = [item for record in found for item in record[child.items]]  # type: ignore[attr-defined]
        converted = Converter(child).convert(items, {child.parent_key or "": "parent"})
        assert converted.rejected == ()
        assert converted.unknown_fields == {}
        assert items or child.name in {"refund_lines", "refunds", "fulfillments"}


@pytest.mark.parametrize("key", STORES)
def test_orders_have_all_that_the_world_knows_of_them(stand_ins: StandIns, key: str) -> None:
    found = whole(stand_ins, key, "orders")
    most = 0
    for record in stand_ins.world().scan(key, "orders"):
        ours = found.get(record.id)
        if ours is None or ours["updatedAt"] != record.body["updatedAt"]:
            continue
        most = max(most, len(record.body["lineItems"]))
        for name in ("lineItems", "refunds", "fulfillments"):
            assert [one["id"] for one in ours[name]] == [one["id"] for one in record.body[name]]  # type: ignore[attr-defined]
        lines = [line for refund in record.body["refunds"] for line in refund["refundLineItems"]]
        assert [line["id"] for line in ours["refundLineItems"]] == [line["id"] for line in lines]  # type: ignore[attr-defined]
        assert ours["totalPriceSet"] == record.body["totalPriceSet"]
    assert most > 50  # more than come with an order


@pytest.mark.parametrize("key", STORES)
@pytest.mark.parametrize("resource", [name for name, resource in RESOURCES.items() if resource.bulk])
def test_a_bulk_operation_brings_what_pages_bring(stand_ins: StandIns, key: str, resource: str) -> None:
    with open_store(stand_ins, key, page_size=3, bulk_from=3) as bulk:
        assert same(rows(bulk, resource), whole(stand_ins, key, resource))
        operations = [event.operation for event in bulk._sink.events]  # type: ignore[attr-defined]
        assert f"list {resource} in bulk" in operations


def test_six_readings_at_once_share_the_five_operations_of_a_store(stand_ins: StandIns) -> None:
    with open_store(stand_ins, page_size=5, bulk_from=5) as bulk, ThreadPoolExecutor(6) as pool:
        readings = list(pool.map(lambda _: rows(bulk, "customers"), range(6)))
    assert all(same(readings[0], reading) for reading in readings[1:])


@pytest.mark.parametrize("resource", ["orders", "customers", "products", "abandoned_checkouts"])
def test_a_live_read_brings_what_was_modified_since(stand_ins: StandIns, store: Shopify, resource: str) -> None:
    everything = whole(stand_ins, TEELIXIR, resource)
    moments = sorted(str(record["updatedAt"]) for record in everything.values())
    middle = moments[2 * len(moments) // 3]
    expected = {key: record for key, record in everything.items() if str(record["updatedAt"]) >= middle}
    assert same(rows(store, resource, modified_since=datetime.fromisoformat(middle)), expected)
    assert rows(store, resource, modified_since=LATER) == {}


@pytest.mark.parametrize("resource", ["orders", "customers", "abandoned_checkouts"])
def test_backfills_of_windows_side_by_side_bring_every_row_once(
    stand_ins: StandIns, store: Shopify, resource: str
) -> None:
    everything = whole(stand_ins, TEELIXIR, resource)
    moments = sorted(datetime.fromisoformat(str(record["createdAt"])) for record in everything.values())
    cuts = [moments[0], moments[len(moments) // 3], moments[2 * len(moments) // 3], moments[-1] + timedelta(seconds=1)]
    found: list[object] = []
    for start, end in pairwise(cuts):
        found += rows(store, resource, created_from=start, created_to=end)
    assert len(found) == len(set(found))
    assert everything.keys() <= set(found)


def test_a_list_is_read_past_the_end_of_paging(stand_ins: StandIns) -> None:
    everything = whole(stand_ins, TEELIXIR, "customers")
    stand_ins.limit({"shopify": {"deepest_page": 60}})
    with open_store(stand_ins, page_size=20, paging_limit=60) as careful:
        assert same(rows(careful, "customers"), everything)
        assert len({key for page in careful.keys("customers") for key in page} ^ everything.keys()) <= 3
    with open_store(stand_ins, page_size=20) as careless, pytest.raises(Rejected, match="limited to 60"):
        rows(careless, "customers")


# ---- points


def test_a_full_load_within_a_small_plan_is_never_throttled_and_uses_its_points(stand_ins: StandIns) -> None:
    stand_ins.limit({TEELIXIR: {"points": {"maximum": 200, "restore": 200}}})
    sink = InMemorySink()
    with open_store(stand_ins, bucket=Bucket("points", 200, 200.0), page_size=10, sink=sink) as store:
        begun = time.monotonic()
        assert rows(store, "abandoned_checkouts")
        took = time.monotonic() - begun
        assert {event.outcome for event in sink.events} == {"ok"}
        waited = sum(event.budget_wait_ms for event in sink.events) / 1000
    assert waited > 0.2
    assert took < 20


def test_a_plan_that_is_smaller_than_configured_is_found_out(stand_ins: StandIns) -> None:
    stand_ins.limit({TEELIXIR: {"points": {"maximum": 300, "restore": 300}}})
    sink = InMemorySink()
    with open_store(stand_ins, bucket=Bucket("points", 2_000, 2_000.0), page_size=10, sink=sink) as store:
        assert rows(store, "customers")
    assert [event.outcome for event in sink.events].count("rate_limited") <= 1


# ---- faults


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("throttled", {"rate": 0.4, "seconds": 0.05}),
        ("partial_batch", {"rate": 0.5}),
        ("reset", {"rate": 0.3}),
        ("malformed", {"rate": 0.3}),
        ("server_error", {"rate": 0.3}),
        ("rate_limit", {"rate": 0.3}),
        ("html", {"rate": 0.3}),
    ],
)
def test_a_reading_among_faults_brings_what_an_undisturbed_one_brings(
    stand_ins: StandIns, kind: str, how: dict[str, float]
) -> None:
    undisturbed = whole(stand_ins, ELEVATE, "orders")
    stand_ins.misbehave("shopify", kind, seed=3, **how)
    with open_store(stand_ins, ELEVATE, page_size=8) as disturbed:
        assert same(rows(disturbed, "orders"), undisturbed)
        outcomes = {event.outcome for event in disturbed._sink.events}  # type: ignore[attr-defined]
    assert outcomes > {"ok"}


# ---- who we are


def test_an_apps_own_credentials_open_the_store(stand_ins: StandIns) -> None:
    access = stand_ins.endpoint(TEELIXIR)
    own = client_credentials(access["base_url"], access["client_id"], access["client_secret"])
    with open_store(stand_ins, auth=own) as store:
        assert store.count("customers")
        assert store.identity().startswith("Shopify store ")
    wrong = client_credentials(access["base_url"], access["client_id"], "wrong")
    with open_store(stand_ins, auth=wrong) as store, pytest.raises(AuthenticationError):
        store.count("customers")
    with open_store(stand_ins, auth=access_token("wrong")) as store, pytest.raises(AuthenticationError):
        store.count("customers")


def test_the_app_may_read_orders_of_any_age(store: Shopify) -> None:
    assert {"read_orders", "read_all_orders"} <= store.scopes()


def test_stores_are_told_apart(stand_ins: StandIns) -> None:
    names = set()
    for key in STORES:
        with open_store(stand_ins, key) as store:
            names.add(store.identity())
    assert len(names) == 2


# ---- operations


def test_lines_come_to_the_subtotal_whatever_was_taken_off_the_line_or_the_whole(
    stand_ins: StandIns, store: Shopify
) -> None:
    """`discountedTotalSet` is more, where something was taken off the whole."""
    of_the_whole = next(
        record
        for record in stand_ins.world().scan(TEELIXIR, "orders")
        if record.body["discountCodes"]
        and sum(len(line["discountAllocations"]) == 2 for line in record.body["lineItems"]) > 1
    )
    order = store.order(str(of_the_whole.id))
    assert sum(line.total for line in order.line_items) == Decimal(
        of_the_whole.body["subtotalPriceSet"]["shopMoney"]["amount"]
    )
    assert {len(line.discounts) for line in order.line_items if not line.is_gift_card} == {2}


def test_an_order_is_found_by_id_and_by_name_with_all_its_lines(stand_ins: StandIns, store: Shopify) -> None:
    record = max(stand_ins.world().scan(TEELIXIR, "orders"), key=lambda record: len(record.body["lineItems"]))
    by_id = store.order(str(record.id))
    assert by_id.line_items == store.order_named(record.body["name"]).line_items
    assert [line.id for line in by_id.line_items] == [line["id"] for line in record.body["lineItems"]]
    assert str(by_id.total_price) == record.body["totalPriceSet"]["shopMoney"]["amount"]
    with pytest.raises(NotFound):
        store.order("gid://shopify/Order/1")
    with pytest.raises(NotFound):
        store.order_named("#TX1'")


def test_a_tag_that_is_added_stays(stand_ins: StandIns, store: Shopify) -> None:
    order_id = str(next(iter(whole(stand_ins, TEELIXIR, "orders"))))
    before = store.order(order_id).tags
    store.add_tags(order_id, ["checked", "by masterops"])
    assert set(store.order(order_id).tags) == {*before, "checked", "by masterops"}
    with pytest.raises(Rejected):
        store.add_tags("gid://shopify/Order/1", ["checked"])
