"""`dbt build` over ten times the order lines: all models made anew and all tests, in a database of its own each time.

Rows are made as in `dbt_incremental`. Start-up is part of both.
"""

from __future__ import annotations

from datetime import timedelta

from benchmarks.dbt_incremental import DAYS, LINES, LINES_OF_AN_ORDER, dbt, sell
from benchmarks.measure import Result, database, run, seconds
from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.database.connection import connect
from masterops_dagster.identity import resolve
from masterops_dagster.sources import raw_tables


def measure(rows: int = LINES) -> list[Result]:
    """A tenth of the lines, then all."""
    few, many = build(rows // 10), build(rows)
    return [
        Result(
            f"time of dbt build over {rows:,} order lines against {rows // 10:,}",
            f"{many:.1f} s",
            f"{few:.1f} s",
            many / few,
            "≤",
            11,
        )
    ]


def build(lines: int) -> float:
    """Seconds that a build takes where staging and identities are there."""
    with database() as url:
        with connect(url) as connection:
            for account in ACCOUNTS:
                raw_tables.prepare(connection, account)
            sell(connection, 0, lines // LINES_OF_AN_ORDER, clock.today() - timedelta(days=DAYS), DAYS)
            dbt(url, "run", "--select", "staging")
            resolve(connection)
        return seconds(lambda: dbt(url, "build", "--full-refresh"))


if __name__ == "__main__":
    run(measure, rows=LINES)
