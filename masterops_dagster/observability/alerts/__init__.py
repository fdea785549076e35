"""Alerts: rules as data over signals in SQL, their states, incidents, silences, and rules tried on the past."""

from masterops_dagster.observability.alerts.acknowledging import NoSuchIncident, acknowledge, named
from masterops_dagster.observability.alerts.backtesting import Backtest, Firing, NoPast, backtest
from masterops_dagster.observability.alerts.evaluation import Announce, Evaluation, evaluate
from masterops_dagster.observability.alerts.rules import Rule, RulesInvalid, load_rules, rule_of
from masterops_dagster.observability.alerts.silences import Silence, in_force, silence
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
    "evaluate",
    "in_force",
    "load_rules",
    "named",
    "rule_of",
    "silence",
    "timeline",
]
