"""An order history of one's own in place of the simulated one."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from masterops_dagster.simulator.world.importer import HISTORIES, ImportRefused, import_history
from masterops_dagster.simulator.world.records import Query
from masterops_dagster.simulator.world.store import World
from masterops_dagster.simulator.world.truth import Grain, truth_periods

NOW = datetime(2026, 4, 20, 2, 0, tzinfo=UTC)
SUPERSTORE = Path(__file__).parent.parent / "data" / "superstore_orders.csv.gz"
HEADER = (
    "order_number,ordered_at,shipped_at,customer_email,customer_name,sku,product_name,category,quantity,line_total,"
    "line_cost,tax_rate,status\n"
)
GOOD = "A-1,2026-03-02,2026-03-04,a@example.com,Ann Lee,S1,Apples,Fruit,2,10.00,6.00,0.1,completed\n"
SHOP = "woocommerce_red_hill_fresh"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world")
    World.open(directory, scale=0.02, now=lambda: NOW).close()
    return directory


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "world.sqlite").write_bytes((made / "world.sqlite").read_bytes())
    opened = World.open(tmp_path, now=lambda: NOW)
    yield opened
    opened.close()


def bring_in(world: World, text: str | bytes, business: str = "red_hill_fresh") -> None:
    file = world.directory / "history.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    import_history(world, file, business)


@pytest.mark.parametrize("business", ["red_hill_fresh", "elevate_wholesale", "buy_organics_online"])
def test_a_real_history_gives_the_figures_that_are_known_of_it(world: World, business: str) -> None:
    bring_in(world, gzip.decompress(SUPERSTORE.read_bytes()), business)
    known: dict[tuple[Grain, date], dict[str, str]] = {
        ("all", date(2014, 1, 3)): {
            "revenue": "2297201.07",
            "orders": "5009",
            "units": "37873",
            "customers": "793",
            "gross_margin": "12.467",
            "fulfilment_time": "3.957",
        },
        ("month", date(2014, 3, 1)): {"new_customers": "65"},
        ("month", date(2016, 11, 1)): {
            "revenue": "79412.03",
            "orders": "183",
            "customers": "165",
            "new_customers": "6",
        },
        ("month", date(2017, 9, 1)): {"revenue": "87866.66", "orders": "226", "customers": "196"},
        ("month", date(2017, 11, 1)): {"revenue": "118447.81", "orders": "261", "customers": "216"},
        ("fy", date(2014, 7, 1)): {"revenue": "481236.95", "orders": "995"},
        ("fy", date(2015, 7, 1)): {"revenue": "541875.97", "orders": "1153"},
        ("fy", date(2016, 7, 1)): {"revenue": "636795.50", "orders": "1449"},
    }
    rows = {
        (grain, row.date, row.metric): row.value
        for grain in ("all", "month", "fy")
        for row in truth_periods(world, None, grain)  # type: ignore[arg-type]
        if row.business_key == business
    }
    for (grain, start), figures in known.items():
        for metric, value in figures.items():
            found = rows[grain, start, metric]
            assert round(found, len(value.partition(".")[2])) == Decimal(value), (grain, start, metric)


def test_what_is_imported_takes_the_place_of_what_was_there(world: World) -> None:
    before = {record.id for record in world.scan(SHOP, "orders")}
    bring_in(world, HEADER + GOOD)
    (order,) = world.scan(SHOP, "orders")
    assert order.id not in before
    assert order.body["date_created_gmt"] == "2026-03-01T13:00:00"
    assert order.body["date_completed_gmt"] == "2026-03-03T13:00:00"
    assert order.body["line_items"][0]["cost_of_goods_sold"] == {"value": 6.0}
    assert order.body["total"] == "11.00"
    assert order.modified_at == NOW
    for resource, count in (("customers", 1), ("products", 1), ("products/variations", 0), ("refunds", 0)):
        assert world.count(SHOP, resource) == count
    assert world.count("unleashed_teelixir", "SalesOrders") > 0


def test_no_simulated_order_follows_an_import(world: World) -> None:
    bring_in(world, HEADER + GOOD)
    later = World.open(world.directory, now=lambda: NOW + timedelta(days=60))
    assert later.count(SHOP, "orders") == 1
    assert later.count("unleashed_teelixir", "SalesOrders", Query(business_from=NOW)) > 0
    later.close()


def test_a_second_import_replaces_the_first_with_new_ids(world: World) -> None:
    bring_in(world, HEADER + GOOD)
    (first,) = world.scan(SHOP, "orders")
    later = World.open(world.directory, now=lambda: NOW + timedelta(minutes=1))
    bring_in(later, HEADER + GOOD)
    (second,) = later.scan(SHOP, "orders")
    assert second.number > first.number
    later.close()


def test_orders_of_all_states_become_what_their_system_calls_them(world: World) -> None:
    rows = "".join(
        GOOD.replace("A-1", status).replace("completed", status)
        for status in ("completed", "processing", "cancelled", "refunded")
    )
    bring_in(world, HEADER + rows)
    assert {o.body["number"]: o.body["status"] for o in world.scan(SHOP, "orders")} == {
        status: status for status in ("completed", "processing", "cancelled", "refunded")
    }
    (refund,) = world.scan(SHOP, "refunds")
    assert refund.body["amount"] == "11.00"
    assert refund.body["date_created"] == "2026-03-04T00:00:00"
    assert refund.body["line_items"][0]["total"] == "-10.00"
    bring_in(world, HEADER + rows, "teelixir")
    states = {o.body["OrderNumber"]: o.body["OrderStatus"] for o in world.scan("unleashed_teelixir", "SalesOrders")}
    assert states == {"completed": "Completed", "processing": "Placed", "cancelled": "Deleted", "refunded": "Completed"}
    (note,) = world.scan("unleashed_teelixir", "CreditNotes")
    assert (note.body["Status"], note.body["Total"]) == ("Completed", 11.0)
    assert world.count("shopify_teelixir", "orders") == 0


def test_a_sku_keeps_each_lines_name_and_a_repeated_line_stays(world: World) -> None:
    newer = GOOD.replace("A-1", "A-2").replace("2026-03-02", "2026-03-03").replace("Apples", "Apples, red")
    bring_in(world, HEADER + newer.replace("Apples, red", '"Apples, red"') + GOOD + GOOD)
    orders = {o.body["number"]: [line["name"] for line in o.body["line_items"]] for o in world.scan(SHOP, "orders")}
    assert orders == {"A-2": ["Apples, red"], "A-1": ["Apples", "Apples"]}
    (product,) = world.scan(SHOP, "products")
    assert product.body["name"] == "Apples, red"


def test_differently_written_emails_are_one_customer_and_none_is_a_guest(world: World) -> None:
    rows = GOOD + GOOD.replace("A-1", "A-2").replace("a@example.com", " A@Example.COM")
    bring_in(world, HEADER + rows + GOOD.replace("A-1", "A-3").replace("a@example.com", ""))
    assert world.count(SHOP, "customers") == 1
    ids = {o.body["number"]: o.body["customer_id"] for o in world.scan(SHOP, "orders")}
    assert ids["A-1"] == ids["A-2"] > 0 == ids["A-3"]


def test_every_bad_row_is_listed_and_nothing_is_changed(world: World) -> None:
    rows = [
        GOOD,
        GOOD.replace("A-1", "").replace("2026-03-02", "02/03/2026"),
        GOOD.replace("A-1", "A-3").replace("10.00", "ten").replace("completed", "done"),
        GOOD.replace("A-1", "A-4").replace("10.00", "9.999").replace(",2,", ",0,").replace("0.1", "10"),
        GOOD.replace("A-1", "A-5").replace("2026-03-04", "2026-03-01").replace("a@example.com", "nobody"),
        "A-6,too,short\n",
        GOOD.replace("2026-03-02", "2026-03-03"),
        GOOD.replace("A-1", "A-8").replace("2026-03-04", "2031-01-01").replace("6.00", "-6.00"),
        GOOD.replace("A-1", "A-9").replace("10.00", "NaN").replace(",S1,", ", ,"),
    ]
    before = world.count(SHOP, "orders")
    with pytest.raises(ImportRefused) as refused:
        bring_in(world, HEADER + "".join(rows))
    assert {(bad.line, bad.column) for bad in refused.value.bad_rows} == {
        (3, "order_number"),
        (3, "ordered_at"),
        (4, "line_total"),
        (4, "status"),
        (5, "line_total"),
        (5, "quantity"),
        (5, "tax_rate"),
        (6, "shipped_at"),
        (6, "customer_email"),
        (7, "row"),
        (8, "ordered_at"),
        (9, "shipped_at"),
        (9, "line_cost"),
        (10, "line_total"),
        (10, "sku"),
    }
    assert "line 8, ordered_at: '2026-03-03' differs from '2026-03-02' in line 2 of the order" in str(refused.value)
    assert world.count(SHOP, "orders") == before


def test_lines_are_counted_as_the_file_has_them(world: World) -> None:
    with pytest.raises(ImportRefused) as refused:
        bring_in(world, HEADER + GOOD.replace("Apples", '"Ap\nples"') + "\n" + GOOD.replace("A-1", ""))
    assert [(bad.line, bad.column) for bad in refused.value.bad_rows] == [(5, "order_number")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "missing: 'order_number'"),
        (HEADER.encode(), "no rows below its header"),
        (HEADER.replace("sku", "SKU").encode() + GOOD.encode(), "missing: 'sku'; unknown: 'SKU'"),
        ((HEADER + GOOD.replace("Ann", "Renée")).encode("latin-1"), "not UTF-8: byte 0xe9 in line 2"),
        ((HEADER + GOOD.replace("Apples", '"Apples')).encode(), "not proper CSV"),
    ],
)
def test_a_file_that_is_no_history_is_refused_with_the_reason(world: World, content: bytes, told: str) -> None:
    with pytest.raises(ImportRefused, match=told):
        bring_in(world, content)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(world: World) -> None:
    bring_in(world, ("\ufeff" + HEADER + GOOD).replace("\n", "\r\n").encode())
    assert world.count(SHOP, "orders") == 1


def test_times_with_and_without_a_zone_are_understood(world: World) -> None:
    rows = [
        GOOD.replace("A-1", "A").replace("2026-03-02", "2026-03-02T23:30"),
        GOOD.replace("A-1", "B").replace("2026-03-02", "2026-03-02 23:30:00+00:00"),
        GOOD.replace("A-1", "C").replace("2026-03-02", "2026-03-02T12:30:00Z"),
        GOOD.replace("A-1", "D").replace("2026-03-02", "2026-03-02T10:00").replace("2026-03-04", "2026-03-02"),
    ]
    bring_in(world, HEADER + "".join(rows))
    dates = {
        o.body["number"]: (o.body["date_created_gmt"], o.body["date_completed_gmt"]) for o in world.scan(SHOP, "orders")
    }
    assert dates["A"][0] == "2026-03-02T12:30:00"
    assert dates["B"][0] == "2026-03-02T23:30:00"
    assert dates["C"][0] == "2026-03-02T12:30:00"
    assert dates["D"] == ("2026-03-01T23:00:00", "2026-03-01T23:00:00")


def test_a_business_that_is_not_known_is_refused(world: World) -> None:
    with pytest.raises(KeyError, match="unknown business"):
        bring_in(world, HEADER + GOOD, "acme")


def test_a_business_without_a_system_to_fill_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(HISTORIES, "bigcommerce")
    with pytest.raises(ImportRefused, match="Buy Organics Online has no system that an order history can be put into"):
        bring_in(world, HEADER + GOOD, "buy_organics_online")


def test_what_the_store_of_an_imported_business_had_goes_too(world: World) -> None:
    account = "shopify_elevate_wholesale"
    resources = ("orders", "customers", "products", "abandoned_checkouts", "inventory_levels")
    assert all(world.count(account, resource) for resource in resources)
    bring_in(world, HEADER + GOOD, "elevate_wholesale")
    later = World.open(world.directory, now=lambda: NOW + timedelta(days=90))
    assert [later.count(account, resource) for resource in resources] == [0] * 5
    assert later.count("shopify_teelixir", "orders") > world.count("shopify_teelixir", "orders")
    later.close()


def test_a_bigcommerce_store_holds_a_history_in_its_own_words(world: World) -> None:
    account = "bigcommerce_buy_organics_online"
    rows = "".join(
        GOOD.replace("A-1", status).replace("completed", status)
        for status in ("completed", "processing", "cancelled", "refunded")
    )
    bring_in(world, HEADER + rows + GOOD.replace("A-1", "guest").replace("a@example.com", ""), "buy_organics_online")
    orders = {body["external_id"]: body for body in (record.body for record in world.scan(account, "orders"))}
    states = {"completed": 10, "processing": 2, "cancelled": 5, "refunded": 4, "guest": 10}
    assert {number: body["status_id"] for number, body in orders.items()} == states
    assert orders["completed"]["date_created"] == "Sun, 01 Mar 2026 13:00:00 +0000"
    assert orders["completed"]["products"][0]["cost_price_ex_tax"] == "3.0000"
    assert orders["guest"]["customer_id"] == 0 < orders["completed"]["customer_id"]
    (refund,) = (record.body for record in world.scan(account, "refunds"))
    assert (refund["total_amount"], refund["total_tax"]) == (11.0, 1.0)
    assert world.count(account, "customers") == world.count(account, "products") == 1
    assert world.count(account, "inventory") == 0
