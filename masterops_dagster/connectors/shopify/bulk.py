"""Bulk operations: Shopify runs a query by itself and leaves the result in a file, a line per object.

An object of a nested connection has a line of its own, with its parent's id, somewhere behind the parent's. The file is
kept on disk and put together there, so memory doesn't grow with it. Five operations may run in a store at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from tempfile import TemporaryFile
from typing import BinaryIO

import msgspec

from masterops_dagster.connectors.base import Record, decode_json
from masterops_dagster.connectors.errors import (
    ConnectorError,
    DeadlineExceeded,
    PermissionDenied,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.shopify.api import ShopifyApi
from masterops_dagster.connectors.shopify.documents import bulk_document

BUSY = frozenset({"LIMIT_REACHED", "OPERATION_IN_PROGRESS"})
UNDER_WAY = frozenset({"CREATED", "RUNNING", "CANCELING"})
BATCH = 250
"""Objects that are handed on at once."""


class PagesInstead(Exception):
    """Shopify gave the operation up for a reason that pages don't have; the message says which."""


@dataclass(frozen=True, slots=True)
class BulkPatience:
    """Seconds: between two looks at an operation, at first and at most, and until it is given up and cancelled."""

    first_look: float = 1.0
    longest_pause: float = 10.0
    whole: float = 3_600.0


class _Line(msgspec.Struct):
    id: str
    parent: str | None = msgspec.field(name="__parentId", default=None)


def bulk_records(
    api: ShopifyApi, name: str, search: str, nested: str | None, *, operation: str, patience: BulkPatience
) -> Iterator[list[Record]]:
    """All objects of a bulk document, in Shopify's order, those of its nested connection as a plain list in them.

    Raises `PagesInstead` before the first one if reading pages may succeed where the operation failed, else
    `ConnectorError`s.
    """
    deadline = time.monotonic() + patience.whole
    identifier = _start(api, bulk_document(name, search), operation, patience, deadline)
    try:
        url, size = _wait(api, identifier, operation, patience, deadline)
    except BaseException:
        with contextlib.suppress(ConnectorError):
            api.execute("bulk_cancel", {"id": identifier}, operation="cancel a bulk operation")
        raise
    if url is None:
        return
    with TemporaryFile() as file:
        api.download(url, file, "/bulk-operation-result", operation=operation)
        if size is not None and file.seek(0, 2) != size:
            raise api.malformed(operation, f"the bulk result has {file.tell()} bytes of {size}")
        file.seek(0)
        try:
            yield from _whole(file, nested)
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            raise api.malformed(operation, f"a line of the bulk result can't be read: {failure}") from None


def _start(api: ShopifyApi, query: str, operation: str, patience: BulkPatience, deadline: float) -> str:
    """The operation's id. Waits while as many run as may."""
    while True:
        answer = api.part(
            api.execute("bulk_start", {"query": query}, operation=operation), "bulkOperationRunQuery", operation
        )
        errors = answer.get("userErrors")
        said = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
        if not said:
            return str(api.part(answer, "bulkOperation", operation).get("id"))
        words = "; ".join(str(error.get("message")) for error in said)
        if not {error.get("code") for error in said} <= BUSY:
            raise api.failure(Rejected, words, operation)
        if time.monotonic() + patience.longest_pause > deadline:
            raise api.failure(DeadlineExceeded, f"no bulk operation could be begun: {words}", operation)
        time.sleep(patience.longest_pause)


def _wait(
    api: ShopifyApi, identifier: str, operation: str, patience: BulkPatience, deadline: float
) -> tuple[str | None, int | None]:
    """Where the result is (None: nothing matched) and how many bytes it has."""
    pause = patience.first_look
    while True:
        time.sleep(pause)
        answer = api.execute("bulk_status", {"id": identifier}, operation=operation)
        found = api.part(answer, "bulkOperation", operation)
        status, code = found.get("status"), found.get("errorCode")
        if status == "COMPLETED":
            url, size = found.get("url"), found.get("fileSize")
            return (str(url) if url else None), (int(str(size)) if size is not None else None)
        if status == "FAILED" and code == "ACCESS_DENIED":
            raise api.failure(PermissionDenied, f"bulk operation {identifier} was denied access", operation)
        if status == "FAILED":
            raise PagesInstead(f"bulk operation {identifier} failed: {code}")
        if status not in UNDER_WAY:
            advice = "Somebody cancelled it, or its result is too old; run the load again."
            raise api.failure(Unavailable, f"bulk operation {identifier} is {status}", operation, advice)
        pause = min(patience.longest_pause, pause * 1.5)
        if time.monotonic() + pause > deadline:
            detail = f"bulk operation {identifier} took longer than {patience.whole:.0f} s and was cancelled"
            raise api.failure(DeadlineExceeded, detail, operation)


def _whole(file: BinaryIO, nested: str | None) -> Iterator[list[Record]]:
    """Batches of whole objects."""
    records = _plain(file) if nested is None else _put_together(file, nested)
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(file: BinaryIO) -> Iterator[Record]:
    return (_object(line) for line in file if line.strip())


def _put_together(file: BinaryIO, nested: str) -> Iterator[Record]:
    """Parents in the file's order, each with its children in theirs, by way of a table on disk."""
    line_of = msgspec.json.Decoder(_Line).decode
    # an empty name is a database in a file of its own, gone when it is closed
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("pragma journal_mode = off")
        database.execute("create table line (number integer primary key, id text, parent text, body blob)")
        database.execute("begin")
        database.executemany(
            "insert into line values (?, ?, ?, ?)",
            (
                (number, head.id, head.parent, line)
                for number, line in enumerate(file)
                if line.strip()
                for head in (line_of(line),)
            ),
        )
        database.execute("create index line_by_parent on line (parent, number)")
        rows = database.execute(
            "select own.number, own.body, child.body from line as own left join line as child on child.parent = own.id "
            "where own.parent is null order by own.number, child.number"
        )
        for _, group in groupby(rows, key=lambda row: row[0]):
            lines = list(group)
            record = _object(lines[0][1])
            record[nested] = [_object(body) for _, _, body in lines if body is not None]
            yield record


def _object(line: bytes) -> Record:
    found = decode_json(line)
    if not isinstance(found, dict):
        raise msgspec.DecodeError("not a JSON object")
    found.pop("__parentId", None)
    return found
