"""Whatever is vetoed is apart, and everything else that is tied is together."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from masterops_dagster.identity.vetoes import connected

RECORDS = st.integers(1, 8)
PAIRS = st.sets(st.tuples(RECORDS, RECORDS).filter(lambda pair: pair[0] < pair[1]), max_size=12)


@given(PAIRS, PAIRS)
def test_no_group_holds_a_vetoed_pair_and_no_tie_is_left_out_without_need(
    tied: set[tuple[int, int]], vetoes: set[tuple[int, int]]
) -> None:
    members = set(range(1, 9))
    labels = connected(members, sorted((0, one, other) for one, other in tied), sorted(vetoes))
    groups = {label: {member for member in members if labels[member] == label} for label in labels.values()}
    assert all(label == min(group) for label, group in groups.items())
    assert not any(pair in vetoes for group in groups.values() for pair in combinations(sorted(group), 2))
    for one, other in tied:
        if labels[one] != labels[other]:
            together = sorted(groups[labels[one]] | groups[labels[other]])
            assert any(pair in vetoes for pair in combinations(together, 2))
