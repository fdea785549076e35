"""Files that each run leaves behind: Dagster's compute logs and dbt's target folders. The old ones are deleted."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from masterops_dagster.database.dbt import PROJECT_DIR
from masterops_dagster.settings import settings

DBT_RUN = re.compile(r".+-[0-9a-f]{7}-[0-9a-f]{7}")
"""`target/<operation>-<run>-<number>`, as dagster-dbt names it."""


def delete_old(older_than: timedelta, *, dagster_home: Path | None = None, dbt_target: Path | None = None) -> int:
    """Deletes what runs left that ended longer ago than that; returns how many folders."""
    storage = (dagster_home or settings().state_dir / "dagster") / "storage"
    folders = [*_compute_logs(storage), *_dbt_runs(dbt_target or PROJECT_DIR / "target")]
    before = time.time() - older_than.total_seconds()
    old = [folder for folder in folders if _last_written(folder) < before]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _compute_logs(storage: Path) -> Iterator[Path]:
    """The folders of runs that hold nothing but logs."""
    for logs in storage.glob("*/compute_logs"):
        yield logs.parent if len(list(logs.parent.iterdir())) == 1 else logs


def _dbt_runs(target: Path) -> Iterator[Path]:
    if target.is_dir():
        yield from (path for path in target.iterdir() if path.is_dir() and DBT_RUN.fullmatch(path.name))


def _last_written(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.rglob("*")) if path.exists()), default=0.0)
