"""Rows of parsed pages into raw with merge: against dlt's default path for dicts, and against the limit by hand.

The limit is a COPY into a temporary table, row by row as Python clients do it, and `insert … on conflict do update`. It
knows neither types nor dead letters, cursors or books. dlt's default gets a tenth of the rows: its rate doesn't depend
on how many there are, and a million would take minutes.
"""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Result, database, run, seconds
from benchmarks.records import Shelf, product

ROWS = 1_000_000
LATER = "2026-06-01T12:30:00.000Z"


def measure(rows: int = ROWS) -> list[Result]:
    """Loads the same rows each way, into empty tables and once more over what is there."""
    with database() as url:
        shelf = Shelf([product(number) for number in range(rows)])
        by_ingest(url, Shelf(shelf.rows[:10]))  # imports, tables
        ours, limit = [], []
        for _ in range(2):
            ours.append(rows / seconds(lambda: by_ingest(url, shelf)))
            limit.append(rows / seconds(lambda: by_copy(url, shelf)))
        few = Shelf(shelf.rows[: max(rows // 10, 1)])
        by_default(url, Shelf(few.rows[:10]))
        default = len(few.rows) / seconds(lambda: by_default(url, few))
    return [
        Result(
            f"{rows:,} rows of parsed pages into raw, against dlt's default for dicts",
            f"{ours[0]:,.0f} rows/s",
            f"{default:,.0f} rows/s",
            ours[0] / default,
            "≥",
            8,
        ),
        Result(
            f"{rows:,} rows of parsed pages into raw, against COPY + on conflict by hand, first load",
            f"{ours[0]:,.0f} rows/s",
            f"{limit[0]:,.0f} rows/s",
            ours[0] / limit[0],
            "≥",
            0.6,
        ),
        Result(
            f"{rows:,} rows of parsed pages into raw, against COPY + on conflict by hand, replacing all",
            f"{ours[1]:,.0f} rows/s",
            f"{limit[1]:,.0f} rows/s",
            ours[1] / limit[1],
            "≥",
            0.6,
        ),
    ]


def by_ingest(url: str, shelf: Shelf) -> None:
    """The way of the project; the cursor is taken away, so that everything is read."""
    from masterops_dagster.businesses import account
    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources.ingest import ingest

    with connect(url) as connection:
        connection.execute("truncate ops.cursors")
    ingest(account("unleashed_teelixir"), ["products"], reader=shelf)


def by_copy(url: str, shelf: Shelf) -> None:
    """The limit for a merge."""
    from masterops_dagster.database.connection import connect

    paths = _paths()
    names = ", ".join(paths)
    updates = ", ".join(f"{name} = excluded.{name}" for name in paths if name != "guid")
    with connect(url) as connection:
        connection.execute(
            "create table if not exists plain (like raw_unleashed_teelixir.products including all); "
            "create temporary table staged (like plain)"
        )
        with connection.cursor().copy(f"copy staged ({names}) from stdin") as copy:
            for page in shelf.pages():
                for record in page:
                    copy.write_row([_value_at(record, path) for path in paths.values()])
        connection.execute(
            f"insert into plain ({names}) select {names} from staged on conflict (guid) do update set {updates}"  # noqa: S608 -- own names
        )


def by_default(url: str, shelf: Shelf) -> None:
    """dicts to dlt, merged by key, everything else as dlt has it."""
    import dlt

    empty: Any = {"Barcode": {"data_type": "text"}}  # else dlt warns that it can't tell the type

    @dlt.resource(name="products", primary_key="Guid", write_disposition="merge", max_table_nesting=0, columns=empty)  # type: ignore[untyped-decorator, unused-ignore]
    def products() -> Any:
        yield from shelf.pages()

    dlt.pipeline("by_default", destination=dlt.destinations.postgres(credentials=url), dataset_name="by_default").run(
        products()
    )


def _paths() -> dict[str, list[str]]:
    from masterops_dagster.businesses import account
    from masterops_dagster.sources.catalogue import stream

    columns = stream(account("unleashed_teelixir"), "products").columns
    return {column.name: column.path.split(".") for column in columns}


def _value_at(record: dict[str, object], path: list[str]) -> object:
    value: object = record
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


if __name__ == "__main__":
    run(measure, rows=ROWS)
