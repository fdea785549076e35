"""What every connector stands on: one HTTP client per account that keeps to its budget and tries again where it helps.

    with Unleashed(...) as unleashed:                       # a Connector
        for page in unleashed.read("SalesOrders"): ...      # the face that ingest knows: `StreamReader`

A system's class says how to sign, where its limits are, and how to read its errors; sending, budget, deadline, retries,
circuit breaker and telemetry are here. A connector may be used by many threads at once.
"""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from ssl import SSLContext
from typing import BinaryIO, ClassVar, NoReturn, Protocol, Self, TypedDict, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec
import stamina
from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from structlog.contextvars import bound_contextvars

from masterops_dagster.connectors.auth import TokenRefused
from masterops_dagster.connectors.budget import Bucket, Budget, BudgetTimeout, InMemoryBudget, Lease, Spent, Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    CircuitOpen,
    ConnectorError,
    DeadlineExceeded,
    MalformedResponse,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.responses import correlation_id, describe, error_kind, excerpt, retry_after
from masterops_dagster.connectors.telemetry import OK, REPAIRED, NullSink, RequestEvent, TelemetrySink

Record = dict[str, object]
"""One JSON object as the system sent it; numbers with a fraction are `Decimal`."""

TRY_BEFORE = "; the try before ended with: "

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, in the system's order. `total` is the system's count of all that match, None where it has none.

    `settled_until`: a cursor must not pass this moment, since something from then on may yet change without showing
    as modified; None where the system shows every change.
    """

    items: list[Record]
    total: int | None = None
    settled_until: datetime | None = None


class StreamReader(Protocol):
    """What ingest needs of a connector. Records may come more than once, when rows move between pages meanwhile.

    All methods raise `ConnectorError`s. `requests` is how many HTTP requests were sent so far.
    """

    @property
    def requests(self) -> int: ...

    def read(
        self,
        resource: str,
        *,
        modified_since: datetime | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        properties: Sequence[str] = (),
        archived: bool = False,
    ) -> Iterator[Page]:
        """All rows; or those modified at or after a moment; or those with their business date in [from, to)."""
        ...

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """The children of these parents, where the system wants to be asked for them."""
        ...

    def count(self, resource: str) -> int | None:
        """How many live rows the system says it has; None where it doesn't say."""
        ...

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """The keys of all live rows, as cheaply as the system allows; a tuple where a key has several parts."""
        ...

    def identity(self) -> str:
        """Whose account this is, as the system itself names it: the same for all credentials of one company."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer. `data` is the decoded JSON (None if the body is empty)."""

    status: int
    headers: httpx.Headers
    data: object
    correlation_id: str | None

    def object(self) -> Record:
        """The body as a JSON object. Raises `TypeError` otherwise."""
        if not isinstance(self.data, dict):
            raise TypeError(f"expected a JSON object, got {_json_kind(self.data)}")
        return self.data

    def array(self) -> list[Record]:
        """The body as an array of JSON objects. Raises `TypeError` otherwise."""
        if not isinstance(self.data, list) or not all(isinstance(item, dict) for item in self.data):
            raise TypeError(f"expected an array of JSON objects, got {_json_kind(self.data)}")
        return self.data


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error answer means, as the system's class reads it.

    `kind` overrides the class that follows from the status; `scope` names the window that a 429 is about;
    `retry_after` (seconds) is a hint that isn't in the `Retry-After` header; `retryable` overrides the class's.
    """

    detail: str
    correlation_id: str | None = None
    kind: type[ConnectorError] | None = None
    scope: str = ""
    retry_after: float | None = None
    retryable: bool | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class LimitNews:
    """What an answer's headers say about a window of the budget; see `Budget.adapt`."""

    window: str
    limit: int | None = None
    remaining: int | None = None
    reset_after: float | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often to try. All times in seconds.

    `timeout` bounds one request's silence, `deadline` a whole operation: budget, all tries and pauses included. A pause
    is drawn evenly from [0, min(pause_max, pause x 2^(try-1))] (full jitter), unless the system says how long to wait.
    `failures` operations in a row that failed in spite of it open the circuit for `recovery` seconds.
    """

    timeout: float = 30.0
    deadline: float = 300.0
    attempts: int = 8
    pause: float = 0.5
    pause_max: float = 30.0
    failures: int = 5
    recovery: float = 30.0


class Options(TypedDict, total=False):
    """What every connector's constructor takes besides its own; see `Connector`."""

    budget: Budget | None
    sink: TelemetrySink | None
    patience: Patience | None
    parallel: int
    verify: SSLContext | bool


