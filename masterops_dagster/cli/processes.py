"""The programs of `masterops up`, declared: what runs, where it answers, how it is stopped.

supervisord runs each as `python -m masterops_dagster.cli.program NAME`, which works out environment and arguments at
every start and then becomes the program: no password stands in a file or on a command line.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.cli.ports import HOST, Ports
from masterops_dagster.settings import PROJECT_ROOT, Settings, settings

STATE_VARIABLE = "MASTEROPS_STATE_DIR"
PROGRAM_VARIABLE = "MASTEROPS_PROGRAM"
"""Both stand in the environment of everything that `up` starts: that is how a later `down` knows its own."""

LONGEST_SOCKET_PATH = 90
"""The system's limit is 107 bytes (103 on macOS), and supervisord adds its pid while it makes the socket."""

STORAGE = """\
storage:
  custom:
    module: masterops_dagster.defs.storage
    class: PooledPostgresStorage
    config:
      postgres_url: { env: DAGSTER_DB_URL }
"""


@dataclass(frozen=True, slots=True)
class Program:
    """One program under supervision. `port` is None where the program chooses its own or listens nowhere."""

    name: str
    title: str
    port: Callable[[Settings], int] | None = None
    path: str = ""
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    children: bool = True
    """Whether its child processes are stopped with it; PostgreSQL ends its own."""
    needed: Callable[[Settings], bool] = lambda _: True

    def url(self, ports: Ports) -> str | None:
        """Where a person or a program reaches it; None where it listens on no port of ours."""
        return f"http://{HOST}:{ports[self.name]}{self.path}" if self.port and self.name in ports else None


def simulated_accounts(current: Settings) -> list[Account]:
    """The accounts that the stand-in world answers for: in `local`, those without any credential."""
    if current.env != "local":
        return []
    return [account for account in ACCOUNTS if not current.accounts.get(account.key)]


PROGRAMS = (
    Program(
        "postgres",
        "PostgreSQL",
        stop_signal="INT",
        stop_seconds=60,
        children=False,
        needed=lambda current: current.embedded_database,
    ),
    Program("world", "stand-in world", port=lambda _: 3070, needed=lambda current: bool(simulated_accounts(current))),
    Program("code-server", "Dagster code server", stop_seconds=15),
    Program("webserver", "Dagster UI", port=lambda current: current.webserver_port),
    Program("daemon", "Dagster daemon", stop_seconds=15),
    Program("status-page", "status page", port=lambda current: current.status_page_port),
    Program("watch", "watch"),
)


def programs(current: Settings) -> list[Program]:
    """The programs that these settings need, in the order in which they start."""
    return [program for program in PROGRAMS if program.needed(current)]


@dataclass(frozen=True, slots=True)
class Places:
    """Where `up` keeps its own files, below the state folder."""

    state: Path

    @property
    def postgres(self) -> Path:
        """The embedded server's folder: this state folder's own, whatever the settings of this process name."""
        return self.state / "postgres"

    @property
    def supervisor(self) -> Path:
        return self.state / "supervisor"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def dagster_home(self) -> Path:
        return self.state / "dagster"

    @property
    def ports(self) -> Path:
        return self.state / "ports.json"

    @property
    def lock(self) -> Path:
        return self.state / "up.lock"

    def socket(self, name: str) -> Path:
        """Where something listens that only our own programs talk to: no port that another installation could share.

        In the state folder; where that path is too long for a socket, in a private folder of the temporary one.
        """
        usual = self.supervisor / f"{name}.sock"
        if len(os.fsencode(usual)) <= LONGEST_SOCKET_PATH:
            return usual
        short = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"masterops-{os.getuid()}-{short}" / f"{name}.sock"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"


def places() -> Places:
    """The places of the current state folder, absolute."""
    return Places(settings().state_dir.resolve())


def base_environment(where: Places) -> dict[str, str]:
    """What every program has in common, on top of this process's environment; no secrets."""
    return {
        STATE_VARIABLE: str(where.state),
        "DAGSTER_HOME": str(where.dagster_home),
        "DLT_DATA_DIR": str(where.state / "dlt"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # a run imports a thousand modules: twice as long without bytecode files
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def arguments(name: str, where: Places) -> list[str]:
    """The command line of a program that is not PostgreSQL."""
    ports = Ports(where.ports)
    python, listen = sys.executable, ["-h", HOST, "-p"]
    match name:
        case "world":
            return [
                *(python, "-m", "masterops_dagster.simulator"),
                *("--state", str(where.state), "--port", str(ports[name])),
            ]
        case "code-server":
            return [
                *(python, "-m", "dagster", "api", "grpc", "--socket", str(where.socket(name))),
                *("-m", "masterops_dagster.definitions", "-d", str(PROJECT_ROOT), "--location-name", "masterops"),
                *("--log-level", "warning"),
            ]
        case "webserver":
            workspace = str(where.dagster_home / "workspace.yaml")
            return [python, "-m", "dagster_webserver", *listen, str(ports[name]), "-w", workspace]
        case "daemon":
            return [python, "-m", "dagster._daemon", "run", "-w", str(where.dagster_home / "workspace.yaml")]
        case "status-page":
            return [python, "-m", "masterops_dagster.api", "--port", str(ports[name])]
        case "watch":
            return [str(Path(python).parent / "masterops"), "watch"]
    raise KeyError(f"no program {name!r}")


def write_dagster_home(where: Places) -> None:
    """`dagster.yaml` with its storage, and the workspace that points at our code server."""
    where.dagster_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = (PROJECT_ROOT / "dagster.yaml").read_text()
    (where.dagster_home / "dagster.yaml").write_text(f"{configuration}\n{STORAGE}")
    server = {"socket": str(where.socket("code-server")), "location_name": "masterops"}
    workspace = {"load_from": [{"grpc_server": server}]}
    (where.dagster_home / "workspace.yaml").write_text(json.dumps(workspace, indent=2) + "\n")
