"""The rate budget of an account: how many requests may be sent in a sliding window, or how many points they may cost.

A request takes a lease in each window that it counts in, and settles it when the answer is there. A slot becomes free
`seconds` after it was *settled*: the system counted the request somewhere between sending and answer, so counting from
the answer never sends too early, and an account that was idle may burst as far as the API allows. Many windows can
apply to one request (HubSpot: ten seconds, the day, and a second for searches).

A bucket holds points that flow back evenly (Shopify). A request takes what it may cost at most, and settling gives back
what it didn't cost; the answer says how full the system's own bucket is. It is kept as the one moment at which it will
be full again (GCRA), so a request that nobody settles costs nothing but its points, which flow back like any others.

`InMemoryBudget` serves one process; `database.budget.PostgresBudget` all of them.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` requests in any span of `seconds`. `name` is unique within an account: "10s", "search", "day"."""

    name: str
    limit: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """At most `limit` points at once, of which `per_second` flow back. `name` is unique within an account: "points"."""

    name: str
    limit: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What an answer says about points: what the request cost, and how the system's own bucket stands now.

    None where it doesn't say: then the request cost what was taken for it. `requested` is what must be there before the
    system lets such a request through: what its next try takes.
    """

    cost: int | None = None
    requested: int | None = None
    available: int | None = None
    limit: int | None = None
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Permission to send one request now. `waited` is how many seconds it took to get; `token` is the budget's own.

    `cost` is how many points were taken from each bucket.
    """

    account: str
    windows: tuple[Window | Bucket, ...]
    waited: float
    token: object = None
    cost: int = 1


class BudgetTimeout(Exception):
    """No slot becomes free before the deadline; `needed` is how many seconds it would take, as far as known."""

    def __init__(self, account: str, window: str, needed: float) -> None:
        super().__init__(f"the rate budget {window!r} of {account} has no room for another {needed:.1f} s")
        self.account = account
        self.window = window
        self.needed = needed


class Budget(Protocol):
    """What connectors need of a rate budget. All methods may be called from many threads; times are real time."""

    def acquire(self, account: str, windows: Sequence[Window | Bucket], deadline: float, cost: int = 1) -> Lease:
        """Wait until every window has room and take a slot in each, all or none; in a bucket, `cost` points.

        A request that costs more than a bucket holds takes a full one. `deadline` is a `time.monotonic()` moment.
        Raises `BudgetTimeout` as soon as it is sure that no slot becomes free before it, without waiting for it to
        pass.
        """
        ...

    def settle(self, lease: Lease, spent: Spent | None = None) -> None:
        """The request was answered or given up: its slots become free a window's length from now.

        `spent` is what the answer says about points: what it didn't cost is given back, and the system's word counts
        where it has fewer points than we. More of them change nothing: answers overtake one another. A lease that is
        never settled, because its process died, must free itself after a while.
        """
        ...

    def adapt(
        self,
        account: str,
        window: Window,
        *,
        limit: int | None = None,
        remaining: int | None = None,
        reset_after: float | None = None,
    ) -> None:
        """Believe the system's own headers: the plan's real `limit`, and what is `remaining` when others use it too.

        What the system counts beyond our own requests is booked as used, for `reset_after` seconds (default: a whole
        window). A remaining number higher than ours changes nothing: answers overtake one another.
        """
        ...

    def exhausted(self, account: str, window: Window | Bucket, seconds: float) -> None:
        """A 429 came: grant nothing in this window for so many seconds, to nobody."""
        ...


