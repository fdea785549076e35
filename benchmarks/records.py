"""The rows that the ingest benchmarks move: Unleashed's products, 19 columns, as its API gives them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterops_dagster.connectors.base import Page

PAGE = 1_000


def product(number: int, modified: str = "2026-03-01T12:30:00.000Z") -> dict[str, object]:
    """One product, parsed."""
    return {
        "Guid": f"00000000-0000-0000-0000-{number:012d}",
        "CreatedOn": "2026-03-01T12:30:00.000Z",
        "LastModifiedOn": modified,
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


class Shelf:
    """Parsed pages, as a connector would yield them: a `StreamReader` over rows in memory."""

    requests = 0

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows

    def pages(self) -> Iterator[list[dict[str, object]]]:
        """The rows, a page at a time."""
        for start in range(0, len(self.rows), PAGE):
            yield self.rows[start : start + PAGE]

    def read(self, resource: str, **_: object) -> Iterator[Page]:
        from masterops_dagster.connectors.base import Page

        for rows in self.pages():
            yield Page(rows, len(self.rows))

    def read_children(self, resource: str, parent_ids: object) -> Iterator[Page]:
        return iter(())

    def count(self, resource: str) -> int:
        return len(self.rows)

    def keys(self, resource: str) -> Iterator[list[object]]:
        return iter(([row["Guid"] for row in self.rows],))

    def identity(self) -> str:
        return "benchmark"

    def close(self) -> None:
        return None
