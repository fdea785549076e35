"""Who may call: HubSpot's bearer tokens, Unleashed's request signature, WooCommerce's Basic and OAuth 1.0a.

Each check answers with what the real system would object to, or None. Time is real time, shifted by the server's
clock skew where a fault asks for one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, unquote_plus

from masterops_dagster.simulator.php_query import Value

# ---- HubSpot


@dataclass(frozen=True, slots=True)
class TokenObjection:
    """Why a bearer token is refused; `expired_at` (epoch seconds) where it once was good."""

    reason: Literal["missing", "invalid", "expired"]
    expired_at: float = 0.0


@dataclass(slots=True)
class HubSpotTokens:
    """The service key, which doesn't expire, and the access tokens given out against the refresh token."""

    access_token: str
    client_id: str
    client_secret: str
    refresh_token: str
    _issued: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def objection(self, authorization: str, now: float) -> TokenObjection | None:
        """None if the `Authorization` header is good at `now`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return TokenObjection("missing")
        if hmac.compare_digest(token.encode(), self.access_token.encode()):
            return None
        expiry = self._issued.get(token)
        if expiry is None:
            return TokenObjection("invalid")
        return None if now < expiry else TokenObjection("expired", expiry)

    def issue(self, now: float, seconds: float) -> str:
        """A new access token, good for that long; the last hundred are remembered, so that an old one is `expired`."""
        token = f"CK{secrets.token_urlsafe(48)}"
        self._issued[token] = now + seconds
        while len(self._issued) > 100:
            self._issued.popitem(last=False)
        return token


# ---- Unleashed


def unleashed_signature(key: str, query: bytes) -> str:
    """The signature over exactly the bytes behind the `?`; empty where there are none."""
    return base64.b64encode(hmac.digest(key.encode(), query, "sha256")).decode()


def unleashed_accepts(api_id: str, api_key: str, headers: Mapping[str, str], query: bytes) -> bool:
    """Whether `api-auth-id` and `api-auth-signature` are this account's."""
    known = hmac.compare_digest(headers.get("api-auth-id", "").encode(), api_id.encode())
    expected = unleashed_signature(api_key, query).encode()
    return hmac.compare_digest(headers.get("api-auth-signature", "").encode(), expected) and known


# ---- WooCommerce

TIMESTAMP_WINDOW_SECONDS = 15 * 60
_OAUTH_PARAMETERS = (
    "oauth_consumer_key",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
)
_HEADER_PARAMETER = re.compile(r'(oauth_[a-z_-]*)=(?:"([^"]*)"|([^,]*))')
ERROR = "woocommerce_rest_authentication_error"
MISSING_PARAMETER = "woocommerce_rest_authentication_missing_parameter"


@dataclass(frozen=True, slots=True)
class WooObjection:
    """`code` and `message` of the 401 body. `anonymous` means that no credentials were seen at all."""

    code: str
    message: str
    anonymous: bool = False


ANONYMOUS = WooObjection("woocommerce_rest_cannot_view", "Sorry, you cannot list resources.", anonymous=True)


