"""n8n: the workflows that automate the businesses' processes, and how each of their executions went.

Facts read off n8n 2.39.10, its server and its source:
- The key goes in `X-N8N-API-KEY`; what it may do are its scopes (403 `Forbidden` otherwise). There is no limit of its
  own, none in headers, and no count of anything.
- Lists are `{"data": […], "nextCursor": "…" | null}`, `limit` at most 250. Executions go down from the highest id, by
  the last id seen; everything else goes by offset.
- A list of executions leaves out those that are running, unless `status=running` asks for them. `startedAfter` and
  `startedBefore` include their own moment; an execution that has not begun has no `startedAt` and matches neither.
- Nothing says when an execution changed, and none can be asked for by its end. `stoppedAt` is also when it began to
  wait. A retry that succeeds leaves its id in the execution that it retried, however old that is.
- A workflow is written with exactly the fields of `deployable`; others are refused with 400. Tags and activation are
  calls of their own. A written workflow that is active runs in its new form at once.
- A retry is answered when it has ended. Health needs no key. `activate` is in all versions; newer ones call it
  `publish`, too.
- Errors are `{"message"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar, Unpack
from urllib.parse import urlsplit

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from masterops_dagster.connectors.auth import HeaderKey
from masterops_dagster.connectors.base import Connector, Explanation, Options, Page, Record, Reply
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import NotFound, PermissionDenied, Unavailable

API_PATH = "/api/v1"
MAX_PAGE_SIZE = 250
REQUEST_WINDOW = Window("1s", 10, 1.0)
PASSES = 6
"""How often a list that goes by offset is read at most, before it is given up as never at rest."""

EXECUTIONS = "executions"
LISTS = ("workflows", "tags", "credentials")
"""What goes by offset."""

Status = Literal["canceled", "crashed", "error", "new", "running", "success", "unknown", "waiting"]
ENDED_UNSTARTED: tuple[Status, ...] = ("canceled", "crashed")
"""How an execution may end that never began; it has no `startedAt` then."""

WITHHELD = ("nodes", "connections", "nodeGroups", "pinData", "staticData", "activeVersion")
"""What is in a workflow: parameters, sample data and state may hold secrets, and stay at n8n."""

DETAILS = (
    *("createdAt", "deletedAt", "storedAt", "tracingContext", "deduplicationKey", "jsonSizeBytes"),
    *("binaryDataSizeBytes", "workflowVersionId", "usedPrivateCredentials"),
)
"""What an execution shows only when it is asked for by itself."""

WRITABLE = ("name", "nodes", "connections", "settings", "nodeGroups", "staticData", "pinData")
WRITABLE_SETTINGS = (
    *("saveExecutionProgress", "saveManualExecutions", "saveDataErrorExecution", "saveDataSuccessExecution"),
    *("executionTimeout", "errorWorkflow", "timezone", "executionOrder", "callerPolicy", "callerIds"),
    *("timeSavedMode", "timeSavedPerExecution", "redactionPolicy", "availableInMCP", "customTelemetryTags"),
)
WRITABLE_IN_NODES = (
    *("id", "name", "webhookId", "disabled", "notesInFlow", "notes", "type", "typeVersion", "executeOnce"),
    *("alwaysOutputData", "retryOnFail", "maxTries", "waitBetweenTries", "continueOnFail", "onError", "position"),
    *("parameters", "credentials", "customTelemetryTags"),
)


class N8N(Connector):
    """One n8n. `base_url` is the server's, with or without `/api/v1`; `page_size` at most 250.

    Raises, besides `ConnectorError`s, `ValueError` for a resource that it doesn't know.
    """

    system = "n8n"

    def __init__(
        self,
        base_url: str,
        account: str,
        api_key: str,
        *,
        page_size: int = MAX_PAGE_SIZE,
        window: Window = REQUEST_WINDOW,
        **options: Unpack[Options],
    ) -> None:
        root = base_url.rstrip("/").removesuffix(API_PATH)
        super().__init__(root, account, HeaderKey("X-N8N-API-KEY", api_key), windows=[window], **options)
        self._page_size = page_size

    # ---- what ingest reads

    def read(
        self,
        resource: str,
        *,
        modified_since: datetime | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        properties: Sequence[str] = (),
        archived: bool = False,
    ) -> Iterator[Page]:
        """Pages of `workflows`, `executions`, `tags` or `credentials`.

        A workflow comes without what is in it, with `nodeTypes` instead. An execution comes with `modifiedAt`, its end
        or else its start; its business date is its start. A live read of executions brings all that began at or after
        `modified_since`, all that are under way, those that ended without having begun, and those that a retry made
        good since. Its last page's `settled_until` is the start of the oldest one under way: a cursor that stays
        behind it lets the next live read see how that one ended. `properties` means nothing here; archived workflows
        are listed like others.
        """
        if archived:
            return
        if resource == EXECUTIONS:
            if created_from is None and created_to is None:
                yield from self._executions(modified_since)
            else:
                yield from self._executions_begun(created_from, created_to)
            return
        wanted = _within(modified_since, created_from, created_to)
        for page in self._list_whole(resource):
            items = [_stripped(item) if resource == "workflows" else item for item in page if wanted(item)]
            if items:
                yield Page(items)

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """n8n has no children that must be asked for: raises `ValueError`."""
        raise ValueError(f"n8n has no children {resource!r}")

    def count(self, resource: str) -> int | None:
        """None: n8n counts nothing."""
        _known(resource)
        return None

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """All ids. There is no listing of ids alone, so whole rows are read."""
        if resource == EXECUTIONS:
            yield from ([item["id"] for item in page.items] for page in self._executions(None))
        else:
            yield from ([item["id"] for item in page if "id" in item] for page in self._list_whole(resource))

    def identity(self) -> str:
        """The server's address: n8n has no other name for itself, and its keys are of one server."""
        address = urlsplit(self.base_url)
        return f"n8n {(address.netloc + address.path).lower()}"

    def _executions(self, since: datetime | None) -> Iterator[Page]:
        """Running ones first and last: one that begins, waits or ends while the list is read shows in one of them.

        An execution that was under way at the cursor began at or after it, so one that waits now is in the list.
        """
        begun = {} if since is None else {"startedAfter": wire_moment(since)}
        lists: list[tuple[dict[str, str], Callable[[Record], bool]]] = [({"status": "running"}, _any), (begun, _any)]
        if since is not None:
            lists.insert(0, ({"status": "new"}, _any))
            lists += [({"status": status}, _never_begun) for status in ENDED_UNSTARTED]
        lists.append(({"status": "running"}, _any))
        under_way: set[object] = set()
        made_good: set[object] = set()
        settled_until: datetime | None = None
        for params, wanted in lists:
            for page in self._list(EXECUTIONS, params):
                items = [_dated(item) for item in page if wanted(item)]
                starts = [_moment(item.get("startedAt")) for item in items if _under_way(item)]
                settled_until = min((start for start in (*starts, settled_until) if start), default=None)
                fresh = [item for item in items if _state(item) not in under_way]
                under_way.update(_state(item) for item in fresh if _under_way(item))
                made_good.update(item["retryOf"] for item in fresh if item.get("retryOf") and item.get("finished"))
                if fresh:
                    yield Page(fresh)
        if since is not None and (retried := [item for item in self.in_order(self._retried, made_good) if item]):
            yield Page(retried)
        if settled_until is not None:
            yield Page([], settled_until=settled_until)

    def _retried(self, execution_id: object) -> Record | None:
        """An execution by its id, as a list shows it; None if it is gone."""
        try:
            reply = self._call("GET", "/executions/{id}", "get execution", path={"id": str(execution_id)})
        except NotFound:
            return None
        found = reply.data if isinstance(reply.data, dict) else {}
        return _dated({name: value for name, value in found.items() if name not in DETAILS})

    def _executions_begun(self, start: datetime | None, end: datetime | None) -> Iterator[Page]:
        """Those that began in [start, end), running ones included."""
        window = {name: wire_moment(at) for name, at in (("startedAfter", start), ("startedBefore", end)) if at}
        for params in ({"status": "running"}, {}):
            for page in self._list(EXECUTIONS, {**params, **window}):
                items = [_dated(item) for item in page if _begun_before(item, end)]
                if items:
                    yield Page(items)

    def _list_whole(self, resource: str) -> Iterator[list[Record]]:
        """A list that goes by offset: where a row goes, those behind it move up, and one slips into a page that was
        read. So a list of several pages is read again until a pass brings nothing new. Rows may come twice."""
        seen: set[object] = set()
        for number in range(PASSES):
            pages, news = 0, False
            for page in self._list(resource, {}):
                pages += 1
                keys = {item.get("id") for item in page}
                if keys - seen:
                    news = True
                    seen |= keys
                    yield page
            if pages <= 1 or (number > 0 and not news):
                return
        raise Unavailable(
            "rows kept moving while it was read, and some may be missing",
            system=self.system,
            account=self.account,
            operation=f"list {resource}",
        )

    def _list(self, resource: str, params: Mapping[str, str]) -> Iterator[list[Record]]:
        """The pages of a list; empty ones are left out."""
        _known(resource)
        operation = f"list {resource}"
        cursor: str | None = None
        while True:
            paging: dict[str, str | int] = {"limit": self._page_size, **({"cursor": cursor} if cursor else {})}
            reply = self._call("GET", f"/{resource}", operation, params={**params, **paging})
            items, cursor = self._page(operation, reply)
            if items:
                yield items
            if cursor is None:
                return

    def _page(self, operation: str, reply: Reply) -> tuple[list[Record], str | None]:
        body = reply.data if isinstance(reply.data, dict) else {}
        items, cursor = body.get("data"), body.get("nextCursor")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.malformed(operation, "no list of objects in `data`")
        return items, str(cursor) if cursor else None

    # ---- workflows

    def workflow(self, workflow_id: str) -> Workflow:
        """A workflow with all that is in it. Raises `NotFound`."""
        return self._model(Workflow, "get workflow", "GET", "/workflows/{id}", path={"id": workflow_id})

    def create_workflow(self, workflow: Mapping[str, object]) -> Workflow:
        """Creates a workflow, inactive, from one in n8n's form: an exported file will do, see `deployable`.

        n8n gives the id, so a create whose answer was lost isn't repeated.
        """
        return self._model(Workflow, "create workflow", "POST", "/workflows", json=deployable(workflow))

    def update_workflow(self, workflow_id: str, workflow: Mapping[str, object]) -> Workflow:
        """Replaces what is in a workflow; see `deployable`. Raises `NotFound`, `Rejected`.

        If it is active and can't be published in its new form (no trigger, say), n8n refuses and saves it as a draft
        all the same: the old form goes on running.
        """
        body = deployable(workflow)
        if isinstance(description := workflow.get("description"), str):
            body["description"] = description
        return self._model(Workflow, "update workflow", "PUT", "/workflows/{id}", path={"id": workflow_id}, json=body)

    def delete_workflow(self, workflow_id: str) -> None:
        """Deletes a workflow with its executions. Raises `NotFound`."""
        self._call("DELETE", "/workflows/{id}", "delete workflow", path={"id": workflow_id})

    def activate(self, workflow_id: str) -> Workflow:
        """Lets a workflow's triggers fire; nothing changes if they do. Raises `NotFound`, `Rejected`."""
        return self._switch(workflow_id, "activate")

    def deactivate(self, workflow_id: str) -> Workflow:
        """Stops a workflow's triggers; what runs goes on. Raises `NotFound`."""
        return self._switch(workflow_id, "deactivate")

    def _switch(self, workflow_id: str, verb: str) -> Workflow:
        template = f"/workflows/{{id}}/{verb}"
        path = {"id": workflow_id}
        return self._model(Workflow, f"{verb} workflow", "POST", template, path=path, repeatable=True)

    def set_tags(self, workflow_id: str, tag_ids: Iterable[str]) -> list[Tag]:
        """Gives a workflow exactly these tags. Raises `NotFound`, also for a tag that isn't there."""
        body = [{"id": tag_id} for tag_id in tag_ids]
        reply = self._call("PUT", "/workflows/{id}/tags", "tag workflow", path={"id": workflow_id}, json=body)
        return [self._parsed(Tag, "tag workflow", tag) for tag in _listed(reply.data)]

    # ---- tags, credentials

    def tags(self) -> list[Tag]:
        """All tags."""
        return [self._parsed(Tag, "list tags", item) for page in self._list_whole("tags") for item in page]

    def create_tag(self, name: str) -> Tag:
        """Raises `Conflict` where there is one of that name."""
        return self._model(Tag, "create tag", "POST", "/tags", json={"name": name})

    def credentials(self) -> list[Credential]:
        """Names and kinds of all credentials; nothing gives their contents away."""
        pages = self._list_whole("credentials")
        return [self._parsed(Credential, "list credentials", item) for page in pages for item in page]

    # ---- executions

    def executions(self, *, workflow_id: str | None = None, status: Status | None = None) -> Iterator[Execution]:
        """From the newest on, of one workflow, or in one state; running ones only where `status` asks for them."""
        given = {"workflowId": workflow_id, "status": status}
        params = {name: value for name, value in given.items() if value is not None}
        for page in self._list(EXECUTIONS, params):
            yield from (self._parsed(Execution, "list executions", item) for item in page)

    def execution(self, execution_id: str | int) -> Execution:
        """One execution, without its data. Raises `NotFound`."""
        return self._model(Execution, "get execution", "GET", "/executions/{id}", path={"id": execution_id})

    def retry(self, execution_id: str | int, *, latest_workflow: bool = False) -> Execution:
        """Runs a failed execution once more, as a new one, from the node where it failed, and waits until it ends.

        With `latest_workflow` in the workflow's present form. Raises `Conflict` if it succeeded, `NotFound`.
        """
        return self._model(
            Execution,
            "retry execution",
            "POST",
            "/executions/{id}/retry",
            path={"id": execution_id},
            json={"loadWorkflow": latest_workflow},
        )

    def stop(self, execution_id: str | int) -> Stopped:
        """Ends an execution that runs or waits. Raises `Conflict` if it has ended, `NotFound`."""
        return self._model(Stopped, "stop execution", "POST", "/executions/{id}/stop", path={"id": execution_id})

    # ---- the server

    def check_health(self) -> None:
        """Returns if the server lives and its database answers. Raises `Unavailable` otherwise, and others."""
        for path in ("/healthz", "/healthz/readiness"):
            self.request("GET", path, operation=f"check {path}")

    def audit(self, categories: Sequence[str] = (), *, days_abandoned: int | None = None) -> dict[str, AuditReport]:
        """n8n's own security report by its title; of some categories (`credentials`, `nodes`, …), or all.

        A workflow counts as abandoned after so many days without an execution (n8n's default is 90).
        """
        options: Record = {"categories": list(categories)} if categories else {}
        if days_abandoned is not None:
            options["daysAbandonedWorkflow"] = days_abandoned
        body = {"additionalOptions": options} if options else {}
        reply = self._call("POST", "/audit", "audit", json=body, repeatable=True)
        found = reply.data if isinstance(reply.data, dict) else {}
        return {title: self._parsed(AuditReport, "audit", report) for title, report in found.items()}

    # ---- how n8n speaks

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """The message; a 403 is about the key's scopes."""
        said = super().explain(status, headers, body)
        if status != httpx.codes.FORBIDDEN:
            return said
        advice = "Give the API key the scope that this operation needs, in n8n under Settings, n8n API."
        return Explanation(said.detail, kind=PermissionDenied, advice=advice)

    def _call(
        self,
        method: str,
        template: str,
        operation: str,
        *,
        path: Mapping[str, str | int] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        repeatable: bool | None = None,
    ) -> Reply:
        return self.request(
            method,
            API_PATH + template,
            operation=operation,
            path=path,
            params=params,
            json=json,
            repeatable=repeatable,
        )

    def _model(
        self,
        model: type[M],
        operation: str,
        method: str,
        template: str,
        *,
        path: Mapping[str, str | int] | None = None,
        json: object = None,
        repeatable: bool | None = None,
    ) -> M:
        reply = self._call(method, template, operation, path=path, json=json, repeatable=repeatable)
        return self._parsed(model, operation, reply.data)

    def _parsed(self, model: type[M], operation: str, data: object) -> M:
        try:
            return model.model_validate(data)
        except ValidationError as failure:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in failure.errors()[:5])
            raise self.malformed(operation, f"not a {model.__name__}: {where}") from None


