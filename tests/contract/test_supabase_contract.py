"""Supabase's connector keeps the contract on a table, and knows the habits of REST, Storage and Auth."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Unpack
from uuid import uuid4

import pytest

from masterops_dagster.connectors.base import Options, Record
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    ConnectorError,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.supabase import NewUser, Supabase
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import HASTE, SECRET, ConnectorContract

MAX_ROWS = 20


class SupabaseApi:
    """PostgREST over a list of rows, by `id`, which cuts what is longer than `MAX_ROWS`."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.accepts_credentials = True

    def __call__(self, request: Request) -> Answer:
        if not (self.accepts_credentials and request.headers.get("apikey") == SECRET):
            return as_json({"message": "Invalid API key", "hint": "Double check your API key."}, 401)
        assert "authorization" not in request.headers
        params = request.params
        found = sorted(self.rows, key=lambda row: int(row["id"]))
        if after := params.get("id"):
            found = [row for row in found if row["id"] > int(after.removeprefix("gt."))]
        first, last = 0, int(params.get("limit", MAX_ROWS)) - 1
        if said := request.headers.get("range"):
            first, last = (int(end) for end in said.split("-"))
            if first > len(found):
                return as_json({"code": "PGRST103", "message": "Requested range not satisfiable"}, 416)
        page = found[first : min(last + 1, first + MAX_ROWS)]
        span = f"{first}-{first + len(page) - 1}" if page else "*"
        counted = "count=exact" in request.headers.get("prefer", "")
        return as_json(page, content_range=f"{span}/{len(found) if counted else '*'}")


