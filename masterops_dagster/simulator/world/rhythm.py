"""How each channel trades: how many orders a day, at what times, how many of them from new customers.

All of it follows from seed, scale and start, day by day, so that a day can be made without those before it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.records import millis
from masterops_dagster.simulator.world.seeding import Dice, chance

HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Channel:
    """One way in which one business sells. Shares are of orders, lifetimes in days."""

    key: str
    business_key: str
    orders_per_day: float
    new_share: float
    initial_customers: int
    lifetime: float
    growth: float
    """Orders per day a year later, as a factor."""
    weekdays: tuple[float, ...]
    """Monday first."""
    months: tuple[float, ...]
    """January first."""
    hours: tuple[float, ...]
    """Weights of the hours of the day in Melbourne."""


SHOPPING_HOURS = (
    *(0.4, 0.2, 0.1, 0.1, 0.2, 0.5, 1.2, 2.2, 3.2, 4.0, 4.4, 4.4),
    *(4.6, 4.2, 3.9, 3.8, 3.9, 4.2, 4.6, 5.4, 6.0, 5.2, 3.2, 1.4),
)
OFFICE_HOURS = (
    *(0.05, 0.05, 0.05, 0.05, 0.05, 0.2, 0.6, 2.0, 5.0, 8.0, 8.5, 7.5),
    *(5.5, 6.0, 7.5, 7.5, 6.0, 3.0, 1.2, 0.6, 0.4, 0.3, 0.3, 0.2),
)

CHANNELS = (
    Channel(
        key="teelixir_shop",
        business_key="teelixir",
        orders_per_day=7.6,
        new_share=0.30,
        initial_customers=260,
        lifetime=260,
        growth=1.22,
        weekdays=(1.1, 1.0, 1.0, 0.95, 0.9, 0.95, 1.1),
        months=(0.95, 0.95, 1.0, 1.0, 1.05, 1.2, 1.2, 1.1, 1.0, 0.95, 1.25, 1.1),
        hours=SHOPPING_HOURS,
    ),
    Channel(
        key="teelixir_wholesale",
        business_key="teelixir",
        orders_per_day=3.8,
        new_share=0.05,
        initial_customers=110,
        lifetime=700,
        growth=1.1,
        weekdays=(1.6, 1.4, 1.3, 1.3, 1.1, 0.2, 0.1),
        months=(0.7, 1.0, 1.05, 1.0, 1.05, 1.1, 1.1, 1.05, 1.0, 1.0, 1.15, 0.8),
        hours=OFFICE_HOURS,
    ),
    Channel(
        key="elevate_wholesale",
        business_key="elevate_wholesale",
        orders_per_day=5.0,
        new_share=0.04,
        initial_customers=170,
        lifetime=800,
        growth=1.06,
        weekdays=(1.7, 1.5, 1.4, 1.2, 1.0, 0.15, 0.05),
        months=(0.65, 1.0, 1.05, 0.95, 1.0, 1.05, 1.05, 1.05, 1.0, 1.05, 1.25, 0.9),
        hours=OFFICE_HOURS,
    ),
    Channel(
        key="red_hill_shop",
        business_key="red_hill_fresh",
        orders_per_day=13.6,
        new_share=0.11,
        initial_customers=340,
        lifetime=330,
        growth=1.15,
        weekdays=(1.25, 1.2, 1.25, 1.1, 0.7, 0.6, 0.9),
        months=(1.25, 1.05, 1.0, 1.05, 0.9, 0.85, 0.85, 0.85, 0.95, 1.0, 1.1, 1.3),
        hours=SHOPPING_HOURS,
    ),
    Channel(
        key="organics_shop",
        business_key="buy_organics_online",
        orders_per_day=8.8,
        new_share=0.16,
        initial_customers=280,
        lifetime=300,
        growth=1.1,
        weekdays=(1.25, 1.1, 1.0, 0.95, 0.85, 0.85, 1.0),
        months=(1.0, 1.0, 1.0, 1.0, 1.05, 1.05, 1.0, 1.0, 0.95, 0.95, 1.05, 0.95),
        hours=SHOPPING_HOURS,
    ),
)


def channel(key: str) -> Channel:
    return next(c for c in CHANNELS if c.key == key)


@cache
def first_day(start: date) -> date:
    """History begins on the first of a month, fifteen months before the world was made."""
    months = start.year * 12 + start.month - 1 - 15
    return date(months // 12, months % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """A seed, a scale and a start: what everything in the world follows from."""

    seed: int
    scale: float
    start: date

    @property
    def first(self) -> date:
        return first_day(self.start)

    def index(self, day: date) -> int:
        """Days since history began."""
        return (day - self.first).days

    def stride(self, channel: Channel) -> int:
        """By how much the numbers of two days' orders lie apart: more than a day ever has."""
        return max(100, int(10 ** math.ceil(math.log10(channel.orders_per_day * self.scale * 12))))

    def trading(self, channel: Channel) -> Trading:
        return _trading(self, channel.key)


