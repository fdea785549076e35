"""HubSpot's OAuth: a token is refreshed before it expires, once, however many threads want it. Over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.errors import AuthenticationError, Unavailable
from masterops_dagster.connectors.hubspot import HubSpot, ObjectType, oauth


class TokenServer(ThreadingHTTPServer):
    """Gives out tokens that it forgets on demand, and a contact to whoever holds the current one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.issued = 0
        self.good: set[str] = set()
        self.refused = 0
        self.expires_in = 1800
        self.refresh_delay = 0.0
        self.forms: list[dict[str, list[str]]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is not worth a traceback."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: TokenServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        time.sleep(self.server.refresh_delay)
        with self.server.lock:
            self.server.forms.append(form)
            if form["refresh_token"] != ["good"]:
                self._answer(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"})
                return
            self.server.issued += 1
            token = f"token-{self.server.issued}"
            self.server.good.add(token)
        self._answer(200, {"access_token": token, "refresh_token": "good", "expires_in": self.server.expires_in})

    def do_GET(self) -> None:
        with self.server.lock:
            known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.server.good
            self.server.refused += not known
        if known:
            self._answer(200, {"id": "1", "properties": {}})
        else:
            self._answer(401, {"status": "error", "category": "EXPIRED_AUTHENTICATION", "message": "expired"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@contextmanager
def connected(server: TokenServer, refresh_token: str = "good", **patience: float) -> Iterator[HubSpot]:
    auth = oauth(server.url, "our-client", "our-secret", refresh_token)
    with HubSpot(server.url, "hubspot", auth, requests_per_10_seconds=10_000, patience=Patience(**patience)) as hubspot:  # type: ignore[arg-type]
        yield hubspot


def get_in_threads(hubspot: HubSpot, count: int) -> list[str]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: hubspot.get(ObjectType.CONTACTS, "1").id, range(count)))


def test_the_first_request_fetches_a_token_as_hubspot_documents_it(server: TokenServer) -> None:
    with connected(server) as hubspot:
        hubspot.get(ObjectType.CONTACTS, "1")
        hubspot.get(ObjectType.CONTACTS, "1")
    assert server.forms == [
        {
            "grant_type": ["refresh_token"],
            "client_id": ["our-client"],
            "client_secret": ["our-secret"],
            "refresh_token": ["good"],
        }
    ]


def test_sixteen_threads_without_a_token_refresh_once(server: TokenServer) -> None:
    server.refresh_delay = 0.1
    with connected(server) as hubspot:
        assert get_in_threads(hubspot, 16) == ["1"] * 16
    assert (server.issued, server.refused) == (1, 0)


def test_sixteen_threads_whose_token_was_revoked_refresh_once_and_all_get_their_answer(server: TokenServer) -> None:
    server.refresh_delay = 0.1
    with connected(server) as hubspot:
        hubspot.get(ObjectType.CONTACTS, "1")
        with server.lock:
            server.good.clear()
        assert get_in_threads(hubspot, 16) == ["1"] * 16
    assert server.issued == 2


def test_a_token_near_its_end_is_refreshed_before_hubspot_refuses_it(server: TokenServer) -> None:
    server.expires_in = 30
    with connected(server) as hubspot:
        hubspot.get(ObjectType.CONTACTS, "1")
        hubspot.get(ObjectType.CONTACTS, "1")
    assert (server.issued, server.refused) == (2, 0)


def test_a_refresh_token_that_is_not_good_is_an_authentication_error_with_hubspots_words(server: TokenServer) -> None:
    with (
        connected(server, "stolen") as hubspot,
        pytest.raises(AuthenticationError, match="invalid refresh token") as error,
    ):
        hubspot.get(ObjectType.CONTACTS, "1")
    assert len(server.forms) == 1
    assert "stolen" not in str(error.value)
    assert "our-secret" not in str(error.value)


def test_a_token_that_is_refused_even_when_fresh_is_not_refreshed_for_ever(server: TokenServer) -> None:
    class Forgetful(set[str]):
        def add(self, element: str) -> None:
            pass

    server.good = Forgetful()
    with connected(server) as hubspot, pytest.raises(AuthenticationError, match="expired"):
        hubspot.get(ObjectType.CONTACTS, "1")
    assert server.issued == 2


def test_a_token_endpoint_that_hangs_is_given_up_in_time_and_holds_up_nobody_for_ever(server: TokenServer) -> None:
    server.refresh_delay = 1.0
    started = time.monotonic()
    with connected(server, timeout=0.2, attempts=1) as hubspot, pytest.raises(Unavailable):
        hubspot.get(ObjectType.CONTACTS, "1")
    assert time.monotonic() - started < 0.9
    server.refresh_delay = 0.0
    with connected(server) as hubspot:
        assert hubspot.get(ObjectType.CONTACTS, "1").id == "1"
