"""`python -m benchmarks.detection [--simulated | --real] [--faults FILE] [--json]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.detection import FILE, NUMBER, measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection")
    parser.add_argument("--json", action="store_true", help="one JSON object per claim and line")
    parser.add_argument("--number", type=int, default=NUMBER, help="of simulated faults; default: %(default)s")
    parser.add_argument("--faults", type=Path, default=FILE, help="default: %(default)s")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--simulated", action="store_true")
    only.add_argument("--real", action="store_true")
    given = parser.parse_args()
    results = measure(given.number, given.faults, simulated=not given.real, real=not given.simulated)
    for result in results:
        row = json.dumps(result.row(), ensure_ascii=False)
        sys.stdout.write((row if given.json else f"{result.claim}: {result.figure} ({result.baseline})") + "\n")
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
