"""Whether a request really comes from Shopify.

The signature is base64 of an HMAC-SHA256 over the raw body, keyed with the app's client secret. It has no time in it:
who wants to refuse a captured request goes by `X-Shopify-Webhook-Id`. Source: Shopify, "Verify webhook deliveries".
"""

from __future__ import annotations

import base64
import hashlib
import hmac

SIGNATURE_HEADER = "X-Shopify-Hmac-Sha256"


class InvalidSignature(ValueError):
    """The request is not from Shopify, or was changed on its way."""


def signature(client_secret: str, body: bytes) -> str:
    """What Shopify puts into the header."""
    return base64.b64encode(hmac.new(client_secret.encode(), body, hashlib.sha256).digest()).decode()


def verify(client_secret: str, body: bytes, signed: str | None) -> None:
    """Returns if the request is Shopify's, else raises `InvalidSignature`.

    `body` is the raw one: parsing and writing it again changes bytes. `signed` is the header's value, None without one.
    The comparison takes the same time wherever the signatures differ.
    """
    if not signed:
        raise InvalidSignature(f"the request carries no {SIGNATURE_HEADER}")
    if not hmac.compare_digest(signature(client_secret, body).encode(), signed.strip().encode()):
        raise InvalidSignature("the signature does not match the body")
