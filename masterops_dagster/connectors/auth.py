"""How a request proves who we are: bearer tokens, keys in headers, OAuth refresh, Unleashed's signature, OAuth 1.0a.

All are `httpx.Auth` classes. They sign the request as it goes over the wire, each time it is sent, so that a retry
carries a fresh timestamp.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from urllib.parse import parse_qsl, quote, urlencode

import httpx
from authlib.oauth1.rfc5849.signature import construct_base_string


class TokenRefused(Exception):
    """The token endpoint gave no token. `status` is its answer's; 400, 401 and 403 mean that the grant is not valid."""

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class BearerToken(httpx.Auth):
    """`Authorization: Bearer …` with a token that does not expire by itself."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class HeaderKey(httpx.Auth):
    """A key that does not expire by itself, in a header of the system's own: `X-N8N-API-KEY: …`."""

    def __init__(self, header: str, key: str) -> None:
        self._header = header
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._header] = self._key
        yield request


class SupabaseKey(httpx.Auth):
    """A project's API key, in `apikey`. A key of the old kind is a JWT and goes into `Authorization: Bearer`, too.

    One of the new kind (`sb_secret_…`) is none, and is refused there as a broken token.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["apikey"] = self._key
        if self._key.count(".") == 2:
            request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class FetchedToken(httpx.Auth):
    """A token that ends by itself, fetched before it does, and once more when it is refused.

    However many threads find the token stale, one fetches a new one and the others wait for it. `leeway` is how many
    seconds before its end a token counts as expired. Subclasses say what is asked for and where the token goes. Raises
    `TokenRefused` when the token endpoint refuses.
    """

    def __init__(self, token_url: str, *, leeway: float, clock: Callable[[], float]) -> None:
        self._token_url = token_url
        self._leeway = leeway
        self._clock = clock
        self._lock = threading.Lock()
        self._access_token = ""
        self._expires_at = 0.0

    @abstractmethod
    def grant(self) -> dict[str, str]:
        """The form that asks for a token."""

    def put(self, request: httpx.Request, token: str) -> None:
        """Where a request carries the token."""
        request.headers["Authorization"] = f"Bearer {token}"

    def taken(self, body: dict[str, object]) -> None:
        """What else the endpoint's answer has to tell."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = yield from self._token(request, refused="")
        self.put(request, token)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = yield from self._token(request, refused=token)
            self.put(request, token)
            yield request

    def _token(self, request: httpx.Request, refused: str) -> Generator[httpx.Request, httpx.Response, str]:
        """A usable token. Asking for one has the time-outs of the request that needs it: all others wait for it."""
        with self._lock:
            usable = self._access_token and self._access_token != refused
            if not usable or self._clock() >= self._expires_at - self._leeway:
                asked_at = self._clock()
                timeouts = {"timeout": request.extensions["timeout"]}
                response = yield httpx.Request("POST", self._token_url, data=self.grant(), extensions=timeouts)
                response.read()
                self._accept(response, asked_at)
            return self._access_token

    def _accept(self, response: httpx.Response, asked_at: float) -> None:
        try:
            body = response.json()
        except ValueError:
            raise TokenRefused("the token endpoint's answer is not JSON", response.status_code) from None
        if response.status_code != httpx.codes.OK or not isinstance(body, dict) or "access_token" not in body:
            said = (
                [body.get(name) for name in ("message", "error_description", "error")] if isinstance(body, dict) else []
            )
            message = next(filter(None, said), "the token endpoint gave no token")
            raise TokenRefused(str(message), response.status_code)
        self._access_token = str(body["access_token"])
        self._expires_at = asked_at + float(body.get("expires_in", 0))
        self.taken(body)


class OAuthRefresh(FetchedToken):
    """A bearer token fetched with a refresh token (RFC 6749 §6).

    `on_refresh_token` gets a new refresh token where the system rotates it.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        leeway: float = 60.0,
        on_refresh_token: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(token_url, leeway=leeway, clock=clock)
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        self._on_refresh_token = on_refresh_token

    def grant(self) -> dict[str, str]:
        return {
            "grant_type": "refresh_token",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "refresh_token": self._refresh_token,
        }

    def taken(self, body: dict[str, object]) -> None:
        rotated = body.get("refresh_token")
        if rotated and rotated != self._refresh_token:
            self._refresh_token = str(rotated)
            if self._on_refresh_token is not None:
                self._on_refresh_token(self._refresh_token)


class ClientCredentials(FetchedToken):
    """A token fetched with an app's own credentials (RFC 6749 §4.4), carried in a header of the system's own."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        header: str,
        leeway: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(token_url, leeway=leeway, clock=clock)
        self._client_id = client_id
        self._client_secret = client_secret
        self._header = header

    def grant(self) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }

    def put(self, request: httpx.Request, token: str) -> None:
        request.headers[self._header] = token


class UnleashedSignature(httpx.Auth):
    """Unleashed's request signing: HMAC-SHA256 of the query string, exactly as sent, without the `?`; empty if none.

    From Unleashed's API documentation, "Authentication". The path and the body are not part of the signature.
    """

    def __init__(self, api_id: str, api_key: str) -> None:
        self._api_id = api_id
        self._api_key = api_key.encode()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        digest = hmac.new(self._api_key, request.url.query, hashlib.sha256).digest()
        request.headers["api-auth-id"] = self._api_id
        request.headers["api-auth-signature"] = base64.b64encode(digest).decode()
        yield request


class OAuth1Signature(httpx.Auth):
    """OAuth 1.0a (RFC 5849) with two legs and HMAC-SHA256, parameters in the query: many hosts drop `Authorization`.

    A JSON body is not part of the signature (§3.4.1.3.1); the query is. Authlib's own client refuses plain http, which
    is what this is for, so only its base string is used.
    """

    def __init__(self, consumer_key: str, consumer_secret: str) -> None:
        self._consumer_key = consumer_key
        self._consumer_secret = consumer_secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        query = parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True)
        query += [
            ("oauth_consumer_key", self._consumer_key),
            ("oauth_nonce", secrets.token_hex(16)),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", str(int(time.time()))),
            ("oauth_version", "1.0"),
        ]
        address = str(request.url.copy_with(query=None))
        query.append(("oauth_signature", oauth1_signature(request.method, address, query, self._consumer_secret)))
        request.url = request.url.copy_with(query=urlencode(query, quote_via=quote).encode("ascii"))
        yield request


def oauth1_signature(method: str, address: str, params: Sequence[tuple[str, str]], consumer_secret: str) -> str:
    """HMAC-SHA256 of the base string, without a token's secret: like HMAC-SHA1 (RFC 5849 §3.4.2) but for the hash.

    `params` are the decoded parameters of the query, of `Authorization` and of a form, `address` the URL without query.
    """
    key = quote(consumer_secret, safe="~") + "&"
    base_string = construct_base_string(method, address, params)
    return base64.b64encode(hmac.new(key.encode(), base_string.encode(), hashlib.sha256).digest()).decode()
