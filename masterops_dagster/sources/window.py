"""What part of a stream a load reads: what changed since the last one, some days, all of it, or only keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from masterops_dagster import clock


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows are read. `start` and `end` (exclusive) are Melbourne days, of a backfill or of part of a reload."""

    kind: Literal["live", "backfill", "sweep", "reload"]
    start: date | None = None
    end: date | None = None

    @classmethod
    def live(cls) -> Window:
        """What was modified since the cursor; all of it the first time, and for streams without a cursor."""
        return cls("live")

    @classmethod
    def backfill(cls, start: date, end: date) -> Window:
        """What has its business date on the Melbourne days [start, end); never moves the cursor."""
        if start >= end:
            raise ValueError(f"a backfill from {start} to {end} has no days; the end is exclusive")
        return cls("backfill", start, end)

    @classmethod
    def sweep(cls) -> Window:
        """All keys: what is gone at the system is marked deleted, what we miss is fetched."""
        return cls("sweep")

    @classmethod
    def reload(cls, start: date | None = None, end: date | None = None) -> Window:
        """All rows anew, or those of the Melbourne days [start, end); what is no longer there is marked deleted."""
        if start is None or end is None:
            return cls("reload")
        return cls("reload", *cls.backfill(start, end).days)

    @property
    def days(self) -> tuple[date, date]:
        """Its first day and the one after its last."""
        assert self.start is not None
        assert self.end is not None
        return self.start, self.end

    @property
    def by_date(self) -> bool:
        """Whether rows are read by their business date."""
        return self.start is not None

    @property
    def starts_at(self) -> datetime | None:
        """The first moment of its days."""
        return clock.day_start(self.start) if self.start else None

    @property
    def ends_at(self) -> datetime | None:
        """The first moment after its days."""
        return clock.day_start(self.end) if self.end else None
