"""Where a health check looks: one function for each kind of probe that `checks.yaml` may name."""

from __future__ import annotations

from collections.abc import Mapping

from masterops_dagster.observability.health.probes.certificate import certificate
from masterops_dagster.observability.health.probes.dagster import code_location, daemons, queue, webserver
from masterops_dagster.observability.health.probes.disk import disk
from masterops_dagster.observability.health.probes.integration import integration
from masterops_dagster.observability.health.probes.n8n import executions, server, workflows
from masterops_dagster.observability.health.probes.postgres import bloat, database, session
from masterops_dagster.observability.health.reading import Probe

PROBES: Mapping[str, Probe] = {
    "integration": integration,
    "database": database,
    "database_session": session,
    "database_bloat": bloat,
    "disk": disk,
    "dagster_daemons": daemons,
    "dagster_webserver": webserver,
    "dagster_code_location": code_location,
    "dagster_queue": queue,
    "n8n_server": server,
    "n8n_executions": executions,
    "n8n_workflows": workflows,
    "certificate": certificate,
}
