"""dlt's PostgreSQL, whose files of one load share what is learnt once.

Whoever opens an ADBC database reads the types and columns of the whole catalogue, a tenth of a second of CPU; dlt opens
one for each file, and asks all its places for settings anew. Importing this imports dlt.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from adbc_driver_manager import dbapi
from dlt.destinations.impl.postgres.factory import get_adbc_driver_location, postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

if TYPE_CHECKING:
    from dlt.common.destination.client import LoadJob
    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema import Schema
    from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration


class Copying(postgres):
    """A destination for one load. Close it."""

    _database: OneDatabase | None = None
    _without_schema: PostgresClientConfiguration | None = None

    @property
    def client_class(self) -> type[Client]:
        return Client

    def client(self, schema: Schema, initial_config: PostgresClientConfiguration | None = None) -> Client:
        made = super().client(schema, initial_config)  # type: ignore[arg-type]
        assert isinstance(made, Client)
        if self._database is None:
            self._database = OneDatabase(made.config.credentials.to_native_representation())
        made.database = self._database
        return made

    def configuration(
        self, initial_config: PostgresClientConfiguration, accept_partial: bool = False
    ) -> PostgresClientConfiguration:
        if initial_config is not None and initial_config.is_resolved():
            return initial_config
        if not accept_partial:
            return super().configuration(initial_config)
        if self._without_schema is None:
            self._without_schema = super().configuration(initial_config, accept_partial=True)
        return self._without_schema

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


class OneDatabase:
    """The ADBC database of a load: each file's connection is a clone of the first one, which stays."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._first: dbapi.Connection | None = None

    def connect(self) -> dbapi.Connection:
        with self._lock:
            if self._first is None:
                self._first = dbapi.connect(driver=get_adbc_driver_location(), db_kwargs={"uri": self._uri})
            return self._first.adbc_clone()

    def close(self) -> None:
        if self._first is not None:
            self._first.close()


class Client(PostgresClient):
    database: OneDatabase

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return FileCopy(file_path) if isinstance(job, PostgresParquetCopyJob) else job


class FileCopy(PostgresParquetCopyJob):
    def _connect(self) -> dbapi.Connection:
        assert isinstance(self._job_client, Client)
        return self._job_client.database.connect()
