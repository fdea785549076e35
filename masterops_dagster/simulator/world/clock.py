"""Business time as the world keeps it: real time plus the offset in `clock.json`, in the world's folder.

The pipeline reads the same file with code of its own. Business days are Melbourne's.
"""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from masterops_dagster.businesses import MELBOURNE

CLOCK_FILE = "clock.json"


def offset(directory: Path) -> timedelta:
    """How far business time is ahead of real time; zero without a file."""
    try:
        stored = json.loads((directory / CLOCK_FILE).read_text())
    except FileNotFoundError:
        return timedelta(0)
    return timedelta(seconds=float(stored["offset_seconds"]))


def now(directory: Path) -> datetime:
    """Business time, aware, UTC."""
    return datetime.now(UTC) + offset(directory)


def advance(directory: Path, days: int) -> timedelta:
    """Moves business time on by whole Melbourne days, to the same time by the clock on the wall, and returns the
    new offset. A day on which daylight saving changes counts 23 or 25 hours."""
    before = now(directory).astimezone(MELBOURNE)
    after = (before + timedelta(days=days)).astimezone(UTC)
    moved = offset(directory) + (after - before.astimezone(UTC))
    set_offset(directory, moved)
    return moved


def set_offset(directory: Path, moved: timedelta) -> None:
    """Replaces the file in one step, so that no reader ever sees half of it."""
    write_atomically(directory / CLOCK_FILE, json.dumps({"offset_seconds": moved.total_seconds()}))


def write_atomically(path: Path, text: str) -> None:
    """Writes beside the file, syncs, and renames over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def melbourne_day(moment: datetime) -> date:
    return moment.astimezone(MELBOURNE).date()


def day_start(day: date) -> datetime:
    """The first moment of a Melbourne day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=MELBOURNE).astimezone(UTC)
