"""What leads from a check that failed or an asset that is old to the incident, and to the page on what to do."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from masterops_dagster.observability.links import incident_url, runbook_url

STALE_RULES: Mapping[str, str] = {"raw": "stream_stale", "kpi": "kpi_stale"}
"""By layer; what lies between is old when its runs fail."""


def of_rule(rule_id: str) -> dict[str, dg.MetadataValue]:
    """The runbook; nothing where no status page is reachable."""
    url = runbook_url(rule_id)
    return {"runbook": dg.MetadataValue.url(url)} if url else {}


def of_incident(rule_id: str, account_key: str) -> dict[str, dg.MetadataValue]:
    """The runbook, and the open incident of the account where there is one already."""
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability.incidents import unresolved

    with connect() as connection:
        found = [one for one in unresolved(connection) if one.rule_id == rule_id and one.account == account_key]
    url = incident_url(found[0].incident_id) if found else None
    return {**of_rule(rule_id), **({"incident": dg.MetadataValue.url(url)} if url else {})}


def of_layer(layer: str) -> dict[str, dg.MetadataValue]:
    """What to do when an asset of the layer is not fresh."""
    found = of_rule(STALE_RULES.get(layer, "run_failed"))
    return {"if not fresh": found["runbook"]} if found else {}
