"""How Shopify's Admin API is spoken to: one address, documents with variables, points, and errors inside status 200.

Facts from Shopify's documentation (version 2026-10):
- Each document has a cost in points, known before it runs (requested) and after (actual); the answer names both, and
  how the shop's bucket stands. It must hold the requested cost; what the document didn't cost flows back at once. Over
  it the answer is 200 with the error THROTTLED; a document of more than 1,000 points is refused (MAX_COST_EXCEEDED).
- Errors come beside partial data: an answer with any error is none. Mutations put what they refuse into `userErrors`.
- Reading orders older than 60 days takes the scope `read_all_orders`; without it they are just not there.
  An app may ask which scopes it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

import httpx

from masterops_dagster.connectors.auth import ClientCredentials, HeaderKey
from masterops_dagster.connectors.base import Connector, Explanation, Options, Record
from masterops_dagster.connectors.budget import Bucket, Spent
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    ConnectorError,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.shopify.documents import document

API_VERSION = "2026-10"
TOKEN_HEADER = "X-Shopify-Access-Token"  # noqa: S105 -- a header's name
POINTS = Bucket("points", 2_000, 100.0)
"""Of the standard plan; the answers say what the shop's own plan has."""

UNKNOWN_COST = 100
"""Points taken for a document that never ran; what it doesn't cost comes back with its answer."""

FIELD_UNKNOWN = frozenset({"undefinedField", "argumentNotAccepted", "missingRequiredArguments", "undefinedType"})
STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE", "IDEMPOTENCY_CONCURRENT_REQUEST"})


class TooCostly(Rejected):
    """The document asks for more than 1,000 points at once: a smaller page may do."""


def access_token(token: str) -> HeaderKey:
    """A custom app's token, which doesn't expire."""
    return HeaderKey(TOKEN_HEADER, token)


def client_credentials(base_url: str, client_id: str, client_secret: str) -> ClientCredentials:
    """An app's own credentials, for the organisation's stores; its tokens last a day."""
    return ClientCredentials(
        f"{base_url.rstrip('/')}/admin/oauth/access_token", client_id, client_secret, header=TOKEN_HEADER
    )


