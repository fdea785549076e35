"""What all connectors share, where no system's dialect matters: repeating, waiting, order, and what is never said."""

from __future__ import annotations

import contextvars
import gzip
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import httpx
import pytest

from masterops_dagster.connectors.auth import BearerToken, OAuthRefresh
from masterops_dagster.connectors.base import Connector, Explanation, LimitNews, Patience, encode_json
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    CircuitOpen,
    MalformedResponse,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.telemetry import InMemorySink
from tests.contract.server import Answer, Request, ScriptedServer, as_json

SECRET = "very-secret-token"
WIDE, NARROW = Window("wide", 1_000, 10.0), Window("narrow", 1_000, 1.0)
HASTE = Patience(timeout=0.5, deadline=5.0, attempts=4, pause=0.01, pause_max=0.05, failures=3, recovery=0.3)


class Plain(Connector):
    """A system that names its window in the error body and its limit in a header."""

    system = "plain"

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        explained = super().explain(status, headers, body)
        scope = str(body.get("scope", "")) if isinstance(body, dict) else ""
        return Explanation(explained.detail, correlation_id=headers.get("X-Request-Id"), scope=scope)

    def limit_news(self, headers: httpx.Headers) -> Iterator[LimitNews]:
        if "X-Limit" in headers:
            yield LimitNews("wide", limit=int(headers["X-Limit"]))


def plain(server: ScriptedServer, **options: object) -> Plain:
    given = {"windows": [WIDE], "patience": HASTE, "budget": InMemoryBudget(), **options}
    return Plain(server.url, "plain", given.pop("auth", BearerToken(SECRET)), **given)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda request: as_json({"ok": True})) as server:
        yield server


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "fault",
    [Answer(503), Answer(200, b"{", {"Content-Length": "9"}), Answer(200, b"xx", cut_after=1), Answer(stall=0.8)],
    ids=["5xx", "malformed", "broken off", "silence"],
)
def test_a_write_that_may_have_happened_is_sent_once(server: ScriptedServer, method: str, fault: Answer) -> None:
    server.script(Answer(fault.status, fault.body, cut_after=fault.cut_after, stall=fault.stall))
    with plain(server) as connector, pytest.raises((Unavailable, MalformedResponse)) as caught:
        connector.request(method, "/things", operation="create thing", json={})
    assert len(server.seen) == caught.value.attempts == 1
    assert caught.value.retryable
    assert not caught.value.unprocessed


def test_a_write_that_was_surely_not_done_is_repeated(server: ScriptedServer) -> None:
    server.script(Answer(429), Answer(429))
    with plain(server) as connector:
        assert connector.request("POST", "/things", operation="create thing", json={}).data == {"ok": True}
    assert len(server.seen) == 3


def test_a_write_to_nobody_is_repeated_until_somebody_is_there() -> None:
    with ScriptedServer(lambda request: as_json({})) as gone:
        url = gone.url
    patience = Patience(timeout=0.5, deadline=5.0, attempts=3, pause=0.01)
    connector = Plain(url, "plain", BearerToken(SECRET), windows=[WIDE], patience=patience)
    with connector, pytest.raises(Unavailable) as caught:
        connector.request("POST", "/things", operation="create thing", json={})
    assert caught.value.attempts == 3
    assert caught.value.unprocessed


def test_a_read_by_post_is_repeated(server: ScriptedServer) -> None:
    server.script(Answer(502))
    with plain(server) as connector:
        reply = connector.request("POST", "/search", operation="search things", json={}, repeatable=True)
    assert reply.data == {"ok": True}


@pytest.mark.parametrize(
    "hint", ["1", "1.0", lambda: httpx_date(2)], ids=["seconds", "fraction", "date by the server's clock"]
)
def test_retry_after_is_read_in_all_its_forms(server: ScriptedServer, hint: object) -> None:
    headers = {"Retry-After": hint} if isinstance(hint, str) else {"Retry-After": hint()}  # type: ignore[operator]
    server.script(Answer(503, headers={str(k): str(v) for k, v in headers.items()}))
    with plain(server) as connector:
        connector.request("GET", "/things", operation="get thing")
    assert 0.9 <= server.seen[1].at - server.seen[0].at < 3.2


