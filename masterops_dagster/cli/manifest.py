"""dbt's manifest, made at set-up and never at load: anew only when a file of the dbt project has changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from masterops_dagster.cli.problems import Problem
from masterops_dagster.settings import PROJECT_ROOT

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
NOT_SOURCES = frozenset({"target", "logs", ".user.yml", "__pycache__"})


def ensure_manifest(project: Path = DBT_PROJECT) -> bool:
    """Makes `target/manifest.json` if it is missing or older than the project's content; returns whether it did.

    Two processes at once are safe: one waits for the other. Raises `Problem` with dbt's own words.
    """
    target = project / "target"
    target.mkdir(exist_ok=True)
    manifest, stamp = target / "manifest.json", target / "manifest.made-from"
    with (target / "manifest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint(project)
        if manifest.exists() and stamp.exists() and stamp.read_text() == wanted:
            return False
        stamp.unlink(missing_ok=True)
        command = [sys.executable, "-m", "dbt.cli.main", "--quiet", "parse"]
        done = subprocess.run(
            [*command, "--project-dir", str(project), "--profiles-dir", str(project)],
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Problem(f"dbt can't parse {project}:\n{(done.stdout + done.stderr).strip()}")
        stamp.write_text(wanted)
        return True


def fingerprint(project: Path) -> str:
    """Of the names and contents of the project's files, and of dbt's version."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-postgres')}".encode())
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        if path.is_file() and not NOT_SOURCES.intersection(relative.parts):
            digest.update(f"\0{relative}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    try:
        ensure_manifest()
    except Problem as problem:
        sys.exit(str(problem))
