"""How Shopify words a refusal: GraphQL errors inside 200, and the bodies of other statuses."""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.replies import html_reply, json_reply

RATE_LIMITS = "https://shopify.dev/api/usage/rate-limits"


class QueryError(Exception):
    """An error of the whole document or of one root field; `code` and more go into its `extensions`."""

    def __init__(self, message: str, code: str | None = None, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = {**({"code": code} if code else {}), **extensions}

    def body(self) -> dict[str, Any]:
        """As it stands in `errors`."""
        return {"message": self.message, **({"extensions": self.extensions} if self.extensions else {})}


def max_cost_exceeded(cost: int, most: int) -> QueryError:
    """A single document may not ask for more, however full the bucket is."""
    return QueryError(
        f"Query cost is {cost}, which exceeds the single query max cost limit ({most}).\n\n"
        "See https://shopify.dev/concepts/about-apis/rate-limits for more information on how the\n"
        "cost of a query is calculated.\n\n"
        "To query larger amounts of data with fewer limits, bulk operations should be used instead.\n"
        "See https://shopify.dev/api/usage/bulk-operations/queries for usage details.\n",
        "MAX_COST_EXCEEDED",
        cost=cost,
        maxCost=most,
        documentation=RATE_LIMITS,
    )


def throttled(cost: dict[str, Any]) -> Response:
    """The bucket holds less than was asked for: 200, no data."""
    error = QueryError("Throttled", "THROTTLED", documentation=RATE_LIMITS)
    return json_reply({"errors": [error.body()], "extensions": {"cost": cost}})


def internal_error() -> QueryError:
    """What a resolver that failed leaves in `errors`, beside the data of the others."""
    request = uuid4()
    return QueryError(
        f"Internal error. Looks like something went wrong on our end.\nRequest ID: {request} (include this in support "
        "requests).",
        "INTERNAL_SERVER_ERROR",
        requestId=str(request),
    )


def refused(status: int, message: Any) -> Response:
    """Every refusal outside GraphQL is `{"errors": …}`."""
    return json_reply({"errors": message}, status)


def unauthorized() -> Response:
    return refused(401, "[API] Invalid API key or access token (unrecognized login or wrong password)")


def not_found() -> Response:
    return refused(404, "Not Found")


def _rate_limited(retry_after: float | None) -> Response:
    """What the edge says before GraphQL counts points."""
    reply = refused(
        429, "Exceeded 40 calls per second for api client. Reduce request rates to resume uninterrupted service."
    )
    if retry_after is not None:
        reply.headers["Retry-After"] = f"{math.ceil(retry_after)}.0"
    return reply


def _server_error(status: int) -> Response:
    if status == 500:
        return refused(500, "Internal Server Error")
    title = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}[status]
    return html_reply(f"{status} {title}", "cloudflare", status)


def _throttled_by_fault(seconds: float | None) -> Response:
    """An empty bucket that needs so many seconds to hold what was asked for."""
    asked = max(1, round((seconds or 1.0) * 100))
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0}
    return throttled({"requestedQueryCost": asked, "actualQueryCost": None, "throttleStatus": status})


BODIES = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error, throttled=_throttled_by_fault)
