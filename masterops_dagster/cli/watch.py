"""`masterops watch`: watches the platform from outside, until it is told to stop. A program of `up`."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from masterops_dagster.cli.processes import places
from masterops_dagster.cli.view import print_plain
from masterops_dagster.observability.monitor import process_name
from masterops_dagster.observability.notify.direct import tell
from masterops_dagster.observability.outage import Outage
from masterops_dagster.observability.watch import Death, Timing, Watch

DIED = re.compile(r"^(\S+ [\d:]+),(\d+) \w+ exited: (\S+) \((.*)\)$")


class SupervisorLog:
    """What supervisord writes down about programs that ended by themselves, from here on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def deaths(self) -> Sequence[Death]:
        """Those since the last call; none where there is no supervisord."""
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._position:  # the log was rotated
            self._position = 0
        with self._path.open() as log:
            log.seek(self._position)
            lines = [line for line in log if line.endswith("\n")]
            self._position += sum(len(line.encode()) for line in lines)
        return [death for line in lines if (death := _death(line.rstrip())) is not None]


def watch() -> None:
    """Returns once it gets SIGTERM or SIGINT."""
    where, timing = places(), Timing()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log = SupervisorLog(where.log("supervisord"))
    outage = Outage(where.state / "watch" / "outage.json", tell)
    watching = Watch(process_name("watch"), outage, log.deaths, datetime.now(UTC), timing=timing)
    console, last = Console(), None
    print_plain(console, "watching")
    while not stop.wait(timing.round):
        said = watching.round(datetime.now(UTC))
        if said is not None and said != last:
            print_plain(console, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {said}")
        last = said
    watching.leave()


def _death(line: str) -> Death | None:
    found = DIED.match(line)
    if found is None:
        return None
    written, fraction, program, reason = found.groups()
    at = datetime.strptime(f"{written}.{fraction}", "%Y-%m-%d %H:%M:%S.%f").astimezone(UTC)
    return Death(program, at, reason)
