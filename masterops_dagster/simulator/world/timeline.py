"""From the states that a record passes through to its versions; and when people in an office do things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.records import FOREVER, Body, Version, millis, moment
from masterops_dagster.simulator.world.seeding import Dice

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def versions(
    account: str,
    resource: str,
    id: str,
    number: int,
    states: Sequence[tuple[int, Body]],
    *,
    business_at: int | None = None,
    created_at: int | None = None,
    gone_at: int = FOREVER,
    parent: str = "",
    seen_late: int = 0,
) -> Iterator[Version]:
    """One version per state; a state is the moment from which it holds, its `modified_at`, and the body.

    `seen_late`: by how much the API shows the first state later than it is dated, as where a server commits late.
    `gone_at`: when the record vanishes.
    """
    first = states[0][0] if created_at is None else created_at
    for place, (since, body) in enumerate(states):
        until = min(gone_at, states[place + 1][0]) if place + 1 < len(states) else gone_at
        visible = since + seen_late if place == 0 else since
        if until > visible:
            yield Version(
                account=account,
                resource=resource,
                id=id,
                number=number,
                visible_from=visible,
                visible_to=until,
                created_at=first,
                business_at=first if business_at is None else business_at,
                modified_at=since,
                parent=parent,
                body=body,
            )


def day_of(at: int) -> date:
    """The Melbourne day of a moment."""
    return moment(at).astimezone(MELBOURNE).date()


def wall(day: date, hour: int, minute: int = 0, second: int = 0) -> int:
    """A moment by the clock on the wall in Melbourne."""
    return millis(datetime.combine(day, time(hour, minute, second), MELBOURNE).astimezone(UTC))


def office(at: int, days: int, dice: Dice) -> int:
    """A moment in office hours some days after another; on Monday where that is a weekend."""
    day = day_of(at) + timedelta(days=days)
    day += timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
    return wall(day, dice.whole(9, 16), dice.whole(0, 59), dice.whole(0, 59))


def same_time(at: int, days: int) -> int:
    """The same time by the clock on the wall, whole days later."""
    local = moment(at).astimezone(MELBOURNE)
    return millis((local + timedelta(days=days)).astimezone(UTC))
