"""Whether a property may be set to a value, by the account's definitions, and how HubSpot keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from masterops_dagster.simulator.hubspot.errors import InvalidValue, invalid_values
from masterops_dagster.simulator.hubspot.requests import Scalar

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]{2,}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def accepted(definitions: Mapping[str, Mapping[str, Any]], properties: Mapping[str, Scalar]) -> dict[str, str | None]:
    """The properties as they are kept: strings, null for the empty one. Raises `ApiError` naming all that are wrong."""
    kept: dict[str, str | None] = {}
    problems: list[InvalidValue] = []
    for name, given in properties.items():
        try:
            kept[name] = _accepted(definitions.get(name), name, text(given))
        except _Refused as refused:
            problems.append(InvalidValue(name, refused.code, str(refused)))
    if problems:
        raise invalid_values(problems)
    return kept


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _accepted(definition: Mapping[str, Any] | None, name: str, value: str | None) -> str | None:
    if definition is None:
        raise _Refused("PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
    if definition.get("calculated") or definition.get("modificationMetadata", {}).get("readOnlyValue"):
        raise _Refused("READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
    if value is None or value == "":
        return None
    match definition["type"]:
        case "number":
            return _number(value)
        case "bool":
            return _option(definition, value, ("true", "false"))
        case "enumeration":
            return _option(definition, value, tuple(option["value"] for option in definition["options"]))
        case "datetime":
            return moment(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "date":
            return moment(value).date().isoformat()
        case _:
            if name == "email" and not _EMAIL.fullmatch(value.strip()):
                raise _Refused("INVALID_EMAIL", f"Email address {value} is invalid")
            return value


def _number(value: str) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise _Refused("INVALID_DOUBLE", f"{value} was not a valid number.") from None
    if not number.is_finite():
        raise _Refused("INVALID_DOUBLE", f"{value} was not a valid number.")
    return value.strip()


def _option(definition: Mapping[str, Any], value: str, allowed: tuple[str, ...]) -> str:
    if definition.get("externalOptions") or not allowed:
        return value
    chosen = value.split(";") if definition.get("fieldType") == "checkbox" else [value]
    for one in chosen:
        if one not in allowed:
            raise _Refused("INVALID_OPTION", f"{one} was not one of the allowed options: [{', '.join(allowed)}]")
    return value


def moment(value: str) -> datetime:
    """From milliseconds since the epoch or ISO 8601; without a zone it is UTC."""
    try:
        if value.lstrip("-").isdecimal():
            return _EPOCH + timedelta(milliseconds=int(value))
        parsed = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        raise _Refused("INVALID_DATE", f"{value} was not a valid long.") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def comparable(kind: str, value: str) -> Decimal | datetime | str:
    """A value in the order in which HubSpot compares values of that property type; text without regard to case.

    Raises `ValueError` for text that is no value of that type.
    """
    try:
        if kind == "number":
            return Decimal(value)
        if kind == "datetime":
            return moment(value)
        if kind == "date":
            return _midnight(moment(value).date())
    except (_Refused, InvalidOperation) as error:
        raise ValueError(f"{value!r} is not a {kind}") from error
    return value.lower()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def text(value: Scalar) -> str | None:
    """As HubSpot keeps it: `true` and `false` for booleans."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
