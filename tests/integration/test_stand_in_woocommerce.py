"""WooCommerce's stand-in: OAuth over http, Basic over https only, WordPress's argument checks, totals in headers."""

from __future__ import annotations

import base64
import hmac
import ssl
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.stand_ins import StandIns

ACCOUNT = "woocommerce_red_hill_fresh"
API = "/wp-json/wc/v3"
Json = dict[str, Any]


def signature(secret: str, method: str, url: str, parameters: Mapping[str, str], hash_name: str = "sha256") -> str:
    """OAuth 1.0a, RFC 5849 section 3.4.1."""
    pairs = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(parameters.items()))
    base = "&".join(quote(part, safe="~") for part in (method, url, pairs))
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), base.encode(), hash_name)).decode()


class Shop:
    """A client that signs with OAuth 1.0a, in the query or in the header."""

    def __init__(self, endpoint: dict[str, str]) -> None:
        self.endpoint = endpoint
        self.http = httpx.Client(timeout=10)

    def signed(self, url: str, query: Mapping[str, str], **changed: str) -> dict[str, str]:
        oauth = {
            "oauth_consumer_key": self.endpoint["consumer_key"],
            "oauth_timestamp": str(int(time.time())),
            "oauth_nonce": uuid4().hex,
            "oauth_signature_method": "HMAC-SHA256",
            **changed,
        }
        hash_name = oauth["oauth_signature_method"].removeprefix("HMAC-").lower()
        made = signature(self.endpoint["consumer_secret"], "GET", url, {**query, **oauth}, hash_name)
        return {**oauth, "oauth_signature": made}

    def get(self, path: str, **query: Any) -> httpx.Response:
        url = self.endpoint["base_url"] + API + path
        texts = {name: str(value) for name, value in query.items()}
        return self.http.get(url, params={**texts, **self.signed(url, texts)})

    def rows(self, path: str, **query: Any) -> list[Json]:
        """All pages."""
        first = self.get(path, per_page=100, **query).raise_for_status()
        rows = list(first.json())
        for page in range(2, int(first.headers["x-wp-totalpages"]) + 1):
            rows += self.get(path, per_page=100, page=page, **query).raise_for_status().json()
        assert len(rows) == int(first.headers["x-wp-total"])
        return rows


@pytest.fixture
def shop(stand_ins: StandIns) -> Shop:
    return Shop(stand_ins.endpoint(ACCOUNT))


# ---- who may call


def test_over_http_basic_is_not_even_looked_at(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint(ACCOUNT)
    for path, what in (("/orders", "list resources"), ("/orders/1", "view this resource")):
        refused = httpx.get(
            endpoint["base_url"] + API + path, auth=(endpoint["consumer_key"], endpoint["consumer_secret"])
        )
        assert refused.status_code == 401
        assert refused.json() == {
            "code": "woocommerce_rest_cannot_view",
            "message": f"Sorry, you cannot {what}.",
            "data": {"status": 401},
        }


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256"])
def test_oauth_is_accepted_in_the_query_and_in_the_header(shop: Shop, method: str) -> None:
    url = shop.endpoint["base_url"] + API + "/orders"
    query = {"per_page": "1", "search": "a b&c=d/é~"}
    in_query = shop.http.get(url, params={**query, **shop.signed(url, query, oauth_signature_method=method)})
    oauth = shop.signed(url, query, oauth_signature_method=method)
    header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in oauth.items())
    in_header = shop.http.get(url, params=query, headers={"Authorization": header})
    assert (in_query.status_code, in_header.status_code) == (200, 200)


def test_what_oauth_protects_against_is_refused(shop: Shop) -> None:
    url = shop.endpoint["base_url"] + API + "/orders"
    good = shop.signed(url, {"per_page": "1"})
    old = str(int(time.time()) - 16 * 60)
    cases = {
        "provided signature does not match": {**good, "per_page": "2"},
        "Consumer key is invalid": {**good, "oauth_consumer_key": "ck_0", "per_page": "1"},
        "Invalid timestamp": {"per_page": "1", **shop.signed(url, {"per_page": "1"}, oauth_timestamp=old)},
        "signature method is invalid": {**good, "oauth_signature_method": "PLAINTEXT", "per_page": "1"},
    }
    for message, parameters in cases.items():
        refused = shop.http.get(url, params=parameters)
        assert (refused.status_code, refused.json()["code"]) == (401, "woocommerce_rest_authentication_error"), message
        assert message in refused.json()["message"]
    incomplete = shop.http.get(url, params={"oauth_consumer_key": shop.endpoint["consumer_key"]})
    assert incomplete.json()["code"] == "woocommerce_rest_authentication_missing_parameter"
    assert shop.http.get(url, params={"per_page": "1", **good}).status_code == 200
    replayed = shop.http.get(url, params={"per_page": "1", **good})
    assert "nonce has already been used" in replayed.json()["message"]


