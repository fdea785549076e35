"""Stand-ins for tests: started in a process of their own, told to misbehave, told their limits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masterops_dagster.simulator.world import faults
from masterops_dagster.simulator.world.store import World


@dataclass(frozen=True)
class StandIns:
    """Stand-ins that answer over HTTP, in a process of their own, from a small world."""

    state: Path
    process: subprocess.Popen[bytes]
    origin: str

    @property
    def world_dir(self) -> Path:
        return self.state / "world"

    def endpoint(self, account_key: str) -> dict[str, str]:
        """Base URL and credentials of an account."""
        return dict(json.loads((self.world_dir / "endpoints.json").read_text())[account_key])

    def world(self) -> World:
        """The world that they answer from."""
        return World(self.world_dir)

    def limit(self, limits: Mapping[str, Mapping[str, Any]]) -> None:
        """Puts these limits in force, by system or account key; those not named are out of reach."""
        wide = {"requests": 1_000_000, "seconds": 1.0}
        points = {"maximum": 1_000_000, "restore": 1_000_000}
        systems: dict[str, dict[str, Any]] = {
            "bigcommerce": {"burst": wide},
            "hubspot": {"burst": wide, "search": wide},
            "shopify": {"points": points},
            "unleashed": {"burst": wide},
        }
        draft = self.world_dir / "limits.new"
        draft.write_text(
            json.dumps({key: {**systems.get(key, {}), **limits.get(key, {})} for key in {*systems, *limits}})
        )
        draft.replace(self.world_dir / "limits.json")

    def allow(self, key: str, requests: int, call: Callable[[], object], limit: str = "burst") -> None:
        """Lets that many more requests through and none after them. `call` makes one request that the limit counts."""
        self.limit({key: {limit: {"requests": 1, "seconds": 0.001}}})
        time.sleep(0.002)
        call()  # forgets all calls before it, and counts itself
        self.limit({key: {limit: {"requests": requests + 1, "seconds": 60.0}}})

    def misbehave(self, system: str, kind: str, **how: Any) -> None:
        """Puts a fault in force."""
        faults.misbehave(self.world_dir, faults.Fault(system, kind, **how))

    def calm(self) -> None:
        """No faults, and limits that no test reaches by accident."""
        faults.calm(self.world_dir)
        self.limit({})


def start_stand_ins(state: Path, *options: str) -> StandIns:
    """Starts the process and waits until it answers."""
    command = [sys.executable, "-m", "masterops_dagster.simulator", "--state", str(state), *options]
    log_file = state / "stand-ins.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if announced := re.search(r"the stand-ins answer at (\S+)", log_file.read_text()):
            return StandIns(state, process, announced[1])
        time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"the stand-ins didn't start: {log_file.read_text()}")
