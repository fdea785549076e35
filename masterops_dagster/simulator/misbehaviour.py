"""Makes a stand-in misbehave as `world/faults.json` says: an ASGI layer between the server and one account's app.

What a fault needs to know about the system it strikes, the shape of its error bodies, is handed in.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.replies import html_reply
from masterops_dagster.simulator.world.faults import FAULTS_FILE, Fault, read, strikes

SERVER_ERRORS = (500, 502, 503, 504)
PHP_WARNING = (
    b"<br />\n<b>Warning</b>:  Undefined array key &quot;rate&quot; in "
    b"<b>/var/www/html/wp-content/plugins/delivery-slots/includes/class-slots.php</b> on line <b>214</b><br />\n"
)


@dataclass(frozen=True, slots=True)
class ErrorBodies:
    """How one system words a refusal: by a limit (with the seconds to wait, if it says), and by a 5xx.

    `throttled`: a limit that is refused inside 200; None for a system that has none.
    """

    rate_limited: Callable[[float | None], Response]
    server_error: Callable[[int], Response]
    throttled: Callable[[float | None], Response] | None = None


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that strikes this request, the number of the request among those that the fault saw."""

    fault: Fault
    number: int


class FaultsInForce:
    """The faults of the file, read again when it changes, with a count of requests per account and fault."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stamp: tuple[int, int] | None = None
        self._faults: tuple[Fault, ...] = ()
        self._seen: Counter[tuple[str, Fault]] = Counter()
        self._struck: Counter[tuple[str, Fault]] = Counter()

    def strike(self, account: Account) -> dict[str, Struck]:
        """The faults that strike the account's next request, by kind."""
        self._refresh()
        struck = {}
        for fault in self._faults:
            if not fault.concerns(account.key):
                continue
            number = self._seen[account.key, fault]
            self._seen[account.key, fault] += 1
            exhausted = fault.times and self._struck[account.key, fault] >= fault.times
            if number >= fault.after and not exhausted and strikes(fault, number):
                self._struck[account.key, fault] += 1
                struck[fault.kind] = Struck(fault, number)
        return struck

    def _refresh(self) -> None:
        try:
            status = (self._directory / FAULTS_FILE).stat()
        except FileNotFoundError:
            self._stamp, self._faults = None, ()
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._faults = read(self._directory)
            self._stamp = stamp
            self._seen.clear()
            self._struck.clear()


class Connections:
    """The open sockets by their peer, so that one can be broken off with a reset, which ASGI has no word for."""

    def __init__(self) -> None:
        self._transports: dict[Any, asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP protocol, made to register its connections here."""
        transports = self._transports

        class Registered(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.peer = transport.get_extra_info("peername")
                transports[self.peer] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.peer, None)
                super().connection_lost(exc)

        return Registered

    def reset(self, peer: Any) -> None:
        """Ends the connection with RST instead of FIN; what hasn't been sent is lost."""
        transport = self._transports[peer]
        connected: socket.socket = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class Misbehaving:
    """The layer itself. It also dates every answer, since a skewed clock shows there."""

    def __init__(
        self, app: ASGIApp, account: Account, faults: FaultsInForce, connections: Connections, bodies: ErrorBodies
    ) -> None:
        self._app = app
        self._account = account
        self._faults = faults
        self._connections = connections
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        struck = self._faults.strike(self._account)
        if "latency" in struck:
            await asyncio.sleep(struck["latency"].fault.seconds)
        skew = struck["clock_skew"].fault.seconds if "clock_skew" in struck else 0.0
        scope["clock_skew"] = skew
        scope["partial_batch"] = struck.get("partial_batch")
        if "revoked" in struck:
            scope = without_good_credentials(scope)
        app = self._refusal(struck) or self._app
        if "reset" in struck:
            await self._break_off(app, scope, receive, dated(send, skew))
        elif damage := next((kind for kind in DAMAGE if kind in struck), None):
            answer = await recorded(app, scope, receive)
            await send_all(DAMAGE[damage](answer), dated(send, skew))
        else:
            await app(scope, receive, dated(send, skew))

    def _refusal(self, struck: dict[str, Struck]) -> Response | None:
        if "rate_limit" in struck:
            return self._bodies.rate_limited(struck["rate_limit"].fault.seconds or None)
        if "throttled" in struck and self._bodies.throttled is not None:
            return self._bodies.throttled(struck["throttled"].fault.seconds or None)
        if "server_error" in struck:
            number = struck["server_error"].number
            return self._bodies.server_error(SERVER_ERRORS[number % len(SERVER_ERRORS)])
        return None

    async def _break_off(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await recorded(app, scope, receive)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        await asyncio.sleep(0.1)  # the client reads the head and half of the body before the connection breaks
        self._connections.reset(scope["client"])
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, held back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def truncated(answer: Answer) -> Answer:
    """The body stops in the middle of a token, with a length that fits."""
    return _with_body(answer, answer.body[: len(answer.body) * 2 // 3].rstrip(b"]}") or b"{")


def replaced_by_html(answer: Answer) -> Answer:
    """200, and a page for people in place of the JSON."""
    page = html_reply("Briefly unavailable for scheduled maintenance", "Check back in a minute.", 200)
    return Answer(200, list(page.raw_headers), bytes(page.body))


def preceded_by_warning(answer: Answer) -> Answer:
    """What PHP with `display_errors` on does to an API."""
    return _with_body(answer, PHP_WARNING + answer.body)


DAMAGE: dict[str, Callable[[Answer], Answer]] = {
    "malformed": truncated,
    "html": replaced_by_html,
    "php_warning": preceded_by_warning,
}


CREDENTIAL_HEADERS = frozenset(
    {b"authorization", b"api-auth-id", b"apikey", b"x-auth-token", b"x-n8n-api-key", b"x-shopify-access-token"}
)
CONSUMER_KEY = re.compile(rb"(?<=oauth_consumer_key=)[^&]*")


def without_good_credentials(scope: Scope) -> Scope:
    """The request as one whose key nobody knows (any more): the system itself finds the words for that."""

    def spoiled(value: bytes) -> bytes:
        scheme, space, key = value.rpartition(b" ")
        return scheme + space + key[::-1]

    headers = [(name, spoiled(value) if name in CREDENTIAL_HEADERS else value) for name, value in scope["headers"]]
    query = CONSUMER_KEY.sub(lambda found: found[0][::-1], scope["query_string"])
    return {**scope, "headers": headers, "query_string": query}


def server_time(request: HTTPConnection) -> float:
    """Real time by the server's clock, which a fault may have skewed; seconds since the epoch."""
    return time.time() + float(request.scope.get("clock_skew", 0.0))


async def recorded(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """Runs the app and keeps its answer back."""
    status, headers, body = 500, [], bytearray()

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    return Answer(status, headers, bytes(body))


async def send_all(answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


def dated(send: Send, skew: float) -> Send:
    """Adds the `Date` header, by the server's clock."""

    async def with_date(message: Message) -> None:
        if message["type"] == "http.response.start":
            stamp = formatdate(time.time() + skew, usegmt=True).encode()
            message = {**message, "headers": [*message["headers"], (b"date", stamp)]}
        await send(message)

    return with_date


def _with_body(answer: Answer, body: bytes) -> Answer:
    headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
    return Answer(answer.status, [*headers, (b"content-length", str(len(body)).encode())], body)
