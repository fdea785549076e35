"""Rules as data: what the file may say, and what a person reads when it says something else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from masterops_dagster.businesses import account
from masterops_dagster.defs import schedules
from masterops_dagster.observability.alerts import RulesInvalid, load_rules, rule_of
from masterops_dagster.observability.alerts.rules import BusinessHours, Rule
from masterops_dagster.observability.alerts.signals import Reading
from masterops_dagster.observability.alerts.states import judge, written
from masterops_dagster.observability.health import load_checks
from masterops_dagster.sources.catalogue import stream

GOOD: dict[str, Any] = {
    "id": "too_many",
    "title": "Too many of {subject}",
    "signal": "dead_letters",
    "condition": {"above": 10, "critical": 100},
    "unit": "rows",
    "message": "{value} of {subject}: {reason}",
    "severity": "warning",
    "owner": "operations",
    "impact": "They are missing.",
}


def written_file(tmp_path: Path, *rules: dict[str, Any]) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": list(rules)}))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signal": "dead_leters"}, "rule too_many: signal: there is no signal 'dead_leters'; known: "),
        ({"condition": {}}, "rule too_many: condition: needs exactly one of above, below, unusual; has none"),
        ({"condition": {"above": 1, "below": 3}}, "needs exactly one of above, below, unusual; has above and below"),
        ({"condition": {"above": 10, "critical": 5}}, "critical must lie beyond the threshold"),
        ({"for": "5 minutes"}, "rule too_many: for: '5 minutes' is no duration; write it as 30s, 15m, 1h30m or 2d"),
        ({"severity": "fatal"}, "rule too_many: severity: Input should be 'info', 'warning' or 'critical'"),
        ({"titel": "x"}, "rule too_many: titel: Extra inputs are not permitted"),
        ({"message": "{value.real}"}, "rule too_many: message: 'value.real' in '{value.real}' is no field"),
        ({"explained_by": {"nothing": "any"}}, "rule too_many: explained_by: there is no rule 'nothing'"),
        ({"explained_by": {"too_many": "any"}}, "rule too_many: explained_by names the rule itself"),
        ({"owner": ""}, "rule too_many: owner: String should have at least 1 character"),
    ],
)
def test_a_wrong_rule_is_told_with_its_name_and_field(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid) as told:
        load_rules(written_file(tmp_path, GOOD | change))
    assert said in str(told.value)


def test_doubled_ids_and_circles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match="too_many: the id is given twice"):
        load_rules(written_file(tmp_path, GOOD, GOOD))
    first = GOOD | {"id": "first", "explained_by": {"second": "any"}}
    second = GOOD | {"id": "second", "explained_by": {"first": "account"}}
    with pytest.raises(RulesInvalid, match="explain each other in a circle: first, second"):
        load_rules(written_file(tmp_path, first, second))


def test_rules_that_explain_others_come_before_them() -> None:
    seen: set[str] = set()
    for rule in load_rules():
        assert set(rule.explained_by) <= seen
        seen.add(rule.id)


def test_a_value_is_judged_and_written_as_a_person_reads_it() -> None:
    rule = Rule.model_validate(GOOD)

    def judged(value: float) -> tuple[str, str] | None:
        reading = Reading("hubspot.deals", "hubspot", "hubspot", None, value, {"reason": "no number"}, None)
        bad = judge(rule, reading)
        return (bad.severity, bad.message) if bad else None

    assert judged(10) is None
    assert judged(11) == ("warning", "11 rows of hubspot.deals: no number")
    assert judged(5000) == ("critical", "5,000 rows of hubspot.deals: no number")


def test_only_chooses_by_label_and_detail_with_patterns_and_exceptions() -> None:
    rule = Rule.model_validate(GOOD | {"only": {"subject": ["integration_*", "!integration_n8n"], "status": "down"}})

    def about(subject: str, status: str) -> bool:
        return judge(rule, Reading(subject, None, None, None, 11.0, {"status": status}, None)) is not None

    assert about("integration_hubspot", "down")
    assert not about("integration_hubspot", "degraded")
    assert not about("integration_n8n", "down")
    assert not about("database", "down")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (45, "duration", "45 s"),
        (600, "duration", "10 min"),
        (7500, "duration", "2 h 5 min"),
        (7200, "duration", "2 h"),
        (200_000, "duration", "2 days 7 h"),
        (31.25, "percent", "31.2 %"),
        (1, "rows", "1 row"),
        (1234.5, "", "1,234"),
    ],
)
def test_units(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


def test_business_hours_are_melbournes_and_have_an_end() -> None:
    hours = BusinessHours.model_validate({"days": ["thu"], "from": "09:00", "to": "17:00"})
    nine = datetime(2026, 11, 25, 22, 0, tzinfo=UTC)  # Thursday in Melbourne, in summer
    assert hours.contain(nine)
    assert not hours.contain(nine - timedelta(minutes=1))
    assert hours.contain(nine + timedelta(hours=7, minutes=59))
    assert not hours.contain(nine + timedelta(hours=8))
    assert not hours.contain(nine + timedelta(days=1))


def test_the_schedules_that_are_waited_for_are_those_that_there_are() -> None:
    rule = rule_of(load_rules(), "schedule_missed")
    assert rule is not None
    known = {
        schedule.name: schedule.cron_schedule
        for schedule in vars(schedules).values()
        if hasattr(schedule, "cron_schedule")
    }
    waited_for = {}
    for name, when in rule.parameters["schedules"].items():
        hour, minute = (int(part) for part in when["at"].split(":"))
        waited_for[name] = f"{minute} {hour if when['every'] == 'day' else '*'} * * *"
    assert waited_for == known


def test_the_streams_of_orders_that_are_waited_for_exist() -> None:
    for rule_id in ("no_orders", "orders_unusual"):
        rule = rule_of(load_rules(), rule_id)
        assert rule is not None
        for key, given in rule.parameters["accounts"].items():
            assert stream(account(key), given["stream"])


def test_every_health_check_that_is_down_is_told_by_a_rule() -> None:
    rules = [rule for rule in load_rules() if rule.signal == "health_states"]
    silent = []
    for check in load_checks():
        detail = {"status": "down", "message": "no answer"}
        reading = Reading(check.id, check.system, check.account, check.business_key, 2.0, detail, None)
        if sum(judge(rule, reading) is not None for rule in rules) != 1:
            silent.append(check.id)
    assert silent == []