def httpx_date(seconds: int) -> str:
    """An HTTP date so many seconds from now."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))


def test_a_hint_that_makes_no_sense_is_ignored(server: ScriptedServer) -> None:
    server.script(Answer(503, headers={"Retry-After": "soon"}), Answer(429, headers={"Retry-After": "-5"}))
    with plain(server) as connector:
        assert connector.request("GET", "/things", operation="get thing").status == 200


def test_one_threads_429_makes_all_threads_wait(server: ScriptedServer) -> None:
    server.script(Answer(429, headers={"Retry-After": "1"}))
    with plain(server) as connector:
        threads = [
            threading.Thread(target=connector.request, args=("GET", "/x"), kwargs={"operation": "get"})
            for _ in range(4)
        ]
        threads[0].start()
        while not server.seen:
            time.sleep(0.01)
        time.sleep(0.1)
        for thread in threads[1:]:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(request.at - server.seen[0].at >= 1.0 for request in server.seen[1:])


def test_a_429_blocks_the_window_that_it_names_and_no_other(server: ScriptedServer) -> None:
    server.script(as_json({"message": "too many searches", "scope": "narrow"}, 429, retry_after="60"))
    with plain(server) as connector:
        with pytest.raises(RateLimited, match="too many searches") as caught:
            connector.request("GET", "/search", operation="search", windows=[NARROW])
        assert caught.value.scope == "narrow"
        assert connector.request("GET", "/things", operation="get").status == 200


def test_a_limit_in_the_headers_is_kept_from_then_on(server: ScriptedServer) -> None:
    server.api = lambda request: as_json({}, x_limit="2")
    with plain(server, windows=[Window("wide", 1_000, 0.5)]) as connector:
        for _ in range(4):
            connector.request("GET", "/x", operation="get")
    moments = [request.at for request in server.seen]
    assert moments[2] - moments[0] >= 0.5


def test_an_open_circuit_sends_one_trial_and_opens_again(server: ScriptedServer) -> None:
    server.api = lambda request: Answer(500)
    patience = Patience(timeout=0.5, deadline=5.0, attempts=1, failures=2, recovery=0.2)
    with plain(server, patience=patience) as connector:
        for expected in (Unavailable, Unavailable, CircuitOpen):
            with pytest.raises(expected):
                connector.request("GET", "/x", operation="get")
        time.sleep(0.25)
        for expected in (Unavailable, CircuitOpen):
            with pytest.raises(expected):
                connector.request("GET", "/x", operation="get")
    assert len(server.seen) == 3


def test_many_threads_may_fail_at_once(server: ScriptedServer) -> None:
    server.api = lambda request: Answer(500, stall=0.01)
    kinds: list[type[Exception]] = []

    def fail() -> None:
        for _ in range(10):
            with pytest.raises((Unavailable, CircuitOpen)) as caught:
                connector.request("GET", "/x", operation="get")
            kinds.append(caught.type)

    with plain(server, patience=Patience(attempts=1, failures=3, recovery=60.0)) as connector:
        threads = [threading.Thread(target=fail) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(kinds) == 80
    assert kinds.count(Unavailable) == len(server.seen) <= 11


def test_the_path_template_is_what_telemetry_shows_and_ids_are_encoded(server: ScriptedServer) -> None:
    sink = InMemorySink()
    with plain(server, sink=sink) as connector:
        path = {"email": "a b/ü@example.com"}
        connector.request("GET", "/people/{email}", operation="get person", path=path, params={"q": "x&y=z"})
    assert server.seen[0].path == "/people/a%20b%2F%C3%BC%40example.com"
    assert server.seen[0].params == {"q": "x&y=z"}
    (event,) = sink.events
    assert event.path_template == "/people/{email}"
    assert "example.com" not in str(event)


def test_the_systems_correlation_id_is_in_event_and_error(server: ScriptedServer) -> None:
    sink = InMemorySink()
    server.api = lambda request: as_json({"message": "no"}, 400, x_request_id="abc-123")
    with plain(server, sink=sink) as connector, pytest.raises(Rejected, match="abc-123") as caught:
        connector.request("GET", "/x", operation="get")
    assert caught.value.correlation_id == sink.events[0].correlation_id == "abc-123"


def test_a_credential_that_http_cannot_carry_is_refused_without_being_shown(server: ScriptedServer) -> None:
    with (
        plain(server, auth=BearerToken(SECRET + "\n")) as connector,
        pytest.raises(Rejected, match="characters") as caught,
    ):
        connector.request("GET", "/x", operation="get")
    assert SECRET not in str(caught.value)
    assert server.seen == []


def test_a_refused_refresh_token_is_an_authentication_error(server: ScriptedServer) -> None:
    def token_endpoint(request: Request) -> Answer:
        return as_json({"message": "BAD_REFRESH_TOKEN"}, 400)

    server.api = token_endpoint
    auth = OAuthRefresh(server.url + "/token", "id", SECRET, SECRET)
    with plain(server, auth=auth) as connector, pytest.raises(AuthenticationError, match="BAD_REFRESH_TOKEN") as caught:
        connector.request("GET", "/x", operation="get")
    assert SECRET not in str(caught.value)


def test_a_token_endpoint_in_trouble_is_tried_again_even_for_writes(server: ScriptedServer) -> None:
    server.script(Answer(503, b"{}"), as_json({"access_token": "t", "expires_in": 1800}))
    auth = OAuthRefresh(server.url + "/token", "id", SECRET, SECRET)
    with plain(server, auth=auth) as connector:
        assert connector.request("POST", "/x", operation="create", json={}).status == 200


def test_compressed_bodies_are_read_and_counted_as_they_came(server: ScriptedServer) -> None:
    sink = InMemorySink()
    packed = gzip.compress(b'{"text": "' + b"a" * 10_000 + b'"}')
    server.script(Answer(200, packed, {"Content-Encoding": "gzip"}), Answer(200, b"junk", {"Content-Encoding": "gzip"}))
    with plain(server, sink=sink) as connector:
        assert connector.request("GET", "/x", operation="get").object()["text"] == "a" * 10_000
        connector.request("GET", "/x", operation="get")
    assert sink.events[0].bytes_received == len(packed)
    assert sink.events[1].outcome == "malformed"


def test_an_empty_body_is_nothing(server: ScriptedServer) -> None:
    server.script(Answer(204))
    with plain(server) as connector:
        assert connector.request("DELETE", "/x", operation="delete").data is None


def test_amounts_are_sent_as_they_are() -> None:
    body = {"price": Decimal("0.10"), "big": Decimal("12345678901234567890.12"), "id": UUID(int=1), "who": "Zoë"}
    assert encode_json(body).decode() == (
        '{"price":0.10,"big":12345678901234567890.12,"id":"00000000-0000-0000-0000-000000000001","who":"Zoë"}'
    )


class TestInOrder:
    def test_results_come_in_the_order_of_the_arguments(self, server: ScriptedServer) -> None:
        with plain(server) as connector:
            found = list(connector.in_order(lambda n: (time.sleep(0.02 * (n % 3)), n)[1], range(12)))
        assert found == list(range(12))

    def test_no_more_is_begun_than_may_wait_to_be_taken(self, server: ScriptedServer) -> None:
        begun: list[int] = []
        with plain(server) as connector:
            results = connector.in_order(lambda n: begun.append(n) or n, range(100), ahead=5)
            next(results)
            time.sleep(0.05)
            assert len(begun) <= 6
            results.close()
            assert len(begun) <= 6

    def test_the_first_error_comes_in_its_place(self, server: ScriptedServer) -> None:
        with plain(server) as connector:
            results = connector.in_order(lambda n: 10 // (3 - n), range(10))
            assert [next(results) for _ in range(3)] == [3, 5, 10]
            with pytest.raises(ZeroDivisionError):
                next(results)

    def test_the_context_of_the_caller_is_kept(self, server: ScriptedServer) -> None:
        run_id: contextvars.ContextVar[str] = contextvars.ContextVar("run_id")
        run_id.set("run-1")
        with plain(server) as connector:
            assert list(connector.in_order(lambda n: run_id.get(), range(3))) == ["run-1"] * 3
