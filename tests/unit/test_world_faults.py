"""How the stand-ins are told to misbehave."""

from __future__ import annotations

from pathlib import Path

import pytest

from masterops_dagster.simulator.world.faults import Fault, calm, misbehave, read, strikes


def test_a_fault_replaces_one_of_its_kind_and_calm_ends_it(tmp_path: Path) -> None:
    misbehave(tmp_path, Fault("hubspot", "rate_limit", rate=0.5))
    misbehave(tmp_path, Fault("hubspot", "rate_limit", rate=0.1))
    misbehave(tmp_path, Fault("unleashed", "latency", seconds=1.5))
    assert [fault.rate for fault in read(tmp_path)] == [0.1, 1.0]
    assert calm(tmp_path, "hubspot") == (Fault("unleashed", "latency", seconds=1.5),)
    assert calm(tmp_path) == read(tmp_path) == ()


def test_the_same_seed_strikes_the_same_requests_at_the_rate_that_was_asked_for() -> None:
    fault = Fault("hubspot", "reset", rate=0.25, seed=9)
    struck = [strikes(fault, n) for n in range(4000)]
    assert struck == [strikes(fault, n) for n in range(4000)]
    assert 0.22 < sum(struck) / 4000 < 0.28


@pytest.mark.parametrize(
    ("system", "kind", "rate", "told"),
    [
        ("hubspt", "reset", 1.0, "unknown system 'hubspt'"),
        ("hubspot", "explode", 1.0, "unknown kind 'explode'"),
        ("hubspot", "reset", 0.0, "share of requests"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(system: str, kind: str, rate: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Fault(system, kind, rate=rate)


def test_a_fault_of_a_system_concerns_its_accounts() -> None:
    assert Fault("unleashed", "reset").concerns("unleashed_teelixir")
    assert not Fault("unleashed_teelixir", "reset").concerns("unleashed_elevate_wholesale")
