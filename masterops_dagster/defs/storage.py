"""Dagster's PostgreSQL storage, with connections that a run keeps.

The original opens a connection for each statement: three and more for an event, and a refresh has nearly a thousand
events. Named by the `dagster.yaml` that `masterops up` writes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config

KEPT_CONNECTIONS = 2


class PooledPostgresStorage(DagsterPostgresStorage):
    """Keeps connections in the process of a run, which has one instance and ends.

    A code server makes an instance whenever it needs one: there they would pile up. The webserver has its own pool.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        if multiprocessing.parent_process() is None:
            return
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
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
