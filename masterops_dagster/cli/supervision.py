"""supervisord, which keeps the programs of one state folder running: its configuration, its life, and what it says.

It listens on a Unix socket that only this user can open. Programs are started one by one, in order, by `up`; from then
on supervisord restarts whatever dies.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from masterops_dagster.cli.left_overs import end, left_overs
from masterops_dagster.cli.problems import Problem
from masterops_dagster.cli.processes import PROGRAM_VARIABLE, Places, Program, base_environment
from masterops_dagster.settings import PROJECT_ROOT, settings

SUPERVISOR = "supervisord"

CONFIGURATION = """\
; Written by `masterops up`; changes are lost at its next start.
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={log}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={pid}
identifier=masterops
nodaemon=true
silent=true
directory={root}
childlogdir={logs}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}
"""
PROGRAM = """
[program:{name}]
command="{python}" -m masterops_dagster.cli.program {name}
environment={variable}="{name}"
autostart=false
autorestart=true
startsecs=1
startretries=1000
priority={priority}
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
stopasgroup={children}
killasgroup={children}
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True, slots=True)
class ProgramState:
    """What supervisord knows of a program. `state` is its word: RUNNING, STARTING, BACKOFF, STOPPED, FATAL …"""

    name: str
    state: str
    pid: int | None
    since: datetime | None

    @property
    def running(self) -> bool:
        return self.state == "RUNNING"


class Supervisor:
    """The supervisord of one state folder, running or not."""

    def __init__(self, where: Places) -> None:
        self._where = where

    @property
    def socket(self) -> Path:
        """Where it takes orders."""
        return self._where.socket(SUPERVISOR)

    @property
    def pid_file(self) -> Path:
        return self._where.supervisor / "supervisord.pid"

    @property
    def configuration(self) -> Path:
        return self._where.supervisor / "supervisord.conf"

    def answers(self) -> bool:
        """Whether it runs and can be talked to."""
        try:
            self._call("getState")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return True

    def states(self) -> list[ProgramState]:
        """All its programs; none if it does not answer."""
        try:
            answer = self._call("getAllProcessInfo")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return []
        found = []
        for entry in answer:
            started = datetime.fromtimestamp(entry["start"], UTC) if entry["start"] else None
            found.append(ProgramState(entry["name"], entry["statename"], entry["pid"] or None, started))
        return found

    def state(self, program: str) -> ProgramState | None:
        """One program's state."""
        return next((state for state in self.states() if state.name == program), None)

    def start(self, programs: Sequence[Program], patience: float = 20.0) -> None:
        """Starts supervisord, with its programs still stopped, in a session of its own. Raises `Problem`."""
        self._write(programs)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.configuration)]
        with (self._where.logs / "supervisord.out").open("wb") as output:
            started = subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                env={**os.environ, **base_environment(self._where), PROGRAM_VARIABLE: SUPERVISOR},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + patience
        while not self.answers():
            if started.poll() is not None or time.monotonic() > deadline:
                said = (self._where.logs / "supervisord.out").read_text(errors="replace").strip()
                raise Problem(f"supervisord did not start: {said or 'no word'}; see {self._where.log('supervisord')}")
            time.sleep(0.05)

    def start_program(self, name: str) -> None:
        """Starts a program if it does not run; does not wait for it."""
        state = self.state(name)
        if state is None:
            raise Problem(f"supervisord knows no program {name!r}: run `masterops down`, then `make up`")
        if state.state not in ("RUNNING", "STARTING", "BACKOFF"):
            self._call("startProcess", name, False)

    def stop_program(self, name: str, patience: float = 90.0) -> None:
        """Stops a program, which then stays stopped. Raises `Problem` if it won't end."""
        state = self.state(name)
        if state is not None and state.state in ("RUNNING", "STARTING"):
            self._call("stopProcess", name, False)
        deadline = time.monotonic() + patience
        while (state := self.state(name)) is not None and state.pid is not None:
            if time.monotonic() > deadline:
                raise Problem(f"{name} (process {state.pid}) does not stop: run `masterops down`, then `make up`")
            time.sleep(0.1)

    def knows(self, programs: Sequence[Program]) -> bool:
        """Whether it was started with just these programs."""
        return {state.name for state in self.states()} == {program.name for program in programs}

    def pid(self) -> int | None:
        """The living supervisord's process, whether it answers or not; a stale pid file counts for nothing."""
        try:
            process = psutil.Process(int(self.pid_file.read_text()))
            ours = str(self.configuration) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process.pid if ours else None

    def stop(self, patience: float = 120.0) -> bool:
        """Stops everything, in the reverse order of starting, also what a killed supervisord left behind.

        Returns whether there was anything to stop. Leaves no process, pid file or socket.
        """
        pid = self.pid()
        if pid is not None:
            process = psutil.Process(pid)
            try:
                self._call("shutdown")
            except (OSError, http.client.HTTPException, xmlrpc.client.Error):
                process.terminate()
            try:
                process.wait(timeout=patience)
            except psutil.TimeoutExpired:
                process.kill()
        swept = self.sweep()
        for file in (self.pid_file, self.socket, self._where.socket("code-server")):
            file.unlink(missing_ok=True)
        if self.socket.parent != self._where.supervisor and self.socket.parent.exists():
            self.socket.parent.rmdir()
        return pid is not None or swept

    def sweep(self) -> bool:
        """Ends what a killed supervisord left behind: Dagster first, PostgreSQL last and by its own way."""
        from masterops_dagster.database import server

        state = self._where.state
        deaf = left_overs(state, program=SUPERVISOR)
        end(deaf)
        others = [process for process in left_overs(state) if _program(process) != "postgres"]
        end(others)
        postgres = server.stop(self._where.postgres) if settings().embedded_database else False
        stuck = left_overs(state)
        end(stuck)
        return bool(deaf or others or stuck) or postgres

    def _write(self, programs: Sequence[Program]) -> None:
        where = self._where
        for folder in (where.supervisor, where.logs, self.socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                raise Problem(f"{folder} belongs to another user: remove it, or set MASTEROPS_STATE_DIR")
        text = CONFIGURATION.format(
            socket=_quoted(self.socket),
            log=_quoted(where.log("supervisord")),
            pid=_quoted(self.pid_file),
            root=_quoted(PROJECT_ROOT),
            logs=_quoted(where.logs),
        )
        for priority, program in enumerate(programs, start=1):
            text += PROGRAM.format(
                name=program.name,
                python=_quoted(Path(sys.executable)),
                variable=PROGRAM_VARIABLE,
                priority=priority,
                stop_signal=program.stop_signal,
                stop_seconds=program.stop_seconds,
                children=str(program.children).lower(),
                log=_quoted(where.log(program.name)),
            )
        self.configuration.write_text(text)

    def _call(self, method: str, *arguments: object) -> Any:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self.socket)) as server:
            return getattr(server.supervisor, method)(*arguments)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


def _program(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(PROGRAM_VARIABLE)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _quoted(path: Path) -> str:
    """supervisord expands `%` in values."""
    return str(path).replace("%", "%%")
