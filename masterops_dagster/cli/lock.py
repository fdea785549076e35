"""Only one `up` at a time works on a state folder; the lock goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil


def holder(path: Path) -> psutil.Process | None:
    """The process that holds the lock, if any does."""
    if not path.exists():
        return None
    with path.open("r") as file:
        if _take(file, wait=False):
            return None
        pid = file.read().strip()
    try:
        return psutil.Process(int(pid)) if pid else None
    except psutil.NoSuchProcess:
        return None


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock; calls `waiting` once if another process has it, and waits for that one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _take(file, wait=False):
            waiting()
            _take(file, wait=True)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)


def _take(file: IO[str], *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
