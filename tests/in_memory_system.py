"""An outside system without a wire: resources in memory behind the `StreamReader` face, as input for ingestion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from masterops_dagster.connectors.base import Page
from masterops_dagster.connectors.errors import Unavailable

Record = dict[str, Any]


@dataclass
class Resource:
    """Rows in the order of their making. `key`, `modified` and `created` are fields (dots between levels)."""

    key: str = "id"
    modified: str = "updatedAt"
    created: str = "createdAt"
    rows: list[Record] = field(default_factory=list)
    archived: list[Record] = field(default_factory=list)
    counts: bool = True
    fails_after_pages: int | None = None

    def put(self, *records: Record) -> None:
        """Adds rows, or replaces those with the same key."""
        for record in records:
            self.rows = [row for row in self.rows if row.get(self.key) != record.get(self.key)] + [record]

    def remove(self, *keys: object) -> None:
        self.rows = [row for row in self.rows if row.get(self.key) not in keys]

    def archive(self, *keys: object) -> None:
        self.archived += [row for row in self.rows if row.get(self.key) in keys]
        self.remove(*keys)


class InMemorySystem:
    """Counts one request per page. `before_page` is called ahead of each page, with how many there were so far."""

    def __init__(self, page_size: int = 100, before_page: Callable[[int], None] = lambda _: None) -> None:
        self.resources: dict[str, Resource] = {}
        self.children: dict[str, dict[object, list[Record]]] = {}
        self.calls: list[tuple[str, str, dict[str, object]]] = []
        self.page_size = page_size
        self.before_page = before_page
        self.requests = 0

    def __getitem__(self, resource: str) -> Resource:
        return self.resources.setdefault(resource, Resource())

    def read(
        self,
        resource: str,
        *,
        modified_since: datetime | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        properties: Sequence[str] = (),
        archived: bool = False,
    ) -> Iterator[Page]:
        shelf = self[resource]
        window = {"modified_since": modified_since, "created_from": created_from, "created_to": created_to}
        self.calls.append(
            ("read", resource, {k: v for k, v in window.items() if v} | ({"archived": True} if archived else {}))
        )
        rows = [
            row
            for row in (shelf.archived if archived else shelf.rows)
            if (modified_since is None or moment(row[shelf.modified]) >= modified_since)
            and (created_from is None or moment(row[shelf.created]) >= created_from)
            and (created_to is None or moment(row[shelf.created]) < created_to)
        ]
        for number, page in enumerate(self._pages(rows)):
            if shelf.fails_after_pages is not None and number >= shelf.fails_after_pages:
                raise Unavailable("no answer", system="memory", account="memory", operation=f"list {resource}")
            yield Page(page, len(rows))

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        self.calls.append(("children", resource, {"parents": list(parent_ids)}))
        found = [child for parent in parent_ids for child in self.children.get(resource, {}).get(parent, [])]
        for page in self._pages(found):
            yield Page(page)

    def count(self, resource: str) -> int | None:
        self.requests += 1
        return len(self[resource].rows) if self[resource].counts else None

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        self.calls.append(("keys", resource, {}))
        for page in self._pages(self[resource].rows):
            yield [row[self[resource].key] for row in page]

    def close(self) -> None:
        return None

    def _pages(self, rows: Sequence[Record]) -> Iterator[list[Record]]:
        for start in range(0, len(rows), self.page_size):
            self.before_page(self.requests)
            self.requests += 1
            yield list(rows[start : start + self.page_size])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
