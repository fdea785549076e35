"""From an API of a million rows into PostgreSQL: time and memory by size, and an incremental load against a full one.

Loads run in processes of their own, so that each one's peak memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Result, database, run
from benchmarks.served_pages import served_pages

ROWS = 1_000_000


def measure(rows: int = ROWS) -> list[Result]:
    """A tenth of the rows, then all of them in a database of its own, then one row in a hundred, changed."""
    with database():
        few, _ = load_in_processes(rows // 10)
    with database():
        full, incremental = load_in_processes(rows)
    return [
        Result(
            f"1 % of {rows:,} rows changed: incremental load against full, from the API",
            f"{incremental['seconds']:.2f} s",
            f"{full['seconds']:.2f} s",
            incremental["seconds"] / full["seconds"],
            "≤",
            0.03,
        ),
        Result(
            f"peak memory of a load of {rows:,} rows against {rows // 10:,}",
            f"{full['megabytes']:,.0f} MB",
            f"{few['megabytes']:,.0f} MB",
            full["megabytes"] / few["megabytes"],
            "≤",
            1.2,
        ),
        Result(
            f"time of a load of {rows:,} rows against {rows // 10:,}",
            f"{full['seconds']:.2f} s",
            f"{few['seconds']:.2f} s",
            full["seconds"] / few["seconds"],
            "≤",
            11,
        ),
    ]


def load_in_processes(rows: int) -> tuple[dict[str, float], dict[str, float]]:
    """A full load in one process, then an incremental one in another."""
    with served_pages(Path(os.environ["MASTEROPS_STATE_DIR"]) / "pages", rows) as base_url:
        return tuple(
            json.loads(
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.whole_path", "--load", base_url, str(expected)],
                    stdout=subprocess.PIPE,
                    check=True,
                ).stdout
            )
            for expected in (rows, rows // 100)
        )  # type: ignore[return-value]


def load(base_url: str, expected: int) -> dict[str, float]:
    """One live load of the products: seconds, once everything is imported, and the process's peak memory."""
    from masterops_dagster.businesses import account
    from masterops_dagster.connectors.budget import Window
    from masterops_dagster.connectors.unleashed import Unleashed
    from masterops_dagster.sources.ingest import ingest

    teelixir = account("unleashed_teelixir")
    window = Window("w", 10**9, 1.0)
    with Unleashed(base_url, teelixir.key, "id", "key", page_size=1_000, window=window) as unleashed:
        ingest(teelixir, ["warehouses"], reader=nothing())  # imports, tables
        started = time.perf_counter()
        report = ingest(teelixir, ["products"], reader=unleashed)
        seconds = time.perf_counter() - started
    assert report.streams[0].rows == expected, f"{report.streams[0].rows} rows came"
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def nothing() -> object:
    from benchmarks.records import Shelf

    return Shelf([{"Guid": "w", "LastModifiedOn": "2026-03-01T12:30:00.000Z"}])


if __name__ == "__main__":
    if "--load" in sys.argv:
        sys.stdout.write(json.dumps(load(sys.argv[2], int(sys.argv[3]))))
    else:
        run(measure, rows=ROWS)
