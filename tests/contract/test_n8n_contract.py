"""n8n's connector keeps the contract, for what goes by the last id seen and for what goes by offset."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, Unpack

import pytest

from masterops_dagster.connectors.base import Options, Page, Record
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.n8n import N8N, deployable
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import HASTE, SECRET, ConnectorContract

SINCE = datetime(2026, 3, 10, tzinfo=UTC)


def cursor(**where: object) -> str:
    return base64.b64encode(json.dumps(where).encode()).decode()


class N8NApi:
    """n8n's dialect over one list of rows; executions are listed from the highest id on, running ones apart."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.accepts_credentials = True

    def __call__(self, request: Request) -> Answer:
        if not self.accepts_credentials or request.headers.get("x-n8n-api-key") != SECRET:
            return as_json({"message": "Unauthorized"}, 401)
        assert request.path.startswith("/api/v1/")
        parts = request.path.removeprefix("/api/v1/").split("/")
        if request.method != "GET" or len(parts) > 1:
            return self.entity(request, parts)
        limit = int(request.params["limit"])
        where = json.loads(base64.b64decode(request.params["cursor"])) if "cursor" in request.params else {}
        if parts[0] == "executions":
            return self.executions(request.params, limit, int(where.get("lastId", 0)))
        offset = int(where.get("offset", 0))
        found = self.rows[offset : offset + limit]
        more = offset + limit < len(self.rows)
        return self.listed(found, cursor(limit=limit, offset=offset + limit) if more else None)

    def executions(self, params: dict[str, str], limit: int, last_id: int) -> Answer:
        after, before = params.get("startedAfter", ""), params.get("startedBefore", "~")
        found = [
            row
            for row in sorted(self.rows, key=lambda row: -int(row["id"]))
            if (params["status"] == row["status"] if "status" in params else row["status"] != "running")
            and (not (after or before != "~") or after <= (row["startedAt"] or "") <= before)
            and (not last_id or int(row["id"]) < last_id)
        ]
        more = len(found) > limit
        return self.listed(found[:limit], cursor(limit=limit, lastId=found[limit - 1]["id"]) if more else None)

    def listed(self, rows: list[dict[str, Any]], next_cursor: str | None) -> Answer:
        return as_json({"data": rows, "nextCursor": next_cursor})

    def entity(self, request: Request, parts: list[str]) -> Answer:
        if request.method == "POST" and len(parts) == 1:
            return as_json({**json.loads(request.body), "id": "new"})
        if request.method == "PUT":
            return as_json({**json.loads(request.body), "id": parts[1]})
        found = next((row for row in self.rows if row["id"] == parts[1]), None)
        return as_json(found) if found else as_json({"message": "Not Found"}, 404)


class N8NContract(ConnectorContract):
    page_size = 20
    text_field = "name"
    number_field = "weight"

    def make_api(self) -> N8NApi:
        return N8NApi()

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> N8N:
        return N8N(url, "n8n", SECRET, page_size=self.page_size, window=Window("1s", *limit), **options)

    def key(self, record: Record) -> object:
        return record["id"]

    def error(self, status: int) -> Answer:
        return as_json({"message": self.error_message}, status)

    def test_count_is_what_the_system_says(self, api: Any, connector: N8N) -> None:
        self.fill(api, 3)
        assert connector.count(self.resource) is None


