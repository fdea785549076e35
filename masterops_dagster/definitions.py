"""The one place where everything that Dagster knows is assembled."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from masterops_dagster.database.dbt import PROJECT_DIR
from masterops_dagster.defs import ingestion, monitoring, schedules, warehouse
from masterops_dagster.defs.history import history
from masterops_dagster.defs.policies import with_policies

defs = dg.Definitions(
    assets=dg.map_asset_specs(
        with_policies,
        [*ingestion.all_raw_assets(), warehouse.staging, warehouse.core, warehouse.marts],
    ),
    jobs=[schedules.refresh, schedules.sweep, schedules.retention, history],
    schedules=[
        schedules.hourly_refresh,
        schedules.nightly_sweep,
        schedules.nightly_history,
        schedules.nightly_retention,
    ],
    sensors=[monitoring.monitoring],
    resources={
        "dbt": DbtCliResource(project_dir=str(PROJECT_DIR), dbt_executable=str(Path(sys.executable).parent / "dbt"))
    },
    executor=dg.in_process_executor,
)
