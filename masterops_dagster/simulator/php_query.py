"""A query string as PHP reads it into `$_GET`: the last of equal names wins, `name[]` and `name[key]` become arrays.

WordPress signs and validates what PHP made of the query, not the bytes that were sent.
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import unquote_plus

Value: TypeAlias = "str | dict[str, Value]"


def parse(query: str) -> dict[str, Value]:
    """Arrays are dicts with PHP's keys ("0", "1", …), in order of appearance."""
    found: dict[str, Value] = {}
    for pair in query.split("&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition("=")
        name, keys = _split_name(unquote_plus(raw_name))
        if name:
            _put(found, [name, *keys], unquote_plus(raw_value))
    return found


def as_list(value: Value) -> list[str]:
    """WordPress's reading of an argument of type array: a real array, or text split at commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [item for item in value.values() if isinstance(item, str)]


def _split_name(name: str) -> tuple[str, list[str]]:
    head, bracket, tail = name.lstrip(" ").partition("[")
    head = head.replace(".", "_").replace(" ", "_")
    keys: list[str] = []
    rest = bracket + tail
    while rest.startswith("[") and "]" in rest:
        key, _, rest = rest[1:].partition("]")
        keys.append(key)
    return head, keys


def _put(target: dict[str, Value], keys: list[str], value: str) -> None:
    *parents, last = keys
    for key in parents:
        child = target.get(_key(target, key))
        if not isinstance(child, dict):
            child = {}
            target[_key(target, key)] = child
        target = child
    target[_key(target, last)] = value


def _key(target: dict[str, Value], key: str) -> str:
    if key:
        return key
    numbers = [int(known) for known in target if known.isdecimal()]
    return str(max(numbers) + 1) if numbers else "0"
