"""What telemetry costs: a full load with all of it against one without any, and rows recorded against COPY by hand.

The load reads pages of a thousand rows over HTTP; with telemetry each request is a row of ops.api_metrics, each line of
the log one of ops.integration_logs, and the load ends when they are written. Both ways take turns, and the best of each
counts, so that what else the machine does cancels out. By hand is one COPY of rows that are there already.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Result, database, run, seconds
from benchmarks.served_pages import served_pages

if TYPE_CHECKING:
    from masterops_dagster.observability.recorder import LogRow

ROWS = 200_000
TURNS = 5


def measure(rows: int = ROWS) -> list[Result]:
    """Loads so many rows, then records as many."""
    with database() as url:
        with served_pages(Path(os.environ["MASTEROPS_STATE_DIR"]) / "pages", rows) as base_url:
            load(url, base_url, recorded=True)  # imports, tables
            turns = [(load(url, base_url, recorded=True), load(url, base_url, recorded=False)) for _ in range(TURNS)]
        bare = min(without for _, without in turns)
        whole = min(with_telemetry for with_telemetry, _ in turns)
        assert recorded_requests(url) > TURNS * rows // 1_000
        lines = log_rows(rows)
        by_recorder = rows / min(seconds(lambda: record(url, lines)) for _ in range(2))
        by_hand = rows / min(seconds(lambda: copy(url, lines)) for _ in range(2))
    return [
        Result(
            f"a full load of {rows:,} rows from the API with all telemetry, against one without",
            f"{whole:.2f} s",
            f"{bare:.2f} s",
            whole / bare,
            "≤",
            1.03,
        ),
        Result(
            f"{rows:,} log lines through the recorder, against COPY by hand",
            f"{by_recorder:,.0f} rows/s",
            f"{by_hand:,.0f} rows/s",
            by_recorder / by_hand,
            "≥",
            0.5,
        ),
    ]


def load(url: str, base_url: str, *, recorded: bool) -> float:
    """Seconds of a live load of all products into an empty table."""
    from masterops_dagster.businesses import account
    from masterops_dagster.connectors.budget import Window
    from masterops_dagster.connectors.unleashed import Unleashed
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import logging, telemetry
    from masterops_dagster.sources.ingest import ingest

    teelixir = account("unleashed_teelixir")
    with connect(url) as connection:
        connection.execute("truncate ops.cursors; drop table if exists raw_unleashed_teelixir.products")
    logging.configure("INFO", stream=StringIO(), record=recorded)
    sink = telemetry.request_sink() if recorded else None
    window = Window("w", 10**9, 1.0)
    with Unleashed(base_url, teelixir.key, "id", "key", page_size=1_000, window=window, sink=sink) as unleashed:

        def plain() -> None:
            ingest(teelixir, ["products"], reader=unleashed)

        def told() -> None:
            with telemetry.recorded(operation="run", run_id="benchmark"):
                ingest(teelixir, ["products"], reader=unleashed, scope=telemetry.scope, progress=telemetry.told())

        return seconds(told if recorded else plain)


def recorded_requests(url: str) -> int:
    """How many requests stand in the database."""
    from masterops_dagster.database.connection import connect

    with connect(url) as connection:
        row = connection.execute("select count(*) from ops.api_metrics where run_id = 'benchmark'").fetchone()
    assert row is not None
    return int(row[0])


def log_rows(rows: int) -> list[LogRow]:
    """Lines such as a load says."""
    from masterops_dagster.observability.recorder import LogRow

    return [
        LogRow(
            occurred_at=datetime.now(UTC),
            error=False,
            level="info",
            logger="masterops.telemetry",
            event=f"unleashed_teelixir products: {number:,} rows read",
            program="dagster",
            system="unleashed",
            account="unleashed_teelixir",
            business_key="teelixir",
            stream="products",
            operation="read",
            run_id="0c9f2d1e-5b1f-4a53-8a5e-0a9d3f6c1b2a",
            fields='{"rows": 1000}',
        )
        for number in range(rows)
    ]


def record(url: str, lines: list[LogRow]) -> None:
    """From the first line until all are in the database."""
    from masterops_dagster.observability.recorder import Recorder

    with Recorder(url, capacity=len(lines)) as recorder:
        for line in lines:
            recorder.log(line)
        assert recorder.flush(timeout=600)
    assert recorder.dropped == 0


def copy(url: str, lines: list[LogRow]) -> None:
    """The limit."""
    from masterops_dagster.database.connection import connect

    columns = tuple(lines[0].__slots__)
    with (
        connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"copy ops.integration_logs ({', '.join(columns)}) from stdin") as into,
    ):
        for line in lines:
            into.write_row([getattr(line, column) for column in columns])


if __name__ == "__main__":
    run(measure, rows=ROWS)
