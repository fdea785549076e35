"""What belongs together: the ids of the run, account, stream and request, on everything that is recorded within.

    with bound(run_id=context.run_id, account="unleashed_teelixir"):
        log.info("…")    # the log line, the row in ops.integration_logs and every request carry both

They are structlog's context variables, so that lower rooms bind them without knowing this one. Subprocesses get the
run's id in `MASTEROPS_RUN_ID`; dbt writes it into run_results.json.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.typing import EventDict, WrappedLogger

RUN_ID = "MASTEROPS_RUN_ID"
FOR_DBT = "DBT_ENV_CUSTOM_ENV_MASTEROPS_RUN_ID"
"""dbt keeps what begins so, as `metadata.env.MASTEROPS_RUN_ID` of each of its artifacts."""


@contextmanager
def bound(**ids: object) -> Iterator[None]:
    """Everything recorded within carries the ids; None leaves an outer one as it is."""
    with structlog.contextvars.bound_contextvars(**{name: value for name, value in ids.items() if value is not None}):
        yield


def current() -> dict[str, object]:
    """What is bound here; the run's id from the environment if none is."""
    inherited = os.environ.get(RUN_ID)
    ids = structlog.contextvars.get_contextvars()
    return {"run_id": inherited, **ids} if inherited else ids


def merge(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: adds what is bound to the event; its own fields win."""
    return {**current(), **event}


@contextmanager
def handed_on(run_id: str) -> Iterator[None]:
    """Subprocesses started within know the run."""
    before = {name: os.environ.get(name) for name in (RUN_ID, FOR_DBT)}
    os.environ.update(dict.fromkeys(before, run_id))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