class TestExecutions(N8NContract):
    resource = "executions"

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        """Ids go down, as they are listed."""
        return {
            "id": str(10_000_000 - number),
            "status": "success",
            "workflowId": "w",
            "startedAt": "2026-03-01T12:30:00.000Z",
            "stoppedAt": "2026-03-01T12:30:01.000Z",
            "name": "text",
            **fields,
        }

    def test_exactly_one_full_page_is_read_once(self, api: Any, server: ScriptedServer, connector: Any) -> None:
        """Running ones are asked for apart, before and after."""
        keys = self.fill(api, self.page_size)
        assert [self.key(item) for item in self.read(connector)] == keys
        assert [request.params.get("status") for request in server.seen] == ["running", None, "running"]

    def test_credentials_that_end_while_reading_end_the_reading(
        self, api: Any, server: ScriptedServer, connector: Any
    ) -> None:
        self.fill(api, self.page_size * 4)
        server.api = self.after_requests(api, 2, lambda: setattr(api, "accepts_credentials", False))
        pages = connector.read(self.resource)
        assert len(next(pages).items) == self.page_size
        with pytest.raises(AuthenticationError):
            list(pages)

    # ---- what is under way

    def execution(self, number: int, status: str, day: int | None, end: int | None = None) -> dict[str, Any]:
        started, stopped = (f"2026-03-{at:02}T00:00:00.000Z" if at else None for at in (day, end))
        return {"id": str(number), "workflowId": "w", "status": status, "startedAt": started, "stoppedAt": stopped}

    def live(self, connector: N8N) -> tuple[dict[object, Record], list[Page]]:
        pages = list(connector.read("executions", modified_since=SINCE))
        return {row["id"]: row for page in pages for row in page.items}, pages

    def test_a_live_read_brings_what_began_since_and_all_that_is_under_way(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [
            self.execution(1, "success", 5, 6),
            self.execution(2, "running", 4),
            self.execution(3, "success", 10, 11),
            self.execution(4, "waiting", 12),
            self.execution(5, "new", None),
            self.execution(6, "canceled", None, 9),
            self.execution(7, "canceled", 8, 9),
            self.execution(8, "crashed", None, 3),
        ]
        found, pages = self.live(connector)
        assert set(found) == {"2", "3", "4", "5", "6", "8"}
        assert [page.settled_until for page in pages if page.settled_until] == [datetime(2026, 3, 4, tzinfo=UTC)]

    def test_a_read_without_anything_under_way_holds_no_cursor_back(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [
            self.execution(1, "unknown", 10, 11),
            self.execution(3, "success", 10, 11),
            self.execution(5, "new", None),
        ]
        _, pages = self.live(connector)
        assert {page.settled_until for page in pages} == {None}

    def test_an_execution_that_ends_while_the_list_is_read_is_seen_and_holds_the_cursor_back(
        self, api: Any, server: ScriptedServer, connector: N8N
    ) -> None:
        api.rows[:] = [self.execution(2, "running", 10)]
        server.api = self.after_requests(api, 2, lambda: api.rows[0].update(self.execution(2, "success", 10, 11)))
        found, pages = self.live(connector)
        assert found["2"]["status"] == "success"
        assert pages[-1].settled_until == SINCE

    def test_an_execution_that_resumes_while_the_list_is_read_is_seen_and_holds_the_cursor_back(
        self, api: Any, server: ScriptedServer, connector: N8N
    ) -> None:
        api.rows[:] = [self.execution(2, "waiting", 11)]
        server.api = self.after_requests(api, 2, lambda: api.rows[0].update(status="running"))
        found, pages = self.live(connector)
        assert found["2"]["status"] == "running"
        assert pages[-1].settled_until == datetime(2026, 3, 11, tzinfo=UTC)

    def test_an_execution_that_a_retry_made_good_is_read_again_however_old(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [
            {**self.execution(1, "error", 1, 1), "retrySuccessId": "3", "createdAt": "2026-03-01", "storedAt": "db"},
            {**self.execution(3, "success", 11, 11), "retryOf": "1", "finished": True},
            {**self.execution(4, "success", 11, 11), "retryOf": "2", "finished": True},
        ]
        found, _ = self.live(connector)
        assert set(found) == {"1", "3", "4"}
        assert found["1"] == {
            **self.execution(1, "error", 1, 1),
            "retrySuccessId": "3",
            "modifiedAt": "2026-03-01T00:00:00.000Z",
        }

    def test_the_last_moment_known_is_the_end_or_else_the_start(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [
            self.execution(1, "error", 5, 6),
            self.execution(2, "running", 4),
            self.execution(3, "new", None),
        ]
        assert {row["id"]: row["modifiedAt"] for row in self.read(connector)} == {
            "1": "2026-03-06T00:00:00.000Z",
            "2": "2026-03-04T00:00:00.000Z",
            "3": None,
        }

    def test_a_window_holds_what_began_in_it_running_or_not(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [
            self.execution(1, "success", 9, 11),
            self.execution(2, "running", 10),
            self.execution(3, "error", 10, 12),
            self.execution(4, "success", 12, 12),
            self.execution(5, "new", None),
        ]
        end = datetime(2026, 3, 12, tzinfo=UTC)
        pages = connector.read("executions", created_from=SINCE, created_to=end)
        assert {row["id"] for page in pages for row in page.items} == {"2", "3"}

    # ---- operations

    def test_an_execution_is_read_with_types(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [{**self.execution(7, "error", 5, 6), "mode": "trigger", "retryOf": 3}]
        execution = connector.execution(7)
        assert (execution.status, execution.retry_of) == ("error", "3")
        assert execution.started_at == datetime(2026, 3, 5, tzinfo=UTC)
        with pytest.raises(NotFound):
            connector.execution(8)

    def test_a_refusal_to_stop_or_retry_is_a_conflict_and_not_sent_again(
        self, server: ScriptedServer, connector: N8N
    ) -> None:
        message = "Only running or waiting executions can be stopped and 7 is currently success"
        server.script(as_json({"message": message}, 409), self.error(503))
        with pytest.raises(Conflict, match="currently success"):
            connector.stop(7)
        with pytest.raises(Unavailable):
            connector.retry(7)
        assert [request.path for request in server.seen] == ["/api/v1/executions/7/stop", "/api/v1/executions/7/retry"]

    def test_a_missing_scope_is_named_as_such(self, server: ScriptedServer, connector: N8N) -> None:
        server.script(as_json({"message": "Forbidden"}, 403))
        with pytest.raises(PermissionDenied, match="scope"):
            connector.tags()


class TestLists(N8NContract):
    resource = "workflows"
    # These wait for seconds, and are shown for executions.
    test_a_full_load_runs_at_the_limit_and_draws_no_429 = None
    test_a_429_with_a_hint_is_waited_for_as_long_as_it_says = None
    test_a_503_with_a_hint_is_waited_for_as_long_as_it_says = None

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        return {
            "id": f"w{number:07}",
            "name": "Orders",
            "active": True,
            "createdAt": "2026-03-01T12:30:00.000Z",
            "updatedAt": "2026-03-02T12:30:00.000Z",
            "nodes": [
                {"name": "Ask", "type": "n8n-nodes-base.httpRequest", "parameters": {"token": "hidden-in-a-node"}},
                {"name": "Ask again", "type": "n8n-nodes-base.httpRequest"},
                {"name": "Each hour", "type": "n8n-nodes-base.scheduleTrigger"},
            ],
            "connections": {},
            "pinData": {"Ask": [{"json": {"token": "hidden-in-a-node"}}]},
            "staticData": {"token": "hidden-in-a-node"},
            "activeVersion": {"nodes": [{"parameters": {"token": "hidden-in-a-node"}}]},
            **fields,
        }

    def test_a_workflow_comes_without_what_is_in_it(self, api: Any, connector: N8N) -> None:
        self.fill(api, 1)
        (row,) = self.read(connector)
        assert row["nodeTypes"] == ["n8n-nodes-base.httpRequest", "n8n-nodes-base.scheduleTrigger"]
        assert "hidden-in-a-node" not in str(row)

    def test_changes_since_a_moment_and_a_window_are_filtered_here(self, api: Any, connector: N8N) -> None:
        api.rows[:] = [
            self.row(1),
            self.row(2, updatedAt="2026-03-10T00:00:00.000Z"),
            self.row(3, createdAt="2026-03-10"),
        ]
        since = [row["id"] for page in connector.read("workflows", modified_since=SINCE) for row in page.items]
        window = [row["id"] for page in connector.read("workflows", created_from=SINCE) for row in page.items]
        assert (since, window) == (["w0000002"], ["w0000003"])

    def test_nothing_is_archived_and_what_is_unknown_is_named(self, connector: N8N) -> None:
        assert list(connector.read("workflows", archived=True)) == []
        for unknown in (
            lambda: list(connector.read("variables")),
            lambda: connector.count("variables"),
            lambda: list(connector.keys("variables")),
            lambda: connector.read_children("variables", [1]),
        ):
            with pytest.raises(ValueError, match="variables"):
                unknown()

    # ---- writing

    EXPORTED = {  # noqa: RUF012 -- not changed
        **dict.fromkeys(("activeVersionId", "meta", "shared", "pinData")),
        "id": "w1",
        "name": "Orders",
        "active": True,
        "isArchived": False,
        "createdAt": "2026-03-01T12:30:00.000Z",
        "versionId": "v",
        "triggerCount": 1,
        "tags": [{"id": "t", "name": "teelixir"}],
        "nodes": [{"id": "n", "name": "Go", "type": "t", "createdAt": "2026-03-01", "position": [0, 0], "color": 3}],
        "connections": {"Go": {"main": []}},
        "settings": {
            "timezone": "Australia/Melbourne",
            "executionOrder": "v1",
            "timeSaved": 5,
            "binaryMode": "combined",
        },
    }

    WRITABLE = {  # noqa: RUF012
        "name": "Orders",
        "nodes": [{"id": "n", "name": "Go", "type": "t", "position": [0, 0]}],
        "connections": {"Go": {"main": []}},
        "settings": {"timezone": "Australia/Melbourne", "executionOrder": "v1"},
    }

    def test_an_exported_workflow_is_written_without_what_n8n_refuses(
        self, server: ScriptedServer, connector: N8N
    ) -> None:
        assert deployable(self.EXPORTED) == self.WRITABLE
        assert connector.create_workflow(self.EXPORTED).id == "new"
        assert connector.update_workflow("w1", {**self.EXPORTED, "description": "Why"}).id == "w1"
        assert [(request.method, json.loads(request.body)) for request in server.seen] == [
            ("POST", self.WRITABLE),
            ("PUT", {**self.WRITABLE, "description": "Why"}),
        ]

    def test_a_lost_answer_to_a_create_is_not_repeated(self, server: ScriptedServer, connector: N8N) -> None:
        server.script(Answer(200, b"{}", cut_after=0, reset=True))
        with pytest.raises((Unavailable, MalformedResponse)):
            connector.create_workflow({"name": "Orders"})
        assert len(server.seen) == 1

    def test_activation_is_a_call_of_its_own_and_may_be_repeated(
        self, api: Any, server: ScriptedServer, connector: N8N
    ) -> None:
        (identifier,) = self.fill(api, 1)
        server.script(self.error(503))
        assert connector.activate(str(identifier)).active
        assert connector.deactivate(str(identifier)).id == identifier
        assert [request.path.rpartition("/")[2] for request in server.seen] == ["activate", "activate", "deactivate"]

    def test_tags_are_set_by_their_ids(self, server: ScriptedServer, connector: N8N) -> None:
        server.script(as_json([{"id": "t1", "name": "teelixir"}]), as_json({"message": "Not Found"}, 404))
        assert [tag.name for tag in connector.set_tags("w1", ["t1"])] == ["teelixir"]
        assert json.loads(server.seen[0].body) == [{"id": "t1"}]
        with pytest.raises(NotFound):
            connector.set_tags("w1", ["t2"])

    def test_a_refusal_keeps_n8ns_words(self, server: ScriptedServer, connector: N8N) -> None:
        server.script(as_json({"message": "request/body must have required property 'name'"}, 400))
        with pytest.raises(Rejected, match="must have required property 'name'"):
            connector.create_workflow({})

    # ---- the server

    def test_health_is_both_paths_outside_the_api(self, server: ScriptedServer, connector: N8N) -> None:
        server.script(as_json({"status": "ok"}), as_json({"status": "ok"}))
        connector.check_health()
        assert [request.path for request in server.seen] == ["/healthz", "/healthz/readiness"]
        server.api = lambda request: as_json({"status": "error"}, 503)
        with pytest.raises(Unavailable):
            connector.check_health()

    def test_an_audit_is_a_report_by_title(self, server: ScriptedServer, connector: N8N) -> None:
        report = {"Credentials Risk Report": {"risk": "credentials", "sections": [{"title": "Not used"}]}}
        server.script(as_json(report), as_json([]))
        assert connector.audit(["credentials"], days_abandoned=9)["Credentials Risk Report"].risk == "credentials"
        options = {"categories": ["credentials"], "daysAbandonedWorkflow": 9}
        assert json.loads(server.seen[0].body) == {"additionalOptions": options}
        assert connector.audit() == {}

    def test_the_base_url_may_have_the_apis_path(self, api: Any, server: ScriptedServer) -> None:
        self.fill(api, 2)
        with self.connect(f"{server.url}/api/v1/", patience=HASTE) as connector:
            assert len(self.read(connector)) == 2
