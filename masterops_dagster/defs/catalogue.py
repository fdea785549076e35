"""What the catalogue shows of a dbt model beyond its definition: rows of tables, columns and where they come from.

dagster-dbt works column lineage out anew in every run: 18 s of CPU for the staging views, more than dbt itself takes.
It changes only with the manifest, so it is worked out once for each and kept beside it.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation
from psycopg import sql

from masterops_dagster.database.connection import connect

COLUMN_METADATA = ("dagster/column_schema", "dagster/column_lineage")
STORED = frozenset({"table", "incremental", "snapshot"})
"""Counted after each build; a view is only as long as the table that it reads."""


def described(context: dg.AssetExecutionContext, invocation: DbtCliInvocation, manifest: Path) -> Iterator[Any]:
    """The events of a dbt invocation, with row counts, columns and column lineage."""
    kept = _ColumnMetadata(context.op.name, manifest)
    stream = invocation.stream() if kept.known else invocation.stream().fetch_column_metadata()
    with connect(application_name="masterops catalogue") as connection:
        for event in stream:
            if not isinstance(event, dg.Output):
                yield event
                continue
            key = context.asset_key_for_output(event.output_name)
            metadata = {**event.metadata, **kept.of(key)}
            kept.keep(key, event.metadata)
            definition = context.assets_def.metadata_by_key[key]
            if definition.get("dagster-dbt/materialization_type") in STORED:
                metadata["dagster/row_count"] = _rows(connection, str(definition["dagster/table_name"]))
            yield event.with_metadata(metadata)
    if invocation.is_successful():
        kept.save(whole=len(context.selected_asset_keys) == len(context.assets_def.keys))


def _rows(connection: Any, table_name: str) -> int:
    schema, table = table_name.split(".")[-2:]
    query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
    return int(connection.execute(query).fetchone()[0])


class _ColumnMetadata:
    """Columns and lineage by asset key, kept in one file for each manifest and dbt asset definition."""

    def __init__(self, name: str, manifest: Path) -> None:
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]
        self._file = manifest.parent / "columns" / f"{name}-{digest}.json"
        self._by_key: dict[str, dict[str, str]] = json.loads(self._file.read_text()) if self._file.exists() else {}

    @property
    def known(self) -> bool:
        """Whether an earlier run of this manifest worked them out."""
        return self._file.exists()

    def of(self, key: dg.AssetKey) -> dict[str, Any]:
        """What is kept for an asset; nothing in the run that works it out."""
        kept = self._by_key.get(key.to_user_string(), {}) if self.known else {}
        return {name: dg.deserialize_value(value) for name, value in kept.items()}

    def keep(self, key: dg.AssetKey, metadata: Any) -> None:
        """Takes from an event what is to be kept."""
        found = {name: dg.serialize_value(metadata[name]) for name in COLUMN_METADATA if name in metadata}
        if found and not self.known:
            self._by_key[key.to_user_string()] = found

    def save(self, *, whole: bool) -> None:
        """Writes the file once, after a run of all models; older manifests' files go."""
        if self.known or not whole:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for old in self._file.parent.glob(f"{self._file.name.rsplit('-', 1)[0]}-*.json"):
            old.unlink()
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self._by_key))
        part.replace(self._file)
