"""What every connector promises, written once. A system's test class says how its API speaks and inherits the cases.

    class TestUnleashed(ConnectorContract):
        resource = "Customers"
        def make_api(self): ...                          # an `Api` with `rows`, in the system's dialect
        def connect(self, url, **options): ...           # the connector, with good credentials

Faults come from `ScriptedServer`, on real sockets.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any, Protocol, Unpack

import pytest

from masterops_dagster.connectors.base import Options, Page, Patience, Record, StreamReader
from masterops_dagster.connectors.budget import InMemoryBudget
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    CircuitOpen,
    ConnectorError,
    DeadlineExceeded,
    MalformedResponse,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.telemetry import InMemorySink
from tests.contract.server import Answer, Api, Request, ScriptedServer

HASTE = Patience(timeout=3.0, deadline=10.0, attempts=4, pause=0.01, pause_max=0.05, failures=3, recovery=0.3)
SECRET = "s3cr3t-key-of-the-account"  # the secret that `connect` must use for every credential
PERSON = "zoë.privacy@example.com"

HTML = Answer(
    200,
    b"<!doctype html><html><head><title>Down for maintenance</title></head><body>Back soon</body></html>",
    {"Content-Type": "text/html"},
)


class SystemApi(Protocol):
    """A system's dialect over a list of rows. `rows` may change at any time; `accepts_credentials` too."""

    rows: list[dict[str, Any]]
    accepts_credentials: bool

    def __call__(self, request: Request) -> Answer: ...


