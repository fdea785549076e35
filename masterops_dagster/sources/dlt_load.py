"""Spooled rows into PostgreSQL: one dlt pipeline per account, parquet over COPY into staging tables, then a merge.

What was left of an earlier run is dropped, never loaded: its rows are read again, since cursors move only after a load.
Lines that are gone are deleted by `settle.py`, in the transaction that moves the cursor.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import structlog

from masterops_dagster.businesses import Account
from masterops_dagster.database.connection import connect
from masterops_dagster.settings import settings
from masterops_dagster.sources import disk, merge
from masterops_dagster.sources.catalogue import table_columns
from masterops_dagster.sources.spool import Spooled
from masterops_dagster.sources.stream import Column, Type

if TYPE_CHECKING:
    from dlt.common.schema.typing import TColumnSchema
    from dlt.extract import DltResource
    from dlt.pipeline.pipeline import Pipeline

DATA_TYPES: dict[Type, TColumnSchema] = {
    Type.TEXT: {"data_type": "text"},
    Type.INTEGER: {"data_type": "bigint"},
    Type.BOOLEAN: {"data_type": "bool"},
    Type.DECIMAL: {"data_type": "decimal", "precision": 24, "scale": 6},
    Type.TIMESTAMP: {"data_type": "timestamp", "precision": 6, "timezone": True},
    Type.DATE: {"data_type": "date"},
    Type.JSON: {"data_type": "json"},
}

LOAD_WORKERS = 2
"""Tables loaded at once; each takes two connections."""

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # dlt starts its telemetry while it is imported, so this comes first

log = structlog.get_logger()


class LoadFailed(RuntimeError):
    """dlt could not load the rows; the message is PostgreSQL's where there is one."""


def application_name(account: Account) -> str:
    """The name under which dlt's connections for an account show in `pg_stat_activity`."""
    return f"masterops-load-{account.key}"[:63]


def load(account: Account, url: str, spooled: Sequence[Spooled]) -> str:
    """Merges the rows into the account's raw tables, all tables or none, and returns dlt's load id.

    Only one load of an account may run at a time. Raises `LoadFailed`, or `DiskFull` where that is why.
    """
    with disk.told_when_full(LoadFailed):
        return _load(account, url, spooled)


def _load(account: Account, url: str, spooled: Sequence[Spooled]) -> str:
    folder = settings().state_dir / "dlt"
    os.environ["DLT_DATA_DIR"] = str(folder)
    import dlt
    from dlt.pipeline.exceptions import PipelineStepFailed

    from masterops_dagster.sources.copying import Copying

    dlt.config["restore_from_destination"] = False
    dlt.config["load.workers"] = LOAD_WORKERS
    dlt.config["load.raise_on_max_retries"] = 2
    drop_pending(account, folder)
    streams = [rows.stream for rows in spooled]
    name = application_name(account)
    destination = Copying(credentials=_named(url, name), destination_name="postgres")
    pipeline = dlt.pipeline(
        account.key,
        pipelines_dir=str(folder / "pipelines"),
        destination=destination,
        dataset_name=merge.staging_schema(account),
    )
    try:
        with connect(url, application_name=name) as connection:
            merge.open_staging(connection, account, streams)
            load_id = _copy(pipeline, account, spooled)
            merge.merge_staged(connection, account, streams)
    except (PipelineStepFailed, psycopg.Error) as failure:
        raise LoadFailed(f"{account.key}: {_reason(failure)}") from failure
    finally:
        destination.close()
        shutil.rmtree(_working_folder(account, folder), ignore_errors=True)
    return load_id


def _copy(pipeline: Pipeline, account: Account, spooled: Sequence[Spooled]) -> str:
    """Copies the files into the staging tables."""
    import dlt

    loaded = pipeline.run(
        [_resource(rows) for rows in spooled], schema=dlt.Schema(account.schema), loader_file_format="parquet"
    )
    (load_id,) = loaded.loads_ids
    return load_id


def drop_pending(account: Account, folder: Path) -> None:
    """Deletes what a run of the account's pipeline left: half-written packages, extracted or loaded in part."""
    working = _working_folder(account, folder)
    if working.exists():
        pending = [path.name for place in ("extracted", "normalized") for path in working.glob(f"*/{place}/*")]
        log.info("dropped what an unfinished load left; its rows are read again", account=account.key, pending=pending)
        shutil.rmtree(working)


def _working_folder(account: Account, folder: Path) -> Path:
    return folder / "pipelines" / account.key


def _resource(spooled: Spooled) -> DltResource:
    import dlt

    def rows() -> Iterator[Any]:
        for path in spooled.paths:
            yield dlt.mark.with_file_import(str(path), "parquet")

    stream = spooled.stream
    return dlt.resource(
        rows,
        name=stream.name,
        columns=[_hint(column) for column in table_columns(stream)],
        write_disposition="append",
        schema_contract={"tables": "evolve", "columns": "evolve", "data_type": "freeze"},
    )


def _hint(column: Column) -> TColumnSchema:
    """All columns are nullable, as in the files: a difference would have dlt write each file once more."""
    return {"name": column.name, "nullable": True, **DATA_TYPES[column.type]}


def _named(url: str, name: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}application_name={quote(name)}"


def _reason(failure: BaseException) -> str:
    """The first line of the innermost message: PostgreSQL's own, without the lines that quote the row."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return str(failure).strip().partition("\n")[0]
