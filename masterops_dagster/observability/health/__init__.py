"""Health checks: declared in `checks.yaml`, made when due, each in time; states and uptime follow."""

from masterops_dagster.observability.health.check import Check, ChecksInvalid, load_checks
from masterops_dagster.observability.health.evaluation import run_due
from masterops_dagster.observability.health.looking import CheckResult, look
from masterops_dagster.observability.health.maintenance import Maintenance, maintenance
from masterops_dagster.observability.health.probes.postgres import probe_database
from masterops_dagster.observability.health.reading import CannotCheck, Probe, ProbeFailed, Reading
from masterops_dagster.observability.health.uptime import (
    BUCKET_BOUNDS_MS,
    Day,
    Period,
    Uptime,
    all_daily,
    daily,
    uptime,
    uptimes,
)

__all__ = [
    "BUCKET_BOUNDS_MS",
    "CannotCheck",
    "Check",
    "CheckResult",
    "ChecksInvalid",
    "Day",
    "Maintenance",
    "Period",
    "Probe",
    "ProbeFailed",
    "Reading",
    "Uptime",
    "all_daily",
    "daily",
    "load_checks",
    "look",
    "maintenance",
    "probe_database",
    "run_due",
    "uptime",
    "uptimes",
]
