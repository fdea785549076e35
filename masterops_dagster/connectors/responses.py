"""What an answer says besides its data: which error a status means, how long to wait, what a foreign body is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    ConnectorError,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
)


def error_kind(status: int) -> type[ConnectorError]:
    """The error that a status means by itself. Only what another try can mend is `Unavailable`."""
    kinds: dict[int, type[ConnectorError]] = {
        401: AuthenticationError,
        403: PermissionDenied,
        404: NotFound,
        408: Unavailable,
        409: Conflict,
        410: NotFound,
        412: Conflict,
        425: Unavailable,
        429: RateLimited,
        501: Rejected,
        505: Rejected,
    }
    return kinds.get(status, Unavailable if status >= 500 else Rejected)


def retry_after(headers: httpx.Headers) -> float | None:
    """RFC 9110 §10.2.3: seconds or an HTTP date; some send seconds with a fraction."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    return _seconds_until(value, headers.get("Date")) if value else None


def correlation_id(headers: httpx.Headers) -> str | None:
    names = ("x-hubspot-correlation-id", "x-correlation-id", "x-request-id", "request-id", "cf-ray")
    return next((headers[name] for name in names if name in headers), None)


def describe(failure: httpx.TransportError) -> str:
    """What happened on the wire; httpx leaves the message of time-outs empty."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", " ", type(failure).__name__).lower()
    return f"{kind}: {failure}" if str(failure) else kind


def excerpt(body: bytes, headers: httpx.Headers) -> str:
    """What a body that isn't JSON is: an HTML page's title, or the beginning of a text; of broken JSON nothing.

    E-mail addresses are left out, since errors end up in logs.
    """
    text = body[:4000].decode("utf-8", errors="replace").strip()
    if text[:1] in {"{", "["}:
        return f"{len(body)} bytes that begin like JSON"
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    if title:
        text = f"HTML page {' '.join(title[1].split())!r}"
    elif "html" in headers.get("Content-Type", "") or text[:1] == "<":
        text = re.sub(r"<[^>]*>", " ", text)
    return re.sub(r"\S+@\S+", "(address)", " ".join(text.split()))[:200] or "nothing"


def _seconds_until(moment: str, reference: str | None = None) -> float | None:
    """Seconds from an HTTP date until another (`Retry-After`); None if it can't be read.

    The reference is the answer's `Date`, so that a difference between the clocks doesn't matter; without one, now.
    """
    try:
        target = parsedate_to_datetime(moment)
        start = parsedate_to_datetime(reference) if reference else datetime.now(UTC)
    except ValueError:
        return None
    return max(0.0, (_aware(target) - _aware(start)).total_seconds())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
