"""What holds for every asset of a layer, declared once and mapped over all specs in `definitions.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

import dagster as dg

from masterops_dagster.defs.links import of_layer

OWNER = "team:data-platform"

FRESHNESS: Mapping[str, dg.FreshnessPolicy] = MappingProxyType(
    {
        "raw": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=4), warn_window=timedelta(hours=2)),
        "staging": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=5), warn_window=timedelta(hours=3)),
        "core": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=5), warn_window=timedelta(hours=3)),
        "intermediate": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=5), warn_window=timedelta(hours=3)),
        "marts": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6), warn_window=timedelta(hours=3)),
        "kpi": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6), warn_window=timedelta(hours=3)),
    }
)
"""How old an asset of a layer may be. The refresh runs hourly: a warning means that two runs in a row are missing."""


def layer(key: dg.AssetKey) -> str:
    """The layer is the first part of every asset key."""
    return key.path[0]


def with_policies(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The spec with its layer's group, freshness and runbook, and the owner where it names none."""
    name = layer(spec.key)
    return spec.replace_attributes(
        metadata={**spec.metadata, **of_layer(name)},
        group_name=name,
        owners=spec.owners or [OWNER],
        freshness_policy=FRESHNESS.get(name),
    )
