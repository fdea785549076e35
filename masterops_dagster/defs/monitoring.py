"""Watching the platform in sensor ticks, which start no run: health checks, alert rules, messages."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from masterops_dagster.settings import settings

if TYPE_CHECKING:
    from masterops_dagster.observability.monitor import Tick

INCIDENT_TAG = "masterops/incident"
RUNBOOK_TAG = "masterops/runbook"


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.STOPPED if settings().development_server else dg.DefaultSensorStatus.RUNNING,
    description="Makes the health checks that are due, evaluates the alert rules, sends what is to be sent.",
)
def monitoring(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One round; `masterops watch` stands in when none comes for 30 seconds."""
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import logging, monitor

    logging.configure()
    with connect(application_name="masterops monitor") as connection:
        monitor.announce_presence(connection, "dagster", seconds=monitor.LEASE_SECONDS)
    done = monitor.tick(datetime.now(UTC), monitor.process_name("dagster"))
    tag_failed_runs(context.instance, done)
    return dg.SkipReason(done.said)


def tag_failed_runs(instance: dg.DagsterInstance, done: "Tick") -> None:
    """Runs that an incident is about lead to it, and to the runbook."""
    from masterops_dagster.observability.links import incident_url, runbook_url

    for incident in done.evaluation.opened if done.evaluation else ():
        run_id = incident.detail.get("reading", {}).get("run_id")
        page, runbook = incident_url(incident.incident_id), runbook_url(incident.rule_id)
        if run_id and page and runbook and instance.has_run(run_id):
            instance.add_run_tags(run_id, {INCIDENT_TAG: page, RUNBOOK_TAG: runbook})
