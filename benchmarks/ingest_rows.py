"""Rows per second of `ingest`, from pages in memory to merged rows, against a plain COPY with a merge by hand.

    python benchmarks/ingest_rows.py [ROWS]

Both read the same JSON records, in pages, into 19 columns of the same table with the same primary key, and both replace
all rows that are there. The plain one knows neither types nor dead letters, cursors or books: it is the limit.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

PAGE = 500


def records(rows: int) -> list[dict[str, object]]:
    """Unleashed products, as the connector yields them."""
    return [
        {
            "Guid": f"00000000-0000-0000-0000-{number:012d}",
            "CreatedOn": "2026-03-01T12:30:00.000Z",
            "LastModifiedOn": f"2026-03-{1 + number % 28:02d}T12:30:00.000Z",
            "ProductCode": f"P{number}",
            "ProductDescription": f"Lion's mane powder {number} g",
            "Barcode": None,
            "ProductGroup": {"GroupName": "Mushrooms"},
            "UnitOfMeasure": {"Name": "EA"},
            "DefaultPurchasePrice": Decimal("12.5"),
            "DefaultSellPrice": Decimal("29.95"),
            "AverageLandPrice": Decimal("13.1234"),
            "MinStockAlertLevel": 5,
            "IsSellable": True,
            "IsComponent": False,
            "Obsolete": False,
            "TaxableSales": number % 2 == 0,
        }
        for number in range(rows)
    ]


def main(rows: int) -> None:
    """Prints both rates and their ratio, for a first load and for one that replaces everything."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MASTEROPS_STATE_DIR"] = folder
        os.environ.pop("SUPABASE_DB_URL", None)
        from masterops_dagster.database import migrations, server

        running = server.start(Path(folder) / "postgres")
        try:
            migrations.migrate(running.url)
            measure(running.url, records(rows))
        finally:
            server.stop(Path(folder) / "postgres")


def measure(url: str, shelf: list[dict[str, object]]) -> None:
    """Loads the shelf twice each way."""
    from masterops_dagster.businesses import account
    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources.catalogue import stream
    from masterops_dagster.sources.ingest import ingest

    teelixir = account("unleashed_teelixir")
    products = stream(teelixir, "products")
    paths = [column.path.split(".") for column in products.columns]
    names = ", ".join(column.name for column in products.columns)
    sets = ", ".join(f"{column.name} = excluded.{column.name}" for column in products.columns if column.name != "guid")
    ingest(teelixir, [products], reader=Shelf(shelf[:10]))  # imports, tables

    def by_ingest() -> None:
        with connect(url) as connection:
            connection.execute("truncate ops.cursors")
        ingest(teelixir, [products], reader=Shelf(shelf))

    def by_copy() -> None:
        with connect(url) as connection:
            connection.execute(
                "create table if not exists plain (like raw_unleashed_teelixir.products including all); "
                "create temporary table staged (like plain)"
            )
            with connection.cursor().copy(f"copy staged ({names}) from stdin") as copy:
                for page in Shelf(shelf).read("Products"):
                    for record in page.items:
                        copy.write_row([value_at(record, path) for path in paths])
            with connection.transaction():
                connection.execute(
                    f"insert into plain ({names}) select {names} from staged on conflict (guid) do update set {sets}"  # noqa: S608
                )

    for title in ("first load", "replacing everything"):
        ours, limit = rate(by_ingest, len(shelf)), rate(by_copy, len(shelf))
        sys.stdout.write(f"{title}: ingest {ours:,.0f} rows/s, plain COPY {limit:,.0f} rows/s, {ours / limit:.2f}\n")


def rate(load: Callable[[], None], rows: int) -> float:
    """Rows per second of one run."""
    started = time.perf_counter()
    load()
    return rows / (time.perf_counter() - started)


def value_at(record: dict[str, object], path: list[str]) -> object:
    """What stands at the path."""
    value: object = record
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class Shelf:
    """The records in pages, as a connector would yield them."""

    requests = 0

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows

    def read(self, resource: str, **_: object) -> Iterator[Page]:
        from masterops_dagster.connectors.base import Page

        for start in range(0, len(self.rows), PAGE):
            yield Page(self.rows[start : start + PAGE], len(self.rows))

    def read_children(self, resource: str, parent_ids: object) -> Iterator[Page]:
        return iter(())

    def count(self, resource: str) -> int:
        return len(self.rows)

    def keys(self, resource: str) -> Iterator[list[object]]:
        return iter(([row["Guid"] for row in self.rows],))

    def close(self) -> None:
        return None


if __name__ == "__main__":
    from masterops_dagster.connectors.base import Page

    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
