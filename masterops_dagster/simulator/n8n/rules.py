"""What n8n's public API accepts for a workflow, and its words for what it doesn't; from n8n 2.39.10.

The first objection counts: fields in the order of the API's own schema, then those that it doesn't know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str], None]
"""Takes a value and its place (`/nodes/0`). Raises `Objection`."""

NAME_LENGTH = 128
TRIGGERS = ("Trigger", ".webhook")
NO_TRIGGER = (
    "Workflow cannot be activated because it has no trigger node. "
    "At least one trigger, webhook, or polling node is required."
)
BAD_NAME = f"Workflow name must be 1 to {NAME_LENGTH} characters long."


class Objection(Exception):
    """Why a body is refused: `request/body/active is read-only`."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"request/body{where} {what}")


def check_new(body: Any) -> None:
    """Whether a workflow can be created from this. Raises `Objection`."""
    _NEW(body, "")


def check_changed(body: Any) -> None:
    """Whether a workflow can be replaced by this. Raises `Objection`."""
    _CHANGED(body, "")


def check_tag_ids(body: Any) -> None:
    """Whether this is a list of `{"id"}`. Raises `Objection`."""
    _TAG_IDS(body, "")


def check_tag(body: Any) -> None:
    """Whether a tag can be created from this. Raises `Objection`."""
    _TAG(body, "")


def check_retry(body: Any) -> None:
    """Whether these are options of a retry. Raises `Objection`."""
    _RETRY(body, "")


def has_trigger(nodes: Any) -> bool:
    """Whether anything can start it."""
    return any(str(node.get("type", "")).endswith(TRIGGERS) for node in nodes)


# ---- kinds of values


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "number", float: "number", list: "array", dict: "object"}[type(value)]


def _of(kind: str) -> Check:
    def check(value: Any, where: str) -> None:
        if _kind(value) != kind:
            raise Objection(where, f"Expected {kind}, received {_kind(value)}")

    return check


def _one_of(*options: str) -> Check:
    def check(value: Any, where: str) -> None:
        if value not in options:
            expected = " | ".join(f"'{option}'" for option in options)
            received = f"'{value}'" if isinstance(value, str) else _kind(value)
            raise Objection(where, f"Invalid enum value. Expected {expected}, received {received}")

    return check


def _list_of(item: Check) -> Check:
    def check(value: Any, where: str) -> None:
        _of("array")(value, where)
        for place, one in enumerate(value):
            item(one, f"{where}/{place}")

    return check


def _or_null(other: Check) -> Check:
    return lambda value, where: None if value is None else other(value, where)


def _read_only(value: Any, where: str) -> None:
    raise Objection(where, "is read-only")


def _connections(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise Objection(where, "must be object")


def _static_data(value: Any, where: str) -> None:
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            raise Objection(where, "must be a JSON string") from None
    elif value is not None and not isinstance(value, dict):
        raise Objection(where, "Invalid input")


def _object(fields: Mapping[str, Check], required: tuple[str, ...] = (), *, strict: bool = True) -> Check:
    def check(value: Any, where: str) -> None:
        _of("object")(value, where)
        for name, field in fields.items():
            if name in value:
                field(value[name], f"{where}/{name}")
            elif name == "connections":
                _connections(None, f"{where}/{name}")
            elif name in required:
                raise Objection(where, f"must have required property '{name}'")
        unknown = ", ".join(f"'{name}'" for name in value if name not in fields)
        if strict and unknown:
            raise Objection(where, f"Unrecognized key(s) in object: {unknown}")

    return check


# ---- the API's bodies

_text, _number, _flag, _any_object = _of("string"), _of("number"), _of("boolean"), _of("object")
_telemetry_tag = _object({"key": _text, "value": _text}, ("key", "value"))

_node = _object(
    {
        **dict.fromkeys(("id", "name", "webhookId"), _text),
        **dict.fromkeys(("disabled", "notesInFlow"), _flag),
        **dict.fromkeys(("notes", "type"), _text),
        "typeVersion": _number,
        **dict.fromkeys(("executeOnce", "alwaysOutputData", "retryOnFail"), _flag),
        **dict.fromkeys(("maxTries", "waitBetweenTries"), _number),
        "continueOnFail": _flag,
        "onError": _text,
        "position": _list_of(_number),
        **dict.fromkeys(("parameters", "credentials"), _any_object),
        "customTelemetryTags": _object({"tag": _list_of(_telemetry_tag)}),
        **dict.fromkeys(("createdAt", "updatedAt"), _read_only),
    }
)
_node_group = _object(
    {"id": _text, "name": _text, "description": _text, "nodeIds": _list_of(_text)}, ("id", "name", "nodeIds")
)
_settings = _object(
    {
        **dict.fromkeys(("saveExecutionProgress", "saveManualExecutions"), _flag),
        **dict.fromkeys(("saveDataErrorExecution", "saveDataSuccessExecution"), _one_of("all", "none")),
        "executionTimeout": _number,
        **dict.fromkeys(("errorWorkflow", "timezone", "executionOrder"), _text),
        "binaryMode": _one_of("separate", "combined"),
        "callerPolicy": _one_of("any", "none", "workflowsFromAList", "workflowsFromSameOwner"),
        "callerIds": _text,
        "timeSavedMode": _one_of("fixed", "dynamic"),
        "timeSavedPerExecution": _number,
        "redactionPolicy": _one_of("none", "non-manual", "manual-only", "all"),
        "availableInMCP": _flag,
        "customTelemetryTags": _list_of(_telemetry_tag),
        "credentialResolverId": _text,
    }
)
_REQUIRED = ("name", "nodes", "connections", "settings")
_WRITTEN: dict[str, Check] = {
    "id": _read_only,
    "name": _text,
    **dict.fromkeys(("active", "createdAt", "updatedAt", "isArchived", "versionId", "triggerCount"), _read_only),
    "nodes": _list_of(_node),
    "connections": _connections,
    "settings": _settings,
    "nodeGroups": _list_of(_node_group),
    "staticData": _static_data,
    "pinData": _or_null(_any_object),
    "projectId": _text,
    "parentFolderId": _or_null(_text),
    **dict.fromkeys(("meta", "tags"), _read_only),
    "shared": _list_of(_any_object),
    "activeVersion": _read_only,
}
_NEW = _object(_WRITTEN, _REQUIRED)
_CHANGED = _object(
    {**{name: check for name, check in _WRITTEN.items() if name != "projectId"}, "description": _text}, _REQUIRED
)
_TAG = _object({"name": _text, **dict.fromkeys(("id", "createdAt", "updatedAt"), _read_only)}, ("name",))
_TAG_IDS = _list_of(_object({"id": _text}, ("id",)))
_RETRY = _object({"loadWorkflow": _flag}, strict=False)