def test_a_clock_that_is_wrong_by_more_than_fifteen_minutes_locks_out(stand_ins: StandIns, shop: Shop) -> None:
    stand_ins.misbehave("woocommerce", "clock_skew", seconds=1000)
    assert shop.get("/orders").json()["message"] == "Invalid timestamp."
    stand_ins.misbehave("woocommerce", "clock_skew", seconds=800)
    assert shop.get("/orders").status_code == 200


def test_over_https_basic_is_accepted_and_wrong_secrets_are_named(stand_ins_over_tls: StandIns) -> None:
    endpoint = stand_ins_over_tls.endpoint(ACCOUNT)
    context = ssl.create_default_context(cafile=stand_ins_over_tls.state / "authority.pem")
    key, secret = endpoint["consumer_key"], endpoint["consumer_secret"]
    url = f"{endpoint['base_url']}{API}/orders"
    with httpx.Client(verify=context) as client:
        assert client.get(url, auth=(key, secret)).status_code == 200
        assert client.get(url, params={"consumer_key": key, "consumer_secret": secret}).status_code == 200
        assert client.get(url).json()["code"] == "woocommerce_rest_cannot_view"
        for auth, message in (
            ((key, "cs_0"), "Consumer secret is invalid."),
            (("ck_0", secret), "Consumer key is invalid."),
        ):
            refused = client.get(url, auth=auth)
            assert (refused.status_code, refused.json()["message"]) == (401, message)


# ---- lists


@pytest.mark.parametrize("path", ["/orders", "/refunds", "/customers", "/products"])
def test_pages_hold_every_row_once(stand_ins: StandIns, shop: Shop, path: str) -> None:
    ids = [row["id"] for row in shop.rows(path, order="asc", orderby="id")]
    assert ids == [record.number for record in stand_ins.world().scan(ACCOUNT, path.strip("/"))]
    assert len(set(ids)) == len(ids) > 0