class ShopifyApi(Connector):
    """One store. `base_url` is `https://<shop>.myshopify.com`, `auth` one of this module's."""

    system = "shopify"

    def __init__(
        self,
        base_url: str,
        account: str,
        auth: httpx.Auth,
        *,
        api_version: str = API_VERSION,
        bucket: Bucket = POINTS,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(base_url, account, auth, windows=[bucket], **options)
        self._path = f"/admin/api/{api_version}/graphql.json"
        self._costs: dict[tuple[str, int], int] = {}

    def execute(self, name: str, variables: Mapping[str, object], *, operation: str, size: int = 1) -> Record:
        """The `data` of a document's answer, without any error in it.

        `size` is how many objects it asks for: together with the name it tells what it will cost. All documents may be
        sent twice: they read, or say what is to be, or carry a key by which Shopify knows the second one. Raises
        `ConnectorError`s.
        """
        reply = self.request(
            "POST",
            self._path,
            operation=operation,
            json={"query": document(name), "variables": variables},
            repeatable=True,
            cost=self._costs.get((name, size), UNKNOWN_COST),
        )
        body = reply.data
        spent = self.spent(body)
        if spent is not None and spent.requested is not None:
            self._costs[name, size] = spent.requested
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            raise self.malformed(operation, "the answer has no data")
        return data

    def change(self, name: str, field: str, variables: Mapping[str, object], *, operation: str) -> Record:
        """What a mutation returns in `field`. Raises `Rejected` or `Conflict` with the path of what it refused."""
        answer = self.part(self.execute(name, variables, operation=operation), field, operation)
        errors = answer.get("userErrors")
        if isinstance(errors, list) and errors:
            said = [error for error in errors if isinstance(error, dict)]
            codes = {error.get("code") for error in said}
            raise self.failure(Conflict if codes & STALE else Rejected, "; ".join(map(_worded, said)), operation)
        return answer

    def part(self, value: Record, field: str, operation: str) -> Record:
        """An object in an answer."""
        found = value.get(field)
        if not isinstance(found, dict):
            raise self.malformed(operation, f"the answer has no {field}")
        return found

    def failure(
        self, kind: type[ConnectorError], detail: str, operation: str, advice: str | None = None
    ) -> ConnectorError:
        """An error that an answer means as a whole."""
        return kind(detail, system=self.system, account=self.account, operation=operation, advice=advice)

    # ---- what the base asks

    def spent(self, data: object) -> Spent | None:
        """Points. What didn't run cost nothing."""
        extensions = data.get("extensions") if isinstance(data, dict) else None
        cost = extensions.get("cost") if isinstance(extensions, dict) else None
        if not isinstance(data, dict) or not isinstance(cost, dict):
            return None
        status = cost.get("throttleStatus")
        bucket = status if isinstance(status, dict) else {}
        actual = _whole(cost.get("actualQueryCost"))
        return Spent(
            cost=0 if actual is None and data.get("data") is None else actual,
            requested=_whole(cost.get("requestedQueryCost")),
            available=_whole(bucket.get("currentlyAvailable")),
            limit=_whole(bucket.get("maximumAvailable")),
            per_second=_rate(bucket.get("restoreRate")),
        )

    def refusal(self, data: object) -> Explanation | None:
        """Any error makes the answer one, whatever data is beside it."""
        errors = data.get("errors") if isinstance(data, dict) else None
        if not errors:
            return None
        found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
        detail = "; ".join(str(error.get("message", "")).strip() for error in found) or str(errors)
        extensions = [error["extensions"] for error in found if isinstance(error.get("extensions"), dict)]
        codes = {str(extension.get("code")) for extension in extensions}
        request = next((str(extension["requestId"]) for extension in extensions if "requestId" in extension), None)
        if "ACCESS_DENIED" in codes:
            needed = [str(extension["requiredAccess"]) for extension in extensions if extension.get("requiredAccess")]
            advice = f"Grant the app: {' '.join(needed)}" if needed else None
            return Explanation(detail, request, PermissionDenied, advice=advice)
        if "MAX_COST_EXCEEDED" in codes:
            return Explanation(detail.partition("\n")[0], request, TooCostly)
        if "THROTTLED" in codes:
            return Explanation(detail, request, RateLimited, retry_after=_wait(self.spent(data)))
        if codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT"}:
            return Explanation(detail, request, Unavailable)
        if "SHOP_INACTIVE" in codes:
            return Explanation(detail, request, PermissionDenied, advice="The store is closed or frozen.")
        advice = "Check the API version in the settings." if codes & FIELD_UNKNOWN else None
        return Explanation(detail, request, Rejected, advice=advice)

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """Outside GraphQL an error is `{"errors": "…"}`, or a list or an object of them."""
        errors = body.get("errors", body.get("error")) if isinstance(body, dict) else body
        if isinstance(errors, list):
            errors = "; ".join(
                str(error.get("message", error)) if isinstance(error, dict) else str(error) for error in errors
            )
        elif isinstance(errors, dict):
            errors = "; ".join(f"{name}: {text}" for name, text in errors.items())
        request = headers.get("X-Request-Id")
        kind: type[ConnectorError] | None = None
        advice = None
        if status in {402, 423}:
            kind, advice = PermissionDenied, "The store is frozen or locked: see its admin."
        elif status == 403:
            kind, advice = AuthenticationError, "Check that the app is installed in this store."
        elif status == 404:
            advice = "Check the base URL and the API version."
        elif status == 430:
            kind = RateLimited
        return Explanation(str(errors or "no message"), request, kind, advice=advice)


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | Decimal) else None


def _rate(value: object) -> float | None:
    return float(value) if isinstance(value, int | Decimal) and value > 0 else None


def _wait(spent: Spent | None) -> float | None:
    """Seconds until the bucket holds what was asked for."""
    if spent is None or spent.requested is None or spent.available is None or spent.per_second is None:
        return None
    return max(0.0, spent.requested - spent.available) / spent.per_second


def _worded(error: Record) -> str:
    field = error.get("field")
    path = ".".join(map(str, field)) if isinstance(field, list) else ""
    return f"{path}: {error.get('message')}" if path else str(error.get("message"))
