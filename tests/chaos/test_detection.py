"""Faults in simulated weeks are told within a minute, each once, and nothing else is."""

from __future__ import annotations

import pytest

from benchmarks.detection.weeks import KINDS_OF_FAULTS, simulate


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_two_faults_of_every_kind_are_told_within_a_minute_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTEROPS_LOG_LEVEL", "CRITICAL")
    outcome = simulate(2 * len(KINDS_OF_FAULTS), seed=7)
    assert outcome.missed == []
    assert outcome.doubles == []
    assert outcome.false_alarms == []
    assert outcome.percentile(0.95) < 60
