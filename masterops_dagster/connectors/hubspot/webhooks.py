"""Whether a request really comes from HubSpot (signature v3), and the events in it.

The signature is base64 of an HMAC-SHA256, keyed with the app's client secret, over method + URI + body + timestamp.
Service keys can't verify webhooks: the secret is a project app's. Source: HubSpot, "Validating requests".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

SIGNATURE_HEADER = "X-HubSpot-Signature-v3"
TIMESTAMP_HEADER = "X-HubSpot-Request-Timestamp"

TOLERANCE = timedelta(minutes=5)
"""A request older than this is refused, and so is one as far in the future: a captured request can't be replayed."""

DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
"""The only percent encodings that HubSpot decodes in the URI before it signs; the others stay as they were sent."""

_ENCODED = re.compile("|".join(DECODED), re.IGNORECASE)


class InvalidSignature(ValueError):
    """The request is not from HubSpot, was changed on its way, or is too old; the message says which."""


class WebhookEvent(BaseModel):
    """One event. `occurred_at` is UTC; `attempt_number` counts from 0; the same `event_id` may arrive twice and events
    arrive in no order."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    event_id: int
    subscription_type: str
    object_id: int | None = None
    portal_id: int | None = None
    property_name: str | None = None
    property_value: str | None = None
    change_source: str | None = None
    attempt_number: int = 0
    occurred_at: datetime


_EVENTS = TypeAdapter(tuple[WebhookEvent, ...])


def signature(client_secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """The signature v3 of a request. `uri` is the full one, scheme and query included, as it was called."""
    decoded = _ENCODED.sub(lambda found: DECODED[found.group().upper()], uri)
    source = b"".join((method.upper().encode(), decoded.encode(), body, timestamp.encode()))
    return base64.b64encode(hmac.new(client_secret.encode(), source, hashlib.sha256).digest()).decode()


def verify(
    client_secret: str,
    method: str,
    uri: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    now: datetime | None = None,
) -> None:
    """Returns if the request is HubSpot's, else raises `InvalidSignature`.

    `body` is the raw one: parsing and writing it again changes bytes. `headers` may be in any case. `now` is real
    time, not business time. The comparison takes the same time wherever the signatures differ.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp, signed = given.get(TIMESTAMP_HEADER.lower()), given.get(SIGNATURE_HEADER.lower())
    if not timestamp or not signed:
        raise InvalidSignature(f"the request carries no {SIGNATURE_HEADER} or no {TIMESTAMP_HEADER}")
    if not re.fullmatch(r"[0-9]{1,15}", timestamp):
        raise InvalidSignature(f"{TIMESTAMP_HEADER} is not in milliseconds since 1970")
    age = (now or datetime.now(UTC)) - datetime.fromtimestamp(int(timestamp) / 1000, UTC)
    if abs(age) > TOLERANCE:
        raise InvalidSignature(f"the request is dated {age.total_seconds():.0f} s ago; 300 are allowed")
    expected = signature(client_secret, method, uri, body, timestamp)
    if not hmac.compare_digest(expected.encode(), signed.encode()):
        raise InvalidSignature("the signature does not match method, URI, body and timestamp")


def events(body: bytes) -> tuple[WebhookEvent, ...]:
    """The events of a verified body. Raises `ValueError` where it is not a list of events."""
    try:
        return _EVENTS.validate_json(body)
    except ValidationError as error:
        raise ValueError(f"the webhook's body is not a list of HubSpot events: {error.error_count()} faults") from error
