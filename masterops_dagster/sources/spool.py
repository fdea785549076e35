"""Where rows wait between reading and loading: parquet files of each stream, written in row groups as pages arrive.

A family of streams is loaded only if it was read to its end, so a system that fails half-way leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from masterops_dagster.businesses import Account
from masterops_dagster.settings import settings
from masterops_dagster.sources.arrow import arrow_schema
from masterops_dagster.sources.disk import told_when_full
from masterops_dagster.sources.stream import Stream

FILE_ROWS = 100_000
"""A file holds about so many rows; the client that copies one keeps in memory what the server is slow to take."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """The rows of one stream on disk; there is at least one."""

    stream: Stream
    paths: tuple[Path, ...]
    rows: int


class Spool:
    """The files of one load of an account, in a folder that is emptied before and removed afterwards."""

    def __init__(self, account: Account) -> None:
        self.folder = settings().state_dir / "dlt" / "spool" / account.key
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._written: dict[str, int] = {}
        """Rows in the file that is being written."""
        self._rows: dict[str, int] = {}
        self._paths: dict[str, list[Path]] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        self._abandon(tuple(self._writers))
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def size(self) -> int:
        """How many bytes lie here."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def write(self, stream: Stream, table: pa.Table) -> None:
        """Appends a row group; a table without rows leaves no trace. Raises `DiskFull`."""
        if not table.num_rows:
            return
        with told_when_full():
            if self._written.get(stream.name, 0) >= FILE_ROWS:
                self._writers.pop(stream.name).close()
            if stream.name not in self._writers:
                self._writers[stream.name] = pq.ParquetWriter(self._next_path(stream), arrow_schema(stream))
                self._written[stream.name] = 0
            self._writers[stream.name].write_table(table)
        self._written[stream.name] += table.num_rows
        self._rows[stream.name] = self._rows.get(stream.name, 0) + table.num_rows

    def finish(self, streams: tuple[Stream, ...]) -> list[Spooled]:
        """Closes the streams' files and returns those that there are. Raises `DiskFull`."""
        spooled = []
        for stream in streams:
            writer = self._writers.pop(stream.name, None)
            if writer is not None:
                with told_when_full():
                    writer.close()
                spooled.append(Spooled(stream, tuple(self._paths.pop(stream.name)), self._rows.pop(stream.name)))
        return spooled

    def discard(self, streams: tuple[Stream, ...]) -> None:
        """Forgets what was written of the streams."""
        self._abandon(tuple(stream.name for stream in streams))
        for stream in streams:
            for path in self._paths.pop(stream.name, ()):
                path.unlink(missing_ok=True)

    def _abandon(self, names: tuple[str, ...]) -> None:
        """Closes files that nobody will read, whole or not."""
        for name in names:
            self._rows.pop(name, None)
            self._written.pop(name, None)
            writer = self._writers.pop(name, None)
            if writer is not None:
                with contextlib.suppress(OSError):
                    writer.close()

    def _next_path(self, stream: Stream) -> Path:
        paths = self._paths.setdefault(stream.name, [])
        paths.append(self.folder / f"{stream.name}.{len(paths)}.parquet")
        return paths[-1]
