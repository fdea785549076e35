"""Shopify's stand-in: documents of the published schema, points, cursors, bulk operations, and how it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from graphql import GraphQLSchema, execute, parse, print_type
from graphql.type import GraphQLEnumType, is_specified_scalar_type

from masterops_dagster.businesses import account
from masterops_dagster.simulator.shopify import prune
from masterops_dagster.simulator.shopify.bulk import FIRST_NUMBER
from masterops_dagster.simulator.shopify.data import Data
from masterops_dagster.simulator.shopify.documents import prepare
from masterops_dagster.simulator.shopify.schema import admin_schema
from masterops_dagster.simulator.world.records import Query
from tests.published_schemas import shopify_introspection
from tests.stand_ins import StandIns

RETAIL, WHOLESALE = "shopify_teelixir", "shopify_elevate_wholesale"
Json = dict[str, Any]

BAG = "{ shopMoney { amount currencyCode } }"
LINE = f"""id sku title variantTitle quantity currentQuantity taxable isGiftCard product {{ id }} variant {{ id }}
    taxLines {{ title rate priceSet {BAG} }} originalUnitPriceSet {BAG} originalTotalSet {BAG}
    discountAllocations {{ allocatedAmountSet {BAG} }} discountedTotalSet(withCodeDiscounts: true) {BAG}"""
ORDER = f"""id name createdAt updatedAt processedAt cancelledAt cancelReason closedAt test displayFinancialStatus
    displayFulfillmentStatus currencyCode taxesIncluded email phone poNumber sourceName discountCodes tags note
    customer {{ id displayName defaultEmailAddress {{ emailAddress marketingState }} }}
    billingAddress {{ firstName lastName company zip }} shippingAddress {{ city zip countryCodeV2 }}
    purchasingEntity {{ __typename ... on PurchasingCompany {{ company {{ id name }} contact {{ id }} }} }}
    subtotalPriceSet {BAG} totalDiscountsSet {BAG} totalShippingPriceSet {BAG} totalTaxSet {BAG} totalPriceSet {BAG}
    totalRefundedSet {BAG}
    fulfillments {{ id name status displayStatus createdAt updatedAt deliveredAt location {{ id name }}
        trackingInfo {{ number company url }} }}"""
REFUND = f"id createdAt updatedAt note totalRefundedSet {BAG}"
REFUNDED = f"nodes {{ id quantity restockType lineItem {{ id sku }} subtotalSet {BAG} totalTaxSet {BAG} }}"
ORDERS = f"""query Orders($first: Int!, $after: String, $query: String, $sort: OrderSortKeys, $reverse: Boolean) {{
    orders(first: $first, after: $after, query: $query, sortKey: $sort, reverse: $reverse) {{
        nodes {{ {ORDER} lineItems(first: 40) {{ nodes {{ {LINE} }} pageInfo {{ hasNextPage endCursor }} }}
            refunds {{ {REFUND} refundLineItems(first: 20) {{ {REFUNDED} }} }} }}
        pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
BULK_ORDERS = f"""{{ orders {{ edges {{ node {{ {ORDER} refunds {{ {REFUND} }}
    lineItems {{ edges {{ node {{ {LINE} }} }} }} }} }} }} }}"""
RUN = """mutation Run($query: String!, $grouped: Boolean! = false) {
    bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
        bulkOperation { id status url objectCount } userErrors { field message code } } }"""
STATUS = """query Status($id: ID!) { bulkOperation(id: $id) {
    id status errorCode url objectCount rootObjectCount fileSize createdAt completedAt type } }"""


class Store:
    """A client of one store."""

    def __init__(self, stand_ins: StandIns, key: str) -> None:
        self.endpoint = stand_ins.endpoint(key)
        headers = {"X-Shopify-Access-Token": self.endpoint["access_token"]}
        self.http = httpx.Client(base_url=self.endpoint["base_url"], headers=headers, timeout=30)

    def post(
        self, text: str, /, version: str = "2026-10", token: str | None = None, **variables: Any
    ) -> httpx.Response:
        headers = {} if token is None else {"X-Shopify-Access-Token": token}
        body = {"query": text, "variables": variables}
        return self.http.post(f"/admin/api/{version}/graphql.json", json=body, headers=headers)

    def ask(self, text: str, /, **variables: Any) -> Json:
        """The whole answer."""
        return dict(self.post(text, **variables).raise_for_status().json())

    def data(self, text: str, /, **variables: Any) -> Json:
        """Data without errors."""
        answer = self.ask(text, **variables)
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])

    def error(self, text: str, /, **variables: Any) -> Json:
        """The one error."""
        [error] = self.ask(text, **variables)["errors"]
        return dict(error)

    def pages(self, text: str, /, **variables: Any) -> Iterator[list[Json]]:
        """Pages of `orders`, to the end."""
        after = None
        while True:
            page = self.data(text, after=after, **variables)["orders"]
            yield page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def rows(self, text: str, /, **variables: Any) -> list[Json]:
        return [row for page in self.pages(text, **variables) for row in page]

    def bulk(self, query: str, *, grouped: bool = False) -> tuple[Json, list[Json]]:
        """A finished operation and the lines of its file."""
        started = self.data(RUN, query=query, grouped=grouped)["bulkOperationRunQuery"]
        assert started["userErrors"] == []
        assert (started["bulkOperation"]["status"], started["bulkOperation"]["url"]) == ("CREATED", None)
        operation = self.finished(started["bulkOperation"]["id"])
        if operation["url"] is None:
            return operation, []
        return operation, [
            json.loads(line) for line in httpx.get(operation["url"]).raise_for_status().text.splitlines()
        ]

    def finished(self, id: str) -> Json:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            operation: Json = self.data(STATUS, id=id)["bulkOperation"]
            if operation["status"] not in ("CREATED", "RUNNING", "CANCELING"):
                return operation
            time.sleep(0.02)
        raise AssertionError(f"{id} doesn't end")

    def objection(self, query: str) -> str:
        """Why a query can't be run in bulk."""
        payload = self.data(RUN, query=query)["bulkOperationRunQuery"]
        assert payload["bulkOperation"] is None
        [error] = payload["userErrors"]
        return str(error["message"])


@pytest.fixture
def store(stand_ins: StandIns) -> Store:
    """The retail store."""
    return Store(stand_ins, RETAIL)


@pytest.fixture(params=[RETAIL, WHOLESALE])
def each_store(stand_ins: StandIns, request: pytest.FixtureRequest) -> Store:
    return Store(stand_ins, request.param)


# ---- who may ask, and which version answers


def test_a_wrong_token_is_refused_in_shopifys_words(store: Store) -> None:
    for token in ("", "shpat_wrong"):
        answer = store.post("{ shop { name } }", token=token)
        assert answer.status_code == 401
        assert answer.json()["errors"].startswith("[API] Invalid API key or access token")
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("form", ["json", "data"])
def test_client_credentials_buy_a_token_for_a_day(stand_ins: StandIns, store: Store, form: str) -> None:
    credentials = {name: store.endpoint[name] for name in ("client_id", "client_secret")}
    body = {"grant_type": "client_credentials", **credentials}
    granted = store.http.post("/admin/oauth/access_token", **{form: body}).raise_for_status().json()  # type: ignore[arg-type]
    assert granted["expires_in"] == 86_399
    assert "read_orders" in granted["scope"].split(",")
    token = granted["access_token"]
    assert store.post("{ shop { name } }", token=token).status_code == 200
    stand_ins.misbehave("shopify", "clock_skew", seconds=86_400)
    assert store.post("{ shop { name } }", token=token).status_code == 401
    assert store.post("{ shop { name } }").status_code == 200
    wrong = store.http.post("/admin/oauth/access_token", json={**body, "client_secret": "shpss_wrong"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("asked", "answers"),
    [("2026-10", "2026-10"), ("2027-01", "2027-01"), ("unstable", "unstable"), ("2024-07", "2026-01")],
)
def test_an_old_version_falls_forward_to_the_oldest_supported(store: Store, asked: str, answers: str) -> None:
    answer = store.post("{ shop { name } }", version=asked)
    assert (answer.status_code, answer.headers["x-shopify-api-version"]) == (200, answers)


@pytest.mark.parametrize("asked", ["2026-11", "2031-01", "v1", "latest"])
def test_a_version_that_there_never_was_is_not_found(store: Store, asked: str) -> None:
    answer = store.post("{ shop { name } }", version=asked)
    assert (answer.status_code, answer.json()) == (404, {"errors": "Not Found"})


# ---- the schema


def test_the_schema_is_a_true_part_of_the_published_one(published_shopify_schema: GraphQLSchema) -> None:
    for name, own in admin_schema().type_map.items():
        if name.startswith("__") or is_specified_scalar_type(own):
            continue
        published = published_shopify_schema.type_map[name]
        assert type(own) is type(published)
        if isinstance(own, GraphQLEnumType):
            assert print_type(own) == print_type(_bare(published))
        for field_name, field in getattr(own, "fields", {}).items():
            theirs = published.fields[field_name]  # type: ignore[union-attr]
            assert str(field.type) == str(theirs.type), f"{name}.{field_name}"
            assert getattr(field, "deprecation_reason", None) == getattr(theirs, "deprecation_reason", None)
            own_arguments, their_arguments = getattr(field, "args", {}), getattr(theirs, "args", {})
            assert own_arguments.keys() == their_arguments.keys(), f"{name}.{field_name}"
            for key, argument in own_arguments.items():
                assert str(argument.type) == str(their_arguments[key].type)
                assert argument.default_value == their_arguments[key].default_value
        assert {each.name for each in getattr(own, "interfaces", ())} <= {
            each.name for each in getattr(published, "interfaces", ())
        }


def test_the_schema_is_what_its_tool_cuts_out(published_shopify_schema: GraphQLSchema) -> None:
    introspection = shopify_introspection()
    assert introspection is not None
    cut = prune.pruned(introspection)
    assert {name: print_type(own) for name, own in cut.type_map.items() if not name.startswith("__")} == {
        name: print_type(own) for name, own in admin_schema().type_map.items() if not name.startswith("__")
    }


def _bare(published: Any) -> Any:
    """Without descriptions."""
    for value in published.values.values():
        value.description = None
    published.description = None
    return published


def test_what_comes_back_is_of_the_types_that_the_schema_says(each_store: Store) -> None:
    documents = {
        ORDERS: each_store.ask(ORDERS, first=60, sort="UPDATED_AT", reverse=True),
        (
            customers := "{ customers(first: 100) { nodes { id legacyResourceId createdAt updatedAt firstName lastName"
            " defaultEmailAddress { emailAddress marketingState } defaultPhoneNumber { phoneNumber } state taxExempt"
            " numberOfOrders amountSpent { amount currencyCode } defaultAddress { address1 city countryCodeV2 zip }"
            " tags note displayName email } } }"
        ): each_store.ask(customers),
        (
            products := "{ products(first: 30) { nodes { id title handle vendor productType status publishedAt tags"
            " variantsCount { count precision } variants(first: 9) { nodes { id title sku barcode position price"
            " compareAtPrice taxable inventoryPolicy displayName createdAt updatedAt"
            " inventoryItem { id tracked unitCost { amount } } product { id } } } } } }"
        ): each_store.ask(products),
        (
            checkouts := "{ abandonedCheckouts(first: 40) { nodes { id name createdAt updatedAt completedAt"
            f" customer {{ id email }} taxesIncluded subtotalPriceSet {BAG} totalDiscountSet {BAG} totalPriceSet {BAG}"
            f" lineItems(first: 9) {{ nodes {{ id sku title quantity originalTotalPriceSet {BAG}"
            f" discountedTotalPriceSet {BAG} }} }} }} }} }}"
        ): each_store.ask(checkouts),
    }
    for text, answer in documents.items():
        assert "errors" not in answer, answer.get("errors")
        variables = {"first": 60} if text is ORDERS else None
        again = execute(
            admin_schema(),
            parse(text),
            root_value=answer["data"],
            variable_values=variables,
            type_resolver=lambda value, info, abstract: value["__typename"],
        )
        assert again.errors is None, again.errors  # type: ignore[union-attr]
        assert again.data == answer["data"]  # type: ignore[union-attr]


def test_an_unknown_field_is_an_error_in_shopifys_words_and_costs_nothing(store: Store) -> None:
    answer = store.ask("{ orders(first: 1) { nodes { colour } } }")
    [error] = answer["errors"]
    assert error["message"] == "Field 'colour' doesn't exist on type 'Order'"
    assert error["extensions"] == {"code": "undefinedField", "typeName": "Order", "fieldName": "colour"}
    assert "data" not in answer
    assert "extensions" not in answer


def test_a_deprecated_field_still_answers(store: Store) -> None:
    [order] = store.data("{ orders(first: 1) { nodes { totalPrice totalPriceSet { shopMoney { amount } } } } }")[
        "orders"
    ]["nodes"]
    assert order["totalPrice"] == order["totalPriceSet"]["shopMoney"]["amount"]


def test_aliases_fragments_and_directives_work_as_in_any_graphql(store: Store) -> None:
    query = """query Q($more: Boolean!) { a: orders(first: 1) { edges { cursor node { ...Names } } }
        b: orders(first: 1, reverse: true) { nodes { __typename ref: name } } }
        fragment Names on Order { name id @include(if: $more) note @skip(if: $more) }"""
    data = store.data(query, more=True)
    assert set(data["a"]["edges"][0]["node"]) == {"name", "id"}
    assert data["b"]["nodes"][0]["__typename"] == "Order"
    assert data["a"]["edges"][0]["node"]["name"] != data["b"]["nodes"][0]["ref"]


def test_a_body_that_is_no_request_is_refused(store: Store) -> None:
    for content in (b"{", b'{"variables": {}}'):
        answer = store.http.post("/admin/api/2026-10/graphql.json", content=content)
        assert answer.status_code == 400
    assert store.error("query Q($first: Int!) { orders(first: $first) { nodes { id } } }")["extensions"] == {
        "code": "INVALID_VARIABLE"
    }


# ---- pages


@pytest.mark.parametrize("sort", ["ID", "CREATED_AT", "UPDATED_AT", "PROCESSED_AT"])
@pytest.mark.parametrize("reverse", [False, True])
def test_walking_the_pages_meets_every_order_once_and_in_order(
    stand_ins: StandIns, store: Store, sort: str, reverse: bool
) -> None:
    text = """query Q($after: String, $sort: OrderSortKeys, $reverse: Boolean) {
        orders(first: 37, after: $after, sortKey: $sort, reverse: $reverse) {
            nodes { id createdAt updatedAt processedAt legacyResourceId } pageInfo { hasNextPage endCursor } } }"""
    rows = store.rows(text, sort=sort, reverse=reverse)
    world = stand_ins.world()
    assert sorted(row["id"] for row in rows) == sorted(record.id for record in world.scan(RETAIL, "orders"))
    key = {"ID": "legacyResourceId", "CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt", "PROCESSED_AT": "createdAt"}
    values = [row[key[sort]] for row in rows]
    assert values == sorted(values, reverse=reverse)


def test_pages_lead_back_as_well(store: Store) -> None:
    text = """query Q($first: Int, $last: Int, $after: String, $before: String) {
        orders(first: $first, last: $last, after: $after, before: $before, sortKey: UPDATED_AT) {
            nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    one = store.data(text, first=5)["orders"]
    two = store.data(text, first=5, after=one["pageInfo"]["endCursor"])["orders"]
    assert (one["pageInfo"]["hasPreviousPage"], two["pageInfo"]["hasPreviousPage"]) == (False, True)
    back = store.data(text, last=5, before=two["pageInfo"]["startCursor"])["orders"]
    assert back["nodes"] == one["nodes"]
    assert (back["pageInfo"]["hasPreviousPage"], back["pageInfo"]["hasNextPage"]) == (False, True)


def test_orders_with_more_lines_than_a_page_are_read_to_their_end(stand_ins: StandIns, each_store: Store) -> None:
    more = """query More($id: ID!, $after: String) { order(id: $id) { lineItems(first: 7, after: $after) {
        nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    key = RETAIL if "teelixir" in each_store.endpoint["base_url"] else WHOLESALE
    record = max(stand_ins.world().scan(key, "orders"), key=lambda record: len(record.body["lineItems"]))
    found: list[str] = []
    after = None
    while True:
        page = each_store.data(more, id=record.id, after=after)["order"]["lineItems"]
        found += [line["id"] for line in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == [line["id"] for line in record.body["lineItems"]]
    assert len(found) > 7


def test_what_was_updated_since_is_found_by_the_moment_that_an_answer_shows(store: Store) -> None:
    everything = store.rows(ORDERS, first=100, sort="UPDATED_AT")
    moment = everything[len(everything) // 2]["updatedAt"]
    newer = store.rows(ORDERS, first=100, sort="UPDATED_AT", query=f"updated_at:>='{moment}'")
    assert newer == [row for row in everything if row["updatedAt"] >= moment]
    before = store.rows(ORDERS, first=100, sort="UPDATED_AT", query=f"updated_at:<'{moment}'")
    assert len(before) + len(newer) == len(everything)


def test_counts_agree_with_the_rows_up_to_a_limit(each_store: Store) -> None:
    rows = each_store.rows(ORDERS, first=100, query="financial_status:paid")
    text = 'query Q($limit: Int) { ordersCount(query: "financial_status:paid", limit: $limit) { count precision } }'
    assert each_store.data(text, limit=None)["ordersCount"] == {"count": len(rows), "precision": "EXACT"}
    assert each_store.data(text, limit=3)["ordersCount"] == {"count": 3, "precision": "AT_LEAST"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "you must provide one of first or last"),
        ("(first: 251)", "first must be between 0 and 250"),
        ('(first: 1, after: "bm9uc2Vuc2U=")', "Invalid cursor for current pagination sort."),
    ],
)
def test_pages_that_there_are_none_of_are_refused(store: Store, arguments: str, message: str) -> None:
    error = store.error(f"{{ orders{arguments} {{ nodes {{ id }} }} }}")
    assert error["message"].startswith(message)
    assert error["path"] == ["orders"]


def test_a_cursor_of_another_sort_is_refused(store: Store) -> None:
    cursor = store.data("{ orders(first: 1, sortKey: ID) { pageInfo { endCursor } } }")["orders"]["pageInfo"][
        "endCursor"
    ]
    text = "query Q($after: String) { orders(first: 1, after: $after, sortKey: UPDATED_AT) { nodes { id } } }"
    assert store.error(text, after=cursor)["message"] == "Invalid cursor for current pagination sort."


def test_nobody_pages_deeper_than_the_limit(stand_ins: StandIns, store: Store) -> None:
    stand_ins.limit({"shopify": {"deepest_page": 100}})
    text = """query Q($after: String) { orders(first: 40, after: $after) {
        nodes { id } pageInfo { endCursor hasNextPage } } }"""
    after = None
    for _ in range(2):
        after = store.data(text, after=after)["orders"]["pageInfo"]["endCursor"]
    assert "limited to 100 objects" in store.error(text, after=after)["message"]


def test_an_unknown_search_field_warns_and_finds_everything(store: Store) -> None:
    answer = store.ask('{ ordersCount(query: "colour:red") { count } }')
    [warning] = answer["extensions"]["search"]
    assert warning["warnings"] == [{"field": "colour", "message": "Invalid search field for this query."}]
    assert answer["data"] == store.data("{ ordersCount { count } }")


def test_a_page_of_orders_is_quick(store: Store) -> None:
    store.data(ORDERS, first=50)
    began = time.perf_counter()
    for _ in range(5):
        store.data(ORDERS, first=50)
    assert (time.perf_counter() - began) / 5 < 0.3


# ---- what an answer holds


def test_totals_leave_codes_out_unless_they_are_asked_in(stand_ins: StandIns, store: Store) -> None:
    record = next(
        record
        for record in stand_ins.world().scan(RETAIL, "orders", Query(matching=lambda body: bool(body["discountCodes"])))
        if record.body["lineItems"]
    )
    text = f"""query Q($id: ID!) {{ order(id: $id) {{ lineItems(first: 50) {{ nodes {{ originalTotalSet {BAG}
        without: discountedTotalSet {BAG} with: discountedTotalSet(withCodeDiscounts: true) {BAG} }} }} }} }}"""
    lines = store.data(text, id=record.id)["order"]["lineItems"]["nodes"]
    assert [line["with"] for line in lines] == [line["discountedTotalSet"] for line in record.body["lineItems"]]
    assert all(line["without"] == line["originalTotalSet"] for line in lines)


def test_no_total_of_a_line_knows_what_was_taken_off_the_whole(stand_ins: StandIns, store: Store) -> None:
    def whole(body: Json) -> bool:
        return any(len(line["discountAllocations"]) == 2 for line in body["lineItems"])

    record = next(iter(stand_ins.world().scan(RETAIL, "orders", Query(matching=whole))))
    text = f"""query Q($id: ID!) {{ order(id: $id) {{ subtotalPriceSet {BAG} lineItems(first: 50) {{ nodes {{ {LINE}
        without: discountedTotalSet {BAG} }} }} }} }}"""
    order = store.data(text, id=record.id)["order"]
    net = Decimal(0)
    for line in order["lineItems"]["nodes"]:
        original, with_codes, without = (
            Decimal(line[name]["shopMoney"]["amount"]) for name in ("originalTotalSet", "discountedTotalSet", "without")
        )
        off = [Decimal(one["allocatedAmountSet"]["shopMoney"]["amount"]) for one in line["discountAllocations"]]
        assert without == original
        assert with_codes == original - sum(off[:1])
        net += original - sum(off)
    assert net == Decimal(order["subtotalPriceSet"]["shopMoney"]["amount"])


def test_a_person_or_a_company_has_bought(stand_ins: StandIns) -> None:
    kinds = {}
    for key in (RETAIL, WHOLESALE):
        rows = Store(stand_ins, key).rows(ORDERS, first=100)
        kinds[key] = {row["purchasingEntity"] and row["purchasingEntity"]["__typename"] for row in rows}
    assert {"Customer", None} <= kinds[RETAIL]
    assert "PurchasingCompany" in kinds[WHOLESALE]


def test_inventory_is_that_of_the_day_by_location(stand_ins: StandIns, store: Store) -> None:
    text = """query Q($after: String) { inventoryItems(first: 50, after: $after) {
        nodes { id sku inventoryLevels(first: 10) { nodes { id location { id name } updatedAt
            quantities(names: ["available", "on_hand"]) { name quantity } } } }
        pageInfo { hasNextPage endCursor } } }"""
    found = {}
    after = None
    while True:
        page = store.data(text, after=after)["inventoryItems"]
        for item in page["nodes"]:
            for level in item["inventoryLevels"]["nodes"]:
                quantities = {each["name"]: each["quantity"] for each in level["quantities"]}
                found[level["id"]] = (item["id"], level["location"]["id"], quantities)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert found == {
        record.id: (
            record.body["item"]["id"],
            record.body["location"]["id"],
            {name: record.body["quantities"][name] for name in ("available", "on_hand")},
        )
        for record in stand_ins.world().scan(RETAIL, "inventory_levels")
    }


def test_objects_are_found_by_their_ids(store: Store) -> None:
    ids = store.data("""{ orders(first: 1) {
            nodes { id lineItems(first: 1) { nodes { variant { id } product { id } } } } }
        customers(first: 1) { nodes { id } } locations(first: 1) { nodes { id } } }""")
    [order] = ids["orders"]["nodes"]
    [line] = order["lineItems"]["nodes"]
    wanted = [
        order["id"],
        ids["customers"]["nodes"][0]["id"],
        ids["locations"]["nodes"][0]["id"],
        line["product"]["id"],
        line["variant"]["id"],
        "gid://shopify/Order/1",
    ]
    text = (
        "query Q($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on ProductVariant { sku product { title } } } }"
    )
    found = store.data(text, ids=wanted)["nodes"]
    assert [node and node["id"] for node in found] == [*wanted[:-1], None]
    assert found[4]["product"]["title"]
    assert store.data('{ order(id: "gid://shopify/Order/1") { id } }') == {"order": None}


def test_the_shop_says_who_it_is(each_store: Store) -> None:
    shop = each_store.data("{ shop { name myshopifyDomain currencyCode ianaTimezone } }")["shop"]
    assert (shop["currencyCode"], shop["ianaTimezone"]) == ("AUD", "Australia/Melbourne")
    assert each_store.endpoint["base_url"].rpartition("/")[2].replace("_", "-") in shop["myshopifyDomain"]


def test_tags_that_are_added_stay_and_show_as_an_update(stand_ins: StandIns, store: Store) -> None:
    [order] = store.data("{ orders(first: 1) { nodes { id tags updatedAt refunds { id } } } }")["orders"]["nodes"]
    text = """mutation Add($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) {
        node { id ... on Order { tags } } userErrors { field message } } }"""
    added = store.data(text, id=order["id"], tags=["looked at", "looked at", "to pack"])["tagsAdd"]
    assert added == {"node": {"id": order["id"], "tags": [*order["tags"], "looked at", "to pack"]}, "userErrors": []}
    since = f"updated_at:>'{order['updatedAt']}' id:{order['id'].rpartition('/')[2]}"
    [row] = store.rows(ORDERS, first=5, sort="UPDATED_AT", query=since)
    assert row["tags"] == added["node"]["tags"]
    missing = store.data(text, id="gid://shopify/Order/1", tags=["x"])["tagsAdd"]
    assert (missing["node"], missing["userErrors"][0]["field"]) == (None, ["id"])


def test_a_customers_name_is_known_though_the_order_holds_the_id_alone(stand_ins: StandIns, store: Store) -> None:
    rows = store.data("{ orders(first: 50) { nodes { customer { id displayName note createdAt } } } }")["orders"][
        "nodes"
    ]
    world = stand_ins.world()
    for customer in filter(None, (row["customer"] for row in rows)):
        known = world.get(RETAIL, "customers", customer["id"])
        assert known is not None
        assert customer["createdAt"] == known.body["createdAt"]
        assert customer["displayName"].startswith(known.body["firstName"])


# ---- points

COSTS = [
    ("{ shop { name } }", 1),
    ("{ products(first: 200) { nodes { id } pageInfo { hasNextPage } } }", 12),
    ('{ product(id: "gid://shopify/Product/1") { variants(first: 250) { nodes { inventoryItem { id } } } } }', 25),
    (f'{{ order(id: "gid://shopify/Order/1") {{ totalPriceSet {BAG} refunds {{ refundLineItems(first: 10) {{ nodes {{'
     f" id lineItem {{ id product {{ id }} }} subtotalSet {BAG} }} }} }} }} }}", 16),
    ("{ orders(first: 1) { nodes { id } } }", 3),
    ("{ orders(first: 25) { edges { node { customer { id } purchasingEntity { ... on PurchasingCompany { company { id }"
     " location { id } } } } } } }", 2 + 6 * 5),
    ('mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/1") { userErrors { message } } }', 10),
]  # fmt: skip


@pytest.mark.parametrize(("text", "points"), COSTS)
def test_a_query_asks_for_the_points_that_shopify_asks(store: Store, text: str, points: int) -> None:
    assert store.ask(text)["extensions"]["cost"]["requestedQueryCost"] == points


def test_what_is_not_there_costs_nothing(store: Store) -> None:
    cost = store.ask(COSTS[2][0])["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (25, 1)
    cost = store.ask('{ orders(first: 250, query: "name:nobody") { nodes { id } } }')["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (13, 2)


def test_a_query_of_more_than_a_thousand_points_is_never_run(store: Store) -> None:
    lines = "nodes { id product { variants(first: 9) { nodes { id } } } variant { product { id } } taxLines { title } }"
    text = f"{{ orders(first: 250) {{ nodes {{ lineItems(first: 250) {{ {lines} }} }} }} }}"
    error = store.error(text)
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert error["extensions"]["maxCost"] == 1_000 < error["extensions"]["cost"]
    assert error["message"].startswith(f"Query cost is {error['extensions']['cost']}, which exceeds")


def test_an_empty_bucket_throttles_inside_200_and_fills_again(stand_ins: StandIns, store: Store) -> None:
    store.data("{ shop { name } }")  # with wide limits, so that the bucket is full
    stand_ins.limit({"shopify": {"points": {"maximum": 45, "restore": 40}}})
    text = 'query Q { orders(first: 250, query: "name:nobody") { nodes { customer { id } product: id } } }'
    asked = 2 + 11 * 2
    first = store.ask(text)["extensions"]["cost"]
    assert (first["requestedQueryCost"], first["actualQueryCost"]) == (asked, 2)
    assert first["throttleStatus"]["maximumAvailable"] == 45.0
    assert first["throttleStatus"]["currentlyAvailable"] >= 43  # what was not needed is given back at once
    many = "{ " + " ".join(f'n{i}: order(id: "gid://shopify/Order/{i}") {{ id }}' for i in range(40)) + " }"
    store.data(many)
    throttled = store.post(many)
    body = throttled.json()
    assert throttled.status_code == 200
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = body["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (40, None)
    wait = (40 - cost["throttleStatus"]["currentlyAvailable"]) / cost["throttleStatus"]["restoreRate"]
    assert 0 < wait <= 1
    time.sleep(wait + 0.03)
    store.data(many)


def test_stores_have_buckets_of_their_own(stand_ins: StandIns, store: Store) -> None:
    store.data("{ shop { name } }")  # with wide limits, so that the bucket is full
    stand_ins.limit({RETAIL: {"points": {"maximum": 2, "restore": 0.01}}})
    store.data("{ shop { name } a: shop { name } }")
    assert store.error("{ shop { name } a: shop { name } }")["extensions"]["code"] == "THROTTLED"
    Store(stand_ins, WHOLESALE).data("{ shop { name } a: shop { name } }")


# ---- bulk operations


def test_a_bulk_operation_holds_what_the_pages_hold(each_store: Store) -> None:
    operation, lines = each_store.bulk(BULK_ORDERS)
    orders = {line["id"]: {**line, "lines": []} for line in lines if "__parentId" not in line}
    known = set()
    for line in lines:
        if "__parentId" in line:
            assert line["__parentId"] in known, "a child came before its parent"
            orders[line["__parentId"]]["lines"].append({k: v for k, v in line.items() if k != "__parentId"})
        else:
            known.add(line["id"])
    text = f"""query Q($after: String) {{ orders(first: 50, after: $after, sortKey: ID) {{
        nodes {{ {ORDER} refunds {{ {REFUND} }} lineItems(first: 250) {{ nodes {{ {LINE} }} }} }}
        pageInfo {{ hasNextPage endCursor }} }} }}"""
    paged = each_store.rows(text)
    assert len(paged) == len(orders) == int(operation["rootObjectCount"])
    for order in paged:
        nodes = order.pop("lineItems")["nodes"]
        found = orders[order["id"]]
        assert found.pop("lines")[: len(nodes)] == nodes
        assert found == order
    assert int(operation["objectCount"]) == len(lines)
    assert (operation["status"], operation["errorCode"], operation["type"]) == ("COMPLETED", None, "QUERY")


def test_grouped_children_come_right_behind_their_parent(store: Store) -> None:
    _, lines = store.bulk("{ products { edges { node { id variants { edges { node { id } } } } } } }", grouped=True)
    parent = None
    for line in lines:
        if "__parentId" in line:
            assert line["__parentId"] == parent
        else:
            parent = line["id"]


def test_connections_may_lie_two_deep_in_bulk(store: Store) -> None:
    text = """{ products(query: "status:active") { edges { node { id title
        variants { edges { node { id inventoryItem { id inventoryLevels { edges { node {
            id quantities(names: ["on_hand"]) { quantity } } } } } } } } } } } }"""
    _, lines = store.bulk(text)
    kinds = {line["id"].split("/")[3] for line in lines}
    assert kinds == {"Product", "ProductVariant", "InventoryLevel"}


def test_a_bulk_operation_without_result_has_no_file(store: Store) -> None:
    operation, lines = store.bulk('{ orders(query: "name:nobody") { edges { node { id } } } }')
    assert (operation["status"], operation["url"], operation["objectCount"], lines) == ("COMPLETED", None, "0", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ shop { name } }", "Bulk queries must contain at least one connection."),
        (
            "{ orders { edges { node { colour } } } }",
            "Invalid bulk query: Field 'colour' doesn't exist on type 'Order'",
        ),
        (
            "{ orders { edges { node { name lineItems { edges { node { id } } } } } } }",
            "The parent 'node' field for a nested connection must select the 'id' field",
        ),
        (
            "{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }",
            "Queries that contain a connection field within a list field are not currently supported.",
        ),
        (
            "{ " + " ".join(f"{name}: orders {{ nodes {{ id }} }}" for name in "abcdef") + " }",
            "Bulk queries cannot contain more than 5 connections.",
        ),
        (
            "{ products { nodes { id variants { nodes { id product { id variants { nodes { id product { id"
            " variants { nodes { id } } } } } } } } } } }",
            "Bulk queries cannot contain connections with a nesting depth greater than 2.",
        ),
        ('{ node(id: "gid://shopify/Order/1") { id } }', "Bulk queries cannot contain a top-level"),
        ("query Q($q: String) { orders(query: $q) { nodes { id } } }", "Invalid bulk query"),
    ],
)
def test_what_cannot_be_run_in_bulk_is_said_before_it_runs(store: Store, text: str, message: str) -> None:
    assert store.objection(text).startswith(message)


def test_five_bulk_operations_run_at_a_time_and_one_can_be_canceled(store: Store) -> None:
    newest = store.data("{ bulkOperations(first: 250) { nodes { id } } }")["bulkOperations"]["nodes"]
    next_id = max((int(each["id"].rpartition("/")[2]) + 1 for each in newest), default=FIRST_NUMBER)
    runs = " ".join(
        f"r{i}: bulkOperationRunQuery(query: $query) {{ bulkOperation {{ id }} userErrors {{ code }} }}"
        for i in range(6)
    )
    cancel = (
        f'cancel: bulkOperationCancel(id: "gid://shopify/BulkOperation/{next_id}") {{ bulkOperation {{ status }} }}'
    )
    data = store.data(f"mutation Q($query: String!) {{ {runs} {cancel} }}", query=BULK_ORDERS)
    assert [data[f"r{i}"]["userErrors"] for i in range(5)] == [[]] * 5
    assert data["r5"] == {"bulkOperation": None, "userErrors": [{"code": "LIMIT_REACHED"}]}
    assert data["cancel"]["bulkOperation"]["status"] == "CANCELING"
    ended = [store.finished(data[f"r{i}"]["bulkOperation"]["id"])["status"] for i in range(5)]
    assert ended == ["CANCELED", *["COMPLETED"] * 4]
    text = (
        f'mutation {{ bulkOperationCancel(id: "{data["r1"]["bulkOperation"]["id"]}") {{ userErrors {{ message }} }} }}'
    )
    [error] = store.data(text)["bulkOperationCancel"]["userErrors"]
    assert error["message"] == "A bulk operation cannot be canceled when it is completed"


def test_a_result_is_found_only_by_who_knows_its_address(store: Store) -> None:
    _, lines = store.bulk("{ locations { edges { node { id } } } }")
    assert lines
    assert httpx.get(f"{store.endpoint['base_url']}/bulk-results/guessed.jsonl").status_code == 404


# ---- faults


def test_a_storm_of_throttling_comes_inside_200(stand_ins: StandIns, store: Store) -> None:
    stand_ins.misbehave("shopify", "throttled", seconds=2, times=1)
    body = store.ask("{ shop { name } }")
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = body["extensions"]["cost"]
    missing = cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]
    assert missing / cost["throttleStatus"]["restoreRate"] == 2
    store.data("{ shop { name } }")


def test_part_of_an_answer_fails_beside_the_rest(stand_ins: StandIns, store: Store) -> None:
    whole = store.data(ORDERS, first=50)["orders"]["nodes"]
    stand_ins.misbehave("shopify", "partial_batch", times=1)
    answer = store.ask(ORDERS, first=50)
    failed = {tuple(error["path"]) for error in answer["errors"]}
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"INTERNAL_SERVER_ERROR"}
    for path in failed:
        value: Any = answer["data"]
        for step in path:
            value = value[step]
        assert value is None
    assert [row["id"] for row in answer["data"]["orders"]["nodes"]] == [row["id"] for row in whole]
    assert answer["data"]["orders"]["nodes"] != whole


def test_refusals_outside_graphql_have_errors_or_are_pages(stand_ins: StandIns, store: Store) -> None:
    stand_ins.misbehave("shopify", "rate_limit", seconds=2, times=1)
    answer = store.post("{ shop { name } }")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2.0")
    assert "errors" in answer.json()
    stand_ins.calm()
    stand_ins.misbehave("shopify", "server_error", times=4)
    answers = [store.post("{ shop { name } }") for _ in range(4)]
    assert [each.status_code for each in answers] == [500, 502, 503, 504]
    assert "errors" in answers[0].json()
    assert answers[1].text.startswith("<!DOCTYPE html>")


def test_a_damaged_answer_is_no_json(stand_ins: StandIns, store: Store) -> None:
    for kind in ("malformed", "html"):
        stand_ins.calm()
        stand_ins.misbehave("shopify", kind, times=1)
        answer = store.post(ORDERS, first=20)
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()


def test_the_cost_of_a_document_follows_from_the_whole_published_schema_too(
    stand_ins: StandIns, published_shopify_schema: GraphQLSchema
) -> None:
    """The cut schema has the same types at every field, so a document costs the same by either."""
    from masterops_dagster.simulator.shopify.execution import Compiler

    data = Data(account(RETAIL), stand_ins.world(), 0)
    prepared = prepare(ORDERS, None, {"first": 50}, data)
    own = prepared.compiler
    compiler = Compiler(published_shopify_schema, own.fragments, own.variables, {}, data.complete, frozenset())
    root = published_shopify_schema.query_type
    assert root is not None
    part = compiler.part(root, "orders", prepared.fields["orders"])
    assert part is not None
    assert part.requested == prepared.requested_cost
