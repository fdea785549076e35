"""A small real HTTP server that does what a test tells it: answer, count, limit, stall, cut off, reset.

    with ScriptedServer(api) as server:
        server.script(Answer(503), Answer(200, body=b"{", cut_after=1))      # what the next requests get, in order
        ...
        assert len(server.seen) == 3

`api` answers what no script is left for. Everything happens on sockets; nothing of ours is replaced.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What came in. `query` is raw, as it was on the wire; `at` is monotonic."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What goes out. `cut_after` sends only so many bytes of the body and closes; with `reset`, by TCP reset.

    `stall` waits so many seconds before the status line, `trickle` so many before each byte of the body.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    reset: bool = False
    stall: float = 0.0
    trickle: float = 0.0


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body; `x_wp_total="3"` makes a header `x-wp-total`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=utf-8", **named})


Api = Callable[[Request], Answer]


class ScriptedServer:
    """Serves on a free loopback port until the `with` block ends. `tls` makes it https.

    `limit` is (requests, seconds) in a sliding window, counted at arrival; what is over it gets `over_limit`.
    """

    def __init__(self, api: Api, tls: SSLContext | None = None) -> None:
        self.api = api
        self.limit: tuple[int, float] | None = None
        self.over_limit = Answer(429)
        self.seen: list[Request] = []
        self.refused = 0
        self._script: deque[Answer | Api] = deque()
        self._arrivals: deque[float] = deque()
        self._lock = threading.Lock()
        self._server = _Server(self)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme, port = "http" if tls is None else "https", self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{port}"

    def script(self, *answers: Answer | Api) -> None:
        """What the next requests get, one each, before `api` is asked again."""
        self._script.extend(answers)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def respond(self, request: Request) -> Answer:
        with self._lock:
            self.seen.append(request)
            if self.limit is not None:
                number, seconds = self.limit
                while self._arrivals and self._arrivals[0] <= request.at - seconds:
                    self._arrivals.popleft()
                if len(self._arrivals) >= number:
                    self.refused += 1
                    return self.over_limit
                self._arrivals.append(request.at)
            step = self._script.popleft() if self._script else self.api
            return step if isinstance(step, Answer) else step(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, scripted: ScriptedServer) -> None:
        self.scripted = scripted
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def answer(self) -> None:
        at = time.monotonic()
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.scripted.respond(Request(self.command, target.path, target.query, headers, body, at))
        time.sleep(answer.stall)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        sent = answer.body if answer.cut_after is None else answer.body[: answer.cut_after]
        if answer.trickle:
            for byte in sent:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(answer.trickle)
        else:
            self.wfile.write(sent)
        self.wfile.flush()
        if answer.cut_after is not None:
            self.close_connection = True
            if answer.reset:
                time.sleep(0.02)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 -- http.server looks for these

    def log_message(self, *_: object) -> None:
        """Silence."""