def deployable(workflow: Mapping[str, object]) -> Record:
    """A workflow as n8n lets it be written: what is read-only, derived or unknown to its API is left out.

    That goes for the settings and for each node as well. Nodes, connections and settings are there, empty if need be.
    """
    body: Record = {"nodes": [], "connections": {}, "settings": {}}
    body.update({name: workflow[name] for name in WRITABLE if workflow.get(name) is not None})
    settings, nodes = body["settings"], body["nodes"]
    if isinstance(settings, Mapping):
        body["settings"] = {name: settings[name] for name in WRITABLE_SETTINGS if name in settings}
    if isinstance(nodes, list):
        body["nodes"] = [{name: node[name] for name in WRITABLE_IN_NODES if name in node} for node in nodes]
    return body


def wire_moment(moment: datetime) -> str:
    """An aware moment as n8n reads it: UTC, milliseconds, `Z`."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a timezone can't be sent")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _known(resource: str) -> None:
    if resource not in (*LISTS, EXECUTIONS):
        raise ValueError(f"unknown resource {resource!r} of n8n; known: {', '.join((*LISTS, EXECUTIONS))}")


def _stripped(workflow: Record) -> Record:
    """A workflow without what is in it, but with the kinds of its nodes."""
    nodes = _listed(workflow.get("nodes"))
    kinds = sorted({str(node.get("type")) for node in nodes if isinstance(node, dict) and node.get("type")})
    return {**{name: value for name, value in workflow.items() if name not in WITHHELD}, "nodeTypes": kinds}


def _dated(execution: Record) -> Record:
    """An execution with the last moment known of it."""
    return {**execution, "modifiedAt": execution.get("stoppedAt") or execution.get("startedAt")}


def _state(execution: Record) -> tuple[object, object]:
    return execution.get("id"), execution.get("status")


def _under_way(execution: Record) -> bool:
    """Whether it may yet end; one whose status n8n lost may have ended long ago."""
    status = execution.get("status")
    return status in {"new", "running", "waiting"} or (status == "unknown" and execution.get("stoppedAt") is None)


def _any(_: Record) -> bool:
    return True


def _never_begun(execution: Record) -> bool:
    return execution.get("startedAt") is None


def _begun_before(execution: Record, end: datetime | None) -> bool:
    """`startedBefore` includes its own moment. What can't be read is let through, for ingest to report."""
    start = _moment(execution.get("startedAt"))
    return end is None or start is None or start < end


