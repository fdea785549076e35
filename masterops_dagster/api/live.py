"""One look at the database every two seconds for all viewers together, and what they are shown until the next.

A look that finds nothing new changes no version, and viewers are told of new versions only.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from masterops_dagster import clock
from masterops_dagster.api.board import Board, board
from masterops_dagster.api.connections import Connections
from masterops_dagster.api.facts import Facts, gather
from masterops_dagster.database.connection import DatabaseUnavailable

EVERY = 2.0
WHEN_NOBODY_LOOKS = 15.0
STILL_LOOKED_AT = 30.0
"""Seconds after the last request during which somebody is taken to be looking."""
OLD = 1.5
PATIENCE = 1.0
"""What is older than one look and a half is looked up before it is shown, if that takes no longer than a second."""
BEAT = 10.0
"""Seconds after which a viewer is told that all is as it was."""

log = structlog.get_logger("masterops.status_page")


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, plain and compressed; `tag` names its content."""

    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, text: str) -> Body:
        plain = text.encode()
        return cls(plain, gzip.compress(plain, 5, mtime=0), hashlib.sha256(plain).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Face:
    """One way to show the board: `state` is the part that changes, `page` all around it. `version` is of `state`."""

    state: Body
    page: Body

    @property
    def version(self) -> str:
        return self.state.tag


@dataclass(frozen=True, slots=True)
class Known:
    """What one look found. Without a board nothing has ever been known; `problem` is why there is nothing newer."""

    board: Board | None
    problem: str | None
    at: datetime


Render = Callable[[Known], tuple[str, Callable[[str], str]]]
"""Gives the part that changes, and what makes a page of it."""


class Live:
    """The shared look. `faces` are rendered once per look: with it while somebody looks, else when asked for."""

    def __init__(self, connections: Connections, faces: Mapping[str, Render], every: float = EVERY) -> None:
        self._connections = connections
        self._renders = faces
        self._every = every
        self._facts: Facts | None = None
        self._known = Known(None, None, datetime.now(UTC))
        self._faces: dict[str, Face] = {}
        self._shown: set[str] = set()
        self._looked_at = float("-inf")
        self._asked_at = float("-inf")
        self._viewers = 0
        self._task: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()
        self._looked = asyncio.Condition()

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Looks as long as this is entered."""
        self._task = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._connections.close()

    async def known(self) -> Known:
        """What is known now: three seconds old at most, unless the database is slow."""
        self._asked_at = time.monotonic()
        if self._task is not None and self._task.done():
            self._task.result()  # a defect ended it: better no page than one that has quietly stopped
        if self._asked_at - self._looked_at > OLD * self._every:
            self._look_now.set()
            await self._next_look(PATIENCE)
        return self._known

    async def face(self, name: str) -> Face:
        """What is shown now."""
        await self.known()
        return self._face(name)

    async def versions(self, name: str, seen: str) -> AsyncIterator[tuple[str, Known]]:
        """The version whenever it is another than the one seen before; the same one again after ten quiet seconds."""
        self._viewers += 1
        self._look_now.set()
        told_at = time.monotonic()
        try:
            while True:
                version = self._face(name).version
                if version != seen or time.monotonic() - told_at >= BEAT:
                    seen, told_at = version, time.monotonic()
                    yield version, self._known
                await self._next_look(BEAT)
        finally:
            self._viewers -= 1

    def _face(self, name: str) -> Face:
        self._shown.add(name)
        if name not in self._faces:
            self._faces[name] = self._rendered(name, self._known)
        return self._faces[name]

    def _rendered(self, name: str, known: Known) -> Face:
        state, page = self._renders[name](known)
        return Face(Body.of(state), Body.of(page(state)))

    async def _next_look(self, patience: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), self._looked:
                await self._looked.wait()

    async def _look_on(self) -> None:
        while True:
            shown, self._shown = self._shown, set()
            self._known, self._faces = await asyncio.to_thread(self._look_and_render, shown)
            self._looked_at = time.monotonic()
            async with self._looked:
                self._looked.notify_all()
            self._look_now.clear()
            looked_at_now = self._viewers or self._looked_at - self._asked_at < STILL_LOOKED_AT
            with suppress(TimeoutError):
                if looked_at_now:
                    await asyncio.sleep(self._every)
                else:
                    await asyncio.wait_for(self._look_now.wait(), WHEN_NOBODY_LOOKS)

    def _look_and_render(self, names: Set[str]) -> tuple[Known, dict[str, Face]]:
        """What is looked at now is rendered beforehand, where nobody waits for it."""
        known = self._look()
        return known, {name: self._rendered(name, known) for name in names}

    def _look(self) -> Known:
        at = datetime.now(UTC)
        try:
            with self._connections.reading() as connection:
                history = self._facts.history if self._facts else None
                self._facts = gather(connection, at, clock.now(), history)
        except DatabaseUnavailable as error:
            if self._known.problem is None:
                log.warning("the status page has nothing new to show", problem=str(error))
            return Known(board(self._facts, at) if self._facts else None, str(error), at)
        return Known(board(self._facts), None, at)
