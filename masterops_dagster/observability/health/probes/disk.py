"""Looks whether loads will find room on the disks that they write to."""

from __future__ import annotations

from datetime import datetime

from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.reading import ProbeFailed, Reading
from masterops_dagster.sources.disk import GIB, room


def disk(check: Check, at: datetime) -> Reading:
    """The tightest disk. Raises `ProbeFailed` where loads stop, since less is left than is kept free."""
    found = room()
    if not found.enough:
        raise ProbeFailed(f"{found}. Make room, or set MASTEROPS_STATE_DIR to another disk")
    detail = {"free_bytes": found.free, "kept_free_bytes": found.kept_free}
    values = {"free_gib": round(found.free / GIB, 2)}
    return Reading(values, "" if found.tight else str(found), degraded=str(found) if found.tight else "", detail=detail)
