"""Where rows wait between reading and loading: one parquet file per stream, written in row groups as pages arrive.

A family of streams is loaded only if it was read to its end, so a system that fails half-way leaves nothing behind.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from masterops_dagster.businesses import Account
from masterops_dagster.settings import settings
from masterops_dagster.sources.arrow import arrow_schema
from masterops_dagster.sources.stream import Stream


@dataclass(frozen=True, slots=True)
class Spooled:
    """The rows of one stream on disk; there is at least one."""

    stream: Stream
    path: Path
    rows: int


class Spool:
    """The files of one load of an account, in a folder that is emptied before and removed afterwards."""

    def __init__(self, account: Account) -> None:
        self.folder = settings().state_dir / "dlt" / "spool" / account.key
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, stream: Stream, table: pa.Table) -> None:
        """Appends a row group; a table without rows leaves no trace."""
        if not table.num_rows:
            return
        if stream.name not in self._writers:
            self._writers[stream.name] = pq.ParquetWriter(self._path(stream), arrow_schema(stream))
            self._rows[stream.name] = 0
        self._writers[stream.name].write_table(table)
        self._rows[stream.name] += table.num_rows

    def finish(self, streams: tuple[Stream, ...]) -> list[Spooled]:
        """Closes the streams' files and returns those that there are."""
        spooled = []
        for stream in streams:
            writer = self._writers.pop(stream.name, None)
            if writer is not None:
                writer.close()
                spooled.append(Spooled(stream, self._path(stream), self._rows.pop(stream.name)))
        return spooled

    def discard(self, streams: tuple[Stream, ...]) -> None:
        """Forgets what was written of the streams."""
        for spooled in self.finish(streams):
            spooled.path.unlink()

    def _path(self, stream: Stream) -> Path:
        return self.folder / f"{stream.name}.parquet"
