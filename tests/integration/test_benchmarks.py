"""The benchmarks can be run: the cheap ones are, with few rows; whether goals are met is not for a test to say."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import MODULES, page, table
from benchmarks.measure import Result

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "claims"), [("ingest_rows", 3), pytest.param("whole_path", 3, marks=pytest.mark.chaos)]
)
def test_a_benchmark_prints_a_row_for_each_of_its_claims(name: str, claims: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", "--rows", "2000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == claims
    for row in rows:
        assert row.keys() == {"claim", "figure", "baseline", "ratio", "goal", "met"}
        assert row["ratio"] > 0


@pytest.mark.parametrize("name", MODULES)
def test_every_benchmark_says_what_it_measures(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.measure)
    assert module.__doc__


def test_the_table_and_the_page_show_what_was_missed() -> None:
    rows = [Result("a claim", "2 s", "1 s", 2.0, "≤", 1).row()]
    assert "| a claim | 2 s | 1 s | 2 | ≤ 1 | **missed** |" in page(rows)
    assert table(rows).row_count == 1
