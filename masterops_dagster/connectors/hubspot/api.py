"""HubSpot's HTTP API as it stands on the connector base: versioned paths, limits, errors, and its listings as records.

Sources: HubSpot's API reference 2026-09 ("Usage guidelines and limits", "Error handling", "Search the CRM").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Unpack
from zoneinfo import ZoneInfo

import httpx
from pydantic import ValidationError

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.connectors.auth import OAuthRefresh
from masterops_dagster.connectors.base import Connector, Explanation, LimitNews, Options, Record, Reply
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import ConnectorError, Unavailable
from masterops_dagster.connectors.hubspot import search
from masterops_dagster.connectors.hubspot.models import HubSpotError, ObjectType, SearchRequest, next_after

PAGE_SIZE = 100
"""Of listings; the most that HubSpot allows."""

DAY = "day"
SCOPES = {"TEN_SECONDLY_ROLLING": "10s", "SECONDLY": "search", "DAILY": DAY}
"""Which window of the budget a 429's `policyName` is about."""

_TEMPORARY = {423: 2.0, 477: 60.0}
"""Answers that ask to come back later: 423 (many changes to one object at once), 477 (the account is being moved)."""


class HubSpotApi(Connector):
    """One HubSpot account.

    `api_version` is the date in the paths; each version is supported for 18 months. The limits are what the account's
    plan allows (free and starter: 100 requests in 10 s; professional and enterprise: 190); HubSpot's headers correct
    them. Searches have 5 requests a second of their own and count in the others as well. `timezone` is the account's:
    the daily limit is counted up to midnight there.
    """

    system: ClassVar[str] = "hubspot"

    def __init__(
        self,
        base_url: str,
        account: str,
        auth: httpx.Auth,
        *,
        api_version: str = "2026-09",
        requests_per_10_seconds: int = 100,
        search_requests_per_second: int = 5,
        requests_per_day: int = 250_000,
        timezone: ZoneInfo = MELBOURNE,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            base_url,
            account,
            auth,
            windows=(Window("10s", requests_per_10_seconds, 10.0), Window(DAY, requests_per_day, 86_400.0)),
            **options,
        )
        self.api_version = api_version
        self._search_window = Window("search", search_requests_per_second, 1.0)
        self._timezone = timezone

    # ---- what HubSpot says about limits and errors

    def limit_news(self, headers: httpx.Headers) -> Iterable[LimitNews]:
        """`X-HubSpot-RateLimit-*`; answers to searches carry none of them."""
        interval = _number(headers, "X-HubSpot-RateLimit-Interval-Milliseconds")
        if interval in (None, 10_000):
            limit = _number(headers, "X-HubSpot-RateLimit-Max")
            remaining = _number(headers, "X-HubSpot-RateLimit-Remaining")
            if limit is not None or remaining is not None:
                yield LimitNews("10s", limit, remaining)
        daily = _number(headers, "X-HubSpot-RateLimit-Daily")
        daily_remaining = _number(headers, "X-HubSpot-RateLimit-Daily-Remaining")
        if daily is not None or daily_remaining is not None:
            yield LimitNews(DAY, daily, daily_remaining, self.seconds_to_midnight())

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """HubSpot's error body: message with details, correlation id, and for a 429 which limit was met.

        The daily limit is not tried again before midnight in the account's timezone.
        """
        if not isinstance(body, Mapping):
            return super().explain(status, headers, body)
        try:
            found = HubSpotError.model_validate(body)
        except ValidationError:
            return super().explain(status, headers, body)
        scope = SCOPES.get(found.policy_name or "", "")
        pause = None if "Retry-After" in headers else _TEMPORARY.get(status)
        daily = status == httpx.codes.TOO_MANY_REQUESTS and scope == DAY
        return Explanation(
            found.description,
            correlation_id=found.correlation_id,
            kind=Unavailable if status in _TEMPORARY else None,
            scope=scope,
            retry_after=self.seconds_to_midnight() if daily else pause,
            retryable=False if daily else None,
            advice="The account's requests of today are used up; HubSpot counts anew after midnight."
            if daily
            else None,
        )

    def seconds_to_midnight(self) -> float:
        """Until the daily limit is counted anew; real time."""
        now = datetime.now(self._timezone)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._timezone)
        return tomorrow.timestamp() - now.timestamp()

    # ---- requests

    def call(
        self,
        method: str,
        area: str,
        rest: str = "",
        *,
        operation: str,
        path: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        repeatable: bool | None = None,
        windows: Sequence[Window] = (),
    ) -> Reply:
        """A request below `/crm/{area}/{version}`; the rest as in `Connector.request`."""
        template = f"/crm/{area}/{self.api_version}{rest}"
        return self.request(
            method,
            template,
            operation=operation,
            path=path,
            params=params,
            json=json,
            repeatable=repeatable,
            windows=windows,
        )

    def listing(
        self,
        area: str,
        rest: str = "",
        *,
        operation: str,
        path: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        key: str = "id",
    ) -> Iterator[list[Record]]:
        """The pages of a listing, following `paging.next.after` to its end; empty ones are left out.

        `key` is the field by which its records are known.
        """
        after: str | None = None
        while True:
            query = {**(params or {}), **({"after": after} if after is not None else {})}
            answer = self.body(self.call("GET", area, rest, operation=operation, path=path, params=query), operation)
            if items := self.records(answer, operation, key):
                yield items
            following = next_after(answer)
            if following is None:
                return
            if following == after:
                raise self.malformed(operation, f"the page after {after!r} leads to itself")
            after = following

    def search_page(self, object_type: ObjectType, request: SearchRequest) -> Record:
        """The answer to one search request; safe to repeat."""
        operation = f"search {object_type}"
        reply = self.call(
            "POST",
            "objects",
            "/{object_type}/search",
            operation=operation,
            path={"object_type": object_type},
            json=request.body(),
            repeatable=True,
            windows=(self._search_window,),
        )
        return self.body(reply, operation)

    def search_pages(self, object_type: ObjectType, request: SearchRequest) -> Iterator[search.Answer]:
        """The answers to a search of any size, in the order of ids (see `search.walk`)."""
        try:
            yield from search.walk(request, lambda part: self.search_page(object_type, part))
        except search.DoesNotAdvance as stuck:
            raise self.malformed(f"search {object_type}", str(stuck)) from stuck

    # ---- shapes

    def body(self, reply: Reply, operation: str) -> Record:
        """The answer as an object. Raises `MalformedResponse`."""
        try:
            return reply.object()
        except TypeError as error:
            raise self.malformed(operation, str(error)) from error

    def records(self, answer: Mapping[str, object], operation: str, key: str) -> list[Record]:
        """The answer's `results`. Raises `MalformedResponse` where they are not objects with that field."""
        results = answer.get("results")
        if not isinstance(results, list) or not all(isinstance(item, dict) and key in item for item in results):
            raise self.malformed(operation, f"the answer has no list of results that all have {key!r}")
        return results

    def failure(self, kind: type[ConnectorError], found: HubSpotError, operation: str) -> ConnectorError:
        """An error that came inside of an answer."""
        return kind(
            found.description,
            system=self.system,
            account=self.account,
            operation=operation,
            correlation_id=found.correlation_id,
        )


def oauth(base_url: str, client_id: str, client_secret: str, refresh_token: str) -> OAuthRefresh:
    """The auth of an OAuth app: access tokens live for 1,800 s; the refresh token stays good."""
    return OAuthRefresh(f"{base_url.rstrip('/')}/oauth/v1/token", client_id, client_secret, refresh_token)


def moment(value: object) -> datetime | None:
    """A time of an answer (`2026-03-01T12:30:00.000Z`), None where there is none or it can't be read."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _number(headers: httpx.Headers, name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isdecimal() else None
