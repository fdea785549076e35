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

from masterops_dagster.simulator.world.records import Association, Version, millis
from masterops_dagster.simulator.world.store import World

OUT_OF_REACH = {"burst": {"requests": 10**9, "seconds": 1.0}, "search": {"requests": 10**9, "seconds": 1.0}}
"""Limits that nobody meets."""


@contextmanager
def stand_ins(scale: float, limits: Mapping[str, object], copied: tuple[str, str, int] | None = None) -> Iterator[Path]:
    """Makes a world of that scale in this process's state folder, and serves it; gives its folder.

    `limits` by system. `copied` is an account, a resource of it, and how many of each record there shall be: to make
    a large world takes many times as long as what is measured.
    """
    state = Path(os.environ["MASTEROPS_STATE_DIR"])
    world = World.open(state / "world", scale=scale)
    if copied is not None:
        with world.transaction():
            world.insert(copies(world, *copied))
    world.close()
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


def copies(world: World, account_key: str, resource: str, times: int) -> Iterator[Version | Association]:
    """`times` - 1 copies of all records that can be seen, with ids of their own; those of contacts keep companies."""
    records = list(world.scan(account_key, resource))
    companies = world.associations(resource, "companies", [record.id for record in records])
    for copy in range(1, times):
        for record in records:
            old = record.id if record.id.isdecimal() else record.id[:8]  # a line's Guid begins like its order's
            new = str(int(old) + copy * 10**10) if record.id.isdecimal() else f"{(int(old, 16) + copy) % 2**32:08x}"
            created, number = millis(record.created_at), record.number + copy * 10**10
            yield Version(
                account_key,
                resource,
                new + record.id[len(old) :],
                number,
                created,
                created,
                millis(record.business_at),
                millis(record.modified_at),
                json.loads(json.dumps(record.body).replace(old, new)),
            )
            for company in companies.get(record.id, ()):
                yield Association(resource, new, "companies", company.to_id, created, company.types)


def endpoint(world: Path, account_key: str) -> dict[str, str]:
    """Base URL and credentials of an account."""
    found: dict[str, str] = json.loads((world / "endpoints.json").read_text())[account_key]
    return found
