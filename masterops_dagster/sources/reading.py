"""Reads a family of streams, a parent with its children, page by page into the spool. Nothing holds a whole stream."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from masterops_dagster import clock
from masterops_dagster.businesses import Account
from masterops_dagster.connectors.base import Page, Record, StreamReader
from masterops_dagster.sources.arrow import Converted, Converter, Rejected
from masterops_dagster.sources.catalogue import PARENT_VERSION, children
from masterops_dagster.sources.ledger import Letter
from masterops_dagster.sources.spool import Spool
from masterops_dagster.sources.stream import Mode, Stream

BATCH = 5_000
"""Rows that are converted at once and become one row group."""

Deliver = Callable[[Stream, Sequence[Letter]], None]
"""Takes the dead letters of a stream as they come up."""


@dataclass(slots=True)
class Family:
    """A parent, its children, and the load of each (`load_ids`), to be read together."""

    account: Account
    parent: Stream
    load_ids: Mapping[str, int]
    business_at: datetime
    children: tuple[Stream, ...] = ()
    unknown_fields: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    watermark: datetime | None = None
    """The newest modification read, but never later than when reading began: what changed meanwhile is read again."""

    def __post_init__(self) -> None:
        self.children = children(self.account, self.parent)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The parent, then its children."""
        return (self.parent, *self.children)


