"""How often an account may call: rolling windows and daily quotas, on real time.

`world/limits.json` overrides the systems' documented values, per system or, more narrowly, per account key; it is
read again when it changes: `{"hubspot": {"burst": {"requests": 20, "seconds": 1}}, "unleashed_teelixir": {…},
"shopify": {"points": {"maximum": 1000, "restore": 50}}}`.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from masterops_dagster.businesses import MELBOURNE, Account

FILE_NAME = "limits.json"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` within any `seconds`."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Points:
    """Shopify's leaky bucket: so many points at most, so many a second come back."""

    maximum: float = 2_000.0
    restore: float = 100.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What one account's system enforces; a limit that is None isn't enforced."""

    burst: Limit | None = None
    search: Limit | None = None
    """HubSpot's CRM search, on top of `burst`."""
    day: int | None = None
    """Requests per Melbourne day, the time zone of the HubSpot account."""
    token_seconds: float = 1800.0
    """How long an OAuth access token lives."""
    search_lag_seconds: float = 0.0
    """How long a change takes to reach HubSpot's search index."""
    points: Points | None = None
    """What Shopify's queries may cost."""
    deepest_page: int = 25_000
    """How many objects of one list Shopify pages through."""


DEFAULTS: Mapping[str, Policy] = {
    "bigcommerce": Policy(burst=Limit(6_000, 30.0)),  # an Enterprise plan's; Pro has 450, Standard and Plus 150
    "hubspot": Policy(burst=Limit(100, 10.0), search=Limit(5, 1.0), day=250_000),
    "shopify": Policy(points=Points(), token_seconds=86_399.0),
    "supabase": Policy(),
    "unleashed": Policy(burst=Limit(300, 300.0)),
    "woocommerce": Policy(),
    "n8n": Policy(),
    "slack": Policy(),
}


class Policies:
    """The policy of each account: the defaults, overridden by the file, which is looked at on every call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._overrides: dict[str, dict[str, Any]] = {}

    def of(self, account: Account) -> Policy:
        """Raises `ValueError` naming the file and the entry that can't be read."""
        self._refresh()
        policy = DEFAULTS[account.system]
        for key in dict.fromkeys((account.system, account.key)):
            if key in self._overrides:
                policy = _overridden(policy, self._overrides[key], f"{self._path}: {key}")
        return policy

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._overrides = None, {}
            return
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._overrides = json.loads(self._path.read_text())
            self._stamp = stamp


def _overridden(policy: Policy, entry: Mapping[str, Any], where: str) -> Policy:
    unknown = entry.keys() - {one.name for one in fields(Policy)}
    if unknown:
        raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))}")
    changes = {name: _value(value) for name, value in entry.items()}
    return replace(policy, **changes)


def _value(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    if "maximum" in entry:
        return Points(float(entry["maximum"]), float(entry["restore"]))
    return Limit(int(entry["requests"]), float(entry["seconds"]))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit (`burst`, `search`, `day`) said no, and when it would say yes."""

    limit: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left after a call: for the headers."""

    burst_remaining: int
    day_remaining: int


@dataclass(slots=True)
class Meter:
    """Counts one account's calls. A refused call isn't counted."""

    clock: Callable[[], float] = time.time
    _calls: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _day: tuple[str, int] = ("", 0)

    def take(self, policy: Policy, *, search: bool = False) -> Refusal | Standing:
        """Counts a call against every limit that applies, or against none of them."""
        now = self.clock()
        local = datetime.fromtimestamp(now, UTC).astimezone(MELBOURNE)
        today = local.date().isoformat()
        used_today = self._day[1] if self._day[0] == today else 0
        if policy.day is not None and used_today >= policy.day:
            midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), MELBOURNE)
            return Refusal("day", midnight.timestamp() - now)
        windows = [("burst", policy.burst)]
        if search:
            windows.append(("search", policy.search))
        for name, limit in windows:
            if limit is not None and (wait := self._wait(name, limit, now)) > 0:
                return Refusal(name, wait)
        for name, limit in windows:
            if limit is not None:
                self._calls[name].append(now)
        self._day = (today, used_today + 1)
        return Standing(
            burst_remaining=policy.burst.requests - len(self._calls["burst"]) if policy.burst else 0,
            day_remaining=policy.day - used_today - 1 if policy.day is not None else 0,
        )

    def _wait(self, name: str, limit: Limit, now: float) -> float:
        calls = self._calls[name]
        while calls and calls[0] <= now - limit.seconds:
            calls.popleft()
        if len(calls) < limit.requests:
            return 0.0
        if limit.requests == 0:
            return limit.seconds
        return max(calls[-limit.requests] + limit.seconds - now, 0.001)


@dataclass(slots=True)
class Bucket:
    """One account's points. What a query asks for is taken before it runs; what it didn't need is given back."""

    clock: Callable[[], float] = time.monotonic
    _missing: float = 0.0
    """From a full bucket, as of the moment below."""
    _at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, points: Points, asked: float) -> bool:
        """Whether there were as many; if not, none are taken."""
        with self._lock:
            self._restore(points)
            if self._missing + asked > points.maximum:
                return False
            self._missing += asked
            return True

    def give_back(self, unused: float) -> None:
        with self._lock:
            self._missing = max(0.0, self._missing - unused)

    def available(self, points: Points) -> int:
        """Whole points that a query could take now."""
        with self._lock:
            self._restore(points)
            return int(points.maximum - self._missing)

    def _restore(self, points: Points) -> None:
        now = self.clock()
        missing = self._missing - (now - self._at) * points.restore
        self._missing = min(max(0.0, missing), points.maximum)
        self._at = now
