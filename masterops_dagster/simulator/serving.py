"""From an HTTP request to a stand-in's answer: reads the body, lets the stand-in refuse, answers in a worker thread."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from masterops_dagster.simulator.misbehaviour import ErrorBodies, Struck, server_time

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request to one account's stand-in."""

    method: str
    path: str
    """Below the account's mount, percent-decoded."""
    url: str
    """As the client wrote it, without the query."""
    query: bytes
    """The raw bytes behind the `?`."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    now: float
    """Seconds since the epoch by the server's clock."""
    partial_batch: Struck | None = None

    @cached_property
    def arguments(self) -> dict[str, list[str]]:
        """The query's values by name."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.query.decode("latin-1"), keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found

    def argument(self, name: str, default: str = "") -> str:
        """The first value of that name."""
        return self.arguments.get(name, [default])[0]

    def read(self, kind: type[T]) -> T:
        """The body. Raises `msgspec.DecodeError` if it is no JSON of that shape."""
        return msgspec.json.decode(self.body, type=kind)


Handler = Callable[..., Response]


class Routes:
    """Which handler serves which method and path: `/objects/{type}/{id}`; the names become keyword arguments."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, template: str, handler: Handler) -> None:
        """The first match wins."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))
        self._routes.append((method, pattern, handler))

    def handle(self, method: str, path: str, call: Call) -> Response | None:
        """The handler's answer; None where no route has that method and path."""
        for candidate, pattern, handler in self._routes:
            if candidate == method and (match := pattern.fullmatch(path)):
                return handler(call, **match.groupdict())
        return None


class StandIn(Protocol):
    """One account of one outside system."""

    bodies: ErrorBodies

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        """A refusal (credentials, limits), or the headers that the answer gets. Runs on the event loop."""

    def answer(self, call: Call) -> Response:
        """The answer to an admitted call. Runs in a worker thread."""


class Served:
    """A stand-in as an ASGI app."""

    def __init__(self, stand_in: StandIn, workers: ThreadPoolExecutor) -> None:
        self._stand_in = stand_in
        self._workers = workers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = Call(
            method=request.method,
            path=str(scope["path"]).removeprefix(str(scope.get("root_path", ""))),
            url=f"{scope['scheme']}://{request.headers.get('host', '')}{scope['raw_path'].decode()}",
            query=scope["query_string"],
            headers=request.headers,
            body=await request.body(),
            now=server_time(request),
            partial_batch=scope.get("partial_batch"),
        )
        admission = self._stand_in.admit(call)
        if isinstance(admission, Response):
            await admission(scope, receive, send)
            return
        answer = await asyncio.get_running_loop().run_in_executor(self._workers, self._stand_in.answer, call)
        for name, value in admission.items():
            answer.headers[name] = value
        await answer(scope, receive, send)
