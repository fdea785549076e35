"""`masterops logs`, as a person or a program uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from psycopg.rows import TupleRow
from typer.testing import CliRunner

from masterops_dagster.cli import logs
from masterops_dagster.cli.main import app
from masterops_dagster.observability.recorder import LogRow, Recorder

Masterops = Callable[..., Result]

NOW = datetime.now(UTC)
RUN = "0c9f2d1e-5b1f-4a53-8a5e-0a9d3f6c1b2a"


def line(minutes: float, level: str, event: str, at: datetime = NOW, **more: str) -> LogRow:
    return LogRow(
        at - timedelta(minutes=minutes), level in ("error", "critical"), level, "masterops.test", event, **more
    )


LINES = (
    line(60 * 30, "error", "yesterday"),
    line(90, "info", "loaded", system="hubspot", account="hubspot", stream="contacts", run_id=RUN),
    line(
        30,
        "warning",
        "request failed",
        system="unleashed",
        account="unleashed_teelixir",
        business_key="teelixir",
        stream="products",
        operation="list Products",
        correlation_id="req-7",
        fields='{"status": 503}',
    ),
    line(5, "critical", "ended", error_class="KeyError", fields='{"exception": "Traceback\\nKeyError: 1"}', run_id=RUN),
)


@pytest.fixture(scope="module")
def told(module_database_url: str) -> str:
    """The URL of a database with these lines in it."""
    with Recorder(module_database_url) as recorder:
        for row in LINES:
            recorder.log(row)
    return module_database_url


@pytest.fixture
def database_url(told: str) -> str:
    return told


@pytest.fixture
def masterops(state_dir: Path) -> Masterops:
    return lambda *arguments: CliRunner().invoke(app, ["logs", *arguments])


def events(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [json.loads(one)["event"] for one in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["loaded", "request failed", "ended"]),
        (["--since", "3d"], ["yesterday", "loaded", "request failed", "ended"]),
        (["--since", "1h"], ["request failed", "ended"]),
        (["--level", "error"], ["ended"]),
        (["--level", "WARNING", "--limit", "1"], ["ended"]),
        (["--system", "hubspot"], ["loaded"]),
        (["--business", "teelixir"], ["request failed"]),
        (["--run", RUN[:8]], ["loaded", "ended"]),
        (["--run", RUN, "--level", "error"], ["ended"]),
        (["--grep", "503"], ["request failed"]),
        (["--grep", "LOADED"], ["loaded"]),
        (["--grep", "100%"], []),
    ],
)
def test_lines_are_found_by_what_is_asked_for_the_newest_last(
    masterops: Masterops, options: list[str], found: list[str]
) -> None:
    assert events(masterops("--json", *options)) == found


def test_a_line_for_people_says_who_where_and_what_with_a_traceback_below(masterops: Masterops) -> None:
    shown = masterops("--since", "2h").stdout.splitlines()
    assert shown[1].split(maxsplit=2)[2] == (
        "warning  unleashed_teelixir products  request failed"
        "  operation=list Products  correlation_id=req-7  status=503"
    )
    assert shown[2].endswith(f"ended  error_class=KeyError  run={RUN[:8]}")
    assert shown[3:] == ["    Traceback", "    KeyError: 1"]
    assert "nothing was said since" in masterops("--grep", "unheard of").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--system", "hubspott"], "unknown system 'hubspott': did you mean 'hubspot'?"),
        (["--business", "nobody"], "unknown business 'nobody'"),
        (["--level", "loud"], "unknown level 'loud'"),
        (["--since", "yesterday"], "--since 'yesterday' is neither a time span like 30m"),
        (["--since", "99999999999d"], "is too long ago"),
        (["--since", "2100-01-01"], "is in the future"),
        (["--run", "0c"], "is too short"),
        (["--limit", "0"], "0"),
    ],
)
def test_a_wrong_value_is_told_in_a_line(masterops: Masterops, options: list[str], said: str) -> None:
    result = masterops(*options)
    assert result.exit_code == 2
    assert said in result.stderr
    if not said.isdigit():
        assert len(result.stderr.splitlines()) == 1


def test_following_shows_each_line_once_late_ones_too(
    database_url: str, database: psycopg.Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "POLL_SECONDS", 0.01)
    now = datetime.now(UTC)
    with Recorder(database_url) as recorder:
        recorder.log(line(0.5, "info", "just now", now))
    lines = logs.followed(database, logs.Wanted(NOW - timedelta(hours=2), ["info", "critical"], limit=2))
    assert [one["event"] for one in islice(lines, 2)] == ["ended", "just now"]
    for minutes, event in ((0.1, "new"), (1.0, "late"), (0.0, "newest")):
        with Recorder(database_url) as recorder:
            recorder.log(line(minutes, "info", event, now))
        assert next(lines)["event"] == event