class Trading:
    """Counts of orders and customers of one channel, day by day."""

    def __init__(self, plan: Plan, channel: Channel) -> None:
        self.plan = plan
        self.channel = channel
        self._joined = [max(1, round(channel.initial_customers * plan.scale))]
        """Customers known at the end of the day before the first, of the first, …"""

    def orders(self, day: date) -> int:
        return _orders(self.plan, self.channel.key, day)

    def known(self, day: date) -> int:
        """How many customers there are at the end of a day; the first is number 0."""
        index = self.plan.index(day) + 1
        if index <= 0:
            return self._joined[0]
        while len(self._joined) <= index:
            current = self.plan.first + timedelta(days=len(self._joined) - 1)
            orders = self.orders(current)
            wobble = chance(self.plan.seed, self.channel.key, current, "new")
            self._joined.append(self._joined[-1] + min(orders, int(orders * self.channel.new_share + wobble)))
        return self._joined[index]

    def new(self, day: date) -> range:
        """The customers whose first order is on that day."""
        return range(self.known(day - timedelta(days=1)), self.known(day))

    def joined(self, customer: int) -> date:
        """The day of a customer's first order; for those from before history, a day before it."""
        if customer < self._joined[0]:
            before = 20 + int(chance(self.plan.seed, self.channel.key, customer, "before") * 700)
            return self.plan.first - timedelta(days=before)
        while self._joined[-1] <= customer:
            self.known(self.plan.first + timedelta(days=len(self._joined)))
        return self.plan.first + timedelta(days=bisect_right(self._joined, customer) - 1)

    def left(self, customer: int) -> date:
        """From when on a customer no longer buys."""
        span = -math.log(1 - chance(self.plan.seed, self.channel.key, customer, "stays")) * self.channel.lifetime
        joined = max(self.joined(customer), self.plan.first)
        return joined + timedelta(days=7 + int(span))

    def returning(self, day: date, dice: Dice) -> int:
        """One of the customers from before that day who still buys; some buy far more often than others."""
        known = self.known(day - timedelta(days=1))
        customer = 0
        for _ in range(12):
            customer = int(known * dice.random())
            often = chance(self.plan.seed, self.channel.key, customer, "often")
            if dice.random() < 0.15 + 0.85 * often * often and day < self.left(customer):
                break
        return customer

    def moments(self, day: date, dice: Dice) -> list[int]:
        """When the orders of a day are placed, in order, whole seconds as milliseconds since the epoch.

        Every day has its late orders; around the changes of daylight saving also some in the hour that is left out
        or comes twice.
        """
        count = self.orders(day)
        times = [_time(self.channel, dice) for _ in range(count)]
        tomorrow_or_today = (day, day + timedelta(days=1))
        if count and (dice.hits(0.3) or any(map(changes_clock, tomorrow_or_today))):
            times[-1] = time(23, 30, dice.whole(0, 59))
        if changes_clock(day):
            odd = (time(2, 30, 5), time(2, 30, 5, fold=1), time(1, 59, 59))
            for place, wall in zip(range(count - 1), odd, strict=False):
                times[place] = wall
        return sorted(millis(datetime.combine(day, wall, MELBOURNE).astimezone(UTC)) for wall in times)


@cache
def _trading(plan: Plan, channel_key: str) -> Trading:
    return Trading(plan, channel(channel_key))


@lru_cache(maxsize=20_000)
def _orders(plan: Plan, channel_key: str, day: date) -> int:
    own = channel(channel_key)
    level = own.orders_per_day * plan.scale * own.weekdays[day.weekday()] * own.months[day.month - 1]
    level *= own.growth ** (plan.index(day) / 365) * (0.8 + 0.4 * chance(plan.seed, channel_key, day, "level"))
    if (day.month, day.day) in ((12, 25), (1, 1)):
        level *= 0.15
    return int(level + chance(plan.seed, channel_key, day, "orders"))


@lru_cache(maxsize=2_000)
def changes_clock(day: date) -> bool:
    """Whether daylight saving begins or ends on that day in Melbourne."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=MELBOURNE)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


def _time(channel: Channel, dice: Dice) -> time:
    mark = dice.random() * sum(channel.hours)
    hour = 0
    for hour, weight in enumerate(channel.hours):  # noqa: B007
        mark -= weight
        if mark < 0:
            break
    return time(hour, dice.whole(0, 59), dice.whole(0, 59))