class TestSupabase(ConnectorContract):
    resource = "tables/things"
    page_size = MAX_ROWS
    text_field = "title"
    number_field = "amount"

    def make_api(self) -> SupabaseApi:
        return SupabaseApi()

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> Supabase:
        return Supabase(url, "supabase", SECRET, window=Window("1s", *limit), **options)

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        return {"id": number, "title": f"Thing {number}", **fields}

    def key(self, record: Record) -> object:
        return record["id"]

    def error(self, status: int) -> Answer:
        return as_json({"code": "XX000", "message": self.error_message, "details": None, "hint": None}, status)

    # ---- rows are cut without a word

    def test_a_page_that_the_service_cut_short_is_not_the_last_one(
        self, api: SupabaseApi, server: ScriptedServer, connector: Supabase
    ) -> None:
        keys = self.fill(api, MAX_ROWS * 3 + 5)
        pages = list(connector.rows("things"))
        assert [item["id"] for page in pages for item in page.items] == keys
        assert pages[0].total == len(keys)
        assert server.seen[0].params["limit"] == "1000"

    def test_a_filter_on_the_key_stays_in_force_on_later_pages(
        self, api: SupabaseApi, server: ScriptedServer, connector: Supabase
    ) -> None:
        self.fill(api, 2)
        server.script(as_json([{"id": 8}], content_range="0-0/2"), as_json([{"id": 9}]), as_json([]))
        assert len(list(connector.rows("things", filters={"id": "gte.7", "title": "eq.a,b"}))) == 2
        assert server.seen[1].params["and"] == "(id.gte.7,id.gt.8)"
        assert server.seen[1].params["title"] == "eq.a,b"

    def test_a_slice_says_how_far_it_went_and_how_many_there_are(self, api: SupabaseApi, connector: Supabase) -> None:
        self.fill(api, MAX_ROWS * 2 + 1)
        cut = connector.slice("things", 5, 99)
        assert (cut.first, cut.last, cut.total, len(cut.rows)) == (5, 5 + MAX_ROWS - 1, 41, MAX_ROWS)
        beyond = connector.slice("things", 100, 199)
        assert (beyond.rows, beyond.last, beyond.total) == ((), None, 41)

    def test_nothing_is_changed_or_deleted_without_a_filter(self, server: ScriptedServer, connector: Supabase) -> None:
        with pytest.raises(ValueError, match="every row"):
            connector.update("things", {"title": "x"}, {})
        with pytest.raises(ValueError, match="every row"):
            connector.delete("things", {})
        assert server.seen == []

    # ---- keys

    def test_a_key_of_the_old_kind_is_a_bearer_token_as_well(self, server: ScriptedServer) -> None:
        server.api = lambda request: as_json([])
        with Supabase(server.url, "supabase", "aaa.bbb.ccc", patience=HASTE) as old:
            list(old.rows("things"))
        assert server.seen[0].headers["apikey"] == "aaa.bbb.ccc"
        assert server.seen[0].headers["authorization"] == "Bearer aaa.bbb.ccc"

    # ---- errors of each service

    @pytest.mark.parametrize(
        ("status", "body", "kind", "said"),
        [
            (
                409,
                {"code": "23505", "message": "duplicate key", "details": "Key (id)=(1)", "hint": None},
                Conflict,
                "Key",
            ),
            (401, {"code": "42501", "message": "permission denied for table x"}, PermissionDenied, "Grant"),
            (404, {"code": "PGRST205", "message": "Could not find it", "hint": "Perhaps y"}, NotFound, "Perhaps y"),
            (500, {"code": "57014", "message": "canceling statement due to statement timeout"}, Rejected, "index"),
            (503, {"code": "PGRST002", "message": "no schema cache"}, Unavailable, "no schema cache"),
            (401, {"message": "Invalid API key", "hint": "Double check"}, AuthenticationError, "SUPABASE_SECRET_KEY"),
            (400, {"statusCode": "404", "error": "not_found", "message": "Object not found"}, NotFound, "not_found"),
            (400, {"statusCode": "409", "error": "Duplicate", "message": "exists"}, Conflict, "Duplicate"),
            (400, {"statusCode": "403", "error": "Unauthorized", "message": "rls"}, PermissionDenied, "rls"),
            (422, {"code": 422, "error_code": "email_exists", "msg": "registered"}, Conflict, "email_exists"),
            (404, {"code": 404, "error_code": "user_not_found", "msg": "User not found"}, NotFound, "user_not_found"),
            (403, {"code": 403, "error_code": "bad_jwt", "msg": "invalid JWT"}, AuthenticationError, "bad_jwt"),
            (403, {"code": 403, "error_code": "not_admin", "msg": "User not allowed"}, PermissionDenied, "not allowed"),
        ],
    )
    def test_errors_of_all_services_are_understood(
        self,
        server: ScriptedServer,
        connector: Supabase,
        status: int,
        body: dict[str, object],
        kind: type[ConnectorError],
        said: str,
    ) -> None:
        server.api = lambda request: as_json(body, status)
        with pytest.raises(kind, match=said) as caught:
            connector.count_rows("things")
        assert caught.value.retryable is (kind is Unavailable)

    # ---- Storage

    def test_files_go_up_as_they_are_under_a_path_of_several_parts(
        self, server: ScriptedServer, connector: Supabase
    ) -> None:
        server.api = lambda request: as_json({"Key": "reports/a b/ü.pdf", "Id": str(uuid4())})
        key = connector.upload("reports", "a b/ü.pdf", b"%PDF\x00\xff", content_type="application/pdf", replace=True)
        (sent,) = server.seen
        assert key == "reports/a b/ü.pdf"
        assert sent.path == "/storage/v1/object/reports/a%20b/%C3%BC.pdf"
        assert (sent.body, sent.headers["content-type"]) == (b"%PDF\x00\xff", "application/pdf")
        assert sent.headers["x-upsert"] == "true"

    def test_an_upload_that_may_have_arrived_is_repeated_only_if_it_may_overwrite(
        self, server: ScriptedServer, connector: Supabase
    ) -> None:
        server.script(self.error(500))
        with pytest.raises(Unavailable):
            connector.upload("reports", "a", b"")
        assert len(server.seen) == 1
        server.script(self.error(500), as_json({"Key": "reports/a"}))
        assert connector.upload("reports", "a", b"", replace=True) == "reports/a"

    def test_a_full_page_of_files_is_not_the_last_one(self, server: ScriptedServer, connector: Supabase) -> None:
        names = [f"{number:04}" for number in range(1001)]

        def listing(request: Request) -> Answer:
            asked = json.loads(request.body)
            page = names[asked["offset"] : asked["offset"] + asked["limit"]]
            return as_json([{"name": name, "id": None} for name in page])

        server.api = listing
        assert [file.name for file in connector.objects("reports")] == names

    def test_a_signed_address_is_whole(self, server: ScriptedServer, connector: Supabase) -> None:
        server.api = lambda request: as_json({"signedURL": "/object/sign/reports/a?token=t"})
        signed = connector.signed_url("reports", "a", valid_for=timedelta(minutes=2))
        assert signed == f"{server.url}/storage/v1/object/sign/reports/a?token=t"
        assert json.loads(server.seen[0].body) == {"expiresIn": 120}

    # ---- Auth

    def test_users_are_paged_to_their_end(self, server: ScriptedServer) -> None:
        users = [{"id": str(uuid4())} for _ in range(7)]

        def listing(request: Request) -> Answer:
            number, size = int(request.params["page"]), int(request.params["per_page"])
            return as_json({"users": users[(number - 1) * size : number * size]}, x_total_count=str(len(users)))

        server.api = listing
        with Supabase(server.url, "supabase", SECRET, users_page_size=3) as connector:
            assert [str(user.id) for user in connector.users()] == [user["id"] for user in users]
            assert connector.count("users") == 7
            assert len(list(connector.keys("users"))) == 3

    def test_a_user_of_another_shape_is_malformed(self, server: ScriptedServer, connector: Supabase) -> None:
        server.api = lambda request: as_json({"id": "no uuid"})
        with pytest.raises(MalformedResponse, match="User"):
            connector.get_user("x")

    def test_only_the_fields_that_are_set_are_written(self, server: ScriptedServer, connector: Supabase) -> None:
        server.api = lambda request: as_json({"id": str(uuid4())})
        connector.update_user("x", NewUser(user_metadata={"a": 1}))
        assert json.loads(server.seen[0].body) == {"user_metadata": {"a": 1}}

    # ---- health

    def test_health_tells_of_each_service_without_raising(self, server: ScriptedServer, connector: Supabase) -> None:
        def answer(request: Request) -> Answer:
            if request.path.startswith("/auth"):
                return as_json({"name": "GoTrue", "version": "v2"})
            return self.error(400) if request.path.startswith("/storage") else Answer(200)

        server.api = answer
        health = connector.health()
        assert {service: found.ok for service, found in health.items()} == {
            "rest": True,
            "storage": False,
            "auth": True,
        }
        assert "v2" in health["auth"].said
        assert self.error_message in health["storage"].said

    def test_resources_that_are_not_there_and_dates_are_refused(self, connector: Supabase) -> None:
        with pytest.raises(ValueError, match="tables/<name>"):
            list(connector.read("things"))
        with pytest.raises(ValueError, match="children"):
            connector.read_children("users", [])
