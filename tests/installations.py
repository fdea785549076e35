"""`masterops` as a person runs it: a state folder of its own, everything in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.left_overs import left_overs

MASTEROPS = str(Path(sys.executable).parent / "masterops")
SCALE = "0.02"
"""Of the world: as small as a business can be and still sell something every week."""


@dataclass(frozen=True)
class Installation:
    """A state folder, and `masterops` with it."""

    state: Path
    port: int

    def environment(self) -> dict[str, str]:
        ours = ("MASTEROPS_", "SUPABASE_", "DAGSTER_", *(f"{account.key}_".upper() for account in ACCOUNTS))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **inherited,
            "MASTEROPS_STATE_DIR": str(self.state),
            "MASTEROPS_WEBSERVER_PORT": str(self.port),
            "COLUMNS": "200",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MASTEROPS, *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, patience: float = 550) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MASTEROPS, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return content

    def service(self, name: str) -> dict[str, Any]:
        return service(self.status(), name)

    def processes(self) -> list[psutil.Process]:
        """Everything that carries the state folder, PostgreSQL's children too."""
        found = {process.pid: process for process in left_overs(self.state)}
        for process in list(found.values()):
            found |= {child.pid: child for child in process.children(recursive=True)}
        return list(found.values())

    def kill_everything(self) -> None:
        """As a power cut would: nobody gets to say goodbye."""
        doomed = sorted(self.processes(), key=lambda process: not _is_supervisor(process))
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(doomed, timeout=10)

    def whole_live_runs(self) -> list[str]:
        return whole_live_runs(self.status())


def service(status: dict[str, Any], name: str) -> dict[str, Any]:
    """A service by its name in what `masterops status` said."""
    return next(service for service in status["services"] if service["name"] == name)


def whole_live_runs(status: dict[str, Any]) -> list[str]:
    """How the refreshes of everything ended, by what `masterops status` said."""
    return [run["status"] for run in status["runs"] if run["kind"] == "live" and not run["assets"]]


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return "supervisord" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def eventually(holds: Callable[[], bool], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.3)
