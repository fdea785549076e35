"""When an n8n workflow should have run last, by the rules of its schedule trigger.

A rule of seconds, minutes or hours is a period; one of days, weeks, months or a cron expression is a moment of the
clock in the workflow's time zone. Where n8n's own default zone counts, Melbourne is assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.connectors.n8n import Workflow

SCHEDULE_TRIGGER = "n8n-nodes-base.scheduleTrigger"
PERIODS = {"seconds": timedelta(seconds=1), "minutes": timedelta(minutes=1), "hours": timedelta(hours=1)}
USUAL_PERIOD = {"seconds": 30, "minutes": 5, "hours": 1}
"""What n8n takes where the rule doesn't say how many."""
LONGEST = 370
"""Days that are looked back for a moment of a cron expression."""
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")


def last_due(workflow: Workflow, at: datetime) -> datetime | None:
    """The latest moment, at most `at`, since which it should have run; None without a schedule that can be read."""
    zone = _zone(workflow)
    moments = [
        moment
        for node in workflow.nodes
        if node.type == SCHEDULE_TRIGGER
        for rule in _rules(node.parameters)
        if (moment := _last(rule, at, zone)) is not None
    ]
    return max(moments, default=None)


def last_cron(expression: str, at: datetime, zone: ZoneInfo) -> datetime | None:
    """The last moment of a cron expression of five fields, or six with seconds first; None if there is none.

    Where day of month and day of week are both given, either will do.
    """
    fields = expression.lower().split()
    if len(fields) == 6:
        fields = fields[1:]
    if len(fields) != 5:
        return None
    minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
    days, months = _numbers(fields[2], 1, 31), _numbers(_named(fields[3], MONTHS, 1), 1, 12)
    weekdays = _numbers(_named(fields[4], WEEKDAYS, 0), 0, 7)
    if not (minutes and hours and days and months and weekdays):
        return None
    weekdays = {number % 7 for number in weekdays}
    any_day, any_weekday = fields[2] in ("*", "?"), fields[4] in ("*", "?")
    local = at.astimezone(zone)
    for back in range(LONGEST):
        day = local.date() - timedelta(days=back)
        by_day, by_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        matches = by_day or by_weekday if not (any_day or any_weekday) else by_day and by_weekday
        if day.month in months and matches:
            found = _latest(day, hours, minutes, at, zone)
            if found is not None:
                return found
    return None


def _last(rule: Mapping[str, object], at: datetime, zone: ZoneInfo) -> datetime | None:
    field = str(rule.get("field", "days"))
    if field in PERIODS:
        return at - PERIODS[field] * _number(rule, f"{field}Interval", USUAL_PERIOD[field])
    clock = f"{_number(rule, 'triggerAtMinute', 0)} {_number(rule, 'triggerAtHour', 0)}"
    if field == "days":
        return _earlier(last_cron(f"{clock} * * *", at, zone), timedelta(days=_number(rule, "daysInterval", 1) - 1))
    if field == "weeks":
        named = rule.get("triggerAtDay", [0])
        weekdays = ",".join(str(day) for day in named) if isinstance(named, list) and named else "0"
        weeks = timedelta(weeks=_number(rule, "weeksInterval", 1) - 1)
        return _earlier(last_cron(f"{clock} * * {weekdays}", at, zone), weeks)
    if field == "months":
        day = _number(rule, "triggerAtDayOfMonth", 1)
        months = timedelta(days=31 * (_number(rule, "monthsInterval", 1) - 1))
        return _earlier(last_cron(f"{clock} {day} * *", at, zone), months)
    return last_cron(str(rule.get("expression", "")), at, zone) if field == "cronExpression" else None


def _latest(day: date, hours: set[int], minutes: set[int], at: datetime, zone: ZoneInfo) -> datetime | None:
    """The last moment of the day that isn't after `at`."""
    for hour in sorted(hours, reverse=True):
        for minute in sorted(minutes, reverse=True):
            moment = datetime.combine(day, time(hour, minute), zone).astimezone(at.tzinfo)
            if moment <= at:
                return moment
    return None


def _rules(parameters: Mapping[str, object]) -> list[Mapping[str, object]]:
    rule = parameters.get("rule")
    interval = rule.get("interval") if isinstance(rule, dict) else None
    return [one for one in interval if isinstance(one, dict)] if isinstance(interval, list) else []


def _zone(workflow: Workflow) -> ZoneInfo:
    """The workflow's own; Melbourne where it names none, or none that is known (`DEFAULT`: n8n's own)."""
    named = (workflow.settings or {}).get("timezone")
    try:
        return ZoneInfo(named) if isinstance(named, str) else MELBOURNE
    except (ZoneInfoNotFoundError, ValueError):
        return MELBOURNE


def _earlier(moment: datetime | None, by: timedelta) -> datetime | None:
    return moment - by if moment is not None else None


def _number(rule: Mapping[str, object], name: str, usual: int) -> int:
    value = rule.get(name, usual)
    return value if isinstance(value, int) else usual


def _numbers(field: str, low: int, high: int) -> set[int]:
    """What a field of a cron expression allows; nothing if it can't be read."""
    found: set[int] = set()
    for part in field.replace("?", "*").split(","):
        read = PART.fullmatch(part)
        if read is None:
            return set()
        first = int(read[1]) if read[1] else low
        last = int(read[2]) if read[2] else high if read[1] is None or read[3] else first
        found |= set(range(max(first, low), min(last, high) + 1, int(read[3] or 1) or 1))
    return found


def _named(field: str, names: tuple[str, ...], first: int) -> str:
    for place, name in enumerate(names):
        field = field.replace(name, str(place + first))
    return field
