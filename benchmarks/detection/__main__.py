"""`python -m benchmarks.detection [--simulated | --real] [--faults FILE] [--json]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.detection.faults import Outcome
from benchmarks.measure import Result

GOAL = 60.0
NUMBER = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection")
    parser.add_argument("--json", action="store_true", help="one JSON object per claim and line")
    parser.add_argument("--number", type=int, default=NUMBER, help="of simulated faults; default: %(default)s")
    parser.add_argument("--faults", type=Path, default=Path("detection.jsonl"), help="default: %(default)s")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--simulated", action="store_true")
    only.add_argument("--real", action="store_true")
    given = parser.parse_args()
    given.faults.unlink(missing_ok=True)
    results: list[Result] = []
    if not given.real:
        from benchmarks.detection.weeks import simulate

        results += told(simulate(given.number), given.faults)
    if not given.simulated:
        from benchmarks.detection.real import in_life

        results += told(in_life(), given.faults)
    for result in results:
        row = json.dumps(result.row(), ensure_ascii=False)
        sys.stdout.write((row if given.json else f"{result.claim}: {result.figure} ({result.baseline})") + "\n")
    return 0 if all(result.met for result in results) else 1


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


if __name__ == "__main__":
    sys.exit(main())
