"""Day partitions in Melbourne time, and what a run's tag says about how it reads.

A *live* run reads by modification cursor and may touch any row; a *backfill* reads by business date. Which one a run
is stands in its `masterops/kind` tag and is never inferred: a run without the tag is a backfill of its partitions.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from masterops_dagster import clock
from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.settings import settings
from masterops_dagster.sources.window import Window

KIND_TAG = "masterops/kind"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

DAYS = dg.DailyPartitionsDefinition(
    start_date=settings().history_start.isoformat(), timezone="Australia/Melbourne", end_offset=1
)
"""One partition per Melbourne day of a row's business date, today's included."""


LONGEST_RANGE = timedelta(days=7)
"""Each partition of a range costs Dagster 8 ms an asset before the run starts; 31 assets have partitions."""


def live_tags(loaded_until: datetime | None) -> dict[str, str]:
    """Tags of a live run for the days since the last load, at most `LONGEST_RANGE`, up to today.

    A first load, or one after a longer outage, reads just as much; its earlier days are recorded by `history`.
    Dagster's partitions end on the real day; business time may be ahead of it in `local`.
    """
    today = datetime.now(UTC).astimezone(MELBOURNE).date()
    since = clock.business_day(loaded_until) if loaded_until else today
    start = min(max(since, today - LONGEST_RANGE), today)
    return {KIND_TAG: "live", RANGE_START_TAG: start.isoformat(), RANGE_END_TAG: today.isoformat()}


def sweep_tags() -> dict[str, str]:
    """Tags of a nightly run that compares all keys: it covers today's partition only."""
    return {**live_tags(None), KIND_TAG: "sweep"}


def window(context: dg.AssetExecutionContext) -> Window:
    """How this run reads, by its tag; without one, by business date over its partitions."""
    match context.run.tags.get(KIND_TAG):
        case "live":
            return Window.live()
        case "sweep":
            return Window.sweep()
        case _ if context.assets_def.partitions_def is None:
            return Window.live()
        case _:
            days = context.partition_key_range
            return Window.backfill(date.fromisoformat(days.start), date.fromisoformat(days.end) + timedelta(days=1))
