"""The world's own figures, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.importer import import_history
from masterops_dagster.simulator.world.records import millis
from masterops_dagster.simulator.world.store import World
from masterops_dagster.simulator.world.truth import Grain, TruthRow, truth, truth_periods

NOW = datetime(2026, 4, 20, 2, 0, tzinfo=UTC)
HEADER = (
    "order_number,ordered_at,shipped_at,customer_email,customer_name,sku,product_name,category,quantity,line_total,"
    "line_cost,tax_rate,status\n"
)
LONG_AGO = "B-0,2020-01-01,,nobody@example.com,Nobody,S,Thing,,1,0.00,,0,cancelled\n"
"""Takes the place of a generated shop and doesn't count."""


def melbourne(day: str, hour: int = 12, minute: int = 0) -> datetime:
    return datetime.fromisoformat(day).replace(hour=hour, minute=minute, tzinfo=MELBOURNE)


def net(at: datetime) -> str:
    return f"/Date({millis(at)})/"


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny world whose shops are all empty."""
    directory = tmp_path_factory.mktemp("emptied")
    world = World.open(directory, scale=0.01, now=lambda: NOW)
    (directory / "nothing.csv").write_text(HEADER + LONG_AGO)
    for business in ("teelixir", "elevate_wholesale", "buy_organics_online", "red_hill_fresh"):
        import_history(world, directory / "nothing.csv", business)
    for object_type in ("contacts", "deals"):
        for record in list(world.scan("hubspot", object_type)):
            world.erase(object_type, record.id)
    world.close()
    return directory


@pytest.fixture
def world(emptied: Path, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "world.sqlite").write_bytes((emptied / "world.sqlite").read_bytes())
    later = NOW + timedelta(seconds=1)
    opened = World.open(tmp_path, now=lambda: later)
    yield opened
    opened.close()


def figures(rows: list[TruthRow], business: str, system: str = "all") -> dict[tuple[date, str], Decimal]:
    return {(row.date, row.metric): row.value for row in rows if (row.business_key, row.system) == (business, system)}


def bring_in(world: World, tmp_path: Path, business: str, *lines: str) -> None:
    (tmp_path / "history.csv").write_text(HEADER + "\n".join(lines) + "\n")
    import_history(world, tmp_path / "history.csv", business)


def unleashed_order(world: World, id: str, at: datetime, **changes: Any) -> None:
    """An order of two lines: 2 × 10.00 that cost 4.0050 each, and 3 for 5.00 of unknown cost."""
    line: dict[str, Any] = {"OrderQuantity": 2, "LineTotal": 20.0, "AverageLandedPriceAtTimeOfSale": 4.005}
    other: dict[str, Any] = {"OrderQuantity": 3, "LineTotal": 5.0, "AverageLandedPriceAtTimeOfSale": None}
    line |= {"LineNumber": 1, "Product": {"ProductCode": "A"}}
    other |= {"LineNumber": 2, "Product": {"ProductCode": "B"}}
    body: dict[str, Any] = {
        "Guid": id,
        "OrderNumber": f"SO-{id}",
        "OrderStatus": "Placed",
        "OrderDate": net(at),
        "CompletedDate": None,
        "Customer": {"Guid": "c1"},
        "CustomerRef": None,
        "Comments": None,
        "SalesOrderLines": [line, other],
    }
    account = f"unleashed_{changes.pop('business', 'teelixir')}"
    world.put(account, "SalesOrders", id, {**body, **changes}, at)


def shopify_order(world: World, name: str, at: datetime, business: str = "teelixir", **changes: Any) -> None:
    """An order of two lines: 2 for 22.00 with 2.00 of tax, and 1 for 9.00 without tax."""
    id = f"gid://shopify/Order/{name.lstrip('#TXEW')}"
    body: dict[str, Any] = {
        "id": id,
        "name": name,
        "createdAt": at.astimezone(UTC).isoformat(),
        "cancelledAt": None,
        "test": False,
        "displayFulfillmentStatus": "UNFULFILLED",
        "taxesIncluded": True,
        "customer": None,
        "email": None,
        "purchasingEntity": None,
        "totalPriceSet": bag("31.00"),
        "totalTaxSet": bag("2.00"),
        "lineItems": [shopify_line("1", "A", 2, "22.00", "2.00"), shopify_line("2", "B", 1, "9.00", None)],
        "fulfillments": [],
        "refunds": [],
    }
    world.put(f"shopify_{business}", "orders", id, {**body, **changes}, at)


def shopify_line(id: str, sku: str, quantity: int, total: str, tax: str | None, **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "sku": sku,
        "quantity": quantity,
        "isGiftCard": False,
        "originalTotalSet": bag(str(Decimal(total) + 5)),
        "discountedTotalSet": bag(str(Decimal(total) + 2)),
        "discountAllocations": [{"allocatedAmountSet": bag("3.00")}, {"allocatedAmountSet": bag("2.00")}],
        "taxLines": [] if tax is None else [{"title": "GST", "rate": 0.1, "priceSet": bag(tax)}],
        **changes,
    }


def bag(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": "AUD"}}


def invoice(
    world: World, id: str, order: str, at: datetime, days: int, total: float, status: str = "Completed"
) -> None:
    body = {
        "InvoiceNumber": f"INV-{id}",
        "OrderNumber": f"SO-{order}",
        "InvoiceStatus": status,
        "InvoiceDate": net(at),
        "DueDate": net(at + timedelta(days=days)),
        "Total": total,
    }
    world.put("unleashed_teelixir", "Invoices", id, body, at)


def credit(
    world: World,
    id: str,
    invoice_id: str | None,
    at: datetime,
    amount: float,
    status: str = "Completed",
    customer: dict[str, Any] | None = None,
) -> None:
    number = f"INV-{invoice_id}" if invoice_id else None
    body = {
        "Status": status,
        "CreditDate": net(at),
        "InvoiceNumber": number,
        "Customer": customer,
        "CreditLines": [{"LineTotal": amount}],
    }
    world.put("unleashed_teelixir", "CreditNotes", id, body, at)


def test_an_orders_lines_make_revenue_units_and_margin(world: World) -> None:
    unleashed_order(world, "1", melbourne("2026-03-02", 23, 30))
    day = date(2026, 3, 2)
    found = figures(truth(world), "teelixir")
    assert found[day, "revenue"] == Decimal("25.00")
    assert found[day, "units"] == 5
    assert found[day, "average_order_value"] == Decimal("25.00")
    assert found[day, "units_per_order"] == 5
    assert found[day, "gross_margin"] == Decimal("59.95")  # (20.00 − 8.01) / 20.00
    assert found[date(2026, 3, 3), "revenue"] == 0
    assert (date(2026, 3, 3), "average_order_value") not in found


def test_what_was_not_accepted_does_not_count(world: World) -> None:
    for number, status in enumerate(("Parked", "Deleted", "Placed", "Backordered", "Completed")):
        unleashed_order(world, str(number), melbourne("2026-03-02"), OrderStatus=status)
    found = figures(truth(world), "teelixir")
    assert found[date(2026, 3, 2), "orders"] == 3
    assert found[date(2026, 4, 20), "back_order_rate"] == 50


def test_mirrored_shopify_orders_are_left_out_with_their_invoices_and_credit_notes(world: World) -> None:
    at = melbourne("2026-03-02")
    for name in ("#TX10001", "#TX10002"):
        shopify_order(world, name, at, cancelledAt="2026-03-02T03:00:00Z")
    unleashed_order(world, "own", at, CustomerRef="TX-1 PO#TX12")
    unleashed_order(world, "ref", at, CustomerRef="#TX10001")
    unleashed_order(world, "comment", at, CustomerRef="", Comments="gift\n#TX10002 please")
    unleashed_order(world, "elsewhere", at, CustomerRef="#TX10003", business="elevate_wholesale")
    for number, order in enumerate(("own", "ref", "comment")):
        invoice(world, str(number), order, at, 14, 110.0)
        credit(world, str(number), str(number), at, 7.0)
    credit(world, "free", None, at, 1.0)
    rows = truth(world)
    found = figures(rows, "teelixir")
    assert found[date(2026, 3, 2), "orders"] == 1
    assert found[date(2026, 3, 2), "refunds"] == Decimal("8.00")
    assert found[date(2026, 3, 2), "revenue"] == Decimal("17.00")
    assert found[date(2026, 3, 2), "refund_rate"] == 32
    assert found[date(2026, 3, 2), "debtors"] == Decimal("110.00")
    assert figures(rows, "elevate_wholesale")[date(2026, 3, 2), "orders"] == 1


def test_a_shop_order_counts_ex_tax_and_a_gift_card_is_no_sale(world: World) -> None:
    at = melbourne("2026-03-02", 23, 30)
    shopify_order(world, "#TX1", at)
    shopify_order(world, "#TX2", at, taxesIncluded=False)
    shopify_order(world, "#TX3", at, lineItems=[shopify_line("3", "G", 1, "50.00", None, isGiftCard=True)])
    shopify_order(world, "#TX4", at, test=True)
    shopify_order(world, "#TX5", at, cancelledAt="2026-03-03T00:00:00Z")
    rows = truth(world)
    found = figures(rows, "teelixir")
    day = date(2026, 3, 2)
    assert found[day, "revenue"] == Decimal("60.00")  # 20 + 9, and 22 + 9
    assert (found[day, "orders"], found[day, "units"]) == (3, 6)
    assert (day, "gross_margin") not in found
    assert figures(rows, "teelixir", "shopify")[day, "revenue"] == Decimal("60.00")


def test_a_business_has_one_set_of_figures_from_both_its_systems(world: World) -> None:
    at = melbourne("2026-03-02")
    shopify_order(world, "#TX1", at)
    unleashed_order(world, "1", at)
    unleashed_order(world, "copy", at, CustomerRef="#TX1")
    rows = truth(world)
    parts = [figures(rows, "teelixir", system)[date(2026, 3, 2), "revenue"] for system in ("shopify", "unleashed")]
    assert parts == [Decimal("29.00"), Decimal("25.00")]
    for business in ("teelixir", "group"):
        found = figures(rows, business)
        assert found[date(2026, 3, 2), "revenue"] == Decimal("54.00")
        assert found[date(2026, 3, 2), "orders"] == 2


def test_a_copy_of_an_order_that_never_was_is_an_order_of_its_own(world: World) -> None:
    at = melbourne("2026-03-02")
    shopify_order(world, "#TX1", at, test=True)
    unleashed_order(world, "typo", at, CustomerRef="#TX01", OrderStatus="Backordered")
    unleashed_order(world, "other store's", at, CustomerRef="#TX1", business="elevate_wholesale")
    unleashed_order(world, "typo, mended", at, CustomerRef="#TX01", Comments="it is #TX1", OrderStatus="Backordered")
    shopify_order(world, "#EW7", at, business="elevate_wholesale")
    unleashed_order(world, "copy", at, Comments="see\t#EW7", business="elevate_wholesale")
    later = World(world.directory, now=lambda: NOW + timedelta(minutes=1))
    later.remove("shopify_elevate_wholesale", "orders", "gid://shopify/Order/7")
    rows = truth(later)
    later.close()
    assert figures(rows, "teelixir", "unleashed")[date(2026, 3, 2), "orders"] == 1
    assert figures(rows, "elevate_wholesale", "unleashed")[date(2026, 3, 2), "orders"] == 1
    assert figures(rows, "teelixir")[date(2026, 4, 20), "back_order_rate"] == 100


def test_what_a_shop_order_cost_is_known_from_its_newest_copy(world: World) -> None:
    at = melbourne("2026-03-02")
    lines = [
        {"LineNumber": 2, "Product": {"ProductCode": "A"}, "AverageLandedPriceAtTimeOfSale": 9},
        {"LineNumber": 1, "Product": {"ProductCode": "A"}, "AverageLandedPriceAtTimeOfSale": 4.005},
        {"LineNumber": 3, "Product": {"ProductCode": "B"}, "AverageLandedPriceAtTimeOfSale": None},
    ]
    shopify_order(world, "#TX1", at)
    unleashed_order(world, "2", at, CustomerRef="#TX1", SalesOrderLines=lines)
    unleashed_order(world, "1", at, CustomerRef="#TX1")
    unleashed_order(world, "3", at - timedelta(hours=1), CustomerRef="#TX1")
    found = figures(truth(world), "teelixir")
    assert found[date(2026, 3, 2), "gross_margin"] == Decimal("59.95")  # (20.00 − 2 × 4.005) / 20.00, B unknown


def test_shop_refunds_are_ex_tax_and_those_of_gift_cards_or_cancelled_orders_do_not_count(world: World) -> None:
    def refund(day: int, total: str, *lines: tuple[str, str, str]) -> dict[str, Any]:
        return {
            "createdAt": f"2026-03-{day:02d}T13:30:00Z",
            "totalRefundedSet": bag(total),
            "refundLineItems": [
                {"lineItem": {"id": id}, "subtotalSet": bag(subtotal), "totalTaxSet": bag(tax)}
                for id, subtotal, tax in lines
            ],
        }

    at = melbourne("2026-03-02")
    items = [shopify_line("a", "A", 1, "22.00", "2.00"), shopify_line("g", "", 1, "25.00", None, isGiftCard=True)]
    shopify_order(world, "#TX1", at, lineItems=items, refunds=[refund(4, "0", ("a", "11.00", "1.00"), ("g", "9", "0"))])
    shopify_order(world, "#TX2", at, taxesIncluded=False, refunds=[refund(5, "11.00", ("x", "10.00", "1.00"))])
    shopify_order(world, "#TX3", at, refunds=[refund(6, "3.10")])
    shopify_order(world, "#TX4", at, cancelledAt="2026-03-03T00:00:00Z", refunds=[refund(7, "0", ("x", "5", "0"))])
    shopify_order(world, "#TX5", at, totalPriceSet=bag("0.0"), refunds=[refund(7, "3.10")])
    found = figures(truth(world), "teelixir")
    refunds = [found[date(2026, 3, day), "refunds"] for day in (5, 6, 7, 8)]
    assert refunds == [10, 10, Decimal("2.90"), 0]  # 3.10 × (31 − 2) / 31


def test_a_shop_order_is_complete_when_its_last_parcel_is_made_up(world: World) -> None:
    def parcel(day: int, status: str) -> dict[str, Any]:
        return {"status": status, "createdAt": f"2026-03-{day:02d}T01:00:00Z"}

    at = melbourne("2026-03-02")
    parcels = [parcel(4, "SUCCESS"), parcel(3, "SUCCESS"), parcel(9, "CANCELLED")]
    shopify_order(world, "#TX1", at, displayFulfillmentStatus="FULFILLED", fulfillments=parcels)
    shopify_order(world, "#TX2", at, displayFulfillmentStatus="PARTIALLY_FULFILLED", fulfillments=parcels[:2])
    shopify_order(world, "#TX3", at, displayFulfillmentStatus="FULFILLED", fulfillments=parcels[2:])
    found = figures(truth(world), "teelixir")
    times = {key[0]: value for key, value in found.items() if key[1] == "fulfilment_time"}
    assert times == {date(2026, 3, 4): 2}


def test_companies_owe_for_what_they_buy_in_the_store_and_people_do_not(world: World) -> None:
    at = melbourne("2026-03-02")
    company = {"company": {"id": "gid://shopify/Company/1", "name": "Wattle"}, "location": None, "contact": None}
    shopify_order(world, "#TX1", at, purchasingEntity=company)
    shopify_order(world, "#TX2", at)
    for number, reference in enumerate(("#TX1", "#TX2", None)):
        unleashed_order(world, str(number), at, CustomerRef=reference)
        invoice(world, str(number), str(number), at, 14, 100.0 + number)
        credit(world, str(number), str(number), at, 1.0)
    found = figures(truth(world), "teelixir")
    assert found[date(2026, 3, 2), "debtors"] == Decimal("202.00")
    assert found[date(2026, 3, 2), "days_sales_outstanding"] == round(Decimal(202 * 90) / 54, 6)  # 29 + 25 sold
    assert found[date(2026, 3, 2), "refunds"] == 1


def test_sales_within_the_group_count_for_the_seller_alone(world: World) -> None:
    sister = {"Guid": "sister", "CustomerCode": "ELEVATE"}
    day = date(2026, 3, 2)
    at = melbourne("2026-03-02")
    unleashed_order(world, "1", at - timedelta(days=9), Customer=sister)
    unleashed_order(world, "2", at, Customer=sister, OrderStatus="Backordered")
    unleashed_order(world, "3", at, Customer={"Guid": "other", "CustomerCode": "W1"})
    unleashed_order(world, "4", at, Customer={"Guid": "there", "CustomerCode": "ELEVATE"}, business="elevate_wholesale")
    invoice(world, "1", "1", at, 14, 50.0)
    invoice(world, "3", "3", at, 14, 7.0)
    credit(world, "1", "1", at, 4.0, customer=sister)
    credit(world, "2", None, at, 2.0, customer=sister)
    credit(world, "3", "3", at, 1.0)
    rows = truth(world)
    own, group = figures(rows, "teelixir"), figures(rows, "group")
    for metric, of_seller, of_group in (
        ("orders", 2, 2),
        ("revenue", 43, 49),
        ("refunds", 7, 1),
        ("units", 10, 10),
        ("customers", 2, 2),
        ("returning_customers", 1, 0),
        ("debtors", 57, 7),
    ):
        assert (own[day, metric], group[day, metric]) == (of_seller, of_group), metric
    assert own[day, "days_sales_outstanding"] == round(Decimal(57 * 90) / 75, 6)
    assert group[day, "days_sales_outstanding"] == round(Decimal(7 * 90) / 50, 6)
    assert (own[NOW.date(), "back_order_rate"], group[NOW.date(), "back_order_rate"]) == (round(Decimal(100) / 3, 6), 0)
    assert min(day for day, metric in group if metric == "revenue") == day


def test_the_crms_shopify_number_tells_who_bought(world: World) -> None:
    at = melbourne("2026-03-02")
    for number, email in (("71", None), ("72", "a@example.com"), ("81", None)):
        store = "elevate_wholesale" if number == "81" else "teelixir"
        body = {"legacyResourceId": number, "defaultEmailAddress": email and {"emailAddress": email}}
        world.put(f"shopify_{store}", "customers", f"gid://shopify/Customer/{number}", body)
        shopify_order(
            world, f"#TX{number}", at, store, customer={"id": f"gid://shopify/Customer/{number}"}, email="x@example.com"
        )
    shopify_order(world, "#TX1", at, email=" A@example.com")
    shopify_order(world, "#TX2", at)
    assert figures(truth(world), "group")[date(2026, 3, 2), "customers"] == 4
    world.create("contacts", {"email": "a@example.com", "shopify_customer_id": "81"})
    assert figures(truth(world), "group")[date(2026, 3, 2), "customers"] == 3
    for email in ("b@example.com", "c@example.com"):
        world.create("contacts", {"email": email, "shopify_customer_id": "99"})
    world.create("contacts", {"email": "d@example.com", "shopify_customer_id": "71"})
    assert figures(truth(world), "group")[date(2026, 3, 2), "customers"] == 3


def test_credit_notes_are_negative_revenue_on_their_own_day(world: World) -> None:
    unleashed_order(world, "1", melbourne("2026-03-02"))
    credit(world, "1", None, melbourne("2026-03-09", 0, 15), 5.0)
    credit(world, "2", None, melbourne("2026-03-09"), 5.0, status="Parked")
    found = figures(truth(world), "teelixir")
    assert found[date(2026, 3, 2), "revenue"] == Decimal("25.00")
    assert found[date(2026, 3, 9), "revenue"] == Decimal("-5.00")
    weeks = figures(truth_periods(world, None, "month"), "teelixir")
    assert weeks[date(2026, 3, 1), "revenue"] == Decimal("20.00")
    assert weeks[date(2026, 3, 1), "refund_rate"] == 20


def test_what_is_owed_ends_after_the_due_day(world: World) -> None:
    unleashed_order(world, "1", melbourne("2026-03-01"))
    invoice(world, "1", "1", melbourne("2026-03-02", 16), 14, 110.0)
    invoice(world, "2", "1", melbourne("2026-03-03", 16), 7, 50.0)
    invoice(world, "3", "1", melbourne("2026-03-03", 16), 7, 1000.0, status="Deleted")
    found = figures(truth(world), "teelixir")
    days = (1, 2, 3, 10, 11, 16, 17)
    owed = [found.get((date(2026, 3, day), "debtors")) for day in days]
    assert owed == [0, 110, 160, 160, 110, 110, 0]
    assert found[date(2026, 3, 2), "days_sales_outstanding"] == 396  # 110 / 25 × 90


def test_fulfilment_is_measured_by_the_clock_on_the_wall(world: World) -> None:
    ordered = melbourne("2026-04-03", 9)
    completed = melbourne("2026-04-06", 9)
    assert completed.astimezone(UTC) - ordered.astimezone(UTC) == timedelta(days=3, hours=1)
    unleashed_order(world, "1", ordered, OrderStatus="Completed", CompletedDate=net(completed))
    found = figures(truth(world), "teelixir")
    assert found[date(2026, 4, 6), "fulfilment_time"] == 3
    assert (date(2026, 4, 3), "fulfilment_time") not in found


def test_orders_around_daylight_saving_stay_on_their_melbourne_day(world: World) -> None:
    for number, at in enumerate((melbourne("2026-04-04", 23, 30), melbourne("2026-04-05", 23, 30))):
        unleashed_order(world, str(number), at)
    found = figures(truth(world), "teelixir")
    assert [found[date(2026, 4, day), "orders"] for day in (4, 5, 6)] == [1, 1, 0]


def test_shop_refunds_count_by_line_by_amount_and_not_for_cancelled_orders(world: World, tmp_path: Path) -> None:
    bring_in(
        world,
        tmp_path,
        "red_hill_fresh",
        "A,2026-03-02,2026-03-04,a@example.com,A,S1,Apples,,2,100.00,60.00,0.1,completed",
        "B,2026-03-02,,b@example.com,B,S1,Apples,,1,50.00,,0,cancelled",
        "C,2026-03-02,2026-03-05,c@example.com,C,S2,Pears,,1,30.00,,0,refunded",
    )
    account = "woocommerce_red_hill_fresh"
    ids = {r.body["number"]: r.number for r in world.scan(account, "orders")}
    by_amount = {"parent_id": ids["A"], "amount": "11.00", "line_items": [], "date_created_gmt": "2026-03-06T13:30:00"}
    cancelled = {**by_amount, "parent_id": ids["B"]}
    world.put(account, "refunds", "1", {"id": 1, **by_amount})
    world.put(account, "refunds", "2", {"id": 2, **cancelled})
    found = figures(truth(world), "red_hill_fresh")
    assert found[date(2026, 3, 2), "orders"] == 2
    assert found[date(2026, 3, 2), "revenue"] == Decimal("130.00")
    assert found[date(2026, 3, 2), "gross_margin"] == 40
    assert found[date(2026, 3, 5), "revenue"] == Decimal("-30.00")
    assert found[date(2026, 3, 7), "refunds"] == Decimal("10.00")  # 11.00 with tax, 00:30 on the 7th in Melbourne
    assert found[date(2026, 3, 4), "fulfilment_time"] == 2


def test_new_returning_and_repeating_customers_are_counted_per_period(world: World, tmp_path: Path) -> None:
    bring_in(
        world,
        tmp_path,
        "red_hill_fresh",
        "1,2026-02-02,,a@example.com,A,S,Apples,,1,1.00,,0,completed",
        "2,2026-03-03, , A@Example.com ,A,S,Apples,,1,1.00,,0,completed",
        "3,2026-03-03,,b@example.com,B,S,Apples,,1,1.00,,0,completed",
        "4,2026-03-20,,b@example.com,B,S,Apples,,1,1.00,,0,completed",
        "5,2026-03-21,,,,S,Apples,,1,1.00,,0,completed",
        "6,2026-03-21,,,,S,Apples,,1,1.00,,0,completed",
    )
    month = figures(truth_periods(world, None, "month"), "red_hill_fresh")
    march = date(2026, 3, 1)
    assert month[march, "customers"] == 4
    assert month[march, "new_customers"] == 3
    assert month[march, "returning_customers"] == 1
    assert month[march, "repeat_rate"] == 50
    assert figures(truth(world), "red_hill_fresh")[date(2026, 3, 20), "repeat_rate"] == 100
    everything = figures(truth_periods(world, None, "all"), "red_hill_fresh")
    assert everything[date(2026, 2, 2), "customers"] == 4
    year = figures(truth_periods(world, None, "fy"), "red_hill_fresh")
    assert year[date(2025, 7, 1), "new_customers"] == 4
    week = figures(truth_periods(world, None, "week"), "red_hill_fresh")
    assert week[date(2026, 3, 2), "orders"] == 2


def test_one_buyer_in_several_businesses_is_one_customer_of_the_group(world: World, tmp_path: Path) -> None:
    bring_in(world, tmp_path, "red_hill_fresh", "1,2026-03-02,,a@example.com,A,S,Apples,,1,1.00,,0,completed")
    unleashed_order(world, "1", melbourne("2026-03-02"), Customer={"Guid": "by-abn"})
    unleashed_order(world, "2", melbourne("2026-03-02"), Customer={"Guid": "by-code"}, business="elevate_wholesale")

    def customer(business: str, id: str, code: str, email: str | None, abn: str | None) -> None:
        body = {"CustomerCode": code, "Email": email, "GSTVATNumber": abn}
        world.put(f"unleashed_{business}", "Customers", id, body)

    customer("teelixir", "by-abn", "W1", None, "ABN 51 824 753 556")
    customer("elevate_wholesale", "abn-twin", "W2", None, "51824753556")
    customer("elevate_wholesale", "by-code", "W3", "desk@example.com", None)
    found = figures(truth(world), "group")
    assert found[date(2026, 3, 2), "customers"] == 3
    world.create("contacts", {"email": "a@example.com", "source_business": "teelixir", "unleashed_customer_code": "W1"})
    assert figures(truth(world), "group")[date(2026, 3, 2), "customers"] == 2
    survivor = world.create(
        "contacts", {"email": "b@example.com", "source_business": "elevate_wholesale", "unleashed_customer_code": "W2"}
    )
    gone = world.create("contacts", {"email": "desk@example.com"})
    world.merge("contacts", survivor.id, gone.id)
    assert figures(truth(world), "group")[date(2026, 3, 2), "customers"] == 1
    assert figures(truth(world), "group")[date(2026, 3, 2), "revenue"] == Decimal("51.00")


def test_deals_are_won_by_the_day_on_which_they_closed(world: World) -> None:
    def deal(closed: datetime, won: str, business: str = "buy_organics_online") -> str:
        properties = {
            "closedate": closed.astimezone(UTC).isoformat(),
            "hs_is_closed": "true",
            "hs_is_closed_won": won,
            "source_business": business,
        }
        return world.create("deals", properties).id

    deal(melbourne("2026-03-02", 23, 30), "true")
    deal(melbourne("2026-03-02", 1), "false")
    deal(melbourne("2026-03-02", 1), "false", "teelixir")
    world.archive("deals", deal(melbourne("2026-03-02"), "true"))
    rows = truth(world)
    assert figures(rows, "buy_organics_online") == {(date(2026, 3, 2), "win_rate"): Decimal(50)}
    assert figures(rows, "group")[date(2026, 3, 2), "win_rate"] == Decimal("33.333333")


def test_stock_figures_stand_for_the_present_day_only(world: World) -> None:
    product: dict[str, Any] = {
        "ProductDescription": "",
        "ProductGroup": None,
        "IsSellable": True,
        "Obsolete": False,
        "AverageLandPrice": 2.5,
    }
    for sku in ("A", "B", "C", "D"):
        world.put(
            "unleashed_teelixir", "Products", f"{sku}-guid", {**product, "ProductCode": sku, "Guid": f"{sku}-guid"}
        )
    unleashed_order(world, "1", melbourne("2026-04-19"))
    rows = list(world.scan("unleashed_teelixir", "StockOnHand"))
    on_hand = sum(row.body["QtyOnHand"] for row in rows)
    found = figures(truth(world), "teelixir")
    today = date(2026, 4, 20)
    assert found[today, "stock_value"] == Decimal(on_hand) * Decimal("2.5")
    assert found[today, "stock_cover"] == Decimal(on_hand) * 90 / 5
    assert [key[0] for key in found if key[1] == "stock_value"] == [today]


def test_sums_of_a_grain_are_the_sums_of_its_days(tmp_path: Path) -> None:
    world = World.open(tmp_path, scale=0.02, now=lambda: NOW)
    days = truth(world)
    grains: tuple[Grain, ...] = ("week", "month", "fy", "all")
    for grain in grains:
        periods = truth_periods(world, None, grain)
        for metric in ("revenue", "orders", "units", "refunds"):
            assert _sums(periods, metric) == _sums(days, metric), (grain, metric)
    world.close()


def test_the_past_is_shown_as_it_was_then(tmp_path: Path) -> None:
    then, later = NOW, NOW + timedelta(days=20)
    world = World.open(tmp_path, scale=0.02, now=lambda: then)
    before = truth(world)
    moved = World.open(tmp_path, now=lambda: later)
    assert truth(moved) != before
    assert truth(moved, then) == before


def _sums(rows: list[TruthRow], metric: str) -> list[tuple[str, str, Decimal]]:
    keys = sorted({(row.business_key, row.system) for row in rows if row.metric == metric})
    return [
        (b, s, sum((r.value for r in rows if (r.business_key, r.system, r.metric) == (b, s, metric)), Decimal(0)))
        for b, s in keys
    ]
