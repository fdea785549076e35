"""HubSpot's error bodies, each with a correlation id. Wording and shapes as its public API words them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from masterops_dagster.simulator.auth import TokenObjection
from masterops_dagster.simulator.limits import Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.replies import html_reply, json_reply

PORTAL_ID = 24117077


class ApiError(Exception):
    """A refusal on its way to the client: `status` of the answer, `body` without status and correlation id."""

    def __init__(self, status: int, message: str, category: str, **rest: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "category": category, **rest}

    def reply(self) -> Response:
        """The answer of a request that failed as a whole."""
        return error_reply(self.status, **self.body)

    def item(self) -> dict[str, Any]:
        """The entry in `errors` of a batch that failed in part."""
        return {"status": "error", **self.body}


@dataclass(frozen=True, slots=True)
class InvalidValue:
    """What is wrong with one property of a write."""

    name: str
    code: str
    message: str


def error_reply(status: int, *, headers: Mapping[str, str] | None = None, **body: Any) -> Response:
    """An error body: `status` and a fresh correlation id come with it."""
    return json_reply({"status": "error", "correlationId": str(uuid4()), **body}, status, headers)


def not_found(object_id: str) -> ApiError:
    return ApiError(
        404, "Object not found.  objectId are usually numeric.", "OBJECT_NOT_FOUND", context={"id": [object_id]}
    )


def some_not_found(singular: str, ids: Sequence[str]) -> ApiError:
    """The one error under which a batch lists everything that isn't there."""
    return ApiError(
        207,
        f"Could not get some {singular.upper()} objects, they may be deleted or not exist. Check that ids are valid.",
        "OBJECT_NOT_FOUND",
        context={"ids": list(ids)},
    )


def already_exists(singular: str, existing_id: str) -> ApiError:
    return ApiError(409, f"{singular} already exists. Existing ID: {existing_id}", "CONFLICT")


def invalid(message: str, **rest: Any) -> ApiError:
    """A request that can't be understood or goes beyond a bound."""
    return ApiError(400, message, "VALIDATION_ERROR", **rest)


def invalid_values(problems: Sequence[InvalidValue]) -> ApiError:
    """Properties that can't be set like this; the message carries them as JSON, as HubSpot's does."""
    detail = [
        {
            "isValid": False,
            "message": problem.message,
            "error": problem.code,
            "name": problem.name,
            "localizedErrorMessage": problem.message,
            "portalId": PORTAL_ID,
        }
        for problem in problems
    ]
    return invalid(
        f"Property values were not valid: {json.dumps(detail, separators=(',', ':'), ensure_ascii=False)}",
        errors=[
            {"message": problem.message, "code": problem.code, "context": {"propertyName": [problem.name]}}
            for problem in problems
        ],
    )


def unauthorized(objection: TokenObjection) -> Response:
    if objection.reason == "expired":
        moment = datetime.fromtimestamp(objection.expired_at, UTC)
        return error_reply(
            401,
            message="The OAuth token used to make this call expired.",
            category="EXPIRED_AUTHENTICATION",
            context={"expire time": [moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")]},
        )
    return error_reply(
        401,
        message="Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more"
        " details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        category="INVALID_AUTHENTICATION",
    )


def rate_limited(refusal: Refusal) -> Response:
    """429 for a limit that was reached. HubSpot sends no `Retry-After` here."""
    policy, name = {
        "burst": ("TEN_SECONDLY_ROLLING", "ten_secondly_rolling"),
        "search": ("SECONDLY", "secondly"),
        "day": ("DAILY", "daily"),
    }[refusal.limit]
    return _rate_limited(policy, name, None)


def _rate_limited(policy: str, name: str, retry_after: float | None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return error_reply(
        429,
        headers=headers,
        message=f"You have reached your {name} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
    )


def _server_error(status: int) -> Response:
    if status == 500:
        return error_reply(500, message="internal error")
    return html_reply("hubspot.com", f"Error {status}: the origin web server doesn't answer.", status)


BODIES = ErrorBodies(
    rate_limited=lambda retry_after: _rate_limited("TEN_SECONDLY_ROLLING", "ten_secondly_rolling", retry_after),
    server_error=_server_error,
)
