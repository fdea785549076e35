"""A real n8n on loopback, from npm, with its data in a PostgreSQL of ours: what our stand-in is held against.

    with running(database_url, folder) as n8n:
        n8n.url, n8n.api_key

The first use installs 3 GB into the user's cache, which takes minutes; later ones start in less than one. n8n 2 wants
Node 24, which npm carries as a package; its SQLite driver needs a compiler, PostgreSQL none.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

N8N_VERSION = "2.39.10"
NODE_VERSION = "24.21.0"
START_SECONDS = 180.0
SCOPES = (
    *("workflow:create", "workflow:read", "workflow:list", "workflow:update", "workflow:delete"),
    *("workflow:activate", "workflow:deactivate", "workflowTags:update", "workflowTags:list"),
    *("execution:read", "execution:list", "execution:retry", "execution:stop", "execution:delete"),
    *("tag:create", "tag:list", "tag:delete", "credential:create", "credential:list", "credential:delete"),
    "securityAudit:generate",
)


@dataclass(frozen=True)
class RealN8N:
    """A server that answers. `limited_key` is a key that may only list tags."""

    url: str
    api_key: str
    limited_key: str


def place() -> Path:
    """Where this version is installed; `MASTEROPS_TEST_N8N_DIR` says otherwise."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MASTEROPS_TEST_N8N_DIR") or cache / "masterops" / f"n8n-{N8N_VERSION}")


def node_package() -> str:
    """The npm package with this machine's Node."""
    system = {"linux": "linux", "darwin": "darwin"}[platform.system().lower()]
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine().lower()]
    return f"node-{system}-{machine}"


def install() -> Path:
    """Installs n8n and its Node, once. Returns the folder. Raises `RuntimeError` without npm, or where npm fails.

    A folder that isn't whole has no `installed`, and npm goes on with it.
    """
    directory = place()
    if (directory / "installed").exists():
        return directory
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm was not found: install it (Debian: apt-get install npm) to run a real n8n")
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {"private": True, "dependencies": {"n8n": N8N_VERSION, node_package(): NODE_VERSION}}
    (directory / "package.json").write_text(json.dumps(wanted))
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"npm could not install n8n {N8N_VERSION}: {done.stderr[-2000:]}")
    (directory / "installed").touch()
    return directory


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[RealN8N]:
    """Starts n8n on an empty database, with an owner and keys; ends it with the `with` block.

    `folder` takes its settings and log. Raises `RuntimeError`, with the end of the log, if it doesn't come up.
    """
    program = install()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log_file = folder / "n8n.log"
    node = program / "node_modules" / node_package() / "bin" / "node"
    command = [str(node), str(program / "node_modules" / "n8n" / "bin" / "n8n"), "start"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(database_url, folder, port, node), stdout=log, stderr=log
        )
    try:
        _await_ready(url, process, log_file)
        yield RealN8N(url, *_keys(url))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(database_url: str, folder: Path, port: int, node: Path) -> dict[str, str]:
    database = urlsplit(database_url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        broker = free.getsockname()[1]
    return {
        "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "N8N_USER_FOLDER": str(folder),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_PORT": str(port),
        "N8N_RUNNERS_BROKER_PORT": str(broker),
        "N8N_SECURE_COOKIE": "false",
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        "N8N_TEMPLATES_ENABLED": "false",
        "N8N_PERSONALIZATION_ENABLED": "false",
        "DB_TYPE": "postgresdb",
        "DB_POSTGRESDB_HOST": str(database.hostname),
        "DB_POSTGRESDB_PORT": str(database.port),
        "DB_POSTGRESDB_USER": str(database.username),
        "DB_POSTGRESDB_PASSWORD": str(database.password),
        "DB_POSTGRESDB_DATABASE": database.path.lstrip("/"),
    }


def _await_ready(url: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz/readiness", timeout=2.0).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise RuntimeError(f"n8n didn't come up: {log_file.read_text(errors='replace')[-3000:]}")


def _keys(url: str) -> tuple[str, str]:
    """Makes the owner, as a person would in the browser, and two keys."""
    person = {"email": "owner@example.com", "password": f"Aa1{secrets.token_hex(8)}"}
    with httpx.Client(base_url=url, timeout=30.0) as browser:
        setup = browser.post("/rest/owner/setup", json={**person, "firstName": "Owner", "lastName": "Example"})
        setup.raise_for_status()
        login = {"emailOrLdapLoginId": person["email"], "password": person["password"]}
        browser.post("/rest/login", json=login).raise_for_status()
        keys = []
        for label, scopes in (("all", SCOPES), ("limited", ("tag:list",))):
            made = browser.post("/rest/api-keys", json={"label": label, "expiresAt": None, "scopes": scopes})
            made.raise_for_status()
            keys.append(str(made.json()["data"]["rawApiKey"]))
    return keys[0], keys[1]
