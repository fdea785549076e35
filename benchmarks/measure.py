"""What all benchmarks share: a claim with its goal, a database to measure in, and how a result is told.

Each module of this folder measures one thing and can be run by itself, `python -m benchmarks.ingest_rows`;
`python -m benchmarks` runs all of them. A figure is always held against a baseline that is measured in the same run on
the same machine, so that the ratio says the same on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Direction = Literal["≥", "≤"]


@dataclass(frozen=True, slots=True)
class Result:
    """One claim. `figure` and `baseline` are told with their units; `ratio` is what the goal is about."""

    claim: str
    figure: str
    baseline: str
    ratio: float
    direction: Direction
    goal: float

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.direction == "≥" else self.ratio <= self.goal

    def row(self) -> dict[str, object]:
        """As `--json` prints it."""
        told = asdict(self)
        del told["direction"]
        return {**told, "ratio": round(self.ratio, 4), "goal": f"{self.direction} {self.goal:g}", "met": self.met}


def run(measure: Callable[..., Sequence[Result]], *, rows: int | None = None) -> None:
    """The command line of one benchmark: `[--rows N] [--json]`. Exits with 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(sys.modules[measure.__module__].__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per claim and line")
    if rows is not None:
        parser.add_argument("--rows", type=int, default=rows, help="default: %(default)s")
    given = parser.parse_args()
    results = measure(given.rows) if rows is not None else measure()
    for result in results:
        if given.json:
            sys.stdout.write(json.dumps(result.row(), ensure_ascii=False) + "\n")
        else:
            verdict = "met" if result.met else "missed"
            sys.stdout.write(
                f"{result.claim}: {result.figure}, baseline {result.baseline}: {result.ratio:.3g} "
                f"(goal {result.direction} {result.goal:g}, {verdict})\n"
            )
    sys.exit(0 if all(result.met for result in results) else 1)


def seconds(work: Callable[[], object]) -> float:
    """How long one run of the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def platform_folder() -> Iterator[Path]:
    """A state folder of its own, of which the settings of this process and its children know; no credentials."""
    from masterops_dagster.settings import settings

    ours = ("MASTEROPS_", "SUPABASE_", "DAGSTER_")
    for name in [name for name in os.environ if name.startswith(ours)]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="masterops-bench-") as folder:
        os.environ["MASTEROPS_STATE_DIR"] = folder
        os.environ["MASTEROPS_LOG_LEVEL"] = "WARNING"
        settings.cache_clear()
        yield Path(folder)


@contextmanager
def database() -> Iterator[str]:
    """A migrated embedded PostgreSQL in a state folder of its own; gives its URL."""
    with platform_folder() as folder:
        from masterops_dagster.database import migrations, server

        running = server.start(folder / "postgres")
        try:
            migrations.migrate(running.url)
            yield running.url
        finally:
            server.stop(folder / "postgres")