def test_totals_and_links_are_in_the_headers(shop: Shop) -> None:
    total = int(shop.get("/orders").headers["x-wp-total"])
    middle = shop.get("/orders", per_page=5, page=2)
    assert middle.headers["x-wp-totalpages"] == str(-(-total // 5))
    links = {
        part.partition(">; rel=")[2].strip('"'): part.partition(">")[0].lstrip(" <")
        for part in middle.headers["link"].split(",")
    }
    assert {name: dict(parse_qsl(urlsplit(url).query)) for name, url in links.items()} == {
        "prev": {"per_page": "5", "page": "1"},
        "next": {"per_page": "5", "page": "3"},
    }
    beyond = shop.get("/orders", per_page=5, page=-(-total // 5) + 1)
    assert (beyond.status_code, beyond.json()) == (200, [])
    assert len(shop.get("/orders").json()) == 10


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        ("/orders", {"per_page": 101}, "per_page"),
        ("/orders", {"per_page": 0}, "per_page"),
        ("/orders", {"page": "first"}, "page"),
        ("/orders", {"orderby": "colour"}, "orderby"),
        ("/orders", {"status": "lost"}, "status"),
        ("/orders", {"after": "yesterday"}, "after"),
        ("/customers", {"order": "up"}, "order"),
    ],
)
def test_an_invalid_argument_is_named(shop: Shop, path: str, query: Json, named: str) -> None:
    refused = shop.get(path, **query)
    body = refused.json()
    assert (refused.status_code, body["code"], body["data"]["status"]) == (400, "rest_invalid_param", 400)
    assert body["message"] == f"Invalid parameter(s): {named}"
    assert list(body["data"]["params"]) == [named]


def moments(rows: list[Json], name: str) -> list[datetime]:
    return sorted(datetime.fromisoformat(row[name]) for row in rows)


@pytest.mark.parametrize(
    ("after", "before", "name"),
    [("after", "before", "date_created_gmt"), ("modified_after", "modified_before", "date_modified_gmt")],
)
def test_windows_are_open_at_both_ends(shop: Shop, after: str, before: str, name: str) -> None:
    orders = shop.rows("/orders")
    low, high = moments(orders, name)[len(orders) // 4], moments(orders, name)[len(orders) * 3 // 4]
    window = {after: low.isoformat(), before: high.isoformat()}
    found = {row["id"] for row in shop.rows("/orders", dates_are_gmt="true", **window)}
    assert found == {row["id"] for row in orders if low < datetime.fromisoformat(row[name]) < high}
    in_zone = {name: f"{value}Z" for name, value in window.items()}
    assert {row["id"] for row in shop.rows("/orders", **in_zone)} == found
    wider = {after: (low - timedelta(seconds=1)).isoformat(), before: (high + timedelta(seconds=1)).isoformat()}
    at_ends = {row["id"] for row in orders if datetime.fromisoformat(row[name]) in (low, high)}
    assert {row["id"] for row in shop.rows("/orders", dates_are_gmt="true", **wider)} >= found | at_ends


def test_without_dates_are_gmt_windows_are_in_the_shops_time(shop: Shop) -> None:
    orders = shop.rows("/orders")
    local = sorted(row["date_created"] for row in orders)[len(orders) // 2]
    found = {row["id"] for row in shop.rows("/orders", after=local)}
    assert found == {row["id"] for row in orders if row["date_created"] > local}


def test_orders_are_sorted_filtered_and_picked(shop: Shop) -> None:
    orders = shop.rows("/orders")
    newest_first = [row["date_created_gmt"] for row in orders]
    assert newest_first == sorted(newest_first, reverse=True)
    done = [row["id"] for row in orders if row["status"] in ("completed", "refunded")]
    assert [row["id"] for row in shop.rows("/orders", status="completed,refunded")] == done
    some = [str(row["id"]) for row in orders[3:6]]
    assert {str(row["id"]) for row in shop.get("/orders", include=",".join(some)).json()} == set(some)
    picked = shop.get("/orders", _fields="id,billing.email,line_items.sku", per_page=1).json()[0]
    assert picked.keys() == {"id", "billing", "line_items"}
    assert picked["billing"].keys() == {"email"}
    assert all(line.keys() <= {"sku"} for line in picked["line_items"])


def test_money_is_text_and_moments_have_no_zone(shop: Shop) -> None:
    order = shop.get("/orders", per_page=1).json()[0]
    assert isinstance(order["total"], str)
    assert datetime.fromisoformat(order["date_created_gmt"]).tzinfo is None
    assert isinstance(order["line_items"][0]["price"], int | float)


def test_refunds_stand_under_their_order_and_all_together(shop: Shop) -> None:
    refunds = shop.rows("/refunds")
    first = refunds[0]
    own = shop.rows(f"/orders/{first['parent_id']}/refunds")
    assert own == [refund for refund in refunds if refund["parent_id"] == first["parent_id"]]
    assert shop.get(f"/orders/{first['parent_id']}/refunds/{first['id']}").json() == first
    order = shop.get(f"/orders/{first['parent_id']}").json()
    assert first["id"] in [refund["id"] for refund in order["refunds"]]


def test_variations_stand_under_their_product(shop: Shop) -> None:
    products = [product for product in shop.rows("/products", type="variable") if product["variations"]]
    variations = shop.rows(f"/products/{products[0]['id']}/variations")
    assert sorted(row["id"] for row in variations) == sorted(products[0]["variations"])
    one = f"/products/{products[0]['id']}/variations/{variations[0]['id']}"
    assert shop.get(one).json() == variations[0]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/orders/1", "woocommerce_rest_shop_order_invalid_id"),
        ("/orders/1/refunds", "woocommerce_rest_shop_order_invalid_id"),
        ("/products/1", "woocommerce_rest_product_invalid_id"),
        ("/customers/0", "woocommerce_rest_invalid_id"),
        ("/wings", "rest_no_route"),
    ],
)
def test_what_is_not_there_is_not_found(shop: Shop, path: str, code: str) -> None:
    missing = shop.get(path)
    assert (missing.status_code, missing.json()["code"]) == (404, code)


def test_a_limit_in_front_of_the_shop_answers_with_a_page(stand_ins: StandIns, shop: Shop) -> None:
    stand_ins.allow("woocommerce", 2, lambda: shop.get("/orders", per_page=1))
    answers = [shop.get("/orders", per_page=1) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert answers[2].headers["content-type"].startswith("text/html")
