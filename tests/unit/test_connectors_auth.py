"""What proves who we are is what the specifications say, and a token is refreshed once however many ask."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from urllib.parse import parse_qsl

import httpx
import pytest
from woocommerce.oauth import OAuth

from masterops_dagster.connectors.auth import (
    OAuth1Signature,
    OAuthRefresh,
    TokenRefused,
    UnleashedSignature,
    oauth1_signature,
)
from tests.contract.server import Answer, Request, ScriptedServer, as_json


def sent(auth: httpx.Auth, url: str, method: str = "GET", content: bytes | None = None) -> httpx.Request:
    """The request as it would go over the wire."""
    return next(auth.sync_auth_flow(httpx.Request(method, url, content=content)))


class TestOAuth1:
    RFC_5849_BASE_STRING = (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D"
        "%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1"
        "%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )
    """Section 3.4.1.1, erratum 2550 applied."""

    def test_the_signature_is_over_the_base_string_of_rfc_5849(self) -> None:
        params = [
            *[("b5", "=%3D"), ("a3", "a"), ("c@", ""), ("a2", "r b"), ("c2", ""), ("a3", "2 q")],
            *[("oauth_consumer_key", "9djdj82h48djs9d2"), ("oauth_token", "kkk9d7dh3k39sjv7")],
            *[("oauth_signature_method", "HMAC-SHA1"), ("oauth_timestamp", "137131201"), ("oauth_nonce", "7d8f3e4a")],
        ]
        expected = hmac.new(b"j49sk3j29djd&", self.RFC_5849_BASE_STRING.encode(), hashlib.sha256).digest()
        signature = oauth1_signature("post", "http://EXAMPLE.com:80/request", params, "j49sk3j29djd")
        assert signature == base64.b64encode(expected).decode()

    @pytest.mark.parametrize("query", ["", "?page=2", "?search=a%20b%26c&after=2026-03-01T12:30:00&x=%C3%A9%2B"])
    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_woocommerces_own_client_signs_the_same(self, query: str, method: str) -> None:
        address = "http://shop.example/wp-json/wc/v3/orders"
        body = b'{"status": "completed"}' if method == "PUT" else None
        request = sent(OAuth1Signature("ck_1", "cs_2"), address + query, method, body)
        params = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
        signature = params.pop("oauth_signature")
        theirs = OAuth(address, "ck_1", "cs_2", version="wc/v3", method=method)
        assert signature == theirs.generate_oauth_signature(params, address)
        assert request.content == (body or b"")

    def test_each_try_is_signed_anew(self) -> None:
        auth = OAuth1Signature("ck_1", "cs_2")
        first, second = (dict(parse_qsl(sent(auth, "http://shop.example/x").url.query.decode())) for _ in range(2))
        assert first["oauth_nonce"] != second["oauth_nonce"]


class TestUnleashedSignature:
    @pytest.mark.parametrize(
        "query", ["", "pageSize=200", "modifiedSince=2026-03-01T12:30:00.000", "customerCode=A%20%26%20B", "a=%c3%a9"]
    )
    def test_it_is_over_the_bytes_of_the_query_as_they_are_sent(self, query: str) -> None:
        request = sent(UnleashedSignature("id", "key"), f"https://api.example/Customers/1{'?' if query else ''}{query}")
        expected = base64.b64encode(hmac.new(b"key", request.url.query, hashlib.sha256).digest()).decode()
        assert request.headers["api-auth-signature"] == expected
        assert request.headers["api-auth-id"] == "id"
        assert request.url.raw_path.partition(b"?")[2] == request.url.query


class TokenApi:
    """A token endpoint and a resource that accepts the newest token."""

    def __init__(self) -> None:
        self.issued = 0
        self.expires_in = 1800
        self.answer: Answer | None = None

    def __call__(self, request: Request) -> Answer:
        if request.path == "/token":
            if self.answer is not None:
                return self.answer
            form = dict(parse_qsl(request.body.decode()))
            assert form == {
                "grant_type": "refresh_token",
                "client_id": "id",
                "client_secret": "secret",
                "refresh_token": "refresh" if self.issued == 0 else f"refresh-{self.issued}",
            }
            self.issued += 1
            token = {"access_token": f"token-{self.issued}", "refresh_token": f"refresh-{self.issued}"}
            return as_json({**token, "expires_in": self.expires_in})
        return as_json({}, 200 if request.headers["authorization"] == f"Bearer token-{self.issued}" else 401)


class TestOAuthRefresh:
    def test_many_threads_refresh_once(self) -> None:
        api = TokenApi()
        with ScriptedServer(api) as server, self.client(server) as client:
            statuses: list[int] = []
            threads = [threading.Thread(target=lambda: statuses.append(client.get("/x").status_code)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert statuses == [200] * 8
        assert api.issued == 1

    def test_it_is_refreshed_before_it_expires(self) -> None:
        api, now = TokenApi(), [0.0]
        with ScriptedServer(api) as server, self.client(server, clock=lambda: now[0]) as client:
            for moment in (0.0, 1739.0, 1741.0):
                now[0] = moment
                assert client.get("/x").status_code == 200
        assert api.issued == 2

    def test_a_token_that_was_revoked_is_replaced_once(self) -> None:
        api = TokenApi()
        with ScriptedServer(api) as server, self.client(server) as client:
            assert client.get("/x").status_code == 200
            server.script(as_json({}, 401))
            assert client.get("/x").status_code == 200
            server.script(as_json({}, 401), api, as_json({}, 401))
            assert client.get("/x").status_code == 401
        assert api.issued == 3

    def test_a_rotated_refresh_token_is_handed_on(self) -> None:
        kept: list[str] = []
        with ScriptedServer(TokenApi()) as server, self.client(server, on_refresh_token=kept.append) as client:
            client.get("/x")
        assert kept == ["refresh-1"]

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (as_json({"message": "missing or unknown refresh token"}, 400), "unknown refresh token"),
            (as_json({"error": "invalid_grant", "error_description": "revoked"}, 401), "revoked"),
            (Answer(502, b"<html>"), "not JSON"),
            (as_json(["?"]), "no token"),
        ],
    )
    def test_a_refusal_carries_the_endpoints_words(self, answer: Answer, said: str) -> None:
        api = TokenApi()
        api.answer = answer
        with (
            ScriptedServer(api) as server,
            self.client(server) as client,
            pytest.raises(TokenRefused, match=said) as caught,
        ):
            client.get("/x")
        assert caught.value.status == answer.status

    def client(self, server: ScriptedServer, **options: object) -> httpx.Client:
        options.setdefault("clock", time.monotonic)
        auth = OAuthRefresh(server.url + "/token", "id", "secret", "refresh", **options)  # type: ignore[arg-type]
        return httpx.Client(base_url=server.url, auth=auth)
