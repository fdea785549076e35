"""A running platform takes new code and migrations: `up` again, and nothing that runs is broken by it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.dagster_client import Dagster
from masterops_dagster.cli.ports import any_free
from masterops_dagster.settings import PROJECT_ROOT

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PARTS = ("masterops_dagster", "dbt_project", "supabase", "dagster.yaml", "pyproject.toml", "requirements.lock")
NEW_JOB = """

@dg.op
def greet() -> None:
    \"\"\"Came with the new code.\"\"\"


@dg.job
def greeting() -> None:
    greet()
"""


@dataclass(frozen=True)
class Installation:
    """A copy of the project, which a test may change, and a platform that runs from it."""

    root: Path
    state: Path
    port: int

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        ours = ("MASTEROPS_", "SUPABASE_", "DAGSTER_", *(f"{account.key}_".upper() for account in ACCOUNTS))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment |= {
            "MASTEROPS_STATE_DIR": str(self.state),
            "MASTEROPS_WEBSERVER_PORT": str(self.port),
            "PYTHONPATH": str(self.root),
            "COLUMNS": "200",
        }
        return subprocess.run(
            [sys.executable, "-c", "from masterops_dagster.cli.main import app; app()", *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return content

    def pids(self) -> dict[str, int]:
        return {service["name"]: service["pid"] for service in self.status()["services"]}

    def change(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    root = tmp_path / "project"
    for part in PARTS:
        source = PROJECT_ROOT / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("logs", "*-???????-???????"))
        else:
            shutil.copy(source, root / part)
    made = Installation(root, tmp_path / "state", any_free())
    yield made
    made.run("down")


def test_new_code_and_a_migration_reach_a_running_platform_and_the_run_under_way_ends_well(
    installation: Installation,
) -> None:
    first = installation.run("up", "--detach", "--scale", "0.02")
    assert first.returncode == 0, first.stdout + first.stderr
    before = installation.pids()
    installation.change("masterops_dagster/defs/schedules.py", "\nnightly_history =", f"{NEW_JOB}\nnightly_history =")
    installation.change("masterops_dagster/definitions.py", "jobs=[", "jobs=[schedules.greeting, ")
    migration = installation.root / "supabase" / "migrations" / "20990101000000_new.sql"
    migration.write_text("alter table ops.loads add column note text;")
    url = f"http://127.0.0.1:{installation.port}"
    with Dagster(url) as dagster:
        run_id = dagster.launch("refresh", dagster.tick_tags("hourly_refresh"))
        deadline = time.monotonic() + 120
        while run_id not in {run.run_id for run in dagster.runs(statuses=["STARTED"], limit=20)}:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    again = installation.run("up", "--detach")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "new code: code-server starts anew" in again.stdout
    assert "20990101000000 new" in again.stdout
    after = installation.pids()
    assert {name for name in before if before[name] != after[name]} == {"code-server", "daemon"}
    with Dagster(url) as dagster:
        assert [run.status for run in dagster.runs(limit=20) if run.run_id == run_id] == ["SUCCESS"]
        assert dagster.launch("greeting", {})
    assert installation.status()["healthy"]
    password = (installation.state / "postgres" / "password").read_text()
    conf = (installation.state / "postgres" / "data" / "masterops.conf").read_text()
    port = next(line.split("=")[1].strip() for line in conf.splitlines() if line.startswith("port"))
    with psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/masterops") as connection:
        assert connection.execute("select count(note) from ops.loads").fetchone() == (0,)

    third = installation.run("up", "--detach")

    assert third.returncode == 0
    assert "new code" not in third.stdout
    assert installation.pids() == after
