"""`masterops down`: nothing is left, whatever state it finds: no process, no pid file, no socket."""

from __future__ import annotations

import os
import signal

import psutil
from rich.console import Console

from masterops_dagster.cli import lock
from masterops_dagster.cli.processes import places
from masterops_dagster.cli.supervision import Supervisor
from masterops_dagster.cli.view import print_plain


def down() -> None:
    """Stops everything that belongs to the state folder; an `up` that is still at work is stopped first."""
    console = Console()
    where = places()
    starting = lock.holder(where.lock)
    if starting is not None and starting.pid != os.getpid():
        starting.send_signal(signal.SIGTERM)
        try:
            starting.wait(timeout=60)
        except psutil.TimeoutExpired:
            starting.kill()
    stopped = Supervisor(where).stop()
    print_plain(console, "stopped" if stopped or starting else "nothing was running")
