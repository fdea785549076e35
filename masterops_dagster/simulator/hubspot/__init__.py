"""HubSpot's stand-in: one account for the group, date-versioned paths and the v3/v4 ones alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.auth import HubSpotTokens
from masterops_dagster.simulator.hubspot import errors
from masterops_dagster.simulator.hubspot.associations import Associations
from masterops_dagster.simulator.hubspot.errors import ApiError, error_reply, not_found
from masterops_dagster.simulator.hubspot.objects import Objects, next_page, page_of
from masterops_dagster.simulator.hubspot.schema import Definitions, object_type
from masterops_dagster.simulator.limits import Meter, Policies, Refusal
from masterops_dagster.simulator.replies import html_reply, json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world.records import Query
from masterops_dagster.simulator.world.store import World

VERSIONS = ("2026-03", "2026-09")
"""The date versions that are supported, each for 18 months."""

MAX_URL = 16_384
"""Bytes of path and query beyond which the answer is 414."""

_NUMBERED = re.compile(r"/crm/v(?P<number>[34])(?P<rest>/(?P<api>\w+).*?)/?")
_DATED = re.compile(r"/crm/(?P<api>\w+)/(?P<version>\d{4}-\d{2})(?P<rest>(?:/.*?)?)/?")
_ACCOUNT = re.compile(r"/account-info/(?P<version>v3|\d{4}-\d{2})(?P<rest>/.+?)/?")
_APIS = ("objects", "owners", "pipelines", "properties", "associations")

TOKEN_PATHS = ("/oauth/v1/token", "/oauth/v3/token")


class HubSpotStandIn:
    """Answers for the group's account."""

    bodies = errors.BODIES

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._meter = Meter()
        self._tokens = HubSpotTokens(
            endpoint["access_token"], endpoint["client_id"], endpoint["client_secret"], endpoint["refresh_token"]
        )
        self._routes = Routes()
        Associations(account, world).add_to(self._routes)
        Objects(account, world, Definitions(world), policies).add_to(self._routes)
        self._routes.add("GET", "/account-info/details", self.account_details)
        self._routes.add("GET", "/owners", self.list_owners)
        self._routes.add("GET", "/owners/{id}", self.get_owner)
        self._routes.add("GET", "/properties/{type}", self.list_properties)
        self._routes.add("GET", "/properties/{type}/{name}", self.get_property)
        self._routes.add("GET", "/pipelines/{type}", self.list_pipelines)
        self._routes.add("GET", "/pipelines/{type}/{id}", self.get_pipeline)
        self._routes.add("GET", "/pipelines/{type}/{id}/stages", self.list_stages)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        """401, then 429. A search counts against two limits and carries no limit headers."""
        if call.path in TOKEN_PATHS:
            return {}
        objection = self._tokens.objection(call.headers.get("authorization", ""), call.now)
        if objection is not None:
            return errors.unauthorized(objection)
        policy = self._policies.of(self._account)
        search = call.path.rstrip("/").endswith("/search")
        outcome = self._meter.take(policy, search=search)
        if isinstance(outcome, Refusal):
            return errors.rate_limited(outcome)
        headers: dict[str, str] = {}
        if policy.burst is not None and not search:
            headers["X-HubSpot-RateLimit-Max"] = str(policy.burst.requests)
            headers["X-HubSpot-RateLimit-Remaining"] = str(outcome.burst_remaining)
            headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(int(policy.burst.seconds * 1000))
        if policy.day is not None and not search:
            headers["X-HubSpot-RateLimit-Daily"] = str(policy.day)
            headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(outcome.day_remaining)
        return headers

    def answer(self, call: Call) -> Response:
        if len(call.path) + len(call.query) > MAX_URL:
            return html_reply("414 Request-URI Too Large", "The requested URL's length exceeds the limit.", 414)
        try:
            if call.path in TOKEN_PATHS and call.method == "POST":
                return self.issue_token(call)
            path = canonical(call.path)
            found = self._routes.handle(call.method, path, call) if path else None
        except ApiError as error:
            return error.reply()
        except msgspec.DecodeError as error:
            return errors.invalid(f"Invalid input JSON on line 1, column 1: {error}").reply()
        if found is None:
            return error_reply(404, message="resource not found", category="OBJECT_NOT_FOUND")
        return found

    # ---- OAuth

    def issue_token(self, call: Call) -> Response:
        """The refresh grant; the refresh token stays the same. Lifetimes are on the server's clock."""
        form = dict(parse_qsl(call.body.decode("latin-1")))
        if form.get("grant_type") != "refresh_token":
            return _token_error("unsupported_grant_type", "BAD_GRANT_TYPE", "missing or unknown grant type")
        if form.get("client_id") != self._tokens.client_id:
            return _token_error("invalid_client", "BAD_CLIENT_ID", "missing or invalid client id")
        if form.get("client_secret") != self._tokens.client_secret:
            return _token_error("invalid_client", "BAD_CLIENT_SECRET", "missing or invalid client secret")
        if form.get("refresh_token") != self._tokens.refresh_token:
            return _token_error("invalid_grant", "BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked")
        seconds = self._policies.of(self._account).token_seconds
        return json_reply(
            {
                "token_type": "bearer",
                "refresh_token": self._tokens.refresh_token,
                "access_token": self._tokens.issue(call.now, seconds),
                "expires_in": max(1, int(seconds)),
            }
        )

    # ---- the account

    def account_details(self, call: Call) -> Response:
        return json_reply(
            {
                "portalId": errors.PORTAL_ID,
                "accountType": "STANDARD",
                "timeZone": "Australia/Melbourne",
                "companyCurrency": "AUD",
                "additionalCurrencies": [],
                "utcOffset": "+10:00",
                "utcOffsetMilliseconds": 36_000_000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )

    # ---- owners, properties, pipelines

    def list_owners(self, call: Call) -> Response:
        limit, after = page_of(call, default=100, maximum=500)
        fields = {"email": (call.argument("email"),)} if call.argument("email") else {}
        archived = call.argument("archived").lower() == "true"
        query = Query(after_number=after, fields=fields, archived=archived)
        page = self._world.page(self._account.key, "owners", query, limit=limit)
        answer: dict[str, Any] = {"results": [record.body for record in page.records]}
        if page.total > len(page.records):
            answer["paging"] = next_page(call, str(page.records[-1].number))
        return json_reply(answer)

    def get_owner(self, call: Call, id: str) -> Response:
        return self._one("owners", id)

    def list_properties(self, call: Call, type: str) -> Response:
        return self._all("properties", type)

    def get_property(self, call: Call, type: str, name: str) -> Response:
        return self._one("properties", f"{object_type(type).name}/{name}")

    def list_pipelines(self, call: Call, type: str) -> Response:
        return self._all("pipelines", type)

    def get_pipeline(self, call: Call, type: str, id: str) -> Response:
        return json_reply(self._pipeline(type, id))

    def list_stages(self, call: Call, type: str, id: str) -> Response:
        return json_reply({"results": self._pipeline(type, id)["stages"]})

    # ---- inside

    def _all(self, resource: str, type: str) -> Response:
        rows = self._world.scan(self._account.key, resource, Query(parents=(object_type(type).name,)))
        return json_reply({"results": [row.body for row in rows]})

    def _one(self, resource: str, id: str) -> Response:
        record = self._world.get(self._account.key, resource, id)
        if record is None:
            raise not_found(id)
        return json_reply(record.body)

    def _pipeline(self, type: str, id: str) -> Mapping[str, Any]:
        rows = self._world.scan(self._account.key, "pipelines", Query(parents=(object_type(type).name,)))
        for row in rows:
            if row.body["id"] == id:
                return row.body
        raise not_found(id)


def canonical(path: str) -> str | None:
    """The path without its version, `/objects/contacts/batch/read`; None where no supported version has it.

    v4 has nothing but associations; those of v3 have another shape and aren't served.
    """
    if match := _NUMBERED.fullmatch(path):
        associations = "associations" in match["rest"].split("/")
        served = match["api"] in _APIS and associations is (match["number"] == "4")
        return match["rest"] if served else None
    if match := _ACCOUNT.fullmatch(path):
        return f"/account-info{match['rest']}" if match["version"] in ("v3", *VERSIONS) else None
    if match := _DATED.fullmatch(path):
        if match["version"] not in VERSIONS or match["api"] not in _APIS:
            return None
        return f"/{match['api']}{match['rest']}"
    return None


def _token_error(error: str, status: str, message: str) -> Response:
    return json_reply(
        {"status": status, "message": message, "error": error, "error_description": message},
        400,
    )
