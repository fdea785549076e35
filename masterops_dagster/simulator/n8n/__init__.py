"""n8n's stand-in: the public API v1 as version 2.39.10 answers it, its health, and its production webhooks.

A webhook starts an execution of the active workflow that listens there, and what becomes of it follows from its nodes:
`stopAndError` fails, `wait` runs on for less than 65 seconds and waits for more, everything else succeeds.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.limits import Meter, Policies, Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.n8n import rules
from masterops_dagster.simulator.replies import html_reply, json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world import n8n
from masterops_dagster.simulator.world.records import Body, Query, iso, millis, moment
from masterops_dagster.simulator.world.store import World

API = "/api/v1"
MAX_LIMIT = 250
STATUSES = ("canceled", "crashed", "error", "new", "running", "success", "unknown", "waiting")
STOPPABLE = ("new", "unknown", "waiting", "running")
KEPT_IN_MEMORY = 65
"""A wait of fewer seconds than these is not written down: the execution goes on running."""
STEP = 50
"""How many milliseconds an execution takes that a webhook or a retry starts."""
OWNER = "Owner Example <owner@example.com>"
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")


class Refused(Exception):
    """An error answer: `{"message"}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class N8NStandIn:
    """Answers for one n8n."""

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._key = endpoint["api_key"]
        self._meter = Meter()
        self.bodies = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error)
        self._routes = Routes()
        for method, template, handler in (
            ("GET", "/workflows", self._workflows),
            ("POST", "/workflows", self._create_workflow),
            ("GET", "/workflows/{id}", self._workflow),
            ("PUT", "/workflows/{id}", self._update_workflow),
            ("DELETE", "/workflows/{id}", self._delete_workflow),
            ("POST", "/workflows/{id}/(activate|publish)", self._activate),
            ("POST", "/workflows/{id}/(deactivate|unpublish)", self._deactivate),
            ("POST", "/workflows/{id}/archive", self._archive),
            ("POST", "/workflows/{id}/unarchive", self._unarchive),
            ("GET", "/workflows/{id}/tags", self._workflow_tags),
            ("PUT", "/workflows/{id}/tags", self._set_tags),
            ("GET", "/executions", self._executions),
            ("GET", "/executions/{id}", self._execution),
            ("DELETE", "/executions/{id}", self._delete_execution),
            ("POST", "/executions/{id}/stop", self._stop),
            ("POST", "/executions/{id}/retry", self._retry),
            ("GET", "/tags", self._tags),
            ("POST", "/tags", self._create_tag),
            ("GET", "/credentials", self._credentials),
            ("POST", "/audit", self._audit),
        ):
            self._routes.add(method, template, handler)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        if not call.path.startswith(API):
            return {}
        if call.headers.get("x-n8n-api-key", "") != self._key:
            return json_reply({"message": "Unauthorized"}, 401)
        outcome = self._meter.take(self._policies.of(self._account))
        return _rate_limited(outcome.retry_after) if isinstance(outcome, Refusal) else {}

    def answer(self, call: Call) -> Response:
        if call.path in ("/healthz", "/healthz/readiness"):
            return json_reply({"status": "ok"})
        if call.path.startswith("/webhook/"):
            return self._webhook(call, call.path.removeprefix("/webhook/"))
        try:
            found = self._routes.handle(call.method, call.path.removeprefix(API), call)
            return found if found is not None else _message(404, "not found")
        except rules.Objection as objection:
            return _message(400, str(objection))
        except Refused as refused:
            return _message(refused.status, str(refused))

    # ---- workflows

    def _workflows(self, call: Call) -> Response:
        name, tags = call.argument("name"), call.argument("tags")
        active = call.argument("active")
        if active and active not in ("true", "false"):
            expected = "Expected 'true' | 'false'"
            raise Refused(400, f"request/query/active Invalid enum value. {expected}, received '{active}'")
        wanted = {tag.strip() for tag in tags.split(",")} if tags else set()
        found = [
            body
            for body in self._all("workflows")
            if (not active or body["active"] == (active == "true"))
            and name.lower() in body["name"].lower()
            and wanted <= {tag["name"] for tag in body["tags"]}
        ]
        shown = sorted(found, key=lambda body: str(body["id"]))
        return self._page(call, [_listed(body, call) for body in shown])

    def _workflow(self, call: Call, id: str) -> Response:
        return json_reply(_whole(self._expect(id, "Not Found"), call))

    def _create_workflow(self, call: Call) -> Response:
        given = _json(call)
        rules.check_new(given)
        _check_name(given)
        at = millis(self._world.now())
        body = n8n.workflow_body(
            id=n8n.short_id(uuid4()),
            name=given["name"],
            at=at,
            version_id=str(uuid4()),
            nodes=given["nodes"],
            connections=given["connections"],
            settings=_kept_settings(given["settings"]),
        )
        body.update(_beside(given))
        self._world.put(self._account.key, "workflows", body["id"], body)
        return json_reply({**_whole(body, call), "parentFolder": None})

    def _update_workflow(self, call: Call, id: str) -> Response:
        given = _json(call)
        rules.check_changed(given)
        with self._world.transaction():
            body = self._expect(id, _no_permission("update"))
            if body["isArchived"]:
                raise Refused(400, "Cannot update an archived workflow.")
            if not body["active"]:
                _check_name(given)
            changed = {**body, **{field: given[field] for field in ("name", "nodes", "connections")}, **_beside(given)}
            changed["settings"] = _kept_settings(given["settings"])
            changed["versionCounter"] = body["versionCounter"] + 1
            if (changed["nodes"], changed["connections"]) != (body["nodes"], body["connections"]):
                changed["versionId"] = str(uuid4())
            changed["updatedAt"] = iso(millis(self._world.now()))
            publishable = not body["active"] or rules.has_trigger(given["nodes"])
            if body["active"] and publishable:
                changed.update(activeVersionId=changed["versionId"], triggerCount=n8n.trigger_count(given["nodes"]))
            self._store(changed)
        if not publishable:  # refused, and saved as a draft all the same
            raise Refused(400, rules.NO_TRIGGER)
        return json_reply(_without(_whole(changed, call), "shared"))

    def _delete_workflow(self, call: Call, id: str) -> Response:
        body = self._expect(id, "Not Found")
        self._world.remove(self._account.key, "workflows", id)
        return json_reply(_whole(body, call))

    def _activate(self, call: Call, id: str) -> Response:
        with self._world.transaction():
            body = self._expect(id, _no_permission("activate"))
            if body["isArchived"]:
                raise Refused(400, "Cannot activate an archived workflow.")
            if not rules.has_trigger(body["nodes"]):
                raise Refused(400, rules.NO_TRIGGER)
            paths = _webhook_paths(body)
            for other in self._all("workflows"):
                if other["active"] and other["id"] != id and paths & _webhook_paths(other):
                    raise Refused(409, "There is a conflict with one of the webhooks.")
            switched = {
                **body,
                "active": True,
                "activeVersionId": body["versionId"],
                "triggerCount": n8n.trigger_count(body["nodes"]),
                "pauses": [[start, end or millis(self._world.now())] for start, end in body["pauses"]],
            }
            self._store(switched)
        return json_reply(_without(_whole(switched, call), "shared", "tags"))

    def _deactivate(self, call: Call, id: str) -> Response:
        with self._world.transaction():
            body = self._expect(id, _no_permission("deactivate"))
            self._store(switched := self._paused(body))
        return json_reply(_without(_whole(switched, call), "tags"))

    def _archive(self, call: Call, id: str) -> Response:
        with self._world.transaction():
            body = self._expect(id, "Workflow not found")
            archived = {**self._paused(body), "isArchived": True, "updatedAt": iso(millis(self._world.now()))}
            if not body["isArchived"]:
                self._store(archived)
        return json_reply(_without(_whole(archived, call), "tags"))

    def _unarchive(self, call: Call, id: str) -> Response:
        with self._world.transaction():
            body = self._expect(id, "Workflow not found")
            if not body["isArchived"]:
                raise Refused(400, "Workflow is not archived.")
            restored = {**body, "isArchived": False, "updatedAt": iso(millis(self._world.now()))}
            self._store(restored)
        return json_reply(_without(_whole(restored, call), "tags"))

    def _workflow_tags(self, call: Call, id: str) -> Response:
        return json_reply(self._expect(id, "Not Found")["tags"])

    def _set_tags(self, call: Call, id: str) -> Response:
        given = _json(call)
        rules.check_tag_ids(given)
        with self._world.transaction():
            body = self._expect(id, "Not Found")
            known = {tag["id"]: tag for tag in self._all("tags")}
            if any(one["id"] not in known for one in given):
                raise Refused(404, "Some tags not found")
            tags = [known[identifier] for identifier in dict.fromkeys(one["id"] for one in given)]
            self._store({**body, "tags": tags})
        return json_reply(tags)

    # ---- executions

    def _executions(self, call: Call) -> Response:
        limit, where = _paging(call)
        status = call.argument("status")
        if status and status not in STATUSES:
            expected = " | ".join(f"'{one}'" for one in STATUSES)
            raise Refused(400, f"request/query/status Invalid enum value. Expected {expected}, received '{status}'")
        after, before = _moment(call, "startedAfter"), _moment(call, "startedBefore")
        workflows = {body["id"]: body for body in self._all("workflows")}
        wanted = call.argument("workflowId")
        last_id = where.get("lastId")
        query = Query(
            fields={
                "status": [status] if status else [one for one in STATUSES if one != "running"],
                "workflowId": [one for one in workflows if not wanted or one == wanted],
            },
            matching=_not_paused(workflows),
            business_from=after or (moment(1) if before else None),
            business_to=None if before is None else moment(millis(before) + 1),
            before_number=int(last_id) if last_id is not None and str(last_id).isdecimal() else None,
            descending=True,
        )
        found = self._world.page(self._account.key, "executions", query, limit=limit)
        items = [record.body for record in found.records]
        more = found.total > len(items) and items
        return json_reply({"data": items, "nextCursor": _cursor(lastId=items[-1]["id"], limit=limit) if more else None})

    def _execution(self, call: Call, id: str) -> Response:
        return json_reply(self._detailed(self._expect_execution(id, "Not Found")))

    def _delete_execution(self, call: Call, id: str) -> Response:
        body = self._expect_execution(id, "Not Found")
        if body["status"] == "running":
            raise Refused(400, "Cannot delete a running execution")
        self._world.remove(self._account.key, "executions", id)
        return json_reply({**self._detailed(body), "id": int(id)})

    def _stop(self, call: Call, id: str) -> Response:
        with self._world.transaction():
            body = self._expect_execution(id, "Failed to find execution to stop")
            if body["status"] not in STOPPABLE:
                message = f"Only running or waiting executions can be stopped and {id} is currently {body['status']}"
                raise Refused(409, message)
            at = millis(self._world.now())
            stopped = {**body, "status": "canceled", "finished": False, "stoppedAt": iso(at), "waitTill": None}
            self._world.foretell(list(n8n.execution_versions([(at, stopped)])))
        return json_reply({name: stopped[name] for name in ("mode", "startedAt", "stoppedAt", "finished", "status")})

    def _retry(self, call: Call, id: str) -> Response:
        if call.body:
            rules.check_retry(_json(call))
        with self._world.transaction():
            body = self._expect_execution(id, f'The execution with the ID "{id}" does not exist.')
            if body["status"] == "new":
                raise Refused(409, "Execution is queued to run (not yet started) so it cannot be retried")
            if body["finished"]:
                raise Refused(409, "The execution succeeded, so it cannot be retried.")
            workflow = self._expect(body["workflowId"], "Not Found")
            status = "error" if _has_node(workflow, "stopAndError") else "success"
            at = millis(self._world.now())
            retry = self._free_id(at)
            more = {"started": at, "stopped": at + STEP, "retry_of": int(id)}
            made = n8n.execution_body(retry, workflow["id"], "retry", status, **more)
            self._world.foretell(list(n8n.execution_versions([(at, made)])))
            if status == "success":
                self._world.foretell(list(n8n.execution_versions([(at, {**body, "retrySuccessId": str(retry)})])))
        return json_reply({**_without(made, "stoppedAt", "retrySuccessId"), "data": {}, "storedAt": "db"})

    def _webhook(self, call: Call, path: str) -> Response:
        for workflow in self._all("workflows"):
            if workflow["active"] and (call.method, path) in _webhook_paths(workflow):
                self._start(workflow)
                return json_reply({"message": "Workflow was started"})
        missing = f'The requested webhook "{call.method} {path}" is not registered.'
        return json_reply({"code": 404, "message": missing, "hint": "The workflow must be active."}, 404)

    def _start(self, workflow: Body) -> None:
        """An execution that a webhook starts, with all that becomes of it."""
        with self._world.transaction():
            at = millis(self._world.now())
            id = self._free_id(at)

            def state(status: str, **more: int) -> Body:
                return n8n.execution_body(id, workflow["id"], "webhook", status, **{"started": at, **more})

            seconds = _waits(workflow)
            ends = at + STEP + int(seconds * 1000)
            last = "error" if _has_node(workflow, "stopAndError") else "success"
            states = [(at, state("running")), (ends, state(last, stopped=ends))]
            if seconds >= KEPT_IN_MEMORY:
                states.insert(1, (at + STEP, state("waiting", stopped=at + STEP, wait_till=ends)))
            self._world.foretell(list(n8n.execution_versions(states)))

    # ---- tags, credentials, audit

    def _tags(self, call: Call) -> Response:
        return self._page(call, sorted(self._all("tags"), key=lambda body: str(body["id"])))

    def _create_tag(self, call: Call) -> Response:
        given = _json(call)
        rules.check_tag(given)
        name = given["name"].strip()
        with self._world.transaction():
            if not 1 <= len(name) <= 24 or any(tag["name"] == name for tag in self._all("tags")):
                raise Refused(409, "Tag already exists")  # also for a name that is too short or too long
            stamp = iso(millis(self._world.now()))
            tag = {"id": n8n.short_id(uuid4()), "name": name, "createdAt": stamp, "updatedAt": stamp}
            self._world.put(self._account.key, "tags", tag["id"], tag)
        return json_reply(tag, 201)

    def _credentials(self, call: Call) -> Response:
        found = sorted(self._all("credentials"), key=lambda body: str(body["id"]))
        return self._page(call, [{**body, "shared": [_owner(body, "credential:owner")]} for body in found])

    def _audit(self, call: Call) -> Response:
        """The one part that follows from what is here: credentials that no workflow uses."""
        used = {
            str(reference.get("id"))
            for workflow in self._all("workflows")
            for node in workflow["nodes"]
            for reference in node.get("credentials", {}).values()
        }
        unused = [body for body in self._all("credentials") if body["id"] not in used]
        if not unused:
            return json_reply([])
        section = {
            "title": "Credentials not used in any workflow",
            "description": "These credentials are not used in any workflow.",
            "recommendation": "Consider deleting these credentials if you no longer need them.",
            "location": [{"kind": "credential", "id": body["id"], "name": body["name"]} for body in unused],
        }
        return json_reply({"Credentials Risk Report": {"risk": "credentials", "sections": [section]}})

    # ---- the world

    def _all(self, resource: str) -> list[Body]:
        return [record.body for record in self._world.scan(self._account.key, resource)]

    def _expect(self, id: str, missing: str) -> Body:
        record = self._world.get(self._account.key, "workflows", id)
        if record is None:
            raise Refused(404, missing)
        return record.body

    def _expect_execution(self, id: str, missing: str) -> Body:
        if not id.isdecimal() or int(id) < 1:
            raise Refused(400, "The execution ID must be a positive integer")
        if not self._all("workflows"):
            raise Refused(404, "Not Found")
        record = self._world.get(self._account.key, "executions", str(int(id)))
        workflow = self._world.get(self._account.key, "workflows", record.body["workflowId"]) if record else None
        if record is None or workflow is None:
            raise Refused(404, missing)
        could_begin = _not_paused({workflow.id: workflow.body})
        if could_begin is not None and not could_begin(record.body):
            raise Refused(404, missing)
        return record.body

    def _store(self, body: Body) -> None:
        self._world.put(self._account.key, "workflows", body["id"], body)

    def _paused(self, body: Body) -> Body:
        """A workflow that no trigger starts from now on."""
        if not body["active"]:
            return body
        pauses = [*body["pauses"], [millis(self._world.now()), None]]
        return {**body, "active": False, "activeVersionId": None, "pauses": pauses}

    def _free_id(self, at: int) -> int:
        plan = self._world.state().plan
        while self._world.get(self._account.key, "executions", str(n8n.execution_id(plan, at, n8n.WRITTEN))):
            at += 1000
        return n8n.execution_id(plan, at, n8n.WRITTEN)

    def _detailed(self, body: Body) -> Body:
        workflow = self._expect(body["workflowId"], "Not Found")
        return {
            **body,
            "createdAt": body["startedAt"] or iso(millis(self._world.now())),
            "deletedAt": None,
            "storedAt": "db",
            "tracingContext": None,
            "deduplicationKey": None,
            "jsonSizeBytes": 2048,
            "binaryDataSizeBytes": 0,
            "workflowVersionId": workflow["versionId"],
            "usedPrivateCredentials": False,
        }

    def _page(self, call: Call, found: list[Body]) -> Response:
        limit, where = _paging(call)
        offset = int(where.get("offset", 0))
        more = len(found) > offset + limit
        next_cursor = _cursor(limit=limit, offset=offset + limit) if more else None
        return json_reply({"data": found[offset : offset + limit], "nextCursor": next_cursor})


# ---- arguments


def _json(call: Call) -> Any:
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, f"unsupported media type {kind or 'undefined'}")
    try:
        return call.read(object)
    except msgspec.DecodeError:
        raise Refused(500, "Failed to parse request body") from None


def _paging(call: Call) -> tuple[int, Mapping[str, Any]]:
    """The page's size and where it begins."""
    text = call.argument("limit") or "100"
    if not text.lstrip("-").isdecimal():
        raise Refused(400, "request/query/limit Param `limit` must be a valid integer")
    if (limit := int(text)) < 0:
        raise Refused(400, "request/query/limit Param `limit` must be a non-negative integer")
    where: Any = {}
    if cursor := call.argument("cursor"):
        try:
            where = json.loads(base64.b64decode(cursor))
        except ValueError:
            where = None
        if not isinstance(where, dict):
            raise Refused(400, "An invalid cursor was provided")
        limit = int(where.get("limit", limit))
    return min(limit, MAX_LIMIT), where


def _cursor(**where: object) -> str:
    return base64.b64encode(msgspec.json.encode(where)).decode()


def _moment(call: Call, name: str) -> datetime | None:
    text = call.argument(name).replace(" ", "+")
    if not text:
        return None
    if not _DATETIME.fullmatch(text):
        raise Refused(400, f"request/query/{name} Invalid datetime")
    return datetime.fromisoformat(text)


def _check_name(given: Body) -> None:
    if not 1 <= len(given["name"]) <= rules.NAME_LENGTH:
        raise Refused(400, rules.BAD_NAME)


def _kept_settings(given: Body) -> Body:
    """The API takes two that it ignores."""
    return _without(given, "binaryMode", "credentialResolverId")


def _beside(given: Body) -> Body:
    return {name: given[name] for name in ("description", "nodeGroups", "staticData", "pinData") if name in given}


# ---- what is in a workflow


def _webhook_paths(workflow: Body) -> set[tuple[str, str]]:
    """Method and path of each webhook."""
    return {
        (str(node["parameters"].get("httpMethod", "GET")), str(node["parameters"].get("path", "")))
        for node in workflow["nodes"]
        if node.get("type") == "n8n-nodes-base.webhook" and node.get("parameters")
    }


def _has_node(workflow: Body, kind: str) -> bool:
    return any(node.get("type") == f"n8n-nodes-base.{kind}" for node in workflow["nodes"])


def _waits(workflow: Body) -> float:
    """How many seconds its wait nodes take."""
    units = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
    return sum(
        float(node["parameters"].get("amount", 1)) * units[node["parameters"].get("unit", "hours")]
        for node in workflow["nodes"]
        if node.get("type") == "n8n-nodes-base.wait"
    )


def _not_paused(workflows: Mapping[str, Body]) -> Callable[[Body], bool] | None:
    """Whether an execution could begin when it did; None where nothing was ever paused."""
    pauses = {id: body["pauses"] for id, body in workflows.items() if body["pauses"]}
    if not pauses:
        return None

    def could_begin(execution: Body) -> bool:
        if execution["mode"] != "trigger" or execution["startedAt"] is None:
            return True
        start = millis(datetime.fromisoformat(execution["startedAt"]))
        of_workflow = pauses.get(execution["workflowId"], [])
        return not any(begun <= start and (end is None or start < end) for begun, end in of_workflow)

    return could_begin


# ---- answers


def _message(status: int, message: str) -> Response:
    return json_reply({"message": message}, status)


def _no_permission(what: str) -> str:
    return f"You do not have permission to {what} this workflow. Ask the owner to share it with you."


def _without(body: Body, *names: str) -> Body:
    return {name: value for name, value in body.items() if name not in names}


def _whole(body: Body, call: Call) -> Body:
    """A workflow as it is answered by itself."""
    hidden = ("pauses", "pinData") if call.argument("excludePinnedData") == "true" else ("pauses",)
    return {
        **_without(body, *hidden),
        "shared": [_owner(body, "workflow:owner")],
        "activeVersion": _active_version(body),
    }


def _listed(body: Body, call: Call) -> Body:
    return _without(_whole(body, call), "description", "versionCounter", "sourceWorkflowId")


def _owner(body: Body, role: str) -> Body:
    dates = {"createdAt": body["createdAt"], "updatedAt": body["createdAt"]}
    if role == "credential:owner":
        return {"id": "owner", "name": OWNER, "role": role, **dates}
    return {"role": role, "workflowId": body["id"], "projectId": "owner", **dates}


def _active_version(body: Body) -> Body | None:
    if not body["active"]:
        return None
    return {
        "versionId": body["activeVersionId"],
        "workflowId": body["id"],
        **{name: body[name] for name in ("nodes", "connections", "nodeGroups")},
        "authors": "Owner Example",
        "name": None,
        "description": None,
        "autosaved": False,
        "createdAt": body["createdAt"],
        "updatedAt": body["updatedAt"],
    }


def _rate_limited(retry_after: float | None) -> Response:
    """n8n's API has no limit of its own; what is in front of it answers with a page."""
    page = html_reply("429 Too Many Requests", "nginx", 429)
    if retry_after is not None:
        page.headers["Retry-After"] = str(int(-(-retry_after // 1)))
    return page


def _server_error(status: int) -> Response:
    if status == 500:
        return _message(500, "Internal server error")
    return html_reply(f"{status} Bad Gateway" if status == 502 else f"{status} Service Unavailable", "nginx", status)
