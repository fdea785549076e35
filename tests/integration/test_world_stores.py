"""The Shopify stores of the generated world: consistent in themselves, with Unleashed and with the CRM, and untidy."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from masterops_dagster.businesses import INTERCOMPANY_CUSTOMERS, MELBOURNE
from masterops_dagster.simulator.world.books.common import net_moment, plain_abn
from masterops_dagster.simulator.world.books.copies import Copies
from masterops_dagster.simulator.world.records import Query
from masterops_dagster.simulator.world.seeding import cents
from masterops_dagster.simulator.world.store import World
from masterops_dagster.sources.shopify import STREAMS

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
STORES = ("teelixir", "elevate_wholesale")
Body = dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("stores")
    World.open(directory, scale=0.25, now=lambda: NOW).close()
    opened = World(directory, lambda: NOW, exact=True)
    yield opened
    opened.close()


def bodies(world: World, account: str, resource: str) -> list[Body]:
    return [record.body for record in world.scan(account, resource)]


@pytest.fixture(scope="module")
def orders(world: World) -> dict[str, list[Body]]:
    return {business: bodies(world, f"shopify_{business}", "orders") for business in STORES}


@pytest.fixture(scope="module")
def copies(world: World) -> dict[str, dict[str, list[Body]]]:
    """By business and name of the Shopify order: the orders in Unleashed that carry it."""
    found: dict[str, dict[str, list[Body]]] = {business: {} for business in STORES}
    for business in STORES:
        known = Copies(world, business)
        for order in bodies(world, f"unleashed_{business}", "SalesOrders"):
            if (name := known.original(order)) is not None:
                found[business].setdefault(name, []).append(order)
    return found


def amount(bag: Body) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def net(order: Body, line: Body) -> Decimal:
    tax = sum((amount(tax["priceSet"]) for tax in line["taxLines"]), Decimal(0))
    return total(line) - (tax if order["taxesIncluded"] else 0)


def total(line: Body) -> Decimal:
    """After all discounts."""
    off = sum((amount(one["allocatedAmountSet"]) for one in line["discountAllocations"]), Decimal(0))
    return amount(line["originalTotalSet"]) - off


def found_at(body: Body, path: str) -> list[object]:
    """The values at a dotted path; a missing name is an error, nothing below a null is none."""
    values: list[object] = [body]
    for name in path.split("."):
        values = [value[name] for value in values if value is not None]  # type: ignore[index]
    return values


# ---- the shapes that the streams read


@pytest.mark.parametrize("business", STORES)
def test_every_column_of_every_stream_is_there(world: World, business: str) -> None:
    looked_up: Counter[str] = Counter()
    parents = {stream.name: stream for stream in STREAMS if not stream.parent}
    for stream in STREAMS:
        parent = parents[stream.parent or stream.name]
        for body in bodies(world, f"shopify_{business}", parent.resource):
            items = body[stream.items] if stream.items and stream.items in body else [body]
            if stream.items == "refundLineItems":
                items = [{**line, "refund": refund} for refund in body["refunds"] for line in refund[stream.items]]
            for item in items:
                for column in stream.columns:
                    if column.path:
                        looked_up[f"{stream.name}.{column.name}"] += bool(found_at(item, column.path))
    assert {name for name, count in looked_up.items() if not count} <= {"orders.company_id", "orders.company_name"}


# ---- consistent in themselves


@pytest.mark.parametrize("business", STORES)
def test_orders_and_refunds_add_up(orders: dict[str, list[Body]], business: str) -> None:
    for order in orders[business]:
        lines = order["lineItems"]
        price = sum(map(total, lines))
        assert amount(order["subtotalPriceSet"]) == price
        assert amount(order["totalDiscountsSet"]) == sum(amount(line["originalTotalSet"]) for line in lines) - price
        tax = Decimal(0) if order["taxesIncluded"] else amount(order["totalTaxSet"])
        assert amount(order["totalPriceSet"]) == price + amount(order["totalShippingPriceSet"]) + tax
        assert amount(order["totalRefundedSet"]) == sum(amount(r["totalRefundedSet"]) for r in order["refunds"])
        assert 0 <= amount(order["totalRefundedSet"]) <= amount(order["totalPriceSet"])
        gone: Counter[str] = Counter()
        for line in (line for refund in order["refunds"] for line in refund["refundLineItems"]):
            gone[line["lineItem"]["id"]] += line["quantity"]
        for line in lines:
            assert amount(line["originalTotalSet"]) == amount(line["originalUnitPriceSet"]) * line["quantity"]
            assert 0 <= total(line) <= amount(line["discountedTotalSet"]) <= amount(line["originalTotalSet"])
            assert all(amount(one["allocatedAmountSet"]) > 0 for one in line["discountAllocations"])
            taxes = [amount(tax["priceSet"]) for tax in line["taxLines"]]
            assert taxes == ([cents(total(line) / (11 if order["taxesIncluded"] else 10))] if line["taxable"] else [])
            assert line["currentQuantity"] == line["quantity"] - gone.pop(line["id"], 0) >= 0
        assert not gone
        assert len({line["id"] for line in lines}) == len(lines) > 0


@pytest.mark.parametrize("business", STORES)
def test_what_is_named_is_there(world: World, orders: dict[str, list[Body]], business: str) -> None:
    account = f"shopify_{business}"
    customers = {body["id"] for body in bodies(world, account, "customers")}
    everything = {record.id: record.body for record in world.ever(account, "products")}
    variants = {v["id"]: v["sku"] for body in everything.values() for v in body["variants"]}
    early = World(world.directory, lambda: NOW - timedelta(days=440))
    variants |= {v["id"]: v["sku"] for body in bodies(early, account, "products") for v in body["variants"]}
    early.close()
    places = {body["id"] for body in bodies(world, account, "locations")}
    assert len({order["name"] for order in orders[business]}) == len(orders[business])
    for order in orders[business]:
        assert order["customer"] is None or order["customer"]["id"] in customers
        for line in order["lineItems"]:
            assert variants[line["variant"]["id"]] == line["sku"]
            assert line["product"]["id"] in everything
        assert {parcel["location"]["id"] for parcel in order["fulfillments"]} <= places
        lines = {line["id"] for line in order["lineItems"]}
        assert {back["lineItem"]["id"] for refund in order["refunds"] for back in refund["refundLineItems"]} <= lines
    for checkout in bodies(world, account, "abandoned_checkouts"):
        assert checkout["customer"] is None or checkout["customer"]["id"] in customers


def test_states_of_a_record_follow_each_other_without_a_gap(world: World) -> None:
    """Of all systems: what is seen of a record changes when it was modified, and it is never seen twice at once."""
    with sqlite3.connect(world.directory / "world.sqlite") as connection:
        for problem in (
            "visible_to <= visible_from or modified_at < created_at",
            "exists (select 1 from records as other where other.collection = mine.collection and other.id = mine.id"
            " and other.visible_from > mine.visible_from and other.visible_from < mine.visible_to)",
        ):
            found = connection.execute(
                f"select account, resource, id from records as mine"
                f" join collections using (collection) where {problem} limit 3"
            ).fetchall()
            assert found == []
    connection.close()


# ---- consistent with Unleashed and the CRM


@pytest.mark.parametrize("business", STORES)
def test_a_copy_is_worth_what_the_store_sold(
    orders: dict[str, list[Body]], copies: dict[str, dict[str, list[Body]]], business: str
) -> None:
    same = other = 0
    for order in orders[business]:
        for copy in copies[business].get(order["name"], []):
            sold = sum((net(order, line) for line in order["lineItems"] if not line["isGiftCard"]), Decimal(0))
            same += copy["SubTotal"] == sold
            other += copy["SubTotal"] != sold
            assert net_moment(copy["OrderDate"]) - datetime.fromisoformat(order["createdAt"]) < timedelta(hours=1)
    assert same > 100
    assert 0 < other < same / 20, "orders that were edited"


def test_what_unleashed_has_sent_the_store_has_sent_too(
    orders: dict[str, list[Body]], copies: dict[str, dict[str, list[Body]]]
) -> None:
    for order in (order for business in STORES for order in orders[business] if not order["cancelledAt"]):
        for copy in copies["teelixir" if order["name"].startswith("#TX") else "elevate_wholesale"].get(
            order["name"], []
        ):
            sent = [p for p in order["fulfillments"] if p["status"] == "SUCCESS"]
            if order["displayFulfillmentStatus"] == "FULFILLED":
                last = max(datetime.fromisoformat(parcel["createdAt"]) for parcel in sent)
                assert copy["OrderStatus"] == "Completed"
                assert timedelta(0) <= last - net_moment(copy["CompletedDate"]) < timedelta(days=8)


def test_refunds_of_lines_stand_beside_credit_notes_of_their_copies(
    world: World, orders: dict[str, list[Body]], copies: dict[str, dict[str, list[Body]]]
) -> None:
    matching = 0
    for business in STORES:
        account = f"unleashed_{business}"
        invoiced = {body["InvoiceNumber"]: body["OrderNumber"] for body in bodies(world, account, "Invoices")}
        credited = {
            invoiced[body["InvoiceNumber"]]: body
            for body in bodies(world, account, "CreditNotes")
            if body["InvoiceNumber"] and body["Status"] == "Completed"
        }
        for order in orders[business]:
            for copy in copies[business].get(order["name"], []):
                if (note := credited.get(copy["OrderNumber"])) is None:
                    continue
                at = net_moment(note["CreditDate"])
                matching += any(datetime.fromisoformat(refund["createdAt"]) == at for refund in order["refunds"])
    assert matching > 60


def test_the_crm_keeps_the_numbers_of_the_stores_customers(world: World) -> None:
    for business, least in (("teelixir", 250), ("elevate_wholesale", 15)):
        customers = {body["legacyResourceId"]: body for body in bodies(world, f"shopify_{business}", "customers")}
        known = 0
        for body in bodies(world, "hubspot", "contacts"):
            customer = customers.get(body["properties"].get("shopify_customer_id") or "")
            if customer is not None:
                known += 1
                email = (customer["defaultEmailAddress"] or {}).get("emailAddress")
                assert email is None or email.removeprefix("x") == (body["properties"]["email"] or "").removeprefix("x")
        assert known > least


def test_a_business_of_the_group_buys_from_another(world: World) -> None:
    (known,) = INTERCOMPANY_CUSTOMERS
    (customer,) = (c for c in bodies(world, known.account_key, "Customers") if c["CustomerCode"] == known.customer_code)
    assert plain_abn(customer["GSTVATNumber"])
    resources = {"SalesOrders": 40, "Invoices": 40, "CreditNotes": 2}
    for resource, least in resources.items():
        own = [b for b in bodies(world, known.account_key, resource) if b["Customer"]["Guid"] == customer["Guid"]]
        assert least < len(own) < 120
        if resource == "SalesOrders":
            months = Counter(net_moment(b["OrderDate"]).astimezone(MELBOURNE).strftime("%Y-%m") for b in own)
            assert len(months) >= 14


# ---- as untidy as real data


def test_a_third_of_elevates_orders_come_in_through_its_store(world: World, orders: dict[str, list[Body]]) -> None:
    everything = world.count("unleashed_elevate_wholesale", "SalesOrders")
    assert 0.22 < len(orders["elevate_wholesale"]) / everything < 0.42
    assert all(order["name"].startswith("#EW") for order in orders["elevate_wholesale"])
    assert not any(order["taxesIncluded"] for order in orders["elevate_wholesale"])
    companies = [o["purchasingEntity"] for o in orders["elevate_wholesale"] if o["purchasingEntity"] is not None]
    assert 0.9 < len(companies) / len(orders["elevate_wholesale"]) < 1
    assert any(entity["contact"] is None for entity in companies)


@pytest.mark.parametrize("business", STORES)
def test_some_orders_get_something_off_the_whole(orders: dict[str, list[Body]], business: str) -> None:
    """What a line's `discountedTotalSet` doesn't know of."""
    of_the_whole = [
        order
        for order in orders[business]
        if sum(amount(line["discountedTotalSet"]) for line in order["lineItems"]) > amount(order["subtotalPriceSet"])
    ]
    assert 0.04 < len(of_the_whole) / len(orders[business]) < 0.13
    lines = [line for order in of_the_whole for line in order["lineItems"]]
    assert not any(line["isGiftCard"] and line["discountAllocations"] for line in lines)
    assert any(len(line["discountAllocations"]) == 2 for line in lines) == (business == "teelixir")


def test_orders_are_of_every_kind(orders: dict[str, list[Body]]) -> None:
    retail = orders["teelixir"]
    gifts = [[line["isGiftCard"] for line in order["lineItems"]] for order in retail]
    kinds = {
        "cancelled": [order["cancelledAt"] for order in retail],
        "test": [order["test"] for order in retail],
        "guest": [order["customer"] is None and order["email"] for order in retail],
        "guest without an e-mail": [order["customer"] is None and order["email"] is None for order in retail],
        "of a customer without an e-mail of that name": [
            order["customer"] and order["email"] != order["customer"]["email"] for order in retail
        ],
        "with tax on top": [not order["taxesIncluded"] for order in retail],
        "with a code": [order["discountCodes"] for order in retail],
        "free of charge": [amount(order["totalPriceSet"]) == 0 for order in retail],
        "free of GST in part": [len({line["taxable"] for line in order["lineItems"]}) == 2 for order in retail],
        "only a gift card": [all(cards) for cards in gifts],
        "a gift card among others": [any(cards) and not all(cards) for cards in gifts],
        "not yet paid": [order["displayFinancialStatus"] == "PENDING" for order in orders["elevate_wholesale"]],
        "sent in two parcels": [len(order["fulfillments"]) > 1 for order in retail],
        "a parcel taken back": [any(p["status"] == "CANCELLED" for p in order["fulfillments"]) for order in retail],
        "nothing left": [
            order["refunds"] and not any(line["currentQuantity"] for line in order["lineItems"]) for order in retail
        ],
        "refunded by amount": [any(not r["refundLineItems"] for r in order["refunds"]) for order in retail],
        "edited": [
            any(line["restockType"] == "CANCEL" for r in order["refunds"] for line in r["refundLineItems"])
            and not order["cancelledAt"]
            for order in retail
        ],
    }
    for kind, of_orders in kinds.items():
        assert sum(map(bool, of_orders)) >= 3, kind


@pytest.mark.parametrize("business", STORES)
def test_orders_have_more_lines_than_a_nested_page_holds(orders: dict[str, list[Body]], business: str) -> None:
    lines = [len(order["lineItems"]) for order in orders[business]]
    assert sum(count > 50 for count in lines) >= 6
    assert 1 <= sum(count > 250 for count in lines) <= 3
    longest = max(orders[business], key=lambda order: len(order["lineItems"]))
    skus = Counter(line["sku"] for line in longest["lineItems"])
    assert (skus.most_common(1)[0][1] > 1) == (business == "teelixir")


def test_copies_are_missing_doubled_misnamed_and_outlive_their_order(
    world: World, orders: dict[str, list[Body]], copies: dict[str, dict[str, list[Body]]]
) -> None:
    known = copies["teelixir"]
    physical = [o for o in orders["teelixir"] if not all(line["isGiftCard"] for line in o["lineItems"])]
    assert any(order["name"] not in known for order in physical)
    assert any(len(of_one) == 2 for of_one in known.values())
    cancelled = {order["name"] for order in orders["teelixir"] if order["cancelledAt"]}
    assert any(o["OrderStatus"] == "Completed" for name in cancelled for o in known.get(name, []))
    misnamed = [
        order
        for order in bodies(world, "unleashed_teelixir", "SalesOrders")
        if (order["CustomerRef"] or "").startswith("#TX0")
    ]
    assert any(order["Customer"]["CustomerCode"].startswith("SHOP") for order in misnamed)
    assert any(order["Customer"]["CustomerCode"].startswith("W") for order in misnamed)
    assert any(Copies(world, "teelixir").original(order) for order in misnamed), "the comments tell better"


def test_a_deleted_order_is_deleted_in_unleashed_too(world: World, copies: dict[str, dict[str, list[Body]]]) -> None:
    there = {record.id for record in world.scan("shopify_teelixir", "orders")}
    gone = [r.body["name"] for r in world.ever("shopify_teelixir", "orders") if r.id not in there]
    assert len(gone) > 1
    assert {o["OrderStatus"] for name in gone for o in copies["teelixir"].get(name, [])} == {"Deleted"}


def test_customers_are_without_an_email_or_correct_it(world: World) -> None:
    customers = bodies(world, "shopify_teelixir", "customers")
    assert sum(body["defaultEmailAddress"] is None for body in customers) > 5
    assert sum(body["updatedAt"] > body["createdAt"] for body in customers) > 10
    assert any(body["defaultPhoneNumber"] is None for body in customers)


def test_products_have_variants_that_are_withdrawn_repriced_and_cards(world: World) -> None:
    early = World(world.directory, lambda: NOW - timedelta(days=440))
    for business, products, variants in (("teelixir", 16, 140), ("elevate_wholesale", 285, 285)):
        now = bodies(world, f"shopify_{business}", "products")
        assert products - 12 < len(now) <= products + 10
        skus = [variant["sku"] for body in now for variant in body["variants"]]
        assert variants - 15 < len(skus) < variants + 12
        before = {
            v["id"]: v["price"] for body in bodies(early, f"shopify_{business}", "products") for v in body["variants"]
        }
        after = {v["id"]: v["price"] for body in now for v in body["variants"]}
        assert before.keys() - after.keys()
        assert any(before[id] != after[id] for id in before.keys() & after.keys())
    assert any(body["status"] == "ARCHIVED" for body in bodies(world, "shopify_elevate_wholesale", "products"))
    assert any(
        sku is None for body in bodies(world, "shopify_teelixir", "products") for sku in [body["variants"][0]["sku"]]
    )
    early.close()


def test_checkouts_are_abandoned_and_some_completed_after_all(world: World) -> None:
    checkouts = bodies(world, "shopify_teelixir", "abandoned_checkouts")
    assert len(checkouts) > 300
    assert 0.1 < sum(body["completedAt"] is not None for body in checkouts) / len(checkouts) < 0.3
    assert any(body["customer"] is None for body in checkouts)


def test_the_store_believes_in_a_stock_of_its_own_that_changes_with_the_day(world: World) -> None:
    levels = bodies(world, "shopify_teelixir", "inventory_levels")
    assert len({(body["item"]["id"], body["location"]["id"]) for body in levels}) == len(levels)
    assert len({body["location"]["name"] for body in levels}) == 2
    assert any(body["item"]["unitCost"] is None for body in levels)
    assert any(not body["item"]["tracked"] for body in levels)
    store: Counter[str] = Counter()
    for body in levels:
        assert body["quantities"]["on_hand"] == body["quantities"]["available"] + body["quantities"]["committed"]
        store[body["item"]["sku"]] += body["quantities"]["on_hand"]
    real: Counter[str] = Counter()
    for row in bodies(world, "unleashed_teelixir", "StockOnHand"):
        real[row["ProductCode"]] += int(row["QtyOnHand"])
    both = store.keys() & real.keys()
    assert len(both) > 120
    assert 0.85 < sum(store[sku] == real[sku] for sku in both) / len(both) < 1
    tomorrow = World(world.directory, lambda: NOW + timedelta(days=1), exact=True)
    assert bodies(tomorrow, "shopify_teelixir", "inventory_levels") != levels
    tomorrow.close()
    page = world.page("shopify_teelixir", "inventory_levels", Query(), offset=5, limit=3)
    assert (len(page.records), page.total) == (3, len(levels))
