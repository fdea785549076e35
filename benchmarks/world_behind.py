"""A world with stand-ins before it, in a process of its own, for benchmarks that need an API that behaves like one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from masterops_dagster.simulator.world.store import World

OUT_OF_REACH = {"burst": {"requests": 10**9, "seconds": 1.0}, "search": {"requests": 10**9, "seconds": 1.0}}
"""Limits that nobody meets."""


@contextmanager
def stand_ins(scale: float, limits: Mapping[str, object]) -> Iterator[Path]:
    """Makes a world of that scale in this process's state folder, and serves it; `limits` by system. Gives its folder."""
    state = Path(os.environ["MASTEROPS_STATE_DIR"])
    World.open(state / "world", scale=scale).close()
    (state / "world" / "limits.json").write_text(json.dumps(limits))
    log = state / "stand-ins.log"
    command = [sys.executable, "-m", "masterops_dagster.simulator", "--state", str(state)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            while not re.search(r"the stand-ins answer at", log.read_text()):
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.05)
            yield state / "world"
        finally:
            process.kill()


def endpoint(world: Path, account_key: str) -> dict[str, str]:
    """Base URL and credentials of an account."""
    found: dict[str, str] = json.loads((world / "endpoints.json").read_text())[account_key]
    return found
