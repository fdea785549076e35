"""When an n8n workflow should have run last."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.connectors.n8n import Workflow
from masterops_dagster.observability.health.probes.n8n_schedule import last_cron, last_due

AT = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
"""A Wednesday, noon in Melbourne."""


def local(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=MELBOURNE)


def workflow(rule: dict[str, object] | None, **settings: object) -> Workflow:
    parameters = {"rule": {"interval": [rule]}} if rule is not None else {}
    node = {"name": "Start", "type": "n8n-nodes-base.scheduleTrigger", "parameters": parameters}
    return Workflow.model_validate({"id": "1", "name": "w", "nodes": [node], "settings": settings})


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ({"field": "minutes", "minutesInterval": 20}, local(25, 11, 40)),
        ({"field": "hours", "hoursInterval": 3}, local(25, 9)),
        ({"field": "hours"}, local(25, 11)),
        ({"triggerAtHour": 7}, local(25, 7)),
        ({"triggerAtHour": 13, "triggerAtMinute": 30}, local(24, 13, 30)),
        ({"field": "days", "daysInterval": 3, "triggerAtHour": 7}, local(23, 7)),
        ({"field": "weeks", "triggerAtDay": [1, 5], "triggerAtHour": 8}, local(23, 8)),
        ({"field": "months", "triggerAtDayOfMonth": 28, "triggerAtHour": 8}, local(28, 8, month=10)),
        ({"field": "cronExpression", "expression": "*/15 9-17 * * 1-5"}, local(25, 12)),
        ({"field": "cronExpression", "expression": "nonsense"}, None),
    ],
)
def test_each_kind_of_rule_is_understood(rule: dict[str, object], due: datetime | None) -> None:
    assert last_due(workflow(rule), AT) == due


def test_the_time_zone_is_the_workflows() -> None:
    found = last_due(workflow({"triggerAtHour": 7}, timezone="Europe/Berlin"), AT)
    assert found == datetime(2026, 11, 24, 7, tzinfo=ZoneInfo("Europe/Berlin"))
    assert last_due(workflow({"triggerAtHour": 7}, timezone="UTC"), AT) == datetime(2026, 11, 24, 7, tzinfo=UTC)
    assert last_due(workflow({"triggerAtHour": 7}, timezone="DEFAULT"), AT) == local(25, 7)


def test_a_workflow_without_a_rule_is_never_due() -> None:
    assert last_due(workflow(None), AT) is None
    assert last_due(Workflow.model_validate({"id": "1", "name": "by webhook", "nodes": []}), AT) is None


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("30 8 * * *", local(25, 8, 30)),
        ("0 30 8 * * *", local(25, 8, 30)),
        ("0 8 * * MON-TUE", local(24, 8)),
        ("0 8 1 * *", local(1, 8)),
        ("0 8 20 * SUN", local(22, 8)),
        ("0 8 31 JAN *", local(31, 8, month=1)),
        ("5/20 11 * * *", local(25, 11, 45)),
        ("0 8 30 2 *", None),
        ("61 8 * * *", None),
        ("0 8 * *", None),
    ],
)
def test_cron_expressions(expression: str, due: datetime | None) -> None:
    assert last_cron(expression, AT, MELBOURNE) == due
