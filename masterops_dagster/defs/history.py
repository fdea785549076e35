"""Marks the days that a first load brought in as materialised.

A first load reads everything, but its run is launched for today's partition: Dagster stores a planned event for each
partition of a run's range, one by one, 218 s for 30 assets and 462 days (PostgreSQL storage, 2 cores). So the days
before are recorded afterwards, in a run of their own that nobody waits for; a second one finds nothing to do.
"""

from collections.abc import Iterable

import dagster as dg

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.clock import business_day
from masterops_dagster.defs.partitions import DAYS
from masterops_dagster.sources.catalogue import asset_key, partitioned, streams_of


def dated_assets() -> Iterable[dg.AssetKey]:
    """The keys of all raw assets that have day partitions."""
    for account in ACCOUNTS:
        for stream in streams_of(account):
            if partitioned(account, stream):
                yield dg.AssetKey(asset_key(account, stream))


@dg.op(description="Records each day before the last live load as materialised, where it isn't yet.")
def record_loaded_days(context: dg.OpExecutionContext) -> None:
    from masterops_dagster.sources.loads import loaded_until

    until = loaded_until()
    if until is None:
        context.log.info("nothing was loaded yet")
        return
    days = [day for day in DAYS.get_partition_keys() if day < business_day(until).isoformat()]
    for key in dated_assets():
        known = context.instance.get_materialized_partitions(key)
        missing = [day for day in days if day not in known]
        for day in missing:
            context.instance.report_runless_asset_event(
                dg.AssetMaterialization(key, partition=day, description="Loaded by a live run that read everything.")
            )
        if missing:
            context.log.info(f"{key.to_user_string()}: {len(missing)} days recorded")


@dg.job(
    description="Makes the days that a first load brought in count as materialised.",
    executor_def=dg.in_process_executor,
)
def history() -> None:
    record_loaded_days()
