"""Raw assets: two per account, the streams with day partitions and those without, each one call of `ingest`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.defs import links
from masterops_dagster.defs.partitions import DAYS, window
from masterops_dagster.sources.catalogue import asset_key, partitioned, streams_of
from masterops_dagster.sources.stream import INGEST_COLUMNS, Stream

ACCEPT = "masterops refresh --accept-deletions"
"""What to do if rows that were held back as gone are gone indeed."""

if TYPE_CHECKING:
    from masterops_dagster.sources.ingest import StreamReport


def asset_spec(account: Account, stream: Stream) -> dg.AssetSpec:
    """What the catalogue shows of a stream before its first load."""
    table = f"{account.schema}.{stream.name}"
    columns = [
        dg.TableColumn(c.name, str(c.type), description=c.path or None) for c in (*stream.columns, *INGEST_COLUMNS)
    ]
    return dg.AssetSpec(
        asset_key(account, stream),
        description=stream.description,
        kinds={"dlt", account.system, "postgres"},
        metadata={
            "dagster/table_name": table,
            "dagster/column_schema": dg.TableSchema(columns),
            "key": ", ".join(stream.key),
            "mode": stream.mode.value,
            "cursor": stream.modified or "none",
        },
        tags={"account": account.key, **({"business": account.business_key} if account.business_key else {})},
    )


def check_specs(account: Account, stream: Stream) -> list[dg.AssetCheckSpec]:
    """Every stream is held against the system's own figures, and warns of rows that could not be loaded."""
    key = asset_key(account, stream)
    return [
        dg.AssetCheckSpec("reconciled", asset=key, description="The system has as many rows as we hold."),
        dg.AssetCheckSpec("no_dead_letters", asset=key, description="Every row that was read fits its declared types."),
    ]


def result(account: Account, stream: Stream, report: "StreamReport") -> dg.MaterializeResult[None]:
    """One stream's load as Dagster's metadata and checks."""
    reconciled = report.source_count in (None, report.our_count) and not report.held_back
    gap = "deletions_held" if report.held_back else "reconciliation_gap"
    return dg.MaterializeResult(
        asset_key=asset_key(account, stream),
        metadata={
            "dagster/partition_row_count": report.rows,
            "dagster/row_count": report.our_count,
            "requests": report.requests,
            "deleted": report.deleted,
            "held_back": report.held_back,
            "dead_letters": report.dead_letters,
            "seconds": report.seconds,
            "load_id": report.load_id,
            "watermark": report.watermark.isoformat() if report.watermark else "none",
            "simulated": report.simulated,
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key=asset_key(account, stream),
                check_name="reconciled",
                passed=reconciled,
                metadata={
                    "source": report.source_count if report.source_count is not None else "no count",
                    "ours": report.our_count,
                    **({"held_back": report.held_back, "accept": ACCEPT} if report.held_back else {}),
                    **({} if reconciled else links.of_incident(gap, account.key)),
                },
            ),
            dg.AssetCheckResult(
                asset_key=asset_key(account, stream),
                check_name="no_dead_letters",
                passed=report.open_dead_letters == 0,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "dead_letters": report.open_dead_letters,
                    "show": "masterops dead-letters list",
                    **(links.of_incident("dead_letters", account.key) if report.open_dead_letters else {}),
                },
            ),
        ],
    )


def raw_assets(
    account: Account, streams: Sequence[Stream], name: str, days: dg.PartitionsDefinition | None
) -> dg.AssetsDefinition:
    """One operation loads the selected streams of an account; the account's pool keeps it alone on its pipeline."""

    @dg.multi_asset(
        name=f"{account.key}_{name}",
        specs=[asset_spec(account, stream) for stream in streams],
        check_specs=[spec for stream in streams for spec in check_specs(account, stream)],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run() if days else None,
        can_subset=True,
        pool=account.key,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from masterops_dagster.observability import logging
        from masterops_dagster.observability.telemetry import recorded, request_sink, scope, told
        from masterops_dagster.sources.ingest import IngestFailed, ingest

        selected = [
            stream for stream in streams if dg.AssetKey(asset_key(account, stream)) in context.selected_asset_keys
        ]
        failure = None
        logging.configure()
        with recorded(operation="run", run_id=context.run.run_id, job=context.run.job_name):
            try:
                report = ingest(
                    account,
                    selected,
                    window(context),
                    run_id=context.run.run_id,
                    progress=told(context.log.info),
                    sink=request_sink(),
                    scope=scope,
                )
            except IngestFailed as error:
                report, failure = error.report, error
        for stream in selected:
            if report.stream(stream.name).error is None:
                yield result(account, stream, report.stream(stream.name))
        if failure is not None:
            raise failure

    return load


def all_raw_assets() -> list[dg.AssetsDefinition]:
    """The raw assets of every account."""
    assets = []
    for account in ACCOUNTS:
        streams = streams_of(account)
        for name, days in (("by_day", DAYS), ("whole", None)):
            group = [stream for stream in streams if partitioned(account, stream) == (days is not None)]
            if group:
                assets.append(raw_assets(account, group, name, days))
    return assets
