"""The budget of points that all processes share."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.connectors.budget import Bucket, BudgetTimeout, Spent, Window
from masterops_dagster.database.budget import PostgresBudget
from masterops_dagster.database.connection import close_pools, pool

BUCKET = Bucket("points", 100, 200.0)


@pytest.fixture
def budget(state_dir: Path) -> PostgresBudget:
    return PostgresBudget()


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def test_a_full_bucket_is_had_at_once_and_then_points_as_they_flow_back(budget: PostgresBudget) -> None:
    begun = time.monotonic()
    budget.acquire("shop", [BUCKET], soon(), 100)
    for _ in range(3):
        budget.acquire("shop", [BUCKET], soon(), 40)
    assert 0.6 <= time.monotonic() - begun < 3.0


def test_what_a_request_did_not_cost_is_there_at_once(budget: PostgresBudget) -> None:
    slow = Bucket("points", 100, 1.0)
    lease = budget.acquire("shop", [slow], soon(), 100)
    budget.settle(lease, Spent(cost=10))
    assert budget.acquire("shop", [slow], soon(), 90).waited < 0.1
    with pytest.raises(BudgetTimeout) as refused:
        budget.acquire("shop", [slow], soon(0.5), 30)
    assert 29 < refused.value.needed < 31
    assert refused.value.window == "points"


def test_the_systems_word_counts_where_it_has_fewer_points(budget: PostgresBudget) -> None:
    slow = Bucket("points", 100, 1.0)
    budget.settle(budget.acquire("shop", [slow], soon(), 10), Spent(cost=10, available=5))
    with pytest.raises(BudgetTimeout):
        budget.acquire("shop", [slow], soon(0.1), 20)
    budget.settle(budget.acquire("shop", [slow], soon(), 5), Spent(cost=5, available=100))
    with pytest.raises(BudgetTimeout):
        budget.acquire("shop", [slow], soon(0.1), 20)


def test_the_plans_own_figures_replace_the_configured_ones_until_the_settings_change(budget: PostgresBudget) -> None:
    slow = Bucket("points", 10, 1.0)
    budget.settle(budget.acquire("shop", [slow], soon(), 10), Spent(cost=10, limit=1_000, per_second=50.0))
    assert budget.acquire("shop", [slow], soon(), 900).waited < 0.1
    other = Bucket("points", 20, 1.0)
    with pytest.raises(BudgetTimeout) as refused:
        budget.acquire("shop", [other], soon(0.1), 20)
    assert refused.value.needed > 15


def test_a_request_that_costs_more_than_the_bucket_holds_takes_a_full_one(budget: PostgresBudget) -> None:
    assert budget.acquire("shop", [BUCKET], soon(), 5_000).waited < 0.1
    assert 0.4 < budget.acquire("shop", [BUCKET], soon(), 5_000).waited < 0.8


def test_a_refusal_blocks_the_bucket_for_every_process(budget: PostgresBudget) -> None:
    budget.exhausted("shop", BUCKET, 0.3)
    assert PostgresBudget().acquire("shop", [BUCKET], soon(), 1).waited > 0.25
    assert budget.acquire("another", [BUCKET], soon(), 1).waited < 0.1


def test_points_and_slots_are_taken_together_or_not_at_all(
    budget: PostgresBudget, database: psycopg.Connection[TupleRow]
) -> None:
    slow, window = Bucket("points", 100, 0.001), Window("1s", 1, 60.0)
    budget.settle(budget.acquire("shop", [window, slow], soon(), 10), Spent(cost=10))
    with pytest.raises(BudgetTimeout) as refused:
        budget.acquire("shop", [window, slow], soon(0.1), 10)
    assert refused.value.window == "1s"
    row = database.execute(
        "select (full_at - ops.now_seconds()) * current_per_second from ops.point_budgets"
    ).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(10, abs=0.1)


def test_what_needs_no_budget_asks_for_none(budget: PostgresBudget) -> None:
    budget.settle(budget.acquire("shop", [], soon()), None)


def spend(database_url: str, requests: int) -> None:
    """What one process does."""
    budget = PostgresBudget(pool(database_url))
    for _ in range(requests):
        lease = budget.acquire("shop", [BUCKET], time.monotonic() + 30, 20)
        budget.settle(lease, Spent(cost=10))
    close_pools()


def test_processes_together_spend_no_more_than_flows_back_and_little_less(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=spend, args=(database_url, 20)) for _ in range(2)]
    budget = PostgresBudget(pool(database_url))
    budget.settle(budget.acquire("shop", [BUCKET], soon(), 100), Spent(cost=100))
    begun = time.monotonic()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    close_pools()
    assert [process.exitcode for process in processes] == [0, 0]
    assert 2.0 - 0.1 <= time.monotonic() - begun < 8  # 400 points at 200 a second, and starting two processes
