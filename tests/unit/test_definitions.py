"""What Dagster is told: it loads, says what everything is, and changes of the graph show in review.

Dagster is imported by the tests, since every test process imports this module and only one runs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.cli.manifest import ensure_manifest
from masterops_dagster.sources.catalogue import asset_key, partitioned, streams_of

if TYPE_CHECKING:
    import dagster as dg

SNAPSHOT = Path(__file__).parent.parent / "data" / "definitions.json"


@pytest.fixture(scope="module")
def definitions():
    import dagster as dg

    ensure_manifest()
    from masterops_dagster.definitions import defs

    dg.Definitions.validate_loadable(defs)
    return defs


def picture(definitions: dg.Definitions) -> dict[str, object]:
    """All that a reviewer should see change: assets with what they stand on, checks, jobs, schedules, sensors."""
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    assets = {
        key.to_user_string(): {
            "group": graph.get(key).group_name,
            "partitions": "days" if graph.get(key).partitions_def else None,
            "depends_on": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
        }
        for key in graph.get_all_asset_keys()
    }
    return {
        "assets": dict(sorted(assets.items())),
        "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "schedules": {s.name: [s.cron_schedule, s.default_status.value] for s in repository.schedule_defs},
        "sensors": {s.name: [s.minimum_interval_seconds, s.default_status.value] for s in repository.sensor_defs},
    }


def test_a_change_of_the_graph_shows_in_review(definitions):
    assert picture(definitions) == json.loads(SNAPSHOT.read_text()), (
        "the definitions changed; if that is meant, run `python -m tests.unit.test_definitions` and commit the file"
    )


def test_every_asset_says_what_it_is_whose_it_is_and_where_it_lies(definitions):
    for spec in definitions.resolve_all_asset_specs():
        if spec.key.path[0] == "ops":
            continue
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name == spec.key.path[0]
        assert spec.metadata.get("dagster/table_name"), spec.key
        assert spec.freshness_policy is not None, spec.key


def test_streams_with_a_business_date_have_days_and_the_others_have_none(definitions):
    import dagster as dg

    graph = definitions.resolve_asset_graph()
    for account in ACCOUNTS:
        for stream in streams_of(account):
            days = graph.get(dg.AssetKey(asset_key(account, stream))).partitions_def
            assert (days is not None) == partitioned(account, stream), stream.name
            if days is not None:
                assert days.timezone == "Australia/Melbourne"


def test_lineage_leads_from_a_raw_stream_through_identity_to_a_kpi(definitions):
    import dagster as dg

    graph = definitions.resolve_asset_graph()
    ancestors = graph.get_ancestor_asset_keys(dg.AssetKey(["kpi", "kpis"]))
    assert dg.AssetKey(["raw", "hubspot", "contacts"]) in ancestors
    assert dg.AssetKey(["raw", "woocommerce", "red_hill_fresh", "order_lines"]) in ancestors
    assert dg.AssetKey(["core", "identities"]) in ancestors


def test_every_stream_is_reconciled_and_loads_are_alone_on_their_account(definitions):
    import dagster as dg

    graph = definitions.resolve_asset_graph()
    checks = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    for account in ACCOUNTS:
        for stream in streams_of(account):
            key = dg.AssetKey(asset_key(account, stream))
            assert {(key, "reconciled"), (key, "no_dead_letters")} <= checks
            assert graph.get(key).pools == {account.key}


def test_schedules_run_by_themselves_except_under_a_development_server():
    script = (
        "from masterops_dagster.defs import schedules as s;"
        "ours = (s.hourly_refresh, s.nightly_sweep, s.nightly_history, s.nightly_retention);"
        "print({schedule.default_status.value for schedule in ours})"
    )
    for variable, status in ({}, "{'RUNNING'}"), ({"DAGSTER_IS_DEV_CLI": "1"}, "{'STOPPED'}"):
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **variable}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == status


def test_what_identity_reads_is_what_dagster_waits_for():
    from masterops_dagster.defs.warehouse import IDENTITY_READS

    folder = Path(__file__).parent.parent.parent / "masterops_dagster" / "identity"
    text = "".join(path.read_text() for path in folder.rglob("*") if path.suffix in (".sql", ".py"))
    assert set(IDENTITY_READS) == set(re.findall(r"staging\.(stg_\w+)", text))


if __name__ == "__main__":
    ensure_manifest()
    from masterops_dagster.definitions import defs

    SNAPSHOT.write_text(json.dumps(picture(defs), indent=1) + "\n")