@dataclass(slots=True)
class _State:
    """One window of one account. `used` holds (moment at which the slots become free, how many), oldest first."""

    limit: int
    seconds: float
    in_flight: int = 0
    used_count: int = 0
    used: deque[tuple[float, int]] = field(default_factory=deque)
    blocked_until: float = 0.0

    def expire(self, now: float) -> None:
        while self.used and self.used[0][0] <= now:
            self.used_count -= self.used.popleft()[1]

    def book(self, free_at: float, count: int = 1) -> None:
        """Book slots as used; moments are rounded up to a thousandth of the window, which bounds the memory."""
        grain = self.seconds / 1000
        free_at = math.ceil(free_at / grain) * grain
        self.used_count += count
        later: list[tuple[float, int]] = []
        while self.used and self.used[-1][0] > free_at:
            later.append(self.used.pop())
        if self.used and self.used[-1][0] == free_at:
            count += self.used.pop()[1]
        self.used.append((free_at, count))
        self.used.extend(reversed(later))

    def free_at(self, now: float, cost: int) -> float:
        """When the next slot can be had: now, a moment, or infinity while only answers of others can free one.

        `cost` means nothing here: a request is a request.
        """
        self.expire(now)
        earliest = max(now, self.blocked_until)
        excess = self.in_flight + self.used_count - self.limit + 1
        for moment, count in self.used:
            if excess <= 0:
                break
            excess -= count
            earliest = max(earliest, moment)
        return earliest if excess <= 0 else math.inf

    def take(self, now: float, cost: int) -> None:
        self.in_flight += 1

    def settle(self, now: float, cost: int, spent: Spent | None) -> None:
        self.in_flight -= 1
        self.book(now + self.seconds)


@dataclass(slots=True)
class _Points:
    """One bucket of one account. `full_at` is the moment at which all its points will be there again."""

    limit: float
    per_second: float
    full_at: float = -math.inf
    blocked_until: float = -math.inf

    def free_at(self, now: float, cost: int) -> float:
        enough = self.full_at - (self.limit - min(cost, self.limit)) / self.per_second
        return max(now, self.blocked_until, enough)

    def take(self, now: float, cost: int) -> None:
        self.full_at = max(now, self.full_at) + min(cost, self.limit) / self.per_second

    def settle(self, now: float, cost: int, spent: Spent | None) -> None:
        if spent is None:
            return
        missing = max(0.0, self.full_at - now) * self.per_second
        if spent.cost is not None:
            missing -= min(cost, self.limit) - spent.cost
        self.limit = spent.limit or self.limit
        self.per_second = spent.per_second or self.per_second
        if spent.available is not None:
            missing = max(missing, self.limit - spent.available)
        self.full_at = now + max(0.0, missing) / self.per_second


class InMemoryBudget:
    """A budget for the threads of one process. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._states: dict[tuple[str, str], _State] = {}
        self._buckets: dict[tuple[str, str], _Points] = {}

    def acquire(self, account: str, windows: Sequence[Window | Bucket], deadline: float, cost: int = 1) -> Lease:
        start = self._clock()
        with self._changed:
            states = [self._any(account, window) for window in windows]
            while True:
                now = self._clock()
                moments = [state.free_at(now, cost) for state in states]
                latest = max(moments, default=now)
                if latest <= now:
                    break
                if now >= deadline or deadline < latest < math.inf:
                    name = windows[moments.index(latest)].name
                    raise BudgetTimeout(account, name, max(0.0, latest - now) if latest < math.inf else 0.0)
                self._changed.wait(min(latest, deadline) - now)
            for state in states:
                state.take(now, cost)
        return Lease(account, tuple(windows), self._clock() - start, cost=cost)

    def settle(self, lease: Lease, spent: Spent | None = None) -> None:
        with self._changed:
            now = self._clock()
            for window in lease.windows:
                self._any(lease.account, window).settle(now, lease.cost, spent)
            self._changed.notify_all()

    def adapt(
        self,
        account: str,
        window: Window,
        *,
        limit: int | None = None,
        remaining: int | None = None,
        reset_after: float | None = None,
    ) -> None:
        with self._changed:
            now = self._clock()
            state = self._state(account, window)
            if limit is not None and limit > 0:
                state.limit = limit
            if remaining is not None:
                state.expire(now)
                foreign = state.limit - remaining - state.in_flight - state.used_count
                if foreign > 0:
                    state.book(now + (state.seconds if reset_after is None else reset_after), foreign)
            self._changed.notify_all()

    def exhausted(self, account: str, window: Window | Bucket, seconds: float) -> None:
        with self._changed:
            state = self._any(account, window)
            state.blocked_until = max(state.blocked_until, self._clock() + seconds)
            self._changed.notify_all()

    def _any(self, account: str, window: Window | Bucket) -> _State | _Points:
        if isinstance(window, Bucket):
            points = _Points(window.limit, window.per_second)
            return self._buckets.setdefault((account, window.name), points)
        return self._state(account, window)

    def _state(self, account: str, window: Window) -> _State:
        return self._states.setdefault((account, window.name), _State(window.limit, window.seconds))
