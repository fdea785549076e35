"""How soon faults are told: 200 of ten kinds over simulated weeks, by an injected clock, and 30 in a running platform.

Each fault's kind, its moment and that of its detection stand in `detection.jsonl`, or where `--faults FILE` says. A
fault's time runs from when it can be seen: at once, or from the bound that its rule declares (two hours ten minutes for
a stream that is not read, a quarter of an hour for a run that is silent). What else an incident was opened for is a
false alarm; a second incident or a second message for the same is a double. `--simulated` or `--real` runs one part.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.detection.faults import Outcome
from benchmarks.measure import Result

GOAL = 60.0
NUMBER = 200
FILE = Path("detection.jsonl")


def measure(number: int = NUMBER, file: Path = FILE, *, simulated: bool = True, real: bool = True) -> list[Result]:
    """Both parts, or one."""
    file.unlink(missing_ok=True)
    results: list[Result] = []
    if simulated:
        from benchmarks.detection.weeks import simulate

        results += told(simulate(number), file)
    if real:
        from benchmarks.detection.real import in_life

        results += told(in_life(), file)
    return results


def told(outcome: Outcome, file: Path) -> list[Result]:
    """The claims of one part; everything that went wrong goes to standard error."""
    outcome.write(file)
    for fault in outcome.missed:
        sys.stderr.write(f"missed: {fault.kind} {fault.subject} at {fault.at}\n")
    for line in [*(f"double: {one}" for one in outcome.doubles), *(f"false: {one}" for one in outcome.false_alarms)]:
        sys.stderr.write(f"{line}\n")
    p50, p95, longest = (outcome.percentile(share) for share in (0.5, 0.95, 1.0))
    number = len(outcome.faults)
    span = f"{outcome.weeks:.1f} simulated weeks" if outcome.part == "simulated" else f"{outcome.weeks * 168:.1f} hours"
    each_week = len(outcome.false_alarms) / max(outcome.weeks, 1.0)
    part = f"{number} faults {outcome.part}"
    return [
        Result(
            f"{part}: time until told, p95; p50 {p50:.0f} s, longest {longest:.0f} s",
            f"{p95:.1f} s",
            f"{GOAL:g} s",
            p95 / GOAL,
            "≤",
            1,
        ),
        Result(f"{part}: missed", str(len(outcome.missed)), f"of {number}", len(outcome.missed), "≤", 0),
        Result(f"{part}: told twice", str(len(outcome.doubles)), f"of {number}", len(outcome.doubles), "≤", 0),
        Result(f"{part}: false alarms a week", str(len(outcome.false_alarms)), span, each_week, "≤", 1),
    ]
