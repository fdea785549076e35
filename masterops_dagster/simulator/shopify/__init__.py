"""Shopify's stand-in: one store's Admin GraphQL API, with its points, its tokens and its bulk operations.

What isn't simulated: access by scopes (it says that all are granted), webhooks, mutations other than tags and bulk
operations, and the differences between API versions, which all answer by one schema.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
from starlette.responses import FileResponse, Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.limits import Bucket, Points, Policies
from masterops_dagster.simulator.misbehaviour import Struck
from masterops_dagster.simulator.replies import json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.shopify import cost, errors
from masterops_dagster.simulator.shopify.bulk import BulkOperations
from masterops_dagster.simulator.shopify.data import COLLECTIONS, SCOPES, Data
from masterops_dagster.simulator.shopify.documents import Invalid, Prepared, prepare
from masterops_dagster.simulator.shopify.errors import QueryError
from masterops_dagster.simulator.shopify.schema import served_version
from masterops_dagster.simulator.shopify.tokens import Tokens
from masterops_dagster.simulator.world.records import Body
from masterops_dagster.simulator.world.store import World

GRANT_PATH = "/admin/oauth/access_token"
RESULTS_PATH = "/bulk-results/"
SHARE_THAT_FAILS = 0.2
"""Of the objects that may be null, where a fault makes part of an answer fail."""


class ShopifyStandIn:
    """Answers for one store."""

    bodies = errors.BODIES

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._tokens = Tokens(endpoint["access_token"], endpoint["client_id"], endpoint["client_secret"])
        self._bucket = Bucket()
        self._bulk = BulkOperations(account, world, endpoint["base_url"])
        self._routes = Routes()
        self._routes.add("POST", GRANT_PATH, self.grant)
        self._routes.add("POST", "/admin/api/{version}/graphql.json", self.graphql)
        self._routes.add("GET", RESULTS_PATH + "{name}.jsonl", self.bulk_result)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        headers = {"X-Request-ID": str(uuid4())}
        if call.path == GRANT_PATH or call.path.startswith(RESULTS_PATH):
            return headers
        if self._tokens.accepts(call.headers.get("x-shopify-access-token", ""), call.now):
            return headers
        reply = errors.unauthorized()
        reply.headers.update(headers)
        return reply

    def answer(self, call: Call) -> Response:
        return self._routes.handle(call.method, call.path, call) or errors.not_found()

    # ---- routes

    def grant(self, call: Call) -> Response:
        """The client-credentials grant."""
        given = _form(call)
        if given.get("grant_type") != "client_credentials":
            return json_reply({"error": "unsupported_grant_type"}, 400)
        if not self._tokens.knows(given.get("client_id", ""), given.get("client_secret", "")):
            return json_reply({"error": "invalid_client", "error_description": "The client is unknown."}, 401)
        seconds = self._policies.of(self._account).token_seconds
        token = self._tokens.issue(call.now, seconds)
        return json_reply({"access_token": token, "scope": ",".join(SCOPES), "expires_in": int(seconds)})

    def bulk_result(self, call: Call, name: str) -> Response:
        """The file of a bulk operation; who knows its address may read it."""
        path = self._bulk.result(name)
        return errors.not_found() if path is None else FileResponse(path, media_type="application/jsonl")

    def graphql(self, call: Call, version: str) -> Response:
        served = served_version(version)
        if served is None:
            return errors.not_found()
        reply = self._graphql(call)
        reply.headers["X-Shopify-API-Version"] = served
        return reply

    def _graphql(self, call: Call) -> Response:
        try:
            asked = _Asked.of(call)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return errors.refused(400, {"query": "Required parameter missing or invalid"})
        policy = self._policies.of(self._account)
        data = Data(self._account, self._world, policy.deepest_page)
        try:
            prepared = prepare(asked.query, asked.operationName, asked.variables or {}, data)
        except Invalid as error:
            return json_reply({"errors": error.errors})
        except QueryError as error:
            return json_reply({"errors": [error.body()]})
        requested = prepared.requested_cost
        if requested > cost.SINGLE_QUERY_MAXIMUM:
            return json_reply({"errors": [errors.max_cost_exceeded(requested, cost.SINGLE_QUERY_MAXIMUM).body()]})
        points = policy.points
        if points is not None and not self._bucket.take(points, requested):
            return errors.throttled(self._cost(points, requested, None))
        if call.partial_batch is not None:
            prepared.compiler.fails = _failing(call.partial_batch)
        found, failures = prepared.run(lambda name, arguments: self._resolve(data, name, arguments))
        spent = prepared.actual_cost(found)
        self._bucket.give_back(requested - spent)
        return json_reply(self._body(prepared, data, found, failures, self._cost(points, requested, spent)))

    def _body(self, prepared: Prepared, data: Data, found: Body | None, failures: list[Body], extension: Body) -> Body:
        body: Body = {"data": found}
        if failures:
            body["errors"] = failures
        body["extensions"] = {"cost": extension}
        if data.warnings:
            body["extensions"]["search"] = data.warnings
        return body

    def _cost(self, points: Points | None, requested: int, actual: int | None) -> Body:
        policy = points or Points()
        status = {
            "maximumAvailable": float(policy.maximum),
            "currentlyAvailable": self._bucket.available(policy),
            "restoreRate": float(policy.restore),
        }
        return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}

    # ---- root fields

    def _resolve(self, data: Data, name: str, arguments: Mapping[str, Any]) -> Any:
        if name in COLLECTIONS:
            return data.page(name, arguments)
        if name.endswith("Count"):
            return data.count(name.removesuffix("Count"), arguments)
        match name:
            case "node":
                return self._bulk.get(arguments["id"]) or data.node(arguments["id"])
            case "nodes":
                return [data.node(id) for id in arguments["ids"]]
            case "order" | "customer" | "product" | "inventoryItem":
                return data.object(name[0].upper() + name[1:], arguments["id"])
            case "location":
                return data.location(arguments.get("id"))
            case "shop":
                return data.shop()
            case "currentAppInstallation":
                return data.installation()
            case "publicApiVersions":
                return data.versions()
            case "bulkOperation":
                return self._bulk.get(arguments["id"])
            case "bulkOperations":
                return self._bulk.all(arguments)
            case "tagsAdd":
                return data.add_tags(arguments["id"], arguments["tags"])
            case "bulkOperationRunQuery":
                return self._bulk.run(arguments)
            case "bulkOperationCancel":
                return self._bulk.cancel(arguments)
            case _:
                raise QueryError(f"The stand-in doesn't answer {name}", "NOT_IMPLEMENTED")


class _Asked(msgspec.Struct):
    """The body of a request."""

    query: str
    operationName: str | None = None  # noqa: N815 as GraphQL over HTTP names it
    variables: dict[str, Any] | None = None

    @classmethod
    def of(cls, call: Call) -> _Asked:
        """Raises `msgspec.DecodeError`, `UnicodeDecodeError`."""
        if call.headers.get("content-type", "").startswith("application/graphql"):
            return cls(call.body.decode())
        return call.read(cls)


def _form(call: Call) -> dict[str, str]:
    if call.headers.get("content-type", "").startswith("application/json"):
        try:
            return call.read(dict[str, str])
        except msgspec.DecodeError:
            return {}
    return dict(parse_qsl(call.body.decode("latin-1")))


def _failing(struck: Struck) -> Callable[[], bool]:
    """The same objects of an answer fail for the same seed and request number."""
    dice = random.Random(f"{struck.fault.seed}:{struck.number}")  # noqa: S311 no secret
    return lambda: dice.random() < SHARE_THAT_FAILS
