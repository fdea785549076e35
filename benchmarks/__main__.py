"""`python -m benchmarks`: all of them, each in a process of its own; a table, `--json` rows, `--docs` for the docs."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

MODULES = (
    "ingest_rows",
    "stand_in_speed",
    "rate_budget",
    "whole_path",
    "dbt_ten_times",
    "dbt_incremental",
    "start_up",
    "tap_hubspot",
    "detection",
    "telemetry_cost",
    "status_page",
)
"""In the order of the claims."""

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
LIMITS = Path(__file__).parent / "limits.md"
"""What stands in the way of the goals that are missed, and how figures came about; by hand."""

Row = dict[str, object]


def main() -> int:
    """0 if all goals are met, 1 if one is missed, 2 if a benchmark broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object per claim and line")
    parser.add_argument("--docs", action="store_true", help=f"write {DOCS.relative_to(DOCS.parents[1])}")
    given = parser.parse_args()
    if unknown := set(given.only) - set(MODULES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    if given.docs and given.only:
        parser.error("--docs tells of all benchmarks")
    rows: list[Row] = []
    broken = []
    for name in given.only or MODULES:
        sys.stderr.write(f"{name} …\n")
        done = rows_of(name)
        if not done:
            broken.append(name)
        for row in done:
            rows.append(row)
            if given.json:
                sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
                sys.stdout.flush()
    if not given.json:
        Console(width=None if sys.stdout.isatty() else 160).print(table(rows))
    if broken:
        sys.stderr.write(f"broken: {', '.join(broken)}\n")
        return 2
    if given.docs:
        DOCS.write_text(page(rows))
    return 0 if all(row["met"] for row in rows) else 1


def rows_of(name: str) -> list[Row]:
    """The claims of one benchmark; none if it broke."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def table(rows: Sequence[Row]) -> Table:
    """For a terminal."""
    shown = Table(title="masterops benchmarks", show_lines=True)
    for heading in ("claim", "figure", "baseline", "ratio", "goal", ""):
        shown.add_column(heading, justify="right" if heading in ("ratio", "goal") else "left")
    for row in rows:
        shown.add_row(*cells(row), "met" if row["met"] else "[bold]missed[/bold]")
    return shown


def cells(row: Row) -> list[str]:
    ratio = row["ratio"]
    assert isinstance(ratio, float | int)
    return [str(row["claim"]), str(row["figure"]), str(row["baseline"]), f"{ratio:.3g}", str(row["goal"])]


def page(rows: Sequence[Row]) -> str:
    """`docs/benchmarks.md`."""
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures all of this and prints the table; `make bench ARGS=--json` prints a JSON object for",
        "each claim, `make bench ARGS=--docs` writes this page, `make bench ARGS=whole_path` measures one alone.",
        "A figure is held against a baseline that is measured in the same run on the same machine, with a database of",
        "its own, so the ratio says more than the seconds. It needs about 4 GB of memory and 5 GB of disk, and an hour",
        "in which the machine has nothing else to do.",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d}: {machine()}.",
        "",
        "| claim | figure | baseline | ratio | goal | |",
        "|---|---|---|---:|---:|---|",
        *(f"| {' | '.join(cells(row))} | {'met' if row['met'] else '**missed**'} |" for row in rows),
        "",
        "## What is measured, and how",
        "",
    ]
    for name in MODULES:
        doc = (importlib.import_module(f"benchmarks.{name}").__doc__ or "").strip()
        lines += [f"**`{name}`**: {' '.join(doc.split())}", ""]
    return "\n".join(lines) + "\n" + LIMITS.read_text()


def machine() -> str:
    """Cores, Python and PostgreSQL."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores ({platform.machine()}, {platform.system()}), Python {platform.python_version()}, "
        f"PostgreSQL {postgres_version()}, dlt {metadata.version('dlt')}, dbt {metadata.version('dbt-core')}, "
        f"Dagster {metadata.version('dagster')}"
    )


def postgres_version() -> str:
    """Of the embedded server."""
    from masterops_dagster.database.programs import locate

    said = subprocess.run([locate() / "postgres", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return said.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main())
