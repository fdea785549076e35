"""No load fills the disk: it is asked before each page and each merge, and a load ends while there is still room.

A full disk would stop PostgreSQL itself, with everything that stands on it. What a load had read until then is
dropped, its cursor stays, and its row in `ops.loads` says why.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from masterops_dagster.database.programs import data_home
from masterops_dagster.settings import settings
from masterops_dagster.sources.errors import LoadProblem

GIB = 1024**3
GROWTH = 12
"""How much of the embedded server's disk a spooled byte may take until its load is settled: rows in staging, merged
rows, index and write-ahead log (measured on orders with lines: 8 to 10)."""


class DiskFull(LoadProblem):
    """There is less room on a disk than is kept free."""


@dataclass(frozen=True, slots=True)
class Room:
    """The disk under a folder, in bytes. Loads stop below `kept_free`."""

    folder: Path
    free: int
    kept_free: int

    @property
    def enough(self) -> bool:
        return self.free >= self.kept_free

    @property
    def tight(self) -> bool:
        """Whether it will not be enough for long."""
        return self.free < 2 * self.kept_free

    def __str__(self) -> str:
        return f"{self.free / GIB:.1f} GiB free at {self.folder}; loads stop below {self.kept_free / GIB:.1f} GiB"


def room() -> Room:
    """The tightest of the disks that loads write to: the state folder's, and that of the embedded data."""
    current = settings()
    folders = [current.state_dir]
    if current.embedded_database:
        folders.append(data_home(current.postgres_dir))
    return min((_room(folder) for folder in folders), key=lambda one: one.free - one.kept_free)


def require_room(spooled: int = 0) -> None:
    """Raises `DiskFull` unless there is room for so many spooled bytes and what they become."""
    found = room()
    wanted = spooled * (GROWTH if settings().embedded_database else 1)
    if found.free - wanted < found.kept_free:
        needs = f", and this load needs about {wanted / GIB:.1f} GiB" if wanted else ""
        raise DiskFull(
            f"the disk is almost full: {found}{needs}. Make room, or set MASTEROPS_STATE_DIR to another disk; the next "
            "load reads what this one did not"
        )


@contextmanager
def told_when_full(*also: type[Exception]) -> Iterator[None]:
    """What is written inside ends with `DiskFull` when the disk has no room left at all.

    So does an error of the other kinds, if a full disk is behind it.
    """
    kinds: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield
    except kinds as error:
        if _full(error):
            raise DiskFull(
                f"the disk is full: {room()}. Make room, or set MASTEROPS_STATE_DIR to another disk"
            ) from error
        raise


def _full(error: BaseException | None) -> bool:
    """Whether the error, or one that it came from, says that a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def _room(folder: Path) -> Room:
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    usage = shutil.disk_usage(there)
    kept = max(settings().free_disk_gib * GIB, usage.total * settings().free_disk_percent / 100)
    return Room(there, usage.free, int(kept))
