"""When things run: a refresh every hour, a sweep of all keys every night, and what is deleted when it is old."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from masterops_dagster.defs.history import history
from masterops_dagster.defs.partitions import live_tags, sweep_tags
from masterops_dagster.settings import settings

TIMEZONE = "Australia/Melbourne"
STATUS = dg.DefaultScheduleStatus.STOPPED if settings().development_server else dg.DefaultScheduleStatus.RUNNING
RUN_LIMIT = {"dagster/max_runtime": str(settings().max_run_minutes * 60)}

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all(),
    description="Ingest what changed in every system, then build everything that stands on it.",
    tags=RUN_LIMIT,
    executor_def=dg.in_process_executor,
)

sweep = dg.define_asset_job(
    "sweep",
    selection=dg.AssetSelection.all(),
    description="Compare all keys with every system, mark what is gone, fetch what is missing, then build.",
    tags=RUN_LIMIT,
    executor_def=dg.in_process_executor,
)


@dg.schedule(job=refresh, cron_schedule="7 * * * *", execution_timezone=TIMEZONE, default_status=STATUS)
def hourly_refresh() -> dg.RunRequest:
    """Reaches back over the days since the last live load, so that no day stays missing after an outage."""
    from masterops_dagster.sources.loads import loaded_until

    return dg.RunRequest(tags=live_tags(loaded_until()))


@dg.schedule(job=sweep, cron_schedule="30 2 * * *", execution_timezone=TIMEZONE, default_status=STATUS)
def nightly_sweep() -> dg.RunRequest:
    """Finds deletions that no cursor shows."""
    return dg.RunRequest(tags=sweep_tags())


@dg.op(description="Deletes Dagster's own events that are older than their retention; materialisations stay.")
def purge_dagster_events(context: dg.OpExecutionContext) -> None:
    from masterops_dagster.database.retention import purge_dagster_events as purge

    deleted = purge(older_than=timedelta(days=settings().dagster_event_retention_days))
    context.log.info(f"deleted {deleted} events older than {settings().dagster_event_retention_days} days")


@dg.op(description="Deletes old days of stock snapshots but for the ends of months, and rows deleted long ago.")
def purge_raw_rows(context: dg.OpExecutionContext) -> None:
    from masterops_dagster.sources.retention import forget_deleted, thin_snapshots

    thinned = thin_snapshots(timedelta(days=settings().stock_snapshot_daily_days))
    forgotten = forget_deleted(timedelta(days=settings().deleted_row_retention_days))
    context.log.info(f"deleted {sum(thinned.values())} rows of snapshots, {sum(forgotten.values())} deleted rows")


@dg.op(
    description="Makes the next month of telemetry, drops old ones; deletes old reconciliations, resolved dead letters."
)
def purge_telemetry(context: dg.OpExecutionContext) -> None:
    from masterops_dagster.database import retention as database
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import partitions

    at = datetime.now(UTC)
    with connect() as connection:
        made = partitions.ready(connection, at)
        dropped = partitions.drop_old(connection, at)
        kept = partitions.days_of(connection, "reconciliations")
    compared = database.purge_reconciliations(timedelta(days=kept))
    letters = database.purge_dead_letters(timedelta(days=settings().resolved_dead_letter_retention_days))
    context.log.info(f"{made} months made, {dropped.said}; deleted {compared} reconciliations, {letters} dead letters")


@dg.op(description="Deletes the compute logs and dbt artifacts of old runs.")
def purge_run_files(context: dg.OpExecutionContext) -> None:
    from masterops_dagster.observability.run_files import delete_old

    deleted = delete_old(timedelta(days=settings().run_file_retention_days))
    context.log.info(f"deleted {deleted} folders of old runs")


@dg.job(
    description="Deletes what is old: Dagster's events, raw snapshots and deleted rows, telemetry, files of runs.",
    executor_def=dg.in_process_executor,
    tags=RUN_LIMIT,
)
def retention() -> None:
    purge_dagster_events()
    purge_raw_rows()
    purge_telemetry()
    purge_run_files()


nightly_history = dg.ScheduleDefinition(
    job=history, cron_schedule="0 4 * * *", execution_timezone=TIMEZONE, default_status=STATUS
)
nightly_retention = dg.ScheduleDefinition(
    job=retention, cron_schedule="15 3 * * *", execution_timezone=TIMEZONE, default_status=STATUS
)
