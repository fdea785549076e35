"""Limits count what they should, when they should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masterops_dagster.businesses import account
from masterops_dagster.simulator.limits import Bucket, Limit, Meter, Points, Policies, Policy, Refusal

HUBSPOT, TEELIXIR, ELEVATE = account("hubspot"), account("unleashed_teelixir"), account("unleashed_elevate_wholesale")


class Clock:
    """Seconds since the epoch, as told. It starts at 11 pm in Melbourne."""

    def __init__(self) -> None:
        self.now = 1_800_014_400.0 - 3 * 3600

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.integers(1, 5))
def test_no_window_ever_lets_more_through_than_its_limit(steps: list[float], most: int) -> None:
    clock = Clock()
    meter = Meter(clock)
    let_through = []
    for step in steps:
        clock.now += step
        outcome = meter.take(Policy(burst=Limit(most, 10.0)))
        if not isinstance(outcome, Refusal):
            let_through.append(clock.now)
    for moment in let_through:
        assert sum(moment - 10 < other <= moment for other in let_through) <= most


def test_waiting_as_long_as_a_refusal_says_is_enough() -> None:
    clock = Clock()
    meter, policy = Meter(clock), Policy(burst=Limit(2, 10.0))
    meter.take(policy)
    clock.now += 4
    meter.take(policy)
    refusal = meter.take(policy)
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after == pytest.approx(6)
    clock.now += refusal.retry_after + 0.001
    assert not isinstance(meter.take(policy), Refusal)


def test_a_refused_search_costs_nothing_of_the_common_limit() -> None:
    clock = Clock()
    meter, policy = Meter(clock), Policy(burst=Limit(10, 10.0), search=Limit(1, 1.0))
    meter.take(policy, search=True)
    refused = meter.take(policy, search=True)
    assert isinstance(refused, Refusal)
    assert refused.limit == "search"
    standing = meter.take(policy)
    assert not isinstance(standing, Refusal)
    assert standing.burst_remaining == 8


def test_the_days_quota_comes_back_at_midnight_in_melbourne() -> None:
    clock = Clock()
    meter, policy = Meter(clock), Policy(day=1)
    meter.take(policy)
    refusal = meter.take(policy)
    assert isinstance(refusal, Refusal)
    assert refusal.limit == "day"
    assert refusal.retry_after <= 24 * 3600
    clock.now += refusal.retry_after + 1
    assert not isinstance(meter.take(policy), Refusal)


def test_the_file_overrides_a_system_and_more_narrowly_an_account(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    policies = Policies(path)
    assert policies.of(TEELIXIR).burst == Limit(300, 300.0)
    burst = {"requests": 5, "seconds": 1}
    path.write_text(json.dumps({"unleashed": {"burst": burst}, TEELIXIR.key: {"burst": None}, "hubspot": {"day": 9}}))
    assert policies.of(ELEVATE).burst == Limit(5, 1.0)
    assert policies.of(TEELIXIR).burst is None
    assert (policies.of(HUBSPOT).day, policies.of(HUBSPOT).burst) == (9, Limit(100, 10.0))
    path.unlink()
    assert policies.of(HUBSPOT).day == 250_000


def test_an_unknown_limit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text(json.dumps({"hubspot": {"hourly": 5}}))
    with pytest.raises(ValueError, match="hubspot: unknown hourly"):
        Policies(path).of(HUBSPOT)


def test_points_come_back_with_time_and_what_a_query_did_not_need_at_once() -> None:
    clock = Clock()
    bucket, points = Bucket(clock), Points(maximum=100, restore=10)
    assert bucket.take(points, 80)
    assert not bucket.take(points, 21)
    assert bucket.available(points) == 20
    bucket.give_back(50)
    assert bucket.available(points) == 70
    clock.now += 1.5
    assert bucket.available(points) == 85
    clock.now += 3600
    assert bucket.available(points) == 100


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 50)), min_size=1, max_size=60))
def test_no_stretch_of_time_takes_more_points_than_the_bucket_held_and_got(calls: list[tuple[float, int]]) -> None:
    clock = Clock()
    bucket, points = Bucket(clock), Points(maximum=100, restore=10)
    taken: list[tuple[float, int]] = []
    for pause, asked in calls:
        clock.now += pause
        if bucket.take(points, asked):
            taken.append((clock.now, asked))
    for since, _ in taken:
        spent = sum(asked for at, asked in taken if at >= since)
        assert spent <= 100 + 10 * (clock.now - since) + 1e-6


def test_the_file_overrides_points(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    shop = account("shopify_teelixir")
    assert Policies(path).of(shop).points == Points(2_000, 100)
    path.write_text(json.dumps({"shopify": {"points": {"maximum": 1_000, "restore": 50}, "deepest_page": 10}}))
    assert Policies(path).of(shop).points == Points(1_000, 50)
    assert Policies(path).of(shop).deepest_page == 10
