"""What our programs and the libraries say is in ops.integration_logs, whole, and without secrets."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg.rows import TupleRow

from masterops_dagster.observability.correlation import bound
from masterops_dagster.observability.logging import RecordingHandler, configure, stop_recording
from masterops_dagster.observability.recorder import close_own

Database = psycopg.Connection[TupleRow]


@pytest.fixture
def console(state_dir: Path) -> Iterator[io.StringIO]:
    """Standard error, while everything is recorded."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure("DEBUG", "json", stream)
    yield stream
    stop_recording()
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def recorded(database: Database) -> list[dict[str, Any]]:
    close_own()
    rows = database.execute("select to_jsonb(t) from ops.integration_logs as t order by occurred_at").fetchall()
    return [row for (row,) in rows]


def test_lines_from_info_on_are_rows_with_what_is_bound_and_lines_on_the_console(
    console: io.StringIO, database: Database
) -> None:
    log = structlog.get_logger("masterops.test")
    with bound(run_id="run-1", account="shopify_teelixir", stream="orders"):
        log.debug("unsaid")
        log.info("loaded", rows=3, api_key="a-secret")
    logging.getLogger("library").warning("%d of %s", 2, "password=hunter2hunter2")
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("library").exception("broken")
    loaded, foreign, broken = recorded(database)
    assert {name: loaded[name] for name in ("level", "error", "logger", "event", "run_id", "stream", "operation")} == {
        "level": "info",
        "error": False,
        "logger": "masterops.test",
        "event": "loaded",
        "run_id": "run-1",
        "stream": "orders",
        "operation": None,
    }
    assert (loaded["system"], loaded["business_key"]) == ("shopify", "teelixir")
    assert loaded["fields"] == {"rows": 3, "api_key": "[redacted]"}
    assert (foreign["level"], foreign["event"]) == ("warning", "2 of password=[redacted]")
    assert (broken["error"], broken["error_class"]) == (True, "KeyError")
    assert "KeyError: 'gone'" in broken["fields"]["exception"]
    assert len(console.getvalue().splitlines()) == 4


def test_whatever_is_said_can_be_stored(console: io.StringIO, database: Database) -> None:
    log = structlog.get_logger("masterops.test")
    log.info("nul\x00 and half\ud800", text="\x00 \\u0000 \ud83d", path="C:\\u0000")
    log.info("no number", value=float("nan"))
    log.info("long", text="x" * 100_000)
    lines = recorded(database)
    assert [line["event"] for line in lines] == ["nul\ufffd and half?", "no number", "long"]
    assert lines[0]["fields"] == {"text": "\ufffd \\u0000 ?", "path": "C:\\u0000"}
    assert "nan" in lines[1]["fields"]["as_text"]
    assert len(lines[2]["fields"]["cut"]) == 30_000


def test_a_line_whose_arguments_do_not_fit_it_harms_nothing(
    console: io.StringIO, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = logging.getLogger("library.apart")  # pytest's own handlers would raise
    apart.propagate = False
    apart.handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, RecordingHandler)]
    apart.warning("%d rows", "many")
    apart.warning("after it")
    assert [line["event"] for line in recorded(database)] == ["after it"]
    assert "--- Logging error ---" in capsys.readouterr().err
