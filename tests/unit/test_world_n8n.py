"""The businesses' workflows run through business time, each in its own way."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from masterops_dagster.simulator.world import n8n
from masterops_dagster.simulator.world.records import FOREVER, Version, iso
from masterops_dagster.simulator.world.rhythm import Plan

START = date(2026, 11, 24)
PLAN = Plan(seed=1, scale=1.0, start=START)
DAYS = [START + timedelta(days=number) for number in range(-n8n.KEPT_DAYS, 40)]


@pytest.fixture(scope="module")
def versions() -> list[Version]:
    return [version for day in DAYS for version in n8n.day(PLAN, day)]


def test_a_day_is_the_same_however_often_it_is_made() -> None:
    assert list(n8n.base(PLAN)) == list(n8n.base(PLAN))
    assert list(n8n.day(PLAN, START)) == list(n8n.day(PLAN, START))
    assert list(n8n.day(Plan(seed=2, scale=1.0, start=START), START)) != list(n8n.day(PLAN, START))


def test_some_run_each_hour_and_what_is_long_pruned_is_not_made(versions: list[Version]) -> None:
    hours = Counter(version.body["startedAt"][:13] for version in versions if version.body["startedAt"])
    assert len(hours) >= 24 * (len(DAYS) - 1)
    assert list(n8n.day(PLAN, DAYS[0] - timedelta(days=1))) == []
    assert 30 < len({version.id for version in versions}) / len(DAYS) < 200


def test_executions_succeed_fail_wait_hang_crash_stand_in_line_and_are_retried(versions: list[Version]) -> None:
    assert {version.body["status"] for version in versions} == {
        *("new", "running", "waiting", "success", "error", "crashed", "canceled")
    }
    assert {version.body["mode"] for version in versions} == {"trigger", "error", "retry"}
    days = [
        version.visible_to - version.visible_from
        for version in versions
        if version.body["status"] == "running" and version.visible_to - version.visible_from > 20 * n8n.HOUR
    ]
    assert days
    good = {version.body["retrySuccessId"]: version.id for version in versions if version.body["retrySuccessId"]}
    retried = {version.id: version.body["retryOf"] for version in versions if version.body["mode"] == "retry"}
    assert retried == good != {}


def test_an_executions_states_follow_one_another_and_end(versions: list[Version]) -> None:
    states: dict[str, list[Version]] = {}
    for version in versions:
        states.setdefault(version.id, []).append(version)
    for own in states.values():
        assert [one.visible_to for one in own[:-1]] == [one.visible_from for one in own[1:]]
        assert own[-1].body["status"] in {"success", "error", "crashed", "canceled"}
        assert own[-1].visible_to == own[-1].visible_from + n8n.KEPT < FOREVER
        for one in own:
            began, stopped = one.body["startedAt"], one.body["stoppedAt"]
            assert iso(one.business_at) == (began or "1970-01-01T00:00:00.000Z")
            assert stopped is None or began is None or began <= stopped <= iso(one.visible_from)


def test_ids_rise_with_the_time_of_making(versions: list[Version]) -> None:
    made = {int(version.id): version.created_at // 1000 for version in versions}
    assert [second for _, second in sorted(made.items())] == sorted(made.values())


def test_workflows_are_named_tagged_and_switched_as_the_businesses_have_them() -> None:
    workflows = [version.body for version in n8n.base(PLAN) if version.resource == "workflows"]
    assert len(workflows) == len({body["id"] for body in workflows}) == 12
    assert Counter((body["active"], body["isArchived"]) for body in workflows) == {
        (True, False): 10,
        (False, False): 1,
        (False, True): 1,
    }
    assert all(body["tags"] and body["nodes"] and body["connections"] for body in workflows)
    assert all(datetime.fromisoformat(body["createdAt"]).date() <= PLAN.start for body in workflows)
    running = {version.body["workflowId"] for day in DAYS for version in n8n.day(PLAN, day)}
    assert running == {body["id"] for body in workflows if body["active"]}