def _within(since: datetime | None, start: datetime | None, end: datetime | None) -> Callable[[Record], bool]:
    """Whether a row was modified since, or created in [start, end)."""

    def wanted(item: Record) -> bool:
        modified, created = _moment(item.get("updatedAt")), _moment(item.get("createdAt"))
        return (
            (since is None or modified is None or modified >= since)
            and (start is None or created is None or created >= start)
            and (end is None or created is None or created < end)
        )

    return wanted


def _moment(value: object) -> datetime | None:
    """None where there is none, or none that can be read."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


# ---- models: what is named is checked, what isn't is kept


class Model(BaseModel):
    """Fields in n8n's camel case; those without a name here are kept, and kept out of `repr`: they may hold secrets."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)


class Dated(Model):
    """What has an id and two dates."""

    id: str
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


class Tag(Dated):
    """A tag of workflows."""

    name: str


class Credential(Dated):
    """A credential's name and kind (`slackApi`)."""

    name: str
    type: str


class Node(Model):
    """One step of a workflow; `type` is like `n8n-nodes-base.httpRequest`."""

    name: str
    type: str
    parameters: Record = Field(default_factory=dict, repr=False)


class Workflow(Dated):
    """A workflow with all that is in it. `tags` is None where the answer doesn't name them (after a switch)."""

    name: str
    active: bool = False
    is_archived: bool = False
    version_id: str | None = None
    trigger_count: int | None = None
    nodes: list[Node] = Field(default_factory=list, repr=False)
    connections: Record = Field(default_factory=dict, repr=False)
    settings: Record | None = None
    tags: list[Tag] | None = None


class Execution(Model):
    """One run of a workflow, without its data. `finished` says that it succeeded."""

    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore")

    id: str
    workflow_id: str
    status: Status
    mode: str | None = None
    finished: bool | None = None
    started_at: AwareDatetime | None = None
    stopped_at: AwareDatetime | None = None
    wait_till: AwareDatetime | None = None
    retry_of: str | None = None
    retry_success_id: str | None = None


class Stopped(Model):
    """How an execution stands after it was stopped."""

    status: Status
    mode: str | None = None
    finished: bool | None = None
    started_at: AwareDatetime | None = None
    stopped_at: AwareDatetime | None = None


class AuditReport(Model):
    """One part of the security report: what it is about, and what was found."""

    risk: str
    sections: list[Record] = Field(default_factory=list)


M = TypeVar("M", bound=Model)
