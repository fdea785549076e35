"""A run followed to its end: what it has made so far, how many rows, what failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from masterops_dagster.cli.dagster_client import (
    AssetPath,
    CheckFailed,
    Dagster,
    Failed,
    Materialized,
    RunEvent,
    StepFinished,
    StepStarted,
)
from masterops_dagster.cli.view import View

DBT_ERRORS = "Errors parsed from dbt logs:"


@dataclass(slots=True)
class Progress:
    """What a run has told so far. `rows` counts what came from the outside systems, each asset once."""

    run_id: str
    expected: int
    began: float = field(default_factory=time.monotonic)
    status: str = "QUEUED"
    made: dict[AssetPath, int | None] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    warnings: list[CheckFailed] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Since it was launched or found."""
        return time.monotonic() - self.began

    @property
    def rows(self) -> int:
        """Rows read into the raw tables."""
        return sum(count or 0 for path, count in self.made.items() if path[0] == "raw")

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"

    def take(self, event: RunEvent) -> None:
        """One more thing that the run told."""
        match event:
            case StepStarted(step):
                self.steps.append(step)
            case StepFinished(step):
                self.steps = [running for running in self.steps if running != step]
            case Materialized(asset, rows):
                self.made[asset] = rows
            case CheckFailed():
                self.warnings.append(event)
            case Failed(step, _):
                self.steps = [running for running in self.steps if running != step]
                if step is not None or not self.failures:
                    self.failures.append(event)

    def line(self) -> str:
        """The state in one line."""
        doing = ", ".join(self.steps) if self.steps else "queued" if not self.made else "between steps"
        return f"{len(self.made)} of {self.expected} assets, {self.rows:,} rows, {self.seconds:.0f} s: {doing}"

    def rows_of(self, assets: Sequence[AssetPath]) -> int:
        """Rows read into these assets."""
        return sum(self.made.get(path) or 0 for path in assets)


def follow(dagster: Dagster, run_id: str, expected: int, view: View, what: str) -> Progress:
    """Shows the run until it ends; `expected` is how many assets it is to make."""
    progress = Progress(run_id, expected)
    step_began: dict[str, float] = {}
    before: dict[str, int] = {}
    for event in dagster.follow(run_id):
        if event is not None:
            progress.take(event)
        view.activity(f"{what}: {progress.line()}")
        match event:
            case StepStarted(step):
                step_began[step], before[step] = time.monotonic(), progress.rows
            case StepFinished(step):
                rows = progress.rows - before.get(step, 0)
                took = time.monotonic() - step_began.get(step, progress.began)
                view.say(f"  ✓ {step}" + (f", {rows:,} rows" if rows else "") + f", {took:.1f} s", style="dim")
            case Failed(step, message):
                view.say(f"  ✗ {step or what}: {reason(message)}", style="red")
            case CheckFailed(asset, check, error):
                view.say(f"  ! {'/'.join(asset)}: {check} {'failed' if error else 'warns'}", style="yellow")
    progress.status = dagster.status(run_id)
    view.activity("")
    return progress


def reason(message: str) -> str:
    """What a person needs of an error's text: dbt's own failures where it names them, else the first line."""
    _, _, logged = message.partition(DBT_ERRORS)
    lines = [line.strip() for line in (logged or message).splitlines() if line.strip()]
    if not logged:
        return lines[0] if lines else "no message"
    starts = [number for number, line in enumerate(lines) if line.startswith("Failure in")]
    failures = [
        ": ".join(part for part in lines[start : start + 3] if "Database Error" not in part) for start in starts
    ]
    more = f" (and {len(failures) - 2} more)" if len(failures) > 2 else ""
    return "; ".join(failures[:2]) + more if failures else lines[0]
