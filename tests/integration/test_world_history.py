"""The generated history: always the same, consistent in itself, and as untidy as real data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.books.common import net_moment
from masterops_dagster.simulator.world.records import Query
from masterops_dagster.simulator.world.store import World

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SHOPIFY_NAME = re.compile(r"(^|\s)#TX[0-9]+")


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def fingerprint(directory: Path) -> str:
    """A digest of every version and association, whatever the order in which they were stored."""
    digest = hashlib.sha256()
    with sqlite3.connect(directory / "world.sqlite") as connection:
        for query in (
            """select account, resource, id, number, parent, visible_from, visible_to, created_at, business_at,
                modified_at, archived, body
            from records join collections using (collection) order by 1, 2, 3, 6""",
            "select * from associations order by 1, 2, 3, 4, 5",
        ):
            for row in connection.execute(query):
                digest.update(repr(row).encode())
    connection.close()
    return digest.hexdigest()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of two fifths of the usual size, with exact numbers."""
    directory = tmp_path_factory.mktemp("full") / "world"
    World.open(directory, scale=0.4, now=at(NOW)).close()
    opened = World(directory, at(NOW), exact=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of seed 1 and scale 0.03 as it was first made, to be compared with and copied."""
    directory = tmp_path_factory.mktemp("young") / "world"
    World.open(directory, seed=1, scale=0.03, now=at(NOW)).close()
    return directory


def bodies(world: World, account: str, resource: str, query: Query | None = None) -> list[dict[str, Any]]:
    return [record.body for record in world.scan(account, resource, query)]


# ---- always the same


def test_the_same_seed_start_and_scale_make_the_same_bytes(young: Path, tmp_path: Path) -> None:
    for name, seed in (("again", 1), ("other", 8)):
        World.open(tmp_path / name, seed=seed, scale=0.03, now=at(NOW)).close()
    assert fingerprint(young) == fingerprint(tmp_path / "again") != fingerprint(tmp_path / "other")


def test_days_are_the_same_whether_they_are_made_one_by_one_or_all_at_once(young: Path, tmp_path: Path) -> None:
    for name in ("slow", "fast"):
        shutil.copytree(young, tmp_path / name)
    for day in range(1, 30, 3):
        World.open(tmp_path / "slow", now=at(NOW + timedelta(days=day))).close()
    World.open(tmp_path / "slow", now=at(NOW + timedelta(days=30))).close()
    World.open(tmp_path / "fast", now=at(NOW + timedelta(days=30))).close()
    assert fingerprint(tmp_path / "slow") == fingerprint(tmp_path / "fast")


def test_a_reset_makes_what_a_fresh_folder_would_hold(tmp_path: Path) -> None:
    reset = World.open(tmp_path / "reset", seed=1, scale=0.02, now=at(NOW))
    reset.create("contacts", {"email": "written@example.com"})
    reset.reset(seed=5, scale=0.03)
    World.open(tmp_path / "fresh", seed=5, scale=0.03, now=at(NOW)).close()
    assert fingerprint(tmp_path / "reset") == fingerprint(tmp_path / "fresh")


def test_a_kill_in_the_middle_of_the_making_changes_nothing(young: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from datetime import datetime; from pathlib import Path;"
        "from masterops_dagster.simulator.world.store import World;"
        f"World.open(Path(sys.argv[1]), seed=1, scale=0.03, now=lambda: datetime.fromisoformat({NOW.isoformat()!r}))"
    )
    killed = 0
    for _ in range(40):
        making = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "killed")])
        deadline = time.monotonic() + 30
        while making.poll() is None and not (tmp_path / "killed" / "world.sqlite-wal").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.25)
        if making.poll() is None:
            os.kill(making.pid, signal.SIGKILL)
            killed += 1
        making.wait()
        if killed == 3:
            break
    assert killed == 3
    World.open(tmp_path / "killed", now=at(NOW)).close()
    assert fingerprint(tmp_path / "killed") == fingerprint(young)


def test_large_worlds_grow_with_the_scale(young: Path, world: World) -> None:
    small = World(young, at(NOW)).count("woocommerce_red_hill_fresh", "orders")
    assert 0.87 < world.count("woocommerce_red_hill_fresh", "orders") / small / (0.4 / 0.03) < 1.13


# ---- consistent in itself


def test_the_world_has_the_size_that_the_first_load_is_planned_for(world: World) -> None:
    sizes = {
        ("hubspot", "contacts"): (3_000, 4_200),
        ("unleashed_teelixir", "SalesOrders"): (5_500, 7_000),
        ("unleashed_elevate_wholesale", "SalesOrders"): (2_200, 3_000),
        ("woocommerce_red_hill_fresh", "orders"): (6_300, 7_700),
        ("unleashed_teelixir", "Products"): (140, 150),
        ("unleashed_elevate_wholesale", "Products"): (290, 300),
        ("woocommerce_red_hill_fresh", "products"): (70, 85),
    }
    for (account, resource), (low, high) in sizes.items():
        share = 1 if resource.lower() == "products" else 0.4
        assert low * share <= world.count(account, resource) <= high * share, (account, resource)


@pytest.mark.parametrize("account", ["unleashed_teelixir", "unleashed_elevate_wholesale"])
@pytest.mark.parametrize(
    ("resource", "lines"),
    [("SalesOrders", "SalesOrderLines"), ("Invoices", "InvoiceLines"), ("CreditNotes", "CreditLines")],
)
def test_unleashed_documents_add_up(world: World, account: str, resource: str, lines: str) -> None:
    for body in bodies(world, account, resource):
        assert body["SubTotal"] == sum(line["LineTotal"] for line in body[lines])
        assert body["TaxTotal"] == sum(line["LineTax"] for line in body[lines])
        assert body["Total"] == body["SubTotal"] + body["TaxTotal"]
        assert len({line["Guid"] for line in body[lines]}) == len(body[lines]) > 0


def test_shop_orders_and_their_refunds_add_up(world: World) -> None:
    money = ("total", "total_tax", "shipping_total", "shipping_tax", "cart_tax", "discount_total")
    refunded: Counter[int] = Counter()
    orders = {}
    for order in bodies(world, "woocommerce_red_hill_fresh", "orders"):
        total, total_tax, shipping, shipping_tax, cart_tax, discount = (Decimal(order[name]) for name in money)
        lines = order["line_items"]
        assert total == sum(Decimal(line["total"]) for line in lines) + shipping + total_tax
        assert total_tax == cart_tax + shipping_tax
        assert discount == sum(Decimal(line["subtotal"]) - Decimal(line["total"]) for line in lines)
        assert len({line["id"] for line in lines}) == len(lines) > 0
        orders[order["id"]] = order
    for refund in bodies(world, "woocommerce_red_hill_fresh", "refunds"):
        order = orders[refund["parent_id"]]
        assert {"id": refund["id"], "reason": refund["reason"], "total": f"-{refund['amount']}"} in order["refunds"]
        refunded[refund["parent_id"]] += Decimal(refund["amount"])  # type: ignore[assignment]
        if refund["line_items"]:
            parts = [*refund["line_items"], *refund["shipping_lines"]]
            assert -sum(Decimal(p["total"]) + Decimal(p["total_tax"]) for p in parts) == Decimal(refund["amount"])
    assert all(amount <= Decimal(orders[id]["total"]) for id, amount in refunded.items())


def test_documents_point_to_what_is_there(world: World) -> None:
    for account in ("unleashed_teelixir", "unleashed_elevate_wholesale"):
        customers = {body["Guid"]: body["CustomerCode"] for body in bodies(world, account, "Customers")}
        orders = bodies(world, account, "SalesOrders")
        assert all(customers[order["Customer"]["Guid"]] == order["Customer"]["CustomerCode"] for order in orders)
        numbers = {order["OrderNumber"] for order in orders}
        invoices = {body["InvoiceNumber"]: body["OrderNumber"] for body in bodies(world, account, "Invoices")}
        assert len(numbers) == len(orders)
        assert set(invoices.values()) <= numbers
        assert {n["InvoiceNumber"] for n in bodies(world, account, "CreditNotes")} - {None} <= set(invoices)
    buyers = {body["id"] for body in bodies(world, "woocommerce_red_hill_fresh", "customers")}
    assert {order["customer_id"] for order in bodies(world, "woocommerce_red_hill_fresh", "orders")} - {0} <= buyers


def test_every_day_of_the_last_month_brought_orders_to_both_retail_businesses(world: World) -> None:
    for account, resource in (("woocommerce_red_hill_fresh", "orders"), ("unleashed_teelixir", "SalesOrders")):
        recent = Query(business_from=NOW - timedelta(days=30))
        hours = Counter(
            record.business_at.astimezone(MELBOURNE).date() for record in world.scan(account, resource, recent)
        )
        assert len(hours) >= 30
        assert sum(hours.values()) > 60


def test_no_two_live_contacts_share_an_email(world: World) -> None:
    emails = Counter(body["properties"].get("email") for body in bodies(world, "hubspot", "contacts"))
    emails.pop(None)
    assert emails.most_common(1)[0][1] == 1


# ---- as untidy as real data


def test_emails_are_written_in_many_ways(world: World) -> None:
    typed = [b["Email"] for b in bodies(world, "unleashed_teelixir", "Customers") if b["Email"]]
    assert any(email != email.strip() for email in typed)
    assert any(email != email.lower() for email in typed)
    billing = [o["billing"]["email"] for o in bodies(world, "woocommerce_red_hill_fresh", "orders")]
    assert any(email != email.lower() for email in billing)


def test_abns_are_missing_grouped_and_shared_by_both_accounts(world: World) -> None:
    digits = []
    for account in ("unleashed_teelixir", "unleashed_elevate_wholesale"):
        typed = [b["GSTVATNumber"] for b in bodies(world, account, "Customers") if b["CustomerType"] != "Shopify"]
        assert {None, ""} & set(typed)
        assert any(abn and " " in abn for abn in typed)
        digits.append({re.sub(r"\D", "", abn) for abn in typed if abn and len(re.sub(r"\D", "", abn)) == 11})
    assert len(digits[0] & digits[1]) > 10


def test_shopify_orders_are_mirrored_some_only_in_the_comments(world: World) -> None:
    orders = bodies(world, "unleashed_teelixir", "SalesOrders")
    by_reference = [o for o in orders if SHOPIFY_NAME.search(o["CustomerRef"] or "")]
    by_comment = [o for o in orders if SHOPIFY_NAME.search(o.get("Comments") or "")]
    assert len(by_reference) > 1_400
    assert len([o for o in by_comment if o not in by_reference]) > 80
    names = {
        found.group().strip()
        for o in orders
        for f in ("CustomerRef", "Comments")
        if (found := SHOPIFY_NAME.search(o.get(f) or ""))
    }
    unknown = names - {record.body["name"] for record in world.ever("shopify_teelixir", "orders")}
    assert len(unknown) > 5
    assert all(name.startswith("#TX0") for name in unknown)
    copies = {o["OrderNumber"] for o in [*by_reference, *by_comment]}
    invoices = {
        b["InvoiceNumber"] for b in bodies(world, "unleashed_teelixir", "Invoices") if b["OrderNumber"] in copies
    }
    assert {n["InvoiceNumber"] for n in bodies(world, "unleashed_teelixir", "CreditNotes")} & invoices
    assert any((o["CustomerRef"] or "").startswith(("PO#", "TX-")) for o in orders)


def test_orders_are_in_every_state(world: World) -> None:
    for account in ("unleashed_teelixir", "unleashed_elevate_wholesale"):
        states = Counter(body["OrderStatus"] for body in bodies(world, account, "SalesOrders"))
        assert set(states) == {"Parked", "Placed", "Backordered", "Completed", "Deleted"}
        assert {body["Status"] for body in bodies(world, account, "CreditNotes")} >= {"Completed", "Deleted"}
        assert {body["InvoiceStatus"] for body in bodies(world, account, "Invoices")} >= {"Completed", "Deleted"}
    shop = Counter(order["status"] for order in bodies(world, "woocommerce_red_hill_fresh", "orders"))
    assert set(shop) >= {"processing", "completed", "cancelled", "refunded", "failed"}


def test_lines_are_taken_out_and_quantities_changed_later(world: World) -> None:
    with sqlite3.connect(world.directory / "world.sqlite") as connection:
        for resource, lines in (("SalesOrders", "SalesOrderLines"), ("orders", "line_items")):
            removed = connection.execute(
                """select count(*) from records later
                join records earlier on later.collection = earlier.collection and later.id = earlier.id
                    and earlier.visible_to = later.visible_from
                where later.collection in (select collection from collections where resource = ? and account <> ?)
                    and json_array_length(later.body, ?) < json_array_length(earlier.body, ?)""",
                (resource, "shopify_teelixir", f"$.{lines}", f"$.{lines}"),
            ).fetchone()[0]
            assert removed > 10
    connection.close()


def test_refunds_come_by_line_by_amount_in_full_and_for_cancelled_orders(world: World) -> None:
    orders = {order["id"]: order for order in bodies(world, "woocommerce_red_hill_fresh", "orders")}
    refunds = bodies(world, "woocommerce_red_hill_fresh", "refunds")
    kinds = Counter((bool(refund["line_items"]), orders[refund["parent_id"]]["status"]) for refund in refunds)
    assert kinds[(True, "completed")] > 20
    assert kinds[(False, "completed")] > 20
    assert kinds[(True, "refunded")] > 20
    assert kinds[(True, "cancelled")] > 10


def test_contacts_are_archived_merged_and_some_are_gone(world: World) -> None:
    assert world.count("hubspot", "contacts", Query(archived=True)) > 5
    merged = [
        b["properties"] for b in bodies(world, "hubspot", "contacts") if b["properties"].get("hs_merged_object_ids")
    ]
    assert len(merged) > 20
    assert all(p["hs_additional_emails"] for p in merged)
    assert all(world.get("hubspot", "contacts", p["hs_merged_object_ids"], archived=None) is None for p in merged)
    assert any(b["properties"].get("hs_merged_object_ids") for b in bodies(world, "hubspot", "companies"))


def test_products_are_removed_put_aside_and_of_unknown_cost(world: World) -> None:
    early = World(world.directory, at(NOW - timedelta(days=400)))
    for account, resource in (("unleashed_teelixir", "Products"), ("woocommerce_red_hill_fresh", "products")):
        then = {record.id for record in early.scan(account, resource)}
        assert then - {record.id for record in world.scan(account, resource)}
    products = bodies(world, "unleashed_elevate_wholesale", "Products")
    assert any(p["Obsolete"] for p in products)
    assert any(not p["IsSellable"] for p in products)
    assert any(p["AverageLandPrice"] is None for p in products)
    early.close()


def test_stock_is_short_negative_and_without_cost_here_and_there(world: World) -> None:
    rows = [b for a in ("teelixir", "elevate_wholesale") for b in bodies(world, f"unleashed_{a}", "StockOnHand")]
    assert any(row["QtyOnHand"] < 0 for row in rows)
    assert any(row["AvailableQty"] == 0 for row in rows)
    assert any(row["AvgCost"] is None for row in rows)
    assert len({row["WarehouseCode"] for row in rows}) == 4


def test_orders_are_dated_where_days_go_wrong(world: World) -> None:
    for account, resource in (("woocommerce_red_hill_fresh", "orders"), ("unleashed_teelixir", "SalesOrders")):
        local = [record.business_at.astimezone(MELBOURNE) for record in world.scan(account, resource)]
        assert sum((t.hour, t.minute) == (23, 30) for t in local) > 30
        assert sum(t.date().isoformat() == "2026-04-05" and t.hour == 2 for t in local) >= 2
        assert any(t.date().isoformat() == "2026-10-04" for t in local)


def test_names_come_in_other_scripts_and_with_emoji(world: World) -> None:
    names = json.dumps(
        [b["CustomerName"] for b in bodies(world, "unleashed_teelixir", "Customers")], ensure_ascii=False
    )
    assert all(script in names for script in ("王", "Петрова", "الحسن", "🌿", "Nguyễn"))


def test_values_are_null_absent_zero_and_unknown(world: World) -> None:
    orders = bodies(world, "unleashed_teelixir", "SalesOrders")
    assert any(order["CompletedDate"] is None for order in orders)
    assert any("Comments" not in order for order in orders)
    assert any("LoyaltyTier" in order for order in orders)
    assert any(order["Total"] == 0 for order in orders if order["OrderStatus"] == "Completed")
    assert any(re.fullmatch(r"/Date\(\d+\+1100\)/", order["OrderDate"]) for order in orders)
    shop = bodies(world, "woocommerce_red_hill_fresh", "orders")
    assert any(Decimal(order["total"]) == 0 and order["status"] == "completed" for order in shop)
    assert any("cost_of_goods_sold" not in line for order in shop for line in order["line_items"])
    assert any("phone" not in b["properties"] for b in bodies(world, "hubspot", "contacts"))


def test_guests_and_other_peoples_addresses_pay(world: World) -> None:
    accounts = {b["id"]: b["email"].lower() for b in bodies(world, "woocommerce_red_hill_fresh", "customers")}
    shop = bodies(world, "woocommerce_red_hill_fresh", "orders")
    assert sum(order["customer_id"] == 0 for order in shop) > 400
    assert any(order["customer_id"] == 0 and not order["billing"]["email"] for order in shop)
    other = [o for o in shop if o["customer_id"] and o["billing"]["email"].lower() != accounts[o["customer_id"]]]
    assert len(other) > 20


def test_one_person_buys_from_several_businesses(world: World) -> None:
    fresh = {b["email"].lower() for b in bodies(world, "woocommerce_red_hill_fresh", "customers")}
    teelixir = {(b["Email"] or "").strip().lower() for b in bodies(world, "unleashed_teelixir", "Customers")}
    assert len(fresh & teelixir) > 10


def test_some_orders_are_seen_later_than_they_are_dated(world: World) -> None:
    with sqlite3.connect(world.directory / "world.sqlite") as connection:
        late = connection.execute(
            "select max(visible_from - modified_at), sum(visible_from > modified_at) from records"
        ).fetchone()
    connection.close()
    assert 60_000 < late[0] < 10 * 60_000
    assert late[1] > 10


def test_orders_vanish_from_the_shop(world: World) -> None:
    early = World(world.directory, at(NOW - timedelta(days=60)))
    now_there = {record.id for record in world.scan("woocommerce_red_hill_fresh", "orders")}
    assert {record.id for record in early.scan("woocommerce_red_hill_fresh", "orders")} - now_there
    early.close()


def test_dates_of_unleashed_are_the_moments_by_which_its_filters_go(world: World) -> None:
    for record in world.page("unleashed_teelixir", "SalesOrders", limit=500).records:
        assert net_moment(record.body["OrderDate"]) == record.business_at
        assert net_moment(record.body["LastModifiedOn"]) == record.modified_at