class Reading:
    """Turns the pages of a family into spooled rows and dead letters. `reader` is asked for children, if any are."""

    def __init__(self, family: Family, reader: StreamReader | None, spool: Spool, deliver: Deliver) -> None:
        self.family = family
        self._reader = reader
        self._spool = spool
        self._deliver = deliver
        self._converters = {
            stream.name: Converter(
                stream, also_known=[child.items for child in family.children if stream is family.parent and child.items]
            )
            for stream in family.streams
        }
        self._settled_until: datetime | None = None
        self._constants: dict[str, object] = {"_loaded_at": family.business_at}
        if family.parent.mode is Mode.SNAPSHOT:
            self._constants["snapshot_date"] = clock.business_day(family.business_at)

    def read(self, pages: Iterable[Page]) -> None:
        """Spools the parents and their children; children of a parent that doesn't fit wait for it."""
        with closing(_ahead(_batches(self._noting(pages)))) as batches:
            for records in batches:
                self.take(records)
        if self.family.watermark is not None and self._settled_until is not None:
            self.family.watermark = min(self.family.watermark, self._settled_until)

    def _noting(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The pages, once it is noted how far a cursor may go."""
        for page in pages:
            bounds = (page.settled_until, self._settled_until)
            self._settled_until = min((bound for bound in bounds if bound is not None), default=None)
            yield page

    def take(self, records: Sequence[Record]) -> None:
        """Spools one batch of parents and their children."""
        parent = self.family.parent
        converted = self._convert(parent, records, {})
        self._deliver(parent, [self._letter(parent, records, {}, rejected) for rejected in converted.rejected])
        self._spool.write(parent, converted.table)
        self._advance_watermark(converted)
        if not self.family.children or not converted.accepted:
            return
        accepted = [records[index] for index in converted.accepted]
        keys = converted.table.column(parent.key[0]).to_pylist()
        versions = converted.table.column(parent.modified).to_pylist()
        for child in self.family.children:
            if child.items:
                self._take_items(child, accepted, keys, versions)
            else:
                self._ask(child, accepted, keys, versions)

    def take_child(self, child: Stream, records: Sequence[Record], parents: Sequence[tuple[Any, Any]]) -> None:
        """Spools children; `parents` has the parent's key and version for each."""
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            assert child.parent_key is not None
            filled: dict[str, list[object]] = {
                child.parent_key: [key for key, _ in parents[start : start + BATCH]],
                PARENT_VERSION.name: [version for _, version in parents[start : start + BATCH]],
            }
            converted = self._convert(child, part, filled)
            self._deliver(child, [self._letter(child, part, filled, rejected) for rejected in converted.rejected])
            self._spool.write(child, converted.table)

    def _take_items(
        self, child: Stream, records: Sequence[Record], keys: Sequence[object], versions: Sequence[object]
    ) -> None:
        items: list[Record] = []
        parents: list[tuple[object, object]] = []
        for record, key, version in zip(records, keys, versions, strict=True):
            for item in _items(record, child.items):
                items.append(item)
                parents.append((key, version))
        self.take_child(child, items, parents)

    def _ask(self, child: Stream, records: Sequence[Record], keys: Sequence[Any], versions: Sequence[object]) -> None:
        """Asks for the children of the parents that can have some."""
        parents = {
            str(key): (key, version)
            for record, key, version in zip(records, keys, versions, strict=True)
            if not child.asked_if or value_at(record, child.asked_if)
        }
        path = next(column.path for column in child.columns if column.name == child.parent_key) or child.parent_key
        assert path is not None
        if parents:
            assert self._reader is not None
            ids = [key for key, _ in parents.values()]
            for items in _batches(self._reader.read_children(child.resource, ids)):
                self.take_child(child, items, [_parent_of(item, path, parents) for item in items])

    def _convert(self, stream: Stream, records: Sequence[Record], filled: Mapping[str, object]) -> Converted:
        constants = {**self._constants, "_load_id": self.family.load_ids[stream.name]}
        converted = self._converters[stream.name].convert(records, {**constants, **filled})
        self.family.unknown_fields[stream.name].update(converted.unknown_fields)
        return converted

    def _advance_watermark(self, converted: Converted) -> None:
        if self.family.parent.modified is None or self.family.parent.mode is not Mode.INCREMENTAL:
            return
        newest = pc.max(converted.table.column(self.family.parent.modified)).as_py()
        if newest is not None:
            newest = min(newest, self.family.business_at)
            self.family.watermark = max(self.family.watermark or newest, newest)

    def _letter(
        self, stream: Stream, records: Sequence[Record], filled: Mapping[str, list[object]], rejected: Rejected
    ) -> Letter:
        record = records[rejected.index]
        own = {name: values[rejected.index] for name, values in filled.items()} | self._constants
        named = {column.name: column for column in stream.columns}
        key = [own[name] if name in own else value_at(record, named[name].path) for name in stream.key]
        payload: Mapping[str, object] = record
        if stream.parent:
            payload = {
                "record": record,
                "parent_key": own[stream.parent_key or ""],
                "parent_version": own[PARENT_VERSION.name],
            }
        external_id = None if any(part in (None, "") for part in key) else "|".join(map(str, key))
        return Letter(external_id, rejected.column, rejected.reason, payload)


def properties(stream: Stream) -> list[str]:
    """The names that HubSpot must be asked for: it sends only those properties."""
    return [
        column.path.removeprefix("properties.") for column in stream.columns if column.path.startswith("properties.")
    ]


def value_at(record: object, path: str) -> Any:
    """What stands at a path, None where it leads nowhere."""
    value = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _items(record: Record, path: str) -> list[Any]:
    found = value_at(record, path)
    return found if isinstance(found, list) else []


def _parent_of(item: Record, path: str, parents: Mapping[str, tuple[Any, Any]]) -> tuple[Any, Any]:
    key = value_at(item, path)
    return parents.get(str(key), (key, None))


def _ahead(batches: Generator[list[Record]]) -> Generator[list[Record]]:
    """The same batches; while one is converted, a thread gathers the next."""
    context = copy_context()

    def gather() -> list[Record] | None:
        return context.run(lambda: next(batches, None))

    with ThreadPoolExecutor(1, thread_name_prefix="reading") as pool, closing(batches):
        upcoming = pool.submit(gather)
        try:
            while (records := upcoming.result()) is not None:
                upcoming = pool.submit(gather)
                yield records
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(pages: Iterable[Page]) -> Generator[list[Record]]:
    """The pages' records, gathered until there are enough to be worth converting."""
    waiting: list[Record] = []
    for page in pages:
        waiting.extend(page.items)
        while len(waiting) >= BATCH:
            yield waiting[:BATCH]
            del waiting[:BATCH]
    if waiting:
        yield waiting
