"""Dagster's PostgreSQL storage, with connections that a run keeps.

The original opens a connection for each statement: three and more for an event, and a refresh has nearly a thousand
events. Named by the `dagster.yaml` that `masterops up` writes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

KEPT_CONNECTIONS = 2


class PooledPostgresStorage(DagsterPostgresStorage):
    """Keeps connections in the process of a run, which has one instance and ends.

    A code server makes an instance whenever it needs one: there they would pile up. The webserver has Dagster's own
    pool, whose connections are looked at before they are used: otherwise the first run that is launched after a restart
    of PostgreSQL is refused, and stays behind as one that never starts.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        storages = (self._run_storage, self._event_log_storage, self._schedule_storage)
        if multiprocessing.parent_process() is None:
            for storage in storages:
                _outlive_restarts(storage)
            return
        for storage in storages:
            storage._engine = create_pg_engine(
                postgres_url,
                None,
                isolation_level="AUTOCOMMIT",
                pool_size=KEPT_CONNECTIONS,
                max_overflow=10,
                pool_pre_ping=True,  # PostgreSQL may have been restarted
            )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        return cls(pg_url_from_config(config_value), inst_data)


def _outlive_restarts(storage: PostgresRunStorage | PostgresEventLogStorage | PostgresScheduleStorage) -> None:
    """Connections that the webserver kept and that are dead are replaced when they are to be used."""
    pooled = storage.optimize_for_webserver

    def optimize_for_webserver(statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        pooled(statement_timeout, pool_recycle, max_overflow)
        event.listen(storage._engine, "checkout", look)

    def look(kept: Any, *_: Any) -> None:
        try:
            storage._engine.dialect.do_ping(kept)
        except storage._engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error

    setattr(storage, "optimize_for_webserver", optimize_for_webserver)  # noqa: B010 -- a method of this object alone