class ConnectorContract:
    """The cases. `page_size` is the number of rows in a full page of what `connect` reads."""

    resource: str
    page_size: int
    error_message = "something broke in the engine room"
    """What `error` puts into its body, and what must come out in the exception."""

    # ---- what a system says

    def make_api(self) -> SystemApi:
        """The system, with no rows."""
        raise AssertionError("say how the system's API answers")

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> Any:
        """The connector, with `SECRET` for every secret and pages of `page_size`; `limit` is its one budget window."""
        raise AssertionError("say how to connect")

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        """A row as the system sends it, valid, with the fields of the system's own kind in it."""
        raise AssertionError("say what a row looks like")

    def key(self, record: Record) -> object:
        """A row's key."""
        raise AssertionError("say what the key is")

    def value(self, record: Record, field: str) -> object:
        """A field of a record as the connector gives it."""
        return record[field]

    def error(self, status: int) -> Answer:
        """An error answer with `error_message` in the system's form."""
        raise AssertionError("say what an error looks like")

    def enforce(self, server: ScriptedServer, limit: tuple[int, float]) -> None:
        """Make the system refuse what is over the limit that `connect` is given."""
        server.limit = limit
        server.over_limit = self.error(429)

    def refused(self, server: ScriptedServer) -> int:
        """How many requests were over it."""
        return server.refused

    def least_seconds(self, requests: int, limit: tuple[int, float]) -> float:
        """How long so many requests take at that limit, if none of the time is wasted."""
        return (math.ceil(requests / limit[0]) - 1) * limit[1]

    text_field: str
    """A field that holds text."""
    number_field: str | None
    """A field that holds a decimal number sent as a JSON number; None where the system sends none."""

    # ---- fixtures

    @pytest.fixture
    def api(self) -> SystemApi:
        return self.make_api()

    @pytest.fixture
    def server(self, api: SystemApi) -> Iterator[ScriptedServer]:
        with ScriptedServer(api) as server:
            yield server

    @pytest.fixture
    def sink(self) -> InMemorySink:
        return InMemorySink()

    @pytest.fixture
    def connector(self, server: ScriptedServer, sink: InMemorySink) -> Iterator[Any]:
        with self.connect(server.url, patience=HASTE, sink=sink) as connector:
            yield connector

    def fill(self, api: SystemApi, count: int) -> list[object]:
        """Put rows into the system and return their keys."""
        api.rows[:] = [self.row(number) for number in range(1, count + 1)]
        return [self.key(row) for row in api.rows]

    def read(self, connector: StreamReader) -> list[Record]:
        pages: list[Page] = list(connector.read(self.resource))
        return [item for page in pages for item in page.items]

    # ---- how many

    def test_an_empty_resource_has_no_rows_and_no_pages(self, connector: Any) -> None:
        assert list(connector.read(self.resource)) == []

    def test_one_row_comes_as_one_row(self, api: SystemApi, connector: Any) -> None:
        (key,) = self.fill(api, 1)
        assert [self.key(item) for item in self.read(connector)] == [key]

    def test_exactly_one_full_page_is_read_once(self, api: SystemApi, connector: Any) -> None:
        keys = self.fill(api, self.page_size)
        assert [self.key(item) for item in self.read(connector)] == keys
        assert connector.requests <= 2

    def test_many_pages_come_complete_and_in_order(self, api: SystemApi, connector: Any) -> None:
        keys = self.fill(api, self.page_size * 5 + 1)
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_exactly_full_pages_lose_no_last_page(self, api: SystemApi, connector: Any) -> None:
        keys = self.fill(api, self.page_size * 3)
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_a_reader_may_stop_early(self, api: SystemApi, connector: Any) -> None:
        self.fill(api, self.page_size * 30)
        pages = connector.read(self.resource)
        next(pages)
        pages.close()
        assert connector.requests < 30

    def test_count_is_what_the_system_says(self, api: SystemApi, connector: Any) -> None:
        self.fill(api, self.page_size + 3)
        assert connector.count(self.resource) == self.page_size + 3

    def test_keys_name_every_row(self, api: SystemApi, connector: Any) -> None:
        expected = self.fill(api, self.page_size * 2 + 1)
        rows = {self.key(item): item for item in self.read(connector)}
        keys = [key for page in connector.keys(self.resource) for key in page]
        assert len(keys) == len(set(keys)) == len(expected) == len(rows)

    # ---- rows changing while they are read

    def after_requests(self, api: Api, number: int, change: Callable[[], None]) -> Callable[[Request], Answer]:
        """The API, but once `number` requests have been answered, `change` happens."""
        answered = 0

        def changing(request: Request) -> Answer:
            nonlocal answered
            answer = api(request)
            answered += 1
            if answered == number:
                change()
            return answer

        return changing

    @pytest.mark.parametrize("after", [1, 2, 4])
    def test_rows_that_go_while_reading_take_no_others_with_them(
        self, api: SystemApi, server: ScriptedServer, connector: Any, after: int
    ) -> None:
        keys = self.fill(api, self.page_size * 6)
        gone = {self.key(api.rows[0]), self.key(api.rows[self.page_size + 1])}

        def remove() -> None:
            api.rows[:] = [row for row in api.rows if self.key(row) not in gone]

        server.api = self.after_requests(api, after, remove)
        assert {self.key(item) for item in self.read(connector)} >= set(keys) - gone

    def test_a_row_that_goes_and_one_that_comes_while_reading_hide_no_other(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        keys = self.fill(api, self.page_size * 4)
        gone = self.key(api.rows[0])
        going = self.after_requests(api, 1, lambda: api.rows.__delitem__(0))
        server.api = self.after_requests(going, 2, lambda: api.rows.append(self.row(1_000_000)))
        assert {self.key(item) for item in self.read(connector)} >= set(keys) - {gone}

    @pytest.mark.parametrize("after", [1, 3])
    def test_rows_that_move_to_the_end_while_reading_are_all_there(
        self, api: SystemApi, server: ScriptedServer, connector: Any, after: int
    ) -> None:
        keys = self.fill(api, self.page_size * 5)
        server.api = self.after_requests(api, after, lambda: api.rows.append(api.rows.pop(0)))
        assert {self.key(item) for item in self.read(connector)} == set(keys)

    @pytest.mark.parametrize("place", [0, None])
    def test_rows_that_come_while_reading_push_no_others_out(
        self, api: SystemApi, server: ScriptedServer, connector: Any, place: int | None
    ) -> None:
        keys = self.fill(api, self.page_size * 3)

        def add() -> None:
            position = len(api.rows) if place is None else place
            api.rows[position:position] = [self.row(1_000_000 + number) for number in range(self.page_size + 1)]

        server.api = self.after_requests(api, 2, add)
        assert {self.key(item) for item in self.read(connector)} >= set(keys)

    # ---- limits

    def test_a_429_with_a_hint_is_waited_for_as_long_as_it_says(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        keys = self.fill(api, 1)
        refusal = self.error(429)
        server.script(Answer(429, refusal.body, {**refusal.headers, "Retry-After": "1"}))
        assert [self.key(item) for item in self.read(connector)] == keys
        first, second = server.seen[:2]
        assert 1.0 <= second.at - first.at < 2.0

    def test_a_429_without_a_hint_is_tried_again(self, api: SystemApi, server: ScriptedServer, connector: Any) -> None:
        keys = self.fill(api, 1)
        server.script(self.error(429), self.error(429))
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_a_429_that_lasts_longer_than_the_deadline_ends_at_once_with_the_systems_words(
        self, server: ScriptedServer
    ) -> None:
        refusal = self.error(429)
        server.script(Answer(429, refusal.body, {**refusal.headers, "Retry-After": "3600"}))
        begun = time.monotonic()
        with self.connect(server.url, patience=HASTE) as connector, pytest.raises(RateLimited) as caught:
            self.read(connector)
        assert time.monotonic() - begun < 1.0
        assert caught.value.retry_after == 3600
        assert caught.value.retryable
        assert self.error_message in str(caught.value)

    def test_a_full_load_runs_at_the_limit_and_draws_no_429(self, api: SystemApi, server: ScriptedServer) -> None:
        limit, seconds = 40, 1.0
        self.enforce(server, (limit, seconds))
        rows = self.page_size * (3 * limit + 1)
        self.fill(api, rows)
        used = 0.0
        for _ in range(3):  # a machine that is busy with something else is no fault of the connector
            server.seen.clear()
            with self.connect(server.url, limit=(limit, seconds), patience=HASTE, budget=InMemoryBudget()) as connector:
                assert len(self.read(connector)) == rows
            assert self.refused(server) == 0
            elapsed = server.seen[-1].at - server.seen[0].at
            used = max(used, self.least_seconds(len(server.seen), (limit, seconds)) / elapsed)
            if used >= 0.95:
                break
            time.sleep(seconds)
        assert used >= 0.95

    # ---- faults

    def test_a_server_error_is_tried_again(self, api: SystemApi, server: ScriptedServer, connector: Any) -> None:
        keys = self.fill(api, self.page_size * 3)
        server.script(self.error(503), self.error(500), self.error(502))
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_a_lasting_server_error_ends_with_the_systems_own_words(
        self, server: ScriptedServer, connector: Any
    ) -> None:
        server.api = lambda request: self.error(503)
        with pytest.raises(Unavailable) as caught:
            self.read(connector)
        assert self.error_message in str(caught.value)
        assert caught.value.status == 503
        assert caught.value.attempts == len(server.seen) == HASTE.attempts

    def test_a_503_with_a_hint_is_waited_for_as_long_as_it_says(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        keys = self.fill(api, 1)
        trouble = self.error(503)
        server.script(Answer(503, trouble.body, {**trouble.headers, "Retry-After": "1"}))
        assert [self.key(item) for item in self.read(connector)] == keys
        assert server.seen[1].at - server.seen[0].at >= 1.0

    @pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
    def test_a_connection_lost_in_the_middle_of_a_body_is_tried_again(
        self, api: SystemApi, server: ScriptedServer, connector: Any, reset: bool
    ) -> None:
        keys = self.fill(api, self.page_size * 2)

        def broken_off(request: Request) -> Answer:
            whole = api(request)
            return Answer(whole.status, whole.body, whole.headers, cut_after=len(whole.body) // 2, reset=reset)

        server.script(broken_off, broken_off)
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_a_body_that_always_breaks_off_ends_as_malformed(self, server: ScriptedServer, connector: Any) -> None:
        server.api = lambda request: Answer(200, b'{"a": 1}', cut_after=4)
        with pytest.raises(MalformedResponse, match="broke off"):
            self.read(connector)

    def test_a_connection_closed_before_the_answer_is_tried_again(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        keys = self.fill(api, 1)
        server.script(Answer(status=200, cut_after=0, reset=True, body=b"x"))
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_silence_times_out_and_is_tried_again(self, api: SystemApi, server: ScriptedServer) -> None:
        keys = self.fill(api, 1)
        server.script(lambda request: Answer(**{**vars(api(request)), "stall": 0.8}))
        with self.connect(server.url, patience=Patience(timeout=0.4, deadline=10.0, pause=0.01)) as connector:
            assert [self.key(item) for item in self.read(connector)] == keys
        assert len(server.seen) > 1

    def test_lasting_silence_ends_as_unavailable(self, server: ScriptedServer) -> None:
        server.api = lambda request: Answer(stall=0.4)
        patience = Patience(timeout=0.1, deadline=5.0, attempts=2, pause=0.01)
        with self.connect(server.url, patience=patience) as connector, pytest.raises(Unavailable, match="timeout"):
            self.read(connector)

    def test_nobody_there_ends_as_unavailable(self, server: ScriptedServer) -> None:
        with ScriptedServer(server.api) as gone:
            url = gone.url
        with self.connect(url, patience=HASTE) as connector, pytest.raises(Unavailable):
            self.read(connector)

    def test_a_malformed_body_is_tried_again(self, api: SystemApi, server: ScriptedServer, connector: Any) -> None:
        keys = self.fill(api, 1)
        server.script(Answer(200, b'{"results": [{"id": 1,', {"Content-Type": "application/json"}))
        assert [self.key(item) for item in self.read(connector)] == keys

    @pytest.mark.parametrize("body", [b"42", b'"ok"', b'{"unexpected": true}', b"null", b"[1, 2]"])
    def test_json_of_another_shape_is_malformed(self, server: ScriptedServer, connector: Any, body: bytes) -> None:
        server.api = lambda request: Answer(200, body, {"Content-Type": "application/json"})
        with pytest.raises(MalformedResponse):
            self.read(connector)

    def test_html_instead_of_json_is_tried_again(self, api: SystemApi, server: ScriptedServer, connector: Any) -> None:
        keys = self.fill(api, 1)
        server.script(HTML)
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_lasting_html_ends_as_malformed_and_names_the_page(self, server: ScriptedServer, connector: Any) -> None:
        server.api = lambda request: HTML
        with pytest.raises(MalformedResponse, match="Down for maintenance"):
            self.read(connector)

    def test_an_html_error_page_keeps_its_title(self, server: ScriptedServer, connector: Any) -> None:
        page = Answer(502, HTML.body, HTML.headers)
        server.api = lambda request: page
        with pytest.raises(Unavailable, match="Down for maintenance"):
            self.read(connector)

    def test_a_redirect_is_not_followed_and_says_where_the_base_url_should_point(
        self, server: ScriptedServer, connector: Any
    ) -> None:
        server.api = lambda request: Answer(301, headers={"Location": f"https://elsewhere.example/?key={SECRET}"})
        with pytest.raises(Rejected, match=r"https://elsewhere\.example\b") as caught:
            self.read(connector)
        assert len(server.seen) == 1
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(("status", "error"), [(400, Rejected), (404, NotFound), (405, Rejected), (422, Rejected)])
    def test_what_trying_again_cannot_mend_is_not_tried_again(
        self, server: ScriptedServer, connector: Any, status: int, error: type[ConnectorError]
    ) -> None:
        server.api = lambda request: self.error(status)
        with pytest.raises(error) as caught:
            self.read(connector)
        assert len(server.seen) == 1
        assert not caught.value.retryable
        assert self.error_message in str(caught.value)

    # ---- credentials

    def test_wrong_credentials_are_named_as_such_and_not_tried_again(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        api.accepts_credentials = False
        with pytest.raises(AuthenticationError) as caught:
            self.read(connector)
        assert len(server.seen) == 1
        assert not caught.value.retryable
        assert SECRET not in str(caught.value) + repr(caught.value)

    def test_credentials_that_end_while_reading_end_the_reading(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        self.fill(api, self.page_size * 4)

        def revoke() -> None:
            api.accepts_credentials = False

        server.api = self.after_requests(api, 1, revoke)
        pages = connector.read(self.resource)
        assert len(next(pages).items) == self.page_size
        with pytest.raises(AuthenticationError):
            list(pages)

    # ---- what is in the rows

    def test_unknown_fields_are_kept(self, api: SystemApi, connector: Any) -> None:
        api.rows[:] = [{**self.row(1), "BrandNewField": {"nested": [1, "two"]}}]
        (record,) = self.read(connector)
        assert record["BrandNewField"] == {"nested": [1, "two"]}

    def test_nulls_stay_nulls(self, api: SystemApi, connector: Any) -> None:
        api.rows[:] = [self.row(1, **{self.text_field: None})]
        (record,) = self.read(connector)
        assert self.value(record, self.text_field) is None

    @pytest.mark.parametrize(
        "text", ["Zoë 健康食品 🍄", "Ünïcode – “quotes”", 'a"b\\c/d\n\té', "\u202eright to left", "𝔸"]
    )
    def test_text_of_all_scripts_arrives_as_it_was(self, api: SystemApi, connector: Any, text: str) -> None:
        api.rows[:] = [self.row(1, **{self.text_field: text})]
        (record,) = self.read(connector)
        assert self.value(record, self.text_field) == text

    def test_numbers_never_pass_through_a_float(self, api: SystemApi, connector: Any) -> None:
        if self.number_field is None:
            return
        api.rows[:] = [self.row(1, **{self.number_field: 0.1})]
        (record,) = self.read(connector)
        assert self.value(record, self.number_field) == Decimal("0.1")
        assert isinstance(self.value(record, self.number_field), Decimal)

    # ---- deadline, breaker

    def test_the_deadline_holds_through_retries(self, server: ScriptedServer) -> None:
        server.api = lambda request: self.error(503)
        patience = Patience(timeout=1.0, deadline=0.5, attempts=1000, pause=0.1, pause_max=0.2)
        begun = time.monotonic()
        with (
            self.connect(server.url, patience=patience) as connector,
            pytest.raises((Unavailable, DeadlineExceeded), match=self.error_message),
        ):
            self.read(connector)
        assert time.monotonic() - begun < 1.5

    def test_the_deadline_holds_against_a_body_that_trickles(self, server: ScriptedServer) -> None:
        server.api = lambda request: Answer(200, b"[" + b" " * 200, trickle=0.05)
        patience = Patience(timeout=0.5, deadline=0.6, attempts=2)
        begun = time.monotonic()
        with self.connect(server.url, patience=patience) as connector, pytest.raises(DeadlineExceeded):
            self.read(connector)
        assert time.monotonic() - begun < 2.0

    def test_a_budget_that_frees_up_too_late_ends_at_once(self, api: SystemApi, server: ScriptedServer) -> None:
        self.fill(api, self.page_size * 3)
        patience = Patience(timeout=1.0, deadline=0.5)
        begun = time.monotonic()
        with (
            self.connect(server.url, limit=(1, 60.0), patience=patience, budget=InMemoryBudget()) as connector,
            pytest.raises(DeadlineExceeded, match="budget"),
        ):
            self.read(connector)
        assert time.monotonic() - begun < 2.0

    def test_the_circuit_opens_after_failures_in_a_row_and_closes_again(
        self, api: SystemApi, server: ScriptedServer, connector: Any
    ) -> None:
        keys = self.fill(api, 1)
        server.api = lambda request: self.error(500)
        for _ in range(HASTE.failures):
            with pytest.raises(Unavailable):
                self.read(connector)
        sent = len(server.seen)
        with pytest.raises(CircuitOpen):
            self.read(connector)
        assert len(server.seen) == sent
        server.api = api
        time.sleep(HASTE.recovery + 0.05)
        assert [self.key(item) for item in self.read(connector)] == keys
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_refusals_do_not_open_the_circuit(self, api: SystemApi, server: ScriptedServer, connector: Any) -> None:
        keys = self.fill(api, 1)
        server.api = lambda request: self.error(400)
        for _ in range(HASTE.failures * 2):
            with pytest.raises(Rejected):
                self.read(connector)
        server.api = api
        assert [self.key(item) for item in self.read(connector)] == keys

    def test_many_threads_may_share_a_connector(self, api: SystemApi, server: ScriptedServer, connector: Any) -> None:
        keys = self.fill(api, self.page_size * 3)
        found: list[list[object]] = []

        def read() -> None:
            found.append([self.key(item) for item in self.read(connector)])

        threads = [threading.Thread(target=read) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [keys] * 6

    # ---- telemetry

    def test_every_request_leaves_one_event(
        self, api: SystemApi, server: ScriptedServer, connector: Any, sink: InMemorySink
    ) -> None:
        self.fill(api, self.page_size * 2)
        server.script(self.error(429), self.error(503))
        self.read(connector)
        events = sink.events
        assert len(events) == len(server.seen) == connector.requests
        assert [event.outcome for event in events[:3]] == ["rate_limited", "unavailable", "ok"]
        assert [event.status for event in events[:3]] == [429, 503, 200]
        assert [event.attempts for event in events[:3]] == [1, 2, 3]
        assert all(earlier.occurred_at <= later.occurred_at for earlier, later in pairwise(events[:3]))
        for event in events:
            assert event.bytes_received > 0 or event.status == 204
            assert event.duration_ms > 0
            assert event.operation
            assert event.path_template.startswith("/")

    def test_neither_secrets_nor_personal_data_reach_telemetry_or_errors(
        self, api: SystemApi, server: ScriptedServer, connector: Any, sink: InMemorySink
    ) -> None:
        api.rows[:] = [self.row(1, **{self.text_field: PERSON})]
        self.read(connector)
        server.script(*[self.error(503)] * HASTE.attempts)
        with pytest.raises(Unavailable) as caught:
            self.read(connector)
        server.script(Answer(200, PERSON.encode() + b" is not JSON", {"Content-Type": "application/json"}))
        self.read(connector)
        spoken = " ".join([*map(str, sink.events), str(caught.value), repr(caught.value)])
        assert PERSON not in spoken
        assert SECRET not in spoken
