"""What a person sees while something goes on: a live table on a terminal, one plain line per change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

COLOURS = {"running": "green", "waiting": "dim", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}


@dataclass(slots=True)
class Row:
    """One program in the table."""

    title: str
    state: str = "waiting"
    since: float = field(default_factory=time.monotonic)
    where: str = ""


class View:
    """Programs and their states, and below them one line for what is going on; a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._rows: dict[str, Row] = {}
        self._activity = ""
        self._began = time.monotonic()
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> View:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def program(self, name: str, title: str, state: str, where: str | None = None) -> None:
        """A program's state; told as a line of its own where the output is no terminal."""
        row = self._rows.setdefault(name, Row(title))
        if where is not None:
            row.where = where
        if row.state == state:
            return
        row.state, row.since = state, time.monotonic()
        if not self.console.is_terminal and state != "waiting":
            self._line(f"{title}: {state}" + (f" at {row.where}" if row.where else ""))

    def programs(self, state: str) -> None:
        """All programs at once, in the table only."""
        for row in self._rows.values():
            row.state, row.since = state, time.monotonic()

    def activity(self, text: str) -> None:
        """What is going on right now; replaced by the next one, and shown on a terminal only."""
        self._activity = text

    def say(self, text: str, style: str = "") -> None:
        """A line that stays."""
        if self.console.is_terminal:
            self.console.print(text, style=style or None, highlight=False)
        else:
            self._line(text)

    def show(self, content: RenderableType) -> None:
        """A table or the like that stays."""
        self.console.print(content)

    @contextmanager
    def doing(self, text: str) -> Iterator[None]:
        """Shows the activity, and says how long it took if that was more than a second."""
        began = time.monotonic()
        self.activity(f"{text} …")
        if not self.console.is_terminal:
            self._line(f"{text} …")
        yield
        self.activity("")
        if (took := time.monotonic() - began) > 1:
            self.say(f"{text}: {took:.1f} s", style="dim")

    def _line(self, text: str) -> None:
        print_plain(self.console, f"[{time.monotonic() - self._began:5.1f} s] {text}")

    def _render(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("program", "state", "since", "where"):
            table.add_column(heading)
        for row in self._rows.values():
            since = str(timedelta(seconds=int(time.monotonic() - row.since)))
            state = Text(row.state, style=COLOURS.get(row.state, "red"))
            table.add_row(row.title, state, since if row.state != "waiting" else "", row.where)
        return Group(table, Text(self._activity, style="cyan")) if self._activity else table


def print_plain(console: Console, text: str) -> None:
    """One line exactly as it is: no wrapping, colours or markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
