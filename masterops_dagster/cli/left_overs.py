"""Processes that belong to a state folder though no supervisor watches them any more, after a kill -9.

They are known by their environment: everything that `up` starts carries the state folder and a program's name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from masterops_dagster.cli.processes import PROGRAM_VARIABLE, STATE_VARIABLE


def left_overs(state: Path, program: str | None = None) -> list[psutil.Process]:
    """The living processes of the folder, of one program or of all, without this one and those that it came from."""
    family = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in family:
            continue
        try:
            environment = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        name = environment.get(PROGRAM_VARIABLE)
        if alive and environment.get(STATE_VARIABLE) == str(state) and name and program in (None, name):
            found.append(process)
    return found


def end(processes: Sequence[psutil.Process], patience: float = 5.0) -> None:
    """Asks them to stop, and kills what still lives after `patience` seconds."""
    for process in processes:
        _signal(process, hard=False)
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        _signal(process, hard=True)
    psutil.wait_procs(alive, timeout=10)


def _signal(process: psutil.Process, *, hard: bool) -> None:
    try:
        if hard:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return
