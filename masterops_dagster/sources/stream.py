"""What a stream is: a declaration of columns, key, cursor and reading mode. The machinery is in `ingest.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Type(StrEnum):
    """The types of raw columns; Arrow and PostgreSQL types follow from them in `arrow.py`."""

    TEXT = "text"
    INTEGER = "bigint"
    BOOLEAN = "boolean"
    DECIMAL = "numeric(24,6)"
    """Money, prices, quantities and rates; digits beyond the sixth are rounded half even."""
    TIMESTAMP = "timestamptz"
    DATE = "date"
    JSON = "json"


TEXT, INTEGER, BOOLEAN, DECIMAL, TIMESTAMP, DATE, JSON = Type


class Mode(Enum):
    """How a stream is read."""

    INCREMENTAL = "incremental"
    """Live by modification cursor; backfill by business date, where it has one."""
    FULL = "full"
    """Small enough to be read whole each time; what is no longer there is marked deleted."""
    SNAPSHOT = "snapshot"
    """A state: read whole, kept once per Melbourne day in `snapshot_date`, which is part of the key."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `path` leads into the system's record, dots between levels; empty means that ingest fills it."""

    name: str
    type: Type
    path: str


@dataclass(frozen=True, slots=True)
class Stream:
    """One table of one system's account.

    `resource` is the connector's name for it. `key` are columns. `modified` names the column by which the newest of
    two rows with one key wins, and which is the cursor where the mode is incremental. `business_date` names the column
    whose Melbourne day is the partition; a stream without one has no partitions and can't be backfilled. A child has
    `parent`, the stream it is read with, and `items`, the path of its list in the parent's record (empty: the connector
    asks for it, only for parents that hold something at `asked_if`); its `parent_key` column points to the parent.
    """

    name: str
    resource: str
    columns: tuple[Column, ...]
    description: str
    key: tuple[str, ...] = ("id",)
    mode: Mode = Mode.INCREMENTAL
    modified: str | None = None
    business_date: str | None = None
    parent: str | None = None
    items: str = ""
    asked_if: str = ""
    parent_key: str | None = None


INGEST_COLUMNS = (
    Column("_extra", Type.JSON, ""),
    Column("_deleted_at", Type.TIMESTAMP, ""),
    Column("_loaded_at", Type.TIMESTAMP, ""),
    Column("_load_id", Type.INTEGER, ""),
)
"""Columns that ingest adds to every table: fields that no column names; when the row was found gone; business time
of the load; `ops.loads.load_id`. Children also carry `_parent_version`, their parent's `modified` when they were
read."""


def columns(prefix: str = "", /, **kinds: Type | tuple[Type, str]) -> tuple[Column, ...]:
    """Columns from keywords: `guid=(TEXT, "Guid")`, or `email=TEXT` where column and field have one name.

    `prefix` is put before each path: `columns("properties.", email=TEXT)`.
    """
    return tuple(
        Column(name, kind[0], prefix + kind[1]) if isinstance(kind, tuple) else Column(name, kind, prefix + name)
        for name, kind in kinds.items()
    )
