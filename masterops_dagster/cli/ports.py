"""Ports of the programs: the wanted one if it is free, else the next free one, kept in `ports.json` from then on."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
SEARCHED = 200
"""How many ports after the wanted one are tried before any free one is taken."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The port that a program got, and the one that was wanted when it did."""

    port: int
    wanted: int


class Ports:
    """The ports of one state folder. `path` is written at each claim that changes one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, Kept] = {}
        if path.exists():
            self._kept = {name: Kept(**entry) for name, entry in json.loads(path.read_text()).items()}

    def __getitem__(self, program: str) -> int:
        return self._kept[program].port

    def __contains__(self, program: str) -> bool:
        return program in self._kept

    def claim(self, program: str, wanted: int) -> int:
        """A free port for the program: its last one, unless that is taken or another one is wanted by now."""
        kept = self._kept.get(program)
        if kept is not None and kept.wanted == wanted and is_free(kept.port):
            return kept.port
        others = {entry.port for name, entry in self._kept.items() if name != program}
        candidates = range(wanted, min(wanted + SEARCHED, 65536)) if wanted else ()
        port = next((p for p in candidates if p not in others and is_free(p)), None)
        self._kept[program] = Kept(port if port is not None else any_free(), wanted)
        self._save()
        return self[program]

    def _save(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {name: {"port": kept.port, "wanted": kept.wanted} for name, kept in self._kept.items()}
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(content, indent=2) + "\n")
        unfinished.replace(self._path)


def is_free(port: int) -> bool:
    """Whether nothing listens there; a connection that still times out does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port that the system hands out."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(path: Path, timeout: float = 0.5) -> bool:
    """Whether something accepts connections at a socket in the file system."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(timeout)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
