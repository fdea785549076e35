"""n8n's stand-in over HTTP: what a person changes there lasts, and trouble is n8n's kind of trouble."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.n8n import N8N
from masterops_dagster.simulator.world import clock
from tests.stand_ins import StandIns, start_stand_ins

HASTE = Patience(timeout=5.0, deadline=30.0, attempts=10, pause=0.01, pause_max=0.05)


def connect(stand_ins: StandIns) -> N8N:
    endpoint = stand_ins.endpoint("n8n")
    window, budget = Window("1s", 10_000, 1.0), InMemoryBudget()
    return N8N(
        endpoint["base_url"], "n8n", endpoint["api_key"], page_size=100, window=window, budget=budget, patience=HASTE
    )


def executions(n8n: N8N, workflow: str, since: datetime | None = None) -> set[str]:
    pages = n8n.read("executions", created_from=since) if since else n8n.read("executions")
    return {str(row["id"]) for page in pages for row in page.items if row["workflowId"] == workflow}


@pytest.fixture
def start(small_world: Path, tmp_path: Path) -> Iterator[Callable[[], StandIns]]:
    """Starts stand-ins on this test's own copy of the small world."""
    state = tmp_path / "state"
    shutil.copytree(small_world, state)
    started: list[StandIns] = []

    def again() -> StandIns:
        started.append(start_stand_ins(state))
        return started[-1]

    yield again
    for one in started:
        one.process.kill()
        one.process.wait()


def test_what_is_switched_off_stays_off_over_a_kill_and_runs_no_more_until_it_is_on_again(
    start: Callable[[], StandIns],
) -> None:
    running = start()
    with connect(running) as n8n:
        ids = {str(row["name"]): str(row["id"]) for page in n8n.read("workflows") for row in page.items}
        off, on = ids["Teelixir: order processing"], ids["Teelixir: tracking back to Shopify"]
        before = executions(n8n, off)
        assert before
        n8n.deactivate(off)
        n8n.delete_workflow(ids["Low-stock notices"])
    running.process.kill()
    running.process.wait()
    running = start()
    first_day = running.world().now()
    clock.advance(running.world_dir, 1)
    with connect(running) as n8n:
        assert not n8n.workflow(off).active
        assert executions(n8n, off, first_day) == set()
        assert len(executions(n8n, on, first_day)) >= 10
        assert executions(n8n, off) <= before
        assert executions(n8n, ids["Low-stock notices"]) == set()
        n8n.activate(off)
        second_day = running.world().now()
        clock.advance(running.world_dir, 1)
        assert len(executions(n8n, off, second_day)) >= 20
        assert executions(n8n, off, first_day) == executions(n8n, off, second_day)


def test_what_has_ended_is_pruned_after_a_fortnight(start: Callable[[], StandIns]) -> None:
    running = start()
    with connect(running) as n8n:
        before = {str(key) for page in n8n.keys("executions") for key in page}
        clock.advance(running.world_dir, 20)
        oldest = running.world().now() - timedelta(days=15)
        pages = list(n8n.read("executions"))
        assert not before & {str(row["id"]) for page in pages for row in page.items}
        ends = [
            datetime.fromisoformat(str(row["stoppedAt"])) for page in pages for row in page.items if row["stoppedAt"]
        ]
        assert min(ends) > oldest


@pytest.mark.parametrize("kind", ["rate_limit", "server_error", "reset", "malformed", "html"])
def test_n8n_is_read_whole_though_it_misbehaves(stand_ins: StandIns, kind: str) -> None:
    with connect(stand_ins) as n8n:
        before = {str(key) for page in n8n.keys("executions") for key in page}
        stand_ins.misbehave("n8n", kind, rate=0.3, seed=7)
        found = {str(row["id"]) for page in n8n.read("executions") for row in page.items}
    assert before - found <= {min(before, key=int)}  # what was pruned meanwhile


def test_its_own_500_is_json_and_what_is_in_front_of_it_answers_with_pages(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("n8n")
    headers = {"X-N8N-API-KEY": endpoint["api_key"]}

    def ask() -> httpx.Response:
        return httpx.get(f"{endpoint['base_url']}/api/v1/tags", headers=headers)

    stand_ins.misbehave("n8n", "server_error")
    answers = [ask() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 502, 503]
    assert answers[0].json() == {"message": "Internal server error"}
    assert answers[1].headers["Content-Type"].startswith("text/html")
    stand_ins.calm()
    stand_ins.limit({"n8n": {"burst": {"requests": 1, "seconds": 60}}})
    assert [ask().status_code, ask().status_code] == [200, 429]
    assert httpx.get(f"{endpoint['base_url']}/healthz").json() == {"status": "ok"}