@dataclass(slots=True)
class WooKeys:
    """One consumer key with its secret, and the nonces seen within the timestamp window."""

    consumer_key: str
    consumer_secret: str
    _nonces: OrderedDict[tuple[str, int], None] = field(default_factory=OrderedDict)

    def objection(
        self, *, method: str, url: str, authorization: str, query: Mapping[str, Value], now: float
    ) -> WooObjection | None:
        """None if the request is authentic. `url` is the address without query, as the client wrote it.

        Over plain http Basic isn't looked at, so that such a request is anonymous, as on a real server.
        """
        if url.startswith("https:"):
            given = _basic(authorization) or (_text(query, "consumer_key"), _text(query, "consumer_secret"))
            if given[0]:
                return self._secret_objection(*given)
        return self._oauth_objection(method, url, authorization, query, now)

    def _secret_objection(self, key: str, secret: str) -> WooObjection | None:
        if not hmac.compare_digest(key.encode(), self.consumer_key.encode()):
            return WooObjection(ERROR, "Consumer key is invalid.")
        if not hmac.compare_digest(secret.encode(), self.consumer_secret.encode()):
            return WooObjection(ERROR, "Consumer secret is invalid.")
        return None

    def _oauth_objection(
        self, method: str, url: str, authorization: str, query: Mapping[str, Value], now: float
    ) -> WooObjection | None:
        parameters = {**query, **_oauth_header(authorization)}
        missing = [name for name in _OAUTH_PARAMETERS if not _text(parameters, name)]
        if len(missing) == len(_OAUTH_PARAMETERS):
            return ANONYMOUS
        if missing:
            names = ", ".join(missing)
            return WooObjection(MISSING_PARAMETER, f"Missing OAuth parameter{'s' if missing[1:] else ''} {names}")
        if not hmac.compare_digest(_text(parameters, "oauth_consumer_key").encode(), self.consumer_key.encode()):
            return WooObjection(ERROR, "Consumer key is invalid.")
        return self._signature_objection(method, url, parameters) or self._replay_objection(parameters, now)

    def _signature_objection(self, method: str, url: str, parameters: Mapping[str, Value]) -> WooObjection | None:
        algorithm = _text(parameters, "oauth_signature_method")
        if algorithm not in ("HMAC-SHA1", "HMAC-SHA256"):
            return WooObjection(ERROR, "Invalid signature - signature method is invalid.")
        signed = {name: value for name, value in parameters.items() if name != "oauth_signature"}
        base = "&".join((method.upper(), _percent(url), "%26".join(_percent(pair) for pair in _pairs(signed))))
        digest = hmac.digest(
            f"{self.consumer_secret}&".encode(), base.encode(), algorithm.removeprefix("HMAC-").lower()
        )
        given = unquote(_text(parameters, "oauth_signature").replace(" ", "+"))
        if not hmac.compare_digest(base64.b64encode(digest), given.encode()):
            return WooObjection(ERROR, "Invalid signature - provided signature does not match.")
        return None

    def _replay_objection(self, parameters: Mapping[str, Value], now: float) -> WooObjection | None:
        stamp = _text(parameters, "oauth_timestamp")
        if not stamp.isdecimal() or abs(int(stamp) - now) > TIMESTAMP_WINDOW_SECONDS:
            return WooObjection(ERROR, "Invalid timestamp.")
        nonce = (_text(parameters, "oauth_nonce"), int(stamp))
        if nonce in self._nonces:
            return WooObjection(ERROR, "Invalid nonce - nonce has already been used.")
        self._nonces[nonce] = None
        while self._nonces and next(iter(self._nonces))[1] < now - 2 * TIMESTAMP_WINDOW_SECONDS:
            self._nonces.popitem(last=False)
        return None


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, _, secret = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return key, secret


def _oauth_header(authorization: str) -> dict[str, Value]:
    if not authorization.startswith("OAuth "):
        return {}
    return {name: unquote_plus(quoted or bare) for name, quoted, bare in _HEADER_PARAMETER.findall(authorization)}


def _pairs(parameters: Mapping[str, Value], prefix: str = "") -> list[str]:
    """`name=value`, percent-encoded, sorted by name; an array's elements as `name%5Bkey%5D=value`, in their order."""
    pairs: list[str] = []
    for name in parameters if prefix else sorted(parameters):
        value = parameters[name]
        full = f"{prefix}%5B{name}%5D" if prefix else _percent(name)
        pairs.extend(_pairs(value, full) if isinstance(value, dict) else [f"{full}={_percent(value)}"])
    return pairs


def _percent(text: str) -> str:
    return quote(text, safe="~")


def _text(parameters: Mapping[str, Value], name: str) -> str:
    value = parameters.get(name, "")
    return value if isinstance(value, str) else ""
