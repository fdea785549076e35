"""A bucket of points never lets through more than the system's own would, and wastes none of them."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masterops_dagster.connectors.budget import Bucket, BudgetTimeout, InMemoryBudget, Lease, Spent, Window

BUCKET = Bucket("points", 1_000, 50.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class TheirBucket:
    """Shopify's: a document runs if its requested cost is there, and what it didn't cost flows back at once."""

    def __init__(self, limit: float, per_second: float, clock: Clock) -> None:
        self.limit, self.per_second, self.clock = limit, per_second, clock
        self.points, self.at = limit, clock.now

    def run(self, requested: float, actual: float) -> bool:
        self.points = min(self.limit, self.points + (self.clock.now - self.at) * self.per_second)
        self.at = self.clock.now
        if self.points < requested - 1e-6:
            return False
        self.points -= actual
        return True


def granted(budget: InMemoryBudget, clock: Clock, cost: int, bucket: Bucket = BUCKET) -> Lease | None:
    """A lease if one can be had right now."""
    try:
        return budget.acquire("shop", [bucket], clock.now, cost)
    except BudgetTimeout:
        return None


STEPS = st.lists(
    st.tuples(st.floats(0, 30), st.floats(0, 2), st.integers(1, 1_000), st.floats(0, 1)), min_size=1, max_size=80
)
"""(pause before, how long the answer takes, requested cost, share of it that it costs)."""


@given(STEPS)
def test_what_is_granted_one_after_another_is_never_throttled(steps: list[tuple[float, float, int, float]]) -> None:
    clock = Clock()
    budget, theirs = InMemoryBudget(clock), TheirBucket(1_000, 50, clock)
    for pause, duration, requested, share in steps:
        clock.now += pause
        lease = granted(budget, clock, requested)
        if lease is None:
            continue
        clock.now += duration / 2
        actual = round(requested * share)
        assert theirs.run(requested, actual)
        left = int(theirs.points)
        clock.now += duration / 2
        budget.settle(lease, Spent(cost=actual, available=left, limit=1_000, per_second=50.0))


@given(st.integers(1, 1_000), st.integers(1, 50))
def test_a_full_load_uses_every_point_that_flows_back(cost: int, requests: int) -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    begun = clock.now
    for _ in range(requests):
        try:
            lease = budget.acquire("shop", [BUCKET], clock.now, cost)
        except BudgetTimeout as timeout:
            clock.now += timeout.needed + 1e-6
            lease = budget.acquire("shop", [BUCKET], clock.now, cost)
        budget.settle(lease, Spent(cost=cost))
    assert clock.now - begun == pytest.approx(max(0.0, (requests * cost - 1_000) / 50), abs=1e-3)


def test_what_a_request_did_not_cost_is_there_at_once() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    lease = granted(budget, clock, 900)
    assert lease is not None
    assert granted(budget, clock, 200) is None
    budget.settle(lease, Spent(cost=100))
    assert granted(budget, clock, 900)
    assert granted(budget, clock, 1) is None


def test_a_request_that_nobody_settles_costs_only_its_points() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    assert granted(budget, clock, 1_000)
    clock.now += 20.0
    assert granted(budget, clock, 1_000)


def test_a_request_that_costs_more_than_the_bucket_holds_takes_a_full_one() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    assert granted(budget, clock, 5_000)
    clock.now += 19.9
    assert granted(budget, clock, 5_000) is None
    clock.now += 0.2
    assert granted(budget, clock, 5_000)


def test_the_systems_word_counts_where_it_has_fewer_points_and_changes_nothing_where_it_has_more() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    lease = granted(budget, clock, 10)
    assert lease is not None
    budget.settle(lease, Spent(cost=10, available=100))
    assert granted(budget, clock, 101) is None
    second = granted(budget, clock, 100)
    assert second is not None
    budget.settle(second, Spent(cost=100, available=990))
    assert granted(budget, clock, 1) is None


def test_the_plans_own_figures_replace_the_configured_ones() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    lease = granted(budget, clock, 1_000)
    assert lease is not None
    budget.settle(lease, Spent(cost=1_000, limit=20_000, per_second=1_000.0))
    assert granted(budget, clock, 19_000)
    assert granted(budget, clock, 1) is None
    clock.now += 1.0
    assert granted(budget, clock, 1_000)


def test_a_bucket_that_is_blocked_grants_nothing_until_then() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    budget.exhausted("shop", BUCKET, 3.0)
    assert granted(budget, clock, 1) is None
    clock.now += 3.0
    assert granted(budget, clock, 1)


def test_a_wait_that_is_too_long_says_how_long_it_would_be() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    budget.acquire("shop", [BUCKET], clock.now, 1_000)
    with pytest.raises(BudgetTimeout) as refused:
        budget.acquire("shop", [BUCKET], clock.now + 1.0, 200)
    assert refused.value.needed == pytest.approx(4.0)
    assert refused.value.window == "points"


def test_points_and_slots_are_taken_together_or_not_at_all() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    window = Window("1s", 1, 1.0)
    assert budget.acquire("shop", [window, BUCKET], clock.now, 10)
    with pytest.raises(BudgetTimeout):
        budget.acquire("shop", [window, BUCKET], clock.now, 10)
    assert granted(budget, clock, 990)
    assert granted(budget, clock, 1) is None


def test_threads_wait_for_points_and_get_them_in_time() -> None:
    budget = InMemoryBudget()
    bucket = Bucket("points", 100, 500.0)
    begun = time.monotonic()

    def spend() -> None:
        for _ in range(5):
            budget.settle(budget.acquire("shop", [bucket], time.monotonic() + 5, 20), Spent(cost=20))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.58 <= time.monotonic() - begun < 1.2  # 400 points: 100 at once, 300 in 0.6 s
