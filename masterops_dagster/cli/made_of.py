"""From which code each running program was started, so that `up` knows which ones are older than the code.

A program writes down the fingerprint of the files that it is made of when it becomes itself: also when supervisord
restarts it. PostgreSQL is made of none of ours.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from masterops_dagster.cli.manifest import NOT_SOURCES
from masterops_dagster.cli.processes import Places, Program
from masterops_dagster.settings import PROJECT_ROOT

DAGSTER_OURS = ("dagster.yaml", "masterops_dagster/defs/storage.py", "masterops_dagster/defs/launcher.py")
MADE_OF: dict[str, tuple[str, ...]] = {
    "world": ("requirements.lock", "masterops_dagster/businesses.py", "masterops_dagster/simulator"),
    "code-server": ("requirements.lock", ".env", "masterops_dagster", "dbt_project"),
    "webserver": ("requirements.lock", *DAGSTER_OURS),
    "daemon": ("requirements.lock", *DAGSTER_OURS),
    "status-page": ("requirements.lock", ".env", "masterops_dagster", "docs/runbooks"),
    "watch": ("requirements.lock", ".env", "masterops_dagster"),
}
"""Files and folders of the project, by program. What knows settings is made of `.env`, too."""


def remember(where: Places, name: str) -> None:
    """Writes down from which code the program starts now."""
    if name in MADE_OF:
        where.supervisor.mkdir(mode=0o700, parents=True, exist_ok=True)
        _note(where, name).write_text(fingerprint(name))


def outdated(where: Places, programs: Sequence[Program]) -> list[str]:
    """The programs that were started from other code than is there now, or nobody knows from which."""
    return [program.name for program in programs if program.name in MADE_OF and not _is_current(where, program.name)]


def fingerprint(name: str, root: Path = PROJECT_ROOT) -> str:
    """Of names and contents of the files that a program is made of."""
    digest = hashlib.sha256()
    for path in _files(root, MADE_OF[name]):
        digest.update(f"\0{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_current(where: Places, name: str) -> bool:
    note = _note(where, name)
    return note.exists() and note.read_text() == fingerprint(name)


def _files(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    for part in parts:
        if (root / part).is_file():
            yield root / part
        for folder, inner, names in os.walk(root / part):
            inner[:] = sorted(set(inner) - NOT_SOURCES)
            yield from (Path(folder, name) for name in sorted(set(names) - NOT_SOURCES))


def _note(where: Places, name: str) -> Path:
    return where.supervisor / f"{name}.made-of"
