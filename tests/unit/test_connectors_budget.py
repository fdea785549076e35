"""The rate budget never lets through more than the API allows, and never waits longer than it must."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masterops_dagster.connectors.budget import BudgetTimeout, InMemoryBudget, Lease, Window


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def granted(budget: InMemoryBudget, clock: Clock, *windows: Window) -> Lease | None:
    """A lease if one can be had right now."""
    try:
        return budget.acquire("account", windows, deadline=clock.now)
    except BudgetTimeout:
        return None


STEPS = st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 1.0), st.floats(0.0, 2.0)), min_size=1, max_size=120)
"""(pause before asking, where between sending and answer the system counts, how long the answer takes)."""


@given(STEPS, st.integers(1, 5))
def test_wherever_the_system_counts_a_request_no_window_ever_holds_more_than_the_limit(
    steps: list[tuple[float, float, float]], limit: int
) -> None:
    clock, window = Clock(), Window("w", limit, 5.0)
    budget = InMemoryBudget(clock)
    counted: list[float] = []
    open_leases: list[tuple[float, Lease]] = []
    for pause, share, duration in steps:
        target = clock.now + pause
        for answered, lease in sorted(open_leases, key=lambda pair: pair[0]):
            if answered <= target:
                clock.now = max(clock.now, answered)
                budget.settle(lease)
                open_leases.remove((answered, lease))
        clock.now = target
        lease = granted(budget, clock, window)
        if lease is not None:
            counted.append(clock.now + share * duration)
            open_leases.append((clock.now + duration, lease))
    for moment in counted:
        assert sum(1 for other in counted if moment - window.seconds < other <= moment) <= limit


@given(st.integers(1, 20))
def test_an_idle_account_may_burst_to_the_limit_and_again_after_the_window(limit: int) -> None:
    clock, window = Clock(), Window("w", limit, 10.0)
    budget = InMemoryBudget(clock)
    for _ in range(2):
        leases = [granted(budget, clock, window) for _ in range(limit + 1)]
        assert [lease is not None for lease in leases] == [True] * limit + [False]
        for lease in leases:
            if lease is not None:
                budget.settle(lease)
        clock.now += 10.02  # settled moments are rounded up to a thousandth of the window


def test_a_request_takes_a_slot_in_all_its_windows_or_in_none() -> None:
    clock = Clock()
    budget = InMemoryBudget(clock)
    wide, narrow = Window("10s", 3, 10.0), Window("search", 1, 1.0)
    assert granted(budget, clock, wide, narrow)
    assert granted(budget, clock, wide, narrow) is None
    assert granted(budget, clock, wide)
    assert granted(budget, clock, wide)
    assert granted(budget, clock, wide) is None


def test_accounts_do_not_share_a_budget() -> None:
    budget, window = InMemoryBudget(), Window("w", 1, 60.0)
    budget.acquire("one", [window], deadline=0.0)
    budget.acquire("other", [window], deadline=0.0)


def test_what_others_use_is_believed_from_the_headers() -> None:
    clock, window = Clock(), Window("w", 10, 10.0)
    budget = InMemoryBudget(clock)
    lease = granted(budget, clock, window)
    assert lease is not None
    budget.adapt("account", window, limit=10, remaining=2)
    budget.settle(lease)
    assert [granted(budget, clock, window) is not None for _ in range(3)] == [True, True, False]


def test_headers_that_were_overtaken_free_nothing() -> None:
    clock, window = Clock(), Window("w", 2, 10.0)
    budget = InMemoryBudget(clock)
    assert granted(budget, clock, window)
    assert granted(budget, clock, window)
    budget.adapt("account", window, remaining=1)
    assert granted(budget, clock, window) is None


def test_a_plan_with_a_higher_limit_is_used() -> None:
    clock, window = Clock(), Window("w", 1, 10.0)
    budget = InMemoryBudget(clock)
    budget.adapt("account", window, limit=3)
    assert [granted(budget, clock, window) is not None for _ in range(4)] == [True, True, True, False]


def test_after_a_429_nobody_sends_until_the_system_said_so() -> None:
    clock, window = Clock(), Window("w", 100, 10.0)
    budget = InMemoryBudget(clock)
    budget.exhausted("account", window, 3.0)
    with pytest.raises(BudgetTimeout) as caught:
        budget.acquire("account", [window], deadline=clock.now + 2.0)
    assert caught.value.needed == pytest.approx(3.0)
    clock.now += 3.0
    assert granted(budget, clock, window)


def test_a_day_of_requests_takes_little_memory_and_time() -> None:
    clock, window = Clock(), Window("day", 50_000, 86_400.0)
    budget = InMemoryBudget(clock)
    begun = time.process_time()
    for _ in range(5_000):
        lease = granted(budget, clock, window)
        assert lease is not None
        budget.settle(lease)
        clock.now += 16.0
    assert time.process_time() - begun < 2.0


def test_waiting_threads_get_their_slots_when_they_free_up() -> None:
    budget, window = InMemoryBudget(), Window("w", 5, 0.2)
    moments: list[float] = []

    def send() -> None:
        lease = budget.acquire("account", [window], deadline=time.monotonic() + 5)
        moments.append(time.monotonic())
        budget.settle(lease)

    threads = [threading.Thread(target=send) for _ in range(15)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 15
    assert 0.4 <= max(moments) - begun < 0.6
