"""n8n's connector understands n8n, and the stand-in answers as n8n does: the same tests against both.

The real server is started by `make contract-n8n` only; see `real_n8n.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    NotFound,
    PermissionDenied,
    Rejected,
)
from masterops_dagster.connectors.n8n import N8N, Execution, Workflow
from masterops_dagster.database.connection import connect
from tests.contract.real_n8n import running

HASTE = Patience(timeout=20.0, deadline=40.0, attempts=4, pause=0.05, pause_max=0.5)


@dataclass(frozen=True)
class Server:
    """An n8n that answers. `limited_key` is one that may only list tags."""

    url: str
    api_key: str
    limited_key: str = ""

    def connect(self, api_key: str | None = None, page_size: int = 250) -> N8N:
        key = self.api_key if api_key is None else api_key
        window = Window("1s", 10_000, 1.0)
        return N8N(self.url, "n8n", key, page_size=page_size, window=window, budget=InMemoryBudget(), patience=HASTE)

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """An answer as it comes."""
        headers = {"X-N8N-API-KEY": self.api_key}
        return httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=20.0)


@pytest.fixture(scope="module", params=["stand-in", pytest.param("real", marks=pytest.mark.real_n8n)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if request.param == "stand-in":
        stand_ins = request.getfixturevalue("running_stand_ins")
        stand_ins.calm()
        endpoint = stand_ins.endpoint("n8n")
        yield Server(endpoint["base_url"], endpoint["api_key"])
        return
    postgres = request.getfixturevalue("postgres_server")
    with connect(postgres.url_of("postgres")) as admin:
        admin.execute("create database n8n")
    with running(postgres.url_of("n8n"), tmp_path_factory.mktemp("n8n")) as real:
        server = Server(real.url, real.api_key, real.limited_key)
        for name, kind, data in (("Mail", "smtp", {}), ("Old file server", "ftp", {"host": "x", "port": 21})):
            server.ask("POST", "/credentials", {"name": name, "type": kind, "data": data})
        server.ask("POST", "/workflows", BLANK)
        yield server


@pytest.fixture
def n8n(server: Server) -> Iterator[N8N]:
    with server.connect() as connector:
        yield connector


# ---- workflows with a webhook before them


def node(name: str, kind: str, place: int = 1, **parameters: object) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": 1,
        "position": [place * 200, 0],
        "parameters": parameters,
    }


DONE = node("Step", "noOp")
FAIL = node("Step", "stopAndError", errorMessage="stock is missing")


def wait(amount: int, unit: str) -> dict[str, Any]:
    return {**node("Step", "wait", amount=amount, unit=unit, resume="timeInterval"), "typeVersion": 1.1}


def body(step: dict[str, Any] = DONE, name: str = "Orders") -> dict[str, Any]:
    """A workflow that its webhook starts; each has a path of its own."""
    path = f"t-{uuid4()}"
    hook = {**node("Webhook", "webhook", 0, path=path, httpMethod="POST", responseMode="onReceived"), "webhookId": path}
    return {
        "name": name,
        "nodes": [{**hook, "typeVersion": 2}, step],
        "connections": {"Webhook": {"main": [[{"node": "Step", "type": "main", "index": 0}]]}},
        "settings": {"executionOrder": "v1"},
    }


@pytest.fixture
def make(n8n: N8N) -> Iterator[Callable[..., Workflow]]:
    """Makes active workflows; they are gone after the test."""
    made: list[str] = []

    def create(step: dict[str, Any] = DONE, **how: Any) -> Workflow:
        workflow = n8n.create_workflow(body(step, **how))
        made.append(workflow.id)
        return n8n.activate(workflow.id)

    yield create
    for identifier in made:
        n8n.delete_workflow(identifier)


@pytest.fixture
def start(server: Server, n8n: N8N) -> Callable[[Workflow], Execution]:
    """Starts an execution and waits until it shows."""

    def begin(workflow: Workflow) -> Execution:
        before = {execution.id for execution in known(n8n, workflow)}
        path = workflow.nodes[0].parameters["path"]
        answer = httpx.post(f"{server.url}/webhook/{path}", json={}, timeout=20.0)
        assert answer.json() == {"message": "Workflow was started"}
        return eventually(lambda: next((one for one in known(n8n, workflow) if one.id not in before), None))

    return begin


def known(n8n: N8N, workflow: Workflow) -> list[Execution]:
    running = n8n.executions(workflow_id=workflow.id, status="running")
    return [*running, *n8n.executions(workflow_id=workflow.id)]


def eventually(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it didn't come to pass")


def ended(n8n: N8N, execution: Execution) -> Execution:
    def look() -> Execution | None:
        now = n8n.execution(execution.id)
        return now if now.status not in ("new", "running", "waiting") else None

    found: Execution = eventually(look)
    return found


# ---- refusals, word for word

BLANK: dict[str, Any] = {"name": "A", "nodes": [], "connections": {}, "settings": {}}
MISSING = "You do not have permission to {} this workflow. Ask the owner to share it with you."
STATUS = "'canceled' | 'crashed' | 'error' | 'new' | 'running' | 'success' | 'unknown' | 'waiting'"
POLICIES = "'any' | 'none' | 'workflowsFromAList' | 'workflowsFromSameOwner'"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"active": True}, "request/body/active is read-only"),
        ({"active": None}, "request/body/active is read-only"),
        ({"id": "x", "active": True, "foo": 1}, "request/body/id is read-only"),
        ({"tags": []}, "request/body/tags is read-only"),
        ({"meta": {}}, "request/body/meta is read-only"),
        ({"isArchived": False}, "request/body/isArchived is read-only"),
        ({"activeVersionId": None}, "request/body Unrecognized key(s) in object: 'activeVersionId'"),
        ({"description": "d"}, "request/body Unrecognized key(s) in object: 'description'"),
        ({"foo": 1, "bar": 2}, "request/body Unrecognized key(s) in object: 'foo', 'bar'"),
        ({"name": 1}, "request/body/name Expected string, received number"),
        ({"name": ""}, "Workflow name must be 1 to 128 characters long."),
        ({"name": "x" * 129}, "Workflow name must be 1 to 128 characters long."),
        ({"nodes": "x"}, "request/body/nodes Expected array, received string"),
        ({"nodes": ["x"]}, "request/body/nodes/0 Expected object, received string"),
        ({"nodes": [{"name": 1}]}, "request/body/nodes/0/name Expected string, received number"),
        ({"nodes": [{"foo": 1}]}, "request/body/nodes/0 Unrecognized key(s) in object: 'foo'"),
        ({"nodes": [{"createdAt": "x"}]}, "request/body/nodes/0/createdAt is read-only"),
        ({"connections": []}, "request/body/connections must be object"),
        ({"settings": {"foo": 1}}, "request/body/settings Unrecognized key(s) in object: 'foo'"),
        (
            {"settings": {"saveManualExecutions": "yes"}},
            "request/body/settings/saveManualExecutions Expected boolean, received string",
        ),
        (
            {"settings": {"callerPolicy": "x"}},
            f"request/body/settings/callerPolicy Invalid enum value. Expected {POLICIES}, received 'x'",
        ),
        ({"staticData": "x"}, "request/body/staticData must be a JSON string"),
        ({"pinData": "x"}, "request/body/pinData Expected object, received string"),
    ],
)
def test_a_workflow_is_refused_in_n8ns_words(server: Server, fields: dict[str, Any], message: str) -> None:
    answer = server.ask("POST", "/workflows", {**BLANK, **fields})
    assert (answer.status_code, answer.json()) == (400, {"message": message})


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "message"),
    [
        ("POST", "/workflows", {}, 400, "request/body must have required property 'name'"),
        ("POST", "/workflows", {"name": "A"}, 400, "request/body must have required property 'nodes'"),
        ("POST", "/workflows", {"name": "A", "nodes": []}, 400, "request/body/connections must be object"),
        ("POST", "/workflows", [], 400, "request/body Expected object, received array"),
        ("POST", "/workflows", None, 415, "unsupported media type undefined"),
        ("GET", "/workflows/nope", None, 404, "Not Found"),
        ("PUT", "/workflows/nope", BLANK, 404, MISSING.format("update")),
        ("DELETE", "/workflows/nope", None, 404, "Not Found"),
        ("POST", "/workflows/nope/activate", None, 404, MISSING.format("activate")),
        ("POST", "/workflows/nope/deactivate", None, 404, MISSING.format("deactivate")),
        ("POST", "/workflows/nope/archive", None, 404, "Workflow not found"),
        ("PUT", "/workflows/nope/tags", [], 404, "Not Found"),
        ("PUT", "/workflows/nope/tags", ["x"], 400, "request/body/0 Expected object, received string"),
        ("PUT", "/workflows/nope/tags", [{}], 400, "request/body/0 must have required property 'id'"),
        ("GET", "/workflows?limit=x", None, 400, "request/query/limit Param `limit` must be a valid integer"),
        ("GET", "/tags?limit=-1", None, 400, "request/query/limit Param `limit` must be a non-negative integer"),
        ("GET", "/workflows?cursor=zzz", None, 400, "An invalid cursor was provided"),
        ("GET", "/executions?cursor=zzz", None, 400, "An invalid cursor was provided"),
        (
            "GET",
            "/workflows?active=x",
            None,
            400,
            "request/query/active Invalid enum value. Expected 'true' | 'false', received 'x'",
        ),
        (
            "GET",
            "/executions?status=x",
            None,
            400,
            f"request/query/status Invalid enum value. Expected {STATUS}, received 'x'",
        ),
        ("GET", "/executions?startedAfter=2026-03-01", None, 400, "request/query/startedAfter Invalid datetime"),
        ("GET", "/executions/999", None, 404, "Not Found"),
        ("GET", "/executions/x", None, 400, "The execution ID must be a positive integer"),
        ("POST", "/executions/999/stop", None, 404, "Failed to find execution to stop"),
        ("POST", "/executions/999/retry", None, 404, 'The execution with the ID "999" does not exist.'),
        (
            "POST",
            "/executions/9/retry",
            {"loadWorkflow": "x"},
            400,
            "request/body/loadWorkflow Expected boolean, received string",
        ),
        ("POST", "/tags", {}, 400, "request/body must have required property 'name'"),
        ("POST", "/tags", {"name": "b", "id": "1"}, 400, "request/body/id is read-only"),
        ("POST", "/tags", {"name": ""}, 409, "Tag already exists"),
        ("GET", "/nothing", None, 404, "not found"),
    ],
)
def test_a_call_is_refused_in_n8ns_words(
    server: Server, method: str, path: str, given: object, status: int, message: str
) -> None:
    answer = server.ask(method, path, given)
    assert (answer.status_code, answer.json()) == (status, {"message": message})


def test_wrong_keys_are_named_as_such(server: Server) -> None:
    for key in ("", "wrong"):
        with server.connect(key) as connector, pytest.raises(AuthenticationError, match="Unauthorized"):
            connector.tags()


@pytest.mark.real_n8n
@pytest.mark.parametrize("server", ["real"], indirect=True)
def test_a_key_without_the_scope_is_named_as_such(server: Server) -> None:
    with server.connect(server.limited_key) as connector:
        connector.tags()
        with pytest.raises(PermissionDenied, match="scope"):
            list(connector.read("workflows"))


# ---- workflows


def test_an_exported_workflow_is_created_again_changed_tagged_switched_and_deleted(n8n: N8N) -> None:
    first = n8n.create_workflow(body(name="Zoë's 健康"))
    exported = first.model_dump(by_alias=True, mode="json")
    again = n8n.create_workflow({**exported, "name": "Again"})
    assert again.id != first.id
    assert not again.active
    assert [one.type for one in again.nodes] == ["n8n-nodes-base.webhook", "n8n-nodes-base.noOp"]
    n8n.delete_workflow(again.id)

    tag = n8n.create_tag(f"t{uuid4().hex[:20]}")
    with pytest.raises(Conflict, match="already exists"):
        n8n.create_tag(tag.name)
    assert [one.id for one in n8n.set_tags(first.id, [tag.id])] == [tag.id]
    with pytest.raises(NotFound, match="Some tags not found"):
        n8n.set_tags(first.id, ["nope"])

    assert n8n.activate(first.id).active
    assert n8n.activate(first.id).active
    active = n8n.workflow(first.id)
    assert (active.active, active.trigger_count, active.name) == (True, 1, "Zoë's 健康")
    assert active.tags is not None
    assert [one.name for one in active.tags] == [tag.name]

    changed = n8n.update_workflow(
        first.id, {**active.model_dump(by_alias=True, mode="json"), "name": "B", "description": "Why"}
    )
    assert (changed.name, changed.active, changed.version_id) == ("B", True, active.version_id)
    nodes = [{**one, "position": [0, 80]} for one in body()["nodes"]]
    moved = n8n.update_workflow(first.id, {**changed.model_dump(by_alias=True, mode="json"), "nodes": nodes})
    assert moved.version_id != active.version_id
    assert not n8n.deactivate(first.id).active
    assert not n8n.deactivate(first.id).active
    n8n.delete_workflow(first.id)
    with pytest.raises(NotFound):
        n8n.workflow(first.id)


def test_what_nothing_starts_and_what_is_archived_cannot_be_switched_on(server: Server, n8n: N8N) -> None:
    idle = n8n.create_workflow({**BLANK, "nodes": [DONE]})
    with pytest.raises(Rejected, match="no trigger node"):
        n8n.activate(idle.id)
    assert server.ask("POST", f"/workflows/{idle.id}/archive").json()["isArchived"]
    assert n8n.workflow(idle.id).is_archived
    with pytest.raises(Rejected, match="Cannot activate an archived workflow"):
        n8n.activate(idle.id)
    with pytest.raises(Rejected, match="Cannot update an archived workflow"):
        n8n.update_workflow(idle.id, BLANK)
    assert server.ask("POST", f"/workflows/{idle.id}/unarchive").status_code == 200
    again = server.ask("POST", f"/workflows/{idle.id}/unarchive")
    assert (again.status_code, again.json()) == (400, {"message": "Workflow is not archived."})
    n8n.delete_workflow(idle.id)


def test_an_active_workflow_that_can_no_longer_start_is_refused_and_changed_all_the_same(
    n8n: N8N, make: Callable[..., Workflow]
) -> None:
    workflow = make()
    with pytest.raises(Rejected, match="no trigger node"):
        n8n.update_workflow(workflow.id, {**BLANK, "name": "Draft"})
    assert n8n.workflow(workflow.id).name == "Draft"
    assert n8n.workflow(workflow.id).active


def test_two_webhooks_of_one_path_are_a_conflict(n8n: N8N, make: Callable[..., Workflow]) -> None:
    workflow = make()
    other = n8n.create_workflow(workflow.model_dump(by_alias=True, mode="json"))
    with pytest.raises(Conflict, match="conflict with one of the webhooks"):
        n8n.activate(other.id)
    n8n.delete_workflow(other.id)


def test_answers_have_the_same_fields(
    server: Server, make: Callable[..., Workflow], start: Callable[[Workflow], Execution], n8n: N8N
) -> None:
    workflow = make()
    execution = ended(n8n, start(workflow))
    fields = "id name active activeVersionId createdAt updatedAt isArchived versionId triggerCount nodes connections"
    common = set(fields.split()) | {
        *("nodeGroups", "settings", "staticData", "meta", "pinData", "tags", "shared", "activeVersion")
    }
    alone = common | {"description", "versionCounter", "sourceWorkflowId"}
    assert set(server.ask("GET", f"/workflows/{workflow.id}").json()) == alone
    listed = server.ask("GET", "/workflows?active=true").json()["data"]
    assert {frozenset(item) for item in listed} == {frozenset(common)}
    for switch in ("deactivate", "activate"):
        shown = set(server.ask("POST", f"/workflows/{workflow.id}/{switch}").json())
        assert shown == alone - {"tags"} - ({"shared"} if switch == "activate" else set())
    shown = server.ask("GET", f"/executions?workflowId={workflow.id}").json()
    assert set(shown) == {"data", "nextCursor"}
    (row,) = shown["data"]
    fields = "id finished mode retryOf retrySuccessId status startedAt stoppedAt workflowId waitTill"
    assert set(row) == set(fields.split())
    assert (row["id"], row["mode"], row["finished"]) == (execution.id, "webhook", True)
    details = set(server.ask("GET", f"/executions/{execution.id}").json()) - set(row)
    fields = "createdAt deletedAt storedAt tracingContext deduplicationKey jsonSizeBytes binaryDataSizeBytes"
    assert details == {*fields.split(), "workflowVersionId", "usedPrivateCredentials"}


# ---- executions


def test_executions_run_fail_hang_and_wait(
    n8n: N8N, make: Callable[..., Workflow], start: Callable[[Workflow], Execution]
) -> None:
    assert ended(n8n, start(make(DONE))).status == "success"
    failed = ended(n8n, start(make(FAIL)))
    assert (failed.status, failed.finished) == ("error", False)
    assert failed.stopped_at is not None

    hanging = start(make(wait(60, "seconds")))
    assert (hanging.status, hanging.stopped_at) == ("running", None)
    assert hanging.id not in {one.id for one in n8n.executions()}
    stopped = n8n.stop(hanging.id)
    assert (stopped.status, stopped.finished) == ("canceled", False)
    with pytest.raises(Conflict, match=f"and {hanging.id} is currently canceled"):
        n8n.stop(hanging.id)

    workflow = make(wait(2, "hours"))
    start(workflow)
    waiting = eventually(lambda: next(n8n.executions(workflow_id=workflow.id, status="waiting"), None))
    assert waiting.wait_till - waiting.started_at == pytest.approx(timedelta(hours=2), abs=timedelta(seconds=5))
    assert waiting.stopped_at is not None
    assert n8n.stop(waiting.id).status == "canceled"


def test_what_failed_is_retried_and_the_first_one_says_so(
    n8n: N8N, make: Callable[..., Workflow], start: Callable[[Workflow], Execution]
) -> None:
    workflow = make(FAIL)
    failed = ended(n8n, start(workflow))
    assert n8n.retry(failed.id, latest_workflow=True).status == "error"
    changed = n8n.workflow(workflow.id).model_dump(by_alias=True, mode="json")
    n8n.update_workflow(workflow.id, {**changed, "nodes": [changed["nodes"][0], DONE]})
    since = datetime.now(UTC)
    retry = n8n.retry(failed.id, latest_workflow=True)
    assert (retry.status, retry.mode, retry.retry_of) == ("success", "retry", failed.id)
    found = eventually(lambda: rows(n8n, since).get(failed.id))
    assert (found["status"], found["retrySuccessId"]) == ("error", retry.id)
    assert rows(n8n, since)[retry.id]["finished"]
    with pytest.raises(Conflict, match="succeeded, so it cannot be retried"):
        n8n.retry(retry.id)


def rows(n8n: N8N, since: datetime | None = None) -> dict[str, dict[str, Any]]:
    """Executions as ingest reads them; the latest state of each."""
    found: dict[str, dict[str, Any]] = {}
    for page in n8n.read("executions", modified_since=since):
        for row in page.items:
            known = found.get(str(row["id"]))
            if known is None or str(row["modifiedAt"]) >= str(known["modifiedAt"]):
                found[str(row["id"])] = dict(row)
    return found


def test_an_execution_under_way_at_one_load_is_seen_to_end_by_the_next(
    n8n: N8N, make: Callable[..., Workflow], start: Callable[[Workflow], Execution]
) -> None:
    hanging = start(make(wait(2, "seconds")))
    ended(n8n, start(make(DONE)))
    pages = list(n8n.read("executions"))
    bounds = [page.settled_until for page in pages if page.settled_until is not None]
    assert hanging.started_at is not None
    assert min(bounds) <= hanging.started_at
    assert rows(n8n)[hanging.id]["status"] == "running"
    ended(n8n, hanging)
    found = rows(n8n, min(bounds))[hanging.id]
    assert found["status"] == "success"
    assert found["modifiedAt"] == found["stoppedAt"]


def test_pages_keys_and_windows_agree(
    server: Server, n8n: N8N, make: Callable[..., Workflow], start: Callable[[Workflow], Execution]
) -> None:
    workflow = make(DONE)
    made = [ended(n8n, start(workflow)) for _ in range(5)]
    with server.connect(page_size=2) as paging:
        found = [one.id for one in paging.executions(workflow_id=workflow.id)]
        assert found == [one.id for one in reversed(made)]
        listed = [row["id"] for page in paging.read("workflows") for row in page.items]
        assert workflow.id in listed
        for resource in ("workflows", "tags", "credentials"):
            keys = {key for page in paging.keys(resource) for key in page}
            assert keys == {row["id"] for page in paging.read(resource) for row in page.items}
            assert paging.count(resource) is None
    keys = [key for page in n8n.keys("executions") for key in page]
    assert set(rows(n8n)) >= {one.id for one in made}
    assert {one.id for one in made} <= set(map(str, keys))
    first, last = made[1].started_at, made[3].started_at
    pages = n8n.read("executions", created_from=first, created_to=last)
    window = {row["id"] for page in pages for row in page.items if row["workflowId"] == workflow.id}
    assert window == {made[1].id, made[2].id}


def test_a_workflow_that_is_switched_off_or_gone_has_no_webhook(
    server: Server, n8n: N8N, start: Callable[[Workflow], Execution]
) -> None:
    workflow = n8n.activate(n8n.create_workflow(body()).id)
    execution = ended(n8n, start(workflow))
    n8n.deactivate(workflow.id)
    path = workflow.nodes[0].parameters["path"]
    answer = httpx.post(f"{server.url}/webhook/{path}", json={})
    assert answer.status_code == 404
    assert answer.json()["message"] == f'The requested webhook "POST {path}" is not registered.'
    n8n.delete_workflow(workflow.id)
    with pytest.raises(NotFound):
        n8n.execution(execution.id)


# ---- the server


def test_health_credentials_and_audit(n8n: N8N) -> None:
    n8n.check_health()
    assert {"Mail": "smtp", "Old file server": "ftp"}.items() <= {
        one.name: one.type for one in n8n.credentials()
    }.items()
    assert not any("data" in row for page in n8n.read("credentials") for row in page.items)
    report = n8n.audit(["credentials"])["Credentials Risk Report"]
    assert report.risk == "credentials"
    unused = {place["name"] for place in report.sections[0]["location"]}  # type: ignore[attr-defined]
    assert "Old file server" in unused
