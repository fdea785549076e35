"""Why something failed: the error of the work itself, not what Dagster or a load wrapped round it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from masterops_dagster.observability.logging import Redaction, known_secrets
from masterops_dagster.settings import settings

LONGEST_MESSAGE = 4_000
WRAPPERS = ("Dagster", "RetryRequested", "SensorExecutionError", "ScheduleExecutionError", "PartitionExecutionError")
"""How the names of errors begin in which Dagster wraps those of our code."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The class of an error, without its module, and what it said."""

    error_class: str | None
    message: str


def own_error(error: Mapping[str, Any] | None) -> Failure | None:
    """The error as Dagster keeps it, without Dagster's wrappers where they say what caused them."""
    if error is None:
        return None
    while (error["cls_name"] or "").startswith(WRAPPERS) and error.get("cause"):
        error = error["cause"]
    name: str | None = error["cls_name"]
    said = re.sub(rf"^[\w.]*\b{re.escape(name)}: ", "", error["message"]) if name else error["message"]
    return Failure(name.rpartition(".")[2] if name else None, said.strip())


def storable(message: str) -> str:
    """A message without secrets and without what PostgreSQL can't hold, and not endless."""
    return Redaction(known_secrets(settings())).text(message).replace("\x00", "\ufffd")[:LONGEST_MESSAGE]