class Connector:
    """One account at one system.

    `windows` are the budget windows in which every request counts. `parallel` is how many requests may be under way at
    once in `in_order`. `verify` is handed to httpx (a private authority's context); `base_url` has no slash at its end.
    Subclasses override the hooks: `explain`, `limit_news`, `clean`, `rescue`, `refusal`, `spent`.
    """

    system: ClassVar[str]
    repeatable_methods: ClassVar[frozenset[str]] = frozenset({"GET", "HEAD", "PUT", "DELETE"})

    def __init__(
        self,
        base_url: str,
        account: str,
        auth: httpx.Auth,
        *,
        windows: Sequence[Window | Bucket],
        budget: Budget | None = None,
        sink: TelemetrySink | None = None,
        patience: Patience | None = None,
        parallel: int = 4,
        headers: Mapping[str, str] | None = None,
        verify: SSLContext | bool = True,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.account = account
        self.windows = tuple(windows)
        self.parallel = parallel
        self.patience = patience or Patience()
        self._budget: Budget = budget or InMemoryBudget()
        self._sink: TelemetrySink = sink or NullSink()
        loopback = (urlsplit(base_url).hostname or "") in {"127.0.0.1", "localhost", "::1"}
        self._client = httpx.Client(
            auth=auth,
            headers={"Accept": "application/json", "User-Agent": "masterops", **(headers or {})},
            limits=httpx.Limits(max_connections=parallel * 4, max_keepalive_connections=parallel * 2),
            verify=verify,
            trust_env=not loopback,
        )
        self._breaker = SyncCircuitBreakerFactory(
            default_threshold=self.patience.failures,
            default_ttl=self.patience.recovery,
            exclude=[(BaseException, lambda error: not isinstance(error, Unavailable | MalformedResponse))],
        ).get_breaker(account)
        self._breaker_lock = threading.Lock()
        self._requests = 0
        self._requests_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the connector can't be used afterwards."""
        self._client.close()

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far, retries included."""
        return self._requests

    # ---- what a system's class says about its system

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """Read an error answer; `body` is decoded JSON, or text (HTML reduced to its title) where it isn't JSON."""
        detail = body.get("message") if isinstance(body, dict) else body
        return Explanation(str(detail or "no message"))

    def limit_news(self, headers: httpx.Headers) -> Iterable[LimitNews]:
        """What any answer's headers say about the limits."""
        return ()

    def clean(self, body: bytes) -> bytes:
        """The JSON text of a successful answer, with the system's own peculiarities put right."""
        return body

    def rescue(self, body: bytes) -> object | None:
        """Decode what isn't JSON as it stands, where the system is known to put something around it; else None."""
        return None

    def refusal(self, data: object) -> Explanation | None:
        """What an answer of status 2xx means that is an error all the same; it has a `kind`. None for a good one."""
        return None

    def spent(self, data: object) -> Spent | None:
        """What an answer of status 2xx says about points; None where the system doesn't count them."""
        return None

    # ---- sending

    def request(
        self,
        method: str,
        template: str,
        *,
        operation: str,
        path: Mapping[str, str | int | Sequence[str]] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        windows: Sequence[Window] = (),
        cost: int = 1,
    ) -> Reply:
        """Send a request, again where that is safe and can help, and return the decoded answer.

        `template` is the path below the base URL with `{names}` filled from `path` (percent-encoded; a sequence fills
        in several parts of the path); it is what telemetry shows, so ids belong into `path`. The body is `json`, or
        `content` as it is, whose type stands in `headers`. `operation` names it in errors: `list SalesOrders`.
        `repeatable` says that sending it twice does no harm; by default so for GET, HEAD, PUT and DELETE. Others are
        repeated only if the system can't have acted on them: no connection was made, or it answered 429. `windows` are
        those in which it counts besides the account's own; `cost` is how many points it may cost at most. Raises
        `ConnectorError`s.
        """
        safe = method in self.repeatable_methods if repeatable is None else repeatable
        url = self.base_url + template.format_map({name: _path_value(value) for name, value in (path or {}).items()})
        if params:
            url += "?" + "&".join(f"{quote(k, safe='')}={_query_value(str(v))}" for k, v in params.items())
        call = _Call(
            method=method,
            template=template,
            url=url,
            operation=operation,
            content=content if json is None else encode_json(json),
            headers=headers or {},
            windows=self.windows + tuple(windows),
            deadline=time.monotonic() + self.patience.deadline,
            cost=cost,
        )
        return self._operate(call, safe)

    def download(self, url: str, into: BinaryIO, template: str, *, operation: str) -> None:
        """Write what is at an address that carries its own permission into a file, and rewind it.

        No credentials go there and no budget is asked. What broke off is continued where the server can (`Range`), else
        begun again; the deadline counts from the last byte that came. `template` is what telemetry shows. Raises
        `ConnectorError`s.
        """
        call = _Call(
            method="GET",
            template=template,
            url=url,
            operation=operation,
            content=None,
            headers={},
            windows=(),
            deadline=time.monotonic() + self.patience.deadline,
            into=into,
        )
        self._operate(call, safe=True)
        into.seek(0)

    def _operate(self, call: _Call, safe: bool) -> Reply:
        self._enter_breaker(call)
        try:
            with bound_contextvars(account=self.account, operation=call.operation):
                reply = self._send_patiently(call, safe)
        except BaseException as error:
            self._leave_breaker(error)
            raise
        self._leave_breaker(None)
        return reply

    def _send_patiently(self, call: _Call, safe: bool) -> Reply:
        def pause(error: Exception) -> bool | float:
            if not isinstance(error, ConnectorError) or not error.retryable or isinstance(error, DeadlineExceeded):
                return False
            if not (safe or error.unprocessed):
                return False
            call.said_before = error.detail.partition(TRY_BEFORE)[0]
            seconds = self._pause(error, call.tries)
            needed = max(seconds, error.retry_after or 0.0)
            return seconds if time.monotonic() + needed < call.deadline else False

        for attempt in stamina.retry_context(on=pause, attempts=self.patience.attempts, timeout=None):
            with attempt:
                call.tries += 1
                return self._send_once(call)
        raise AssertionError("stamina ends with an answer or the last error")

    def _pause(self, error: ConnectorError, tries: int) -> float:
        """Seconds to wait before the next try; a 429's wait is in the budget already, where all threads see it."""
        if isinstance(error, RateLimited):
            return 0.0
        jitter = random.uniform(0, min(self.patience.pause_max, self.patience.pause * 2 ** (tries - 1)))  # noqa: S311
        return jitter if error.retry_after is None else error.retry_after + min(jitter, 1.0)

    def _send_once(self, call: _Call) -> Reply:
        try:
            lease = self._budget.acquire(self.account, call.windows, call.deadline, call.cost)
        except BudgetTimeout as timeout:
            raise self._error(DeadlineExceeded, call, call.with_what_was_said(str(timeout))) from None
        exchange = _Exchange(datetime.now(UTC), time.monotonic(), lease)
        outcome = OK
        try:
            with self._requests_lock:
                self._requests += 1
            self._transfer(call, exchange)
            reply = self._read(call, exchange)
            outcome = REPAIRED if exchange.repaired else OK
        except ConnectorError as error:
            error.attempts = call.tries
            outcome = error.kind
            raise
        finally:
            ended = time.monotonic()
            self._budget.settle(lease, exchange.spent)
            self._sink.record(
                RequestEvent(
                    occurred_at=exchange.sent_at,
                    system=self.system,
                    account=self.account,
                    operation=call.operation,
                    method=call.method,
                    path_template=call.template,
                    status=exchange.status,
                    outcome=outcome,
                    duration_ms=round((ended - exchange.started) * 1000, 3),
                    bytes_received=exchange.bytes_received,
                    attempts=call.tries,
                    budget_wait_ms=round(lease.waited * 1000, 3),
                    correlation_id=exchange.correlation_id,
                )
            )
        return reply

    def _transfer(self, call: _Call, exchange: _Exchange) -> None:
        """Send and receive, in time; fills the exchange. Raises for what happens on the wire, not for error answers."""
        remaining = call.deadline - exchange.started
        if remaining <= 0:
            detail = call.with_what_was_said("no time was left to send the request")
            raise self._error(DeadlineExceeded, call, detail)
        try:
            with self._client.stream(
                call.method,
                call.url,
                content=call.content,
                headers=call.sent_headers(),
                timeout=min(self.patience.timeout, remaining),
                auth=httpx.USE_CLIENT_DEFAULT if call.into is None else None,
            ) as response:
                exchange.status = response.status_code
                exchange.headers = response.headers
                chunks = []
                try:
                    if call.into is not None and response.is_success:
                        self._save(call, response)
                    for chunk in () if response.is_stream_consumed else response.iter_bytes():
                        chunks.append(chunk)
                        if time.monotonic() > call.deadline:
                            detail = call.with_what_was_said("the answer didn't end in time")
                            raise self._error(DeadlineExceeded, call, detail, exchange)
                finally:
                    exchange.bytes_received = response.num_bytes_downloaded
                exchange.body = b"".join(chunks)
        except TokenRefused as refused:
            exchange.status = refused.status
            if refused.status in {400, 401, 403}:
                raise self._error(AuthenticationError, call, refused.detail, exchange) from None
            raise self._error(Unavailable, call, refused.detail, exchange, unprocessed=True) from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            # httpx's message quotes the header, which may be a secret
            detail = "it can't be sent: a credential or the base URL has characters that HTTP doesn't allow"
            raise self._error(Rejected, call, detail, unprocessed=True) from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as failure:
            if "CERTIFICATE_VERIFY_FAILED" in str(failure):
                advice = "Check the base URL, and which authority signed the certificate."
                raise self._error(
                    Unavailable, call, str(failure), retryable=False, advice=advice, unprocessed=True
                ) from None
            detail = call.with_what_was_said(describe(failure))
            raise self._error(Unavailable, call, detail, unprocessed=True) from None
        except httpx.DecodingError:
            raise self._error(MalformedResponse, call, "the body's compression is broken", exchange) from None
        except httpx.TransportError as failure:
            if exchange.status is None:
                raise self._error(Unavailable, call, call.with_what_was_said(describe(failure))) from None
            detail = f"the body broke off after {exchange.bytes_received} bytes: {describe(failure)}"
            raise self._error(MalformedResponse, call, detail, exchange) from None

    def _save(self, call: _Call, response: httpx.Response) -> None:
        """Write the body behind what is there if the server continues it, else in its place."""
        assert call.into is not None
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            call.into.seek(0)
            call.into.truncate()
        for chunk in response.iter_bytes():
            call.into.write(chunk)
            call.deadline = time.monotonic() + self.patience.deadline

    def _read(self, call: _Call, exchange: _Exchange) -> Reply:
        """Make a reply of the answer, or raise what it means. Lets the budget know what the headers say."""
        status, headers = exchange.status or 0, exchange.headers
        exchange.correlation_id = correlation_id(headers)
        for news in self.limit_news(headers):
            for window in call.windows:
                if window.name == news.window and isinstance(window, Window):
                    self._budget.adapt(
                        self.account,
                        window,
                        limit=news.limit,
                        remaining=news.remaining,
                        reset_after=news.reset_after,
                    )
        if not 200 <= status < 300:
            self._raise_for(call, exchange)
        body = exchange.body.removeprefix(b"\xef\xbb\xbf")
        if not body.strip():
            return Reply(status, headers, None, exchange.correlation_id)
        try:
            data = decode_json(self.clean(body))
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            found = self.rescue(body)
            if found is None:
                detail = f"not JSON ({failure}): {excerpt(body, headers)}"
                raise self._error(MalformedResponse, call, detail, exchange) from None
            data = found
            exchange.repaired = True
        exchange.spent = spent = self.spent(data)
        if spent is not None and spent.requested is not None:
            call.cost = spent.requested
        if (refusal := self.refusal(data)) is not None:
            self._raise(call, exchange, refusal)
        return Reply(status, headers, data, exchange.correlation_id)

    def _raise_for(self, call: _Call, exchange: _Exchange) -> NoReturn:
        status, headers = exchange.status or 0, exchange.headers
        try:
            body = decode_json(exchange.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = self.rescue(exchange.body) or excerpt(exchange.body, headers)
        self._raise(call, exchange, self.explain(status, headers, body) if status >= 400 else _redirect(headers))

    def _raise(self, call: _Call, exchange: _Exchange, explanation: Explanation) -> NoReturn:
        exchange.correlation_id = explanation.correlation_id or exchange.correlation_id
        kind = explanation.kind or error_kind(exchange.status or 0)
        hint = retry_after(exchange.headers) if explanation.retry_after is None else explanation.retry_after
        error = self._error(
            kind,
            call,
            explanation.detail,
            exchange,
            retryable=explanation.retryable,
            advice=explanation.advice,
            retry_after=hint,
            unprocessed=issubclass(kind, RateLimited),
        )
        if isinstance(error, RateLimited):
            windows = call.windows or self.windows
            window = next((w for w in windows if w.name == explanation.scope), windows[0])
            error.scope = window.name
            wait = self._rate_limit_pause(window, call.tries) if hint is None else hint
            self._budget.exhausted(self.account, window, wait)
        raise error

    def _rate_limit_pause(self, window: Window | Bucket, tries: int) -> float:
        """How long to leave a window alone after a 429 that doesn't say: full jitter, up to the window's length."""
        seconds = window.limit / window.per_second if isinstance(window, Bucket) else window.seconds
        longest = min(seconds, max(self.patience.pause, seconds / 16) * 2 ** (tries - 1))
        return random.uniform(0, longest)  # noqa: S311 -- not for secrets

    def _error(
        self,
        kind: type[ConnectorError],
        call: _Call,
        detail: str,
        exchange: _Exchange | None = None,
        *,
        retryable: bool | None = None,
        advice: str | None = None,
        retry_after: float | None = None,
        unprocessed: bool = False,
    ) -> ConnectorError:
        return kind(
            detail,
            system=self.system,
            account=self.account,
            operation=call.operation,
            status=exchange.status if exchange else None,
            correlation_id=exchange.correlation_id if exchange else None,
            retryable=retryable,
            advice=advice,
            attempts=call.tries,
            retry_after=retry_after,
            unprocessed=unprocessed,
        )

    def malformed(self, operation: str, detail: str) -> MalformedResponse:
        """The error for an answer that is JSON but not the API's shape, for a system's class to raise."""
        return MalformedResponse(detail, system=self.system, account=self.account, operation=operation)

    # ---- circuit breaker: purgatory's state isn't guarded against threads, so all of it is under one lock

    def _enter_breaker(self, call: _Call) -> None:
        with self._breaker_lock:
            try:
                self._breaker.__enter__()
            except OpenedState as state:
                seconds = max(0.0, state.opened_at + self.patience.recovery - time.time())
                detail = f"the last {self.patience.failures} operations failed; next try in {seconds:.0f} s"
                raise self._error(CircuitOpen, call, detail) from None

    def _leave_breaker(self, error: BaseException | None) -> None:
        with self._breaker_lock:
            self._breaker.__exit__(type(error) if error else None, error, None)

    # ---- many requests at once

    def in_order(self, function: Callable[[A], T], arguments: Iterable[A], *, ahead: int | None = None) -> Iterator[T]:
        """Apply a function in `parallel` threads and yield the results in the order of the arguments.

        At most `ahead` (default: twice `parallel`) results are under way or waiting to be taken. The first error is
        raised in its place, and what has not begun by then is not begun.
        """
        bound = ahead or self.parallel * 2
        waiting: deque[Future[T]] = deque()
        pool = ThreadPoolExecutor(self.parallel, thread_name_prefix=self.account)
        try:
            for argument in arguments:
                waiting.append(pool.submit(contextvars.copy_context().run, function, argument))
                if len(waiting) >= bound:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(slots=True)
class _Call:
    """One operation: what is sent, once or more often."""

    method: str
    template: str
    url: str
    operation: str
    content: bytes | None
    headers: Mapping[str, str]
    windows: tuple[Window | Bucket, ...]
    deadline: float
    cost: int = 1
    into: BinaryIO | None = None
    """The file that takes the body."""
    tries: int = 0
    said_before: str = ""
    """How the try before ended."""

    def with_what_was_said(self, detail: str) -> str:
        """The detail, and how the try before ended if that was otherwise: a last try may just run out of time."""
        said = self.said_before
        return f"{detail}{TRY_BEFORE}{said}" if said and said != detail else detail

    def sent_headers(self) -> dict[str, str]:
        named = {} if self.content is None else {"Content-Type": "application/json"}
        if self.into is not None and (held := self.into.tell()):
            named["Range"] = f"bytes={held}-"
        return {**named, **self.headers}


@dataclass(slots=True)
class _Exchange:
    """One request on the wire and what came back."""

    sent_at: datetime
    started: float
    lease: Lease
    status: int | None = None
    body: bytes = b""
    bytes_received: int = 0
    correlation_id: str | None = None
    repaired: bool = False
    spent: Spent | None = None
    headers: httpx.Headers = field(default_factory=httpx.Headers)


def decode_json(body: bytes) -> object:
    """JSON with `Decimal` for numbers with a fraction or exponent. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(body)


def encode_json(value: object) -> bytes:
    """JSON with decimals as plain numbers, never through a float; UUIDs and moments as strings."""
    return _ENCODER.encode(value)


_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _redirect(headers: httpx.Headers) -> Explanation:
    """A redirect isn't followed: it would lose the signature, or carry credentials to another host."""
    target = urlsplit(headers.get("Location", ""))
    where = f"{target.scheme}://{target.netloc}" if target.netloc else "another path"
    return Explanation(f"redirected to {where}", advice="Set the base URL to where the API itself answers.")


def _path_value(value: str | int | Sequence[str]) -> str:
    parts = [str(value)] if isinstance(value, str | int) else value
    return "/".join(quote(part, safe="") for part in parts)


def _query_value(value: str) -> str:
    """Percent-encode a query value but for what is legal in a query (RFC 3986 §3.4) and means nothing there.

    `2026-03-01T00:00:00.000` stays as it is, so that what is signed is the same whether a system decodes it first.
    """
    return quote(value, safe=":,@/")


def _json_kind(value: object) -> str:
    return {dict: "an object", list: "an array", str: "a string", type(None): "nothing"}.get(type(value), "a number")
