"""Response times out of buckets."""

from __future__ import annotations

import random
from statistics import quantiles

from masterops_dagster.observability.health.uptime import BUCKET_BOUNDS_MS, bucket, percentile


def buckets_of(*response_ms: float) -> list[int]:
    counts = [0] * (len(BUCKET_BOUNDS_MS) + 1)
    for one in response_ms:
        counts[bucket(one)] += 1
    return counts


def test_bounds_belong_to_the_bucket_below() -> None:
    assert [bucket(ms) for ms in (0, 5, 5.1, 10_000, 10_001)] == [0, 0, 1, 18, 19]


def test_a_percentile_is_as_exact_as_its_bucket() -> None:
    drawn = random.Random(4)
    times = [drawn.lognormvariate(5, 0.6) for _ in range(5000)]
    exact = quantiles(times, n=100)
    for share in (0.5, 0.95, 0.99):
        found = percentile(buckets_of(*times), share)
        assert found is not None
        assert bucket(found) == bucket(exact[round(share * 100) - 1])


def test_without_answers_there_is_none_and_beyond_the_last_bound_it_is_the_last_bound() -> None:
    assert percentile([], 0.5) is None
    assert percentile(buckets_of(), 0.5) is None
    assert percentile(buckets_of(60_000), 0.5) == 10_000
