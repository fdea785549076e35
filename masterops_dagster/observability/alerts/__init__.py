"""Alerts: rules as data over signals in SQL, their states, incidents, silences, and rules tried on the past."""

from masterops_dagster.observability.alerts.acknowledging import NoSuchIncident, acknowledge, named
from masterops_dagster.observability.alerts.backtesting import Backtest, Firing, NoPast, backtest
from masterops_dagster.observability.alerts.evaluation import Announce, Evaluation, evaluate, unreadable
from masterops_dagster.observability.alerts.rules import Rule, RulesInvalid, load_rules, rule_of
from masterops_dagster.observability.alerts.silences import Silence, end_silence, in_force, silence
from masterops_dagster.observability.alerts.states import written
from masterops_dagster.observability.alerts.store import muted
from masterops_dagster.observability.alerts.timeline import Entry, timeline

__all__ = [
    "Announce",
    "Backtest",
    "Entry",
    "Evaluation",
    "Firing",
    "NoPast",
    "NoSuchIncident",
    "Rule",
    "RulesInvalid",
    "Silence",
    "acknowledge",
    "backtest",
    "end_silence",
    "evaluate",
    "in_force",
    "load_rules",
    "muted",
    "named",
    "rule_of",
    "silence",
    "timeline",
    "unreadable",
    "written",
]
