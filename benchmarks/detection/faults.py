"""Faults and what became of them; the kinds are those that the businesses suffered from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(slots=True)
class Fault:
    """One fault. `visible_at` is when it can be told from ordinary life; `rules` are those that may tell of it.

    `doubles` are further incidents of it, `detected_by` the rule that told first.
    """

    number: int
    kind: str
    subject: str
    at: datetime
    visible_at: datetime
    over_at: datetime
    rules: tuple[str, ...]
    injected: bool = False
    ended: bool = False
    detected_at: datetime | None = None
    detected_by: str | None = None
    doubles: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it took to tell; None for one that was missed."""
        return (self.detected_at - self.visible_at).total_seconds() if self.detected_at else None

    def row(self, part: str) -> dict[str, object]:
        return {
            "part": part,
            "number": self.number,
            "kind": self.kind,
            "subject": self.subject,
            "injected_at": self.at.isoformat(),
            "visible_at": self.visible_at.isoformat(),
            "detected_at": self.detected_at.isoformat() if self.detected_at else None,
            "detected_by": self.detected_by,
            "seconds": round(self.seconds, 1) if self.seconds is not None else None,
            "doubles": self.doubles,
        }


@dataclass(slots=True)
class Outcome:
    """What a part of the benchmark found. `doubled_messages` are keys that arrived more than once."""

    part: str
    faults: Sequence[Fault]
    weeks: float
    false_alarms: Sequence[str]
    doubled_messages: Sequence[str]

    @property
    def missed(self) -> list[Fault]:
        return [fault for fault in self.faults if fault.detected_at is None]

    @property
    def doubles(self) -> list[str]:
        """Second incidents and second messages."""
        return [f"{fault.kind} {fault.subject}: {rule}" for fault in self.faults for rule in fault.doubles] + list(
            self.doubled_messages
        )

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the faults that were told was told."""
        told = sorted(fault.seconds for fault in self.faults if fault.seconds is not None)
        return told[min(len(told) - 1, int(share * len(told)))] if told else float("inf")

    def write(self, path: Path) -> None:
        """Adds a line for each fault."""
        with path.open("a") as file:
            for fault in self.faults:
                file.write(json.dumps(fault.row(self.part)) + "\n")
