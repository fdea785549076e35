"""HubSpot's connector keeps the promises of every connector, and those of its own. Over real HTTP."""

from __future__ import annotations

import json
import operator
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Unpack
from zoneinfo import ZoneInfo

import httpx
import pytest

from masterops_dagster.connectors.auth import BearerToken
from masterops_dagster.connectors.base import Options, Patience, Record
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    DeadlineExceeded,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.hubspot import BatchInput, HubSpot, HubSpotObject, ObjectType, SearchRequest
from masterops_dagster.connectors.telemetry import InMemorySink
from tests.contract.server import Answer, Request, ScriptedServer, as_json
from tests.contract.suite import HASTE, SECRET, ConnectorContract

CREATED = datetime(2026, 3, 1, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


HELD: dict[str, Callable[[dict[str, Any]], int]] = {
    "hs_object_id": lambda row: int(row["id"]),
    "createdate": lambda row: milliseconds(row["createdAt"]),
    "lastmodifieddate": lambda row: milliseconds(row["updatedAt"]),
}
TESTS: dict[str, Callable[[int, int], bool]] = {"GT": operator.gt, "GTE": operator.ge, "LTE": operator.le}


class Api:
    """HubSpot over a list of contacts: listing, search, batch read and associations, as its reference has them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.accepts_credentials = True
        self.associations: dict[str, list[int]] = {}
        self.associations_per_answer = 500
        self.objects_per_answer = 10  # HubSpot's is 100, which makes the tests slow

    def __call__(self, request: Request) -> Answer:
        if not self.accepts_credentials or request.headers.get("authorization") != f"Bearer {SECRET}":
            return refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        match request.method, request.path.split("/")[2:]:
            case "GET", ["objects", "2026-09", "contacts"]:
                return self._list(request)
            case "POST", ["objects", "2026-09", "contacts", "search"]:
                return self._search(json.loads(request.body))
            case "POST", ["objects", "2026-09", "contacts", "batch", "read"]:
                return self._batch_read(json.loads(request.body))
            case "POST", ["associations", "2026-09", "contacts", "companies", "batch", "read"]:
                return self._associations(json.loads(request.body))
        return refusal(404, f"nothing at {request.path}", "OBJECT_NOT_FOUND")

    def _above(self, after: int, archived: bool = False) -> list[dict[str, Any]]:
        """In the order of ids."""
        numbered = sorted((int(row["id"]), place) for place, row in enumerate(self.rows))
        rest = numbered[bisect_left(numbered, (after + 1, 0)) :]
        return [row for _, place in rest if (row := self.rows[place])["archived"] is archived]

    def _list(self, request: Request) -> Answer:
        if len(request.path) + len(request.query) > 8_000:
            return Answer(414)
        params = request.params
        if int(params["limit"]) > 100:
            return refusal(400, "limit must be at most 100", "VALIDATION_ERROR")
        limit, after = min(int(params["limit"]), self.objects_per_answer), int(params.get("after", 0))
        found = self._above(after, params["archived"] == "true")
        return self._page([*map(self._shown(params.get("properties", "")), found[:limit])], len(found) > limit)

    def _search(self, body: dict[str, Any]) -> Answer:
        if len(json.dumps(body)) > 3_000:
            return refusal(400, "The request is too long.", "VALIDATION_ERROR")
        after, limit = int(body.get("after", 0)), body["limit"]
        if after + limit > 10_000:
            return refusal(400, "no more than 10000 results", "VALIDATION_ERROR")
        found = [row for row in self._above(0) if self._matches(row, body["filterGroups"])]
        page = [*map(self._shown(",".join(body["properties"])), found[after : after + limit])]
        more = len(found) > after + limit
        return self._page(page, more, total=len(found), cursor=str(after + limit))

    @staticmethod
    def _matches(row: dict[str, Any], groups: list[dict[str, Any]]) -> bool:
        return not groups or any(
            all(TESTS[f["operator"]](HELD[f["propertyName"]](row), int(f["value"])) for f in group["filters"])
            for group in groups
        )

    def _batch_read(self, body: dict[str, Any]) -> Answer:
        if len(body["inputs"]) > 100:
            return refusal(400, "at most 100 inputs", "VALIDATION_ERROR")
        known = {row["id"]: row for row in self.rows}
        ids = [item["id"] for item in body["inputs"]]
        found = [*map(self._shown(",".join(body["properties"])), [known[id] for id in ids if id in known])]
        missing = [id for id in ids if id not in known]
        if not missing:
            return as_json({"status": "COMPLETE", "results": found})
        error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": missing}}
        return as_json({"status": "COMPLETE", "results": found, "numErrors": 1, "errors": [error]}, 207)

    def _associations(self, body: dict[str, Any]) -> Answer:
        if len(body["inputs"]) > 1_000:
            return refusal(400, "at most 1000 inputs", "VALIDATION_ERROR")
        results, errors = [], []
        for item in body["inputs"]:
            everything = self.associations.get(item["id"], [])
            ends = [end for end in everything if end > int(item.get("after", 0))]
            shown, rest = ends[: self.associations_per_answer], ends[self.associations_per_answer :]
            if everything:
                kinds = [{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}]
                to = [{"toObjectId": end, "associationTypes": kinds} for end in shown]
                paging = {"paging": {"next": {"after": str(shown[-1]), "link": ""}}} if rest else {}
                results.append({"from": {"id": item["id"]}, "to": to, **paging})
            else:
                errors.append({"category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"})
        return as_json({"status": "COMPLETE", "results": results, "errors": errors}, 207 if errors else 200)

    @staticmethod
    def _shown(names: str) -> Any:
        """HubSpot shows the properties that were asked for; here `firstname` comes unasked."""
        wanted = {"firstname", *names.split(",")}
        return lambda row: {**row, "properties": {name: row["properties"].get(name) for name in wanted if name}}

    @staticmethod
    def _page(page: list[dict[str, Any]], more: bool, cursor: str | None = None, **fields: object) -> Answer:
        answer: dict[str, object] = {**fields, "results": page}
        if more:
            answer["paging"] = {"next": {"after": cursor or page[-1]["id"], "link": "https://api.example/next"}}
        return as_json(answer)


def refusal(status: int, message: str, category: str, **more: Any) -> Answer:
    body = {"status": "error", "message": message, "correlationId": "c0ffee-1", "category": category, **more}
    return as_json(body, status)


class TestHubSpot(ConnectorContract):
    resource = "contacts"
    page_size = 10
    limited_requests = 91  # three full windows and one: pages can only be asked for one after the other
    text_field = "firstname"
    number_field = None  # HubSpot sends all values as strings
    reads_in_parallel = False

    def make_api(self) -> Api:
        return Api()

    def connect(self, url: str, *, limit: tuple[int, float] = (10_000, 1.0), **options: Unpack[Options]) -> HubSpot:
        hubspot = HubSpot(url, "hubspot", BearerToken(SECRET), search_requests_per_second=10_000, **options)
        hubspot.windows = (Window("10s", *limit), Window("day", 1_000_000, 86_400.0))
        return hubspot

    def row(self, number: int, **fields: object) -> dict[str, Any]:
        created = CREATED + timedelta(minutes=number)
        return {
            "id": str(number),
            "properties": {"firstname": f"Name {number}", "email": f"{number}@example.com", **fields},
            "createdAt": stamp(created),
            "updatedAt": stamp(created + timedelta(days=30)),
            "archived": False,
        }

    def key(self, record: Record) -> object:
        return record["id"]

    def value(self, record: Record, field: str) -> object:
        properties = record["properties"]
        assert isinstance(properties, dict)
        return properties[field]

    def error(self, status: int) -> Answer:
        return refusal(status, self.error_message, "VALIDATION_ERROR")

    # ---- windows

    @pytest.fixture
    def many(self, api: Api) -> list[dict[str, Any]]:
        """More contacts than a search answers, one a minute."""
        self.fill(api, 10_450)
        return api.rows

    def test_everything_modified_since_is_found_past_ten_thousand_results(
        self, many: list[dict[str, Any]], connector: HubSpot
    ) -> None:
        since = datetime.fromisoformat(many[100]["updatedAt"])
        pages = list(connector.read("contacts", modified_since=since, properties=["email"]))
        assert [item["id"] for page in pages for item in page.items] == [row["id"] for row in many[100:]]
        assert {page.total for page in pages} == {10_350}
        assert connector.requests == 52

    def test_a_window_of_creation_has_its_beginning_and_not_its_end(
        self, many: list[dict[str, Any]], connector: HubSpot
    ) -> None:
        start, end = (datetime.fromisoformat(many[n]["createdAt"]) for n in (200, 450))
        pages = connector.read("contacts", created_from=start, created_to=end)
        assert [item["id"] for page in pages for item in page.items] == [row["id"] for row in many[200:450]]

    def test_windows_that_touch_share_no_row_and_lose_none_even_between_milliseconds(
        self, many: list[dict[str, Any]], connector: HubSpot
    ) -> None:
        edges = [CREATED, CREATED + timedelta(minutes=60, microseconds=300), CREATED + timedelta(minutes=120)]
        found = [
            item["id"]
            for start, end in pairwise(edges)
            for page in connector.read("contacts", created_from=start, created_to=end)
            for item in page.items
        ]
        assert found == [row["id"] for row in many[:119]]

    def test_archived_contacts_are_listed_apart_and_by_when_they_were_archived(
        self, api: Api, connector: HubSpot
    ) -> None:
        self.fill(api, 6)
        archived_at = CREATED + timedelta(days=90)
        for row in api.rows[3:]:
            row |= {"archived": True, "archivedAt": stamp(archived_at + timedelta(hours=int(row["id"])))}
        live = [item["id"] for page in connector.read("contacts") for item in page.items]
        archived = [item["id"] for page in connector.read("contacts", archived=True) for item in page.items]
        recent = connector.read("contacts", archived=True, modified_since=archived_at + timedelta(hours=5))
        assert (live, archived) == (["1", "2", "3"], ["4", "5", "6"])
        assert [item["id"] for page in recent for item in page.items] == ["5", "6"]

    @pytest.mark.parametrize(
        "arguments",
        [
            {"modified_since": CREATED, "created_from": CREATED, "created_to": CREATED},
            {"created_from": CREATED},
            {"resource": "owners", "modified_since": CREATED},
            {"resource": "invoices"},
            {"resource": "pipelines/deals", "archived": True},
        ],
    )
    def test_questions_that_make_no_sense_are_refused_before_anything_is_sent(
        self, connector: HubSpot, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(ValueError, match=r"."):
            connector.read(**{"resource": "contacts", **arguments})
        assert connector.requests == 0

    # ---- many properties

    @pytest.mark.parametrize("window", [{}, {"modified_since": CREATED}], ids=["listed", "searched"])
    def test_property_lists_too_long_for_url_or_search_come_complete(
        self, api: Api, connector: HubSpot, window: dict[str, Any]
    ) -> None:
        names = [f"custom_property_with_a_long_name_{n}" for n in range(300)]
        self.fill(api, 250)
        for row in api.rows:
            row["properties"][names[-1]] = f"last of {row['id']}"
        records = [i for page in connector.read("contacts", properties=names, **window) for i in page.items]
        assert [record["id"] for record in records] == [row["id"] for row in api.rows]
        assert all(self.value(record, names[-1]) == f"last of {record['id']}" for record in records)
        assert all(len(record["properties"]) == 301 for record in records)

    def test_single_objects_and_typed_pages_take_any_number_of_properties_too(
        self, api: Api, connector: HubSpot
    ) -> None:
        names = [f"custom_property_with_a_long_name_{n}" for n in range(300)]
        self.fill(api, 2)
        api.rows[1]["properties"][names[-1]] = "there"
        page = connector.list_objects(ObjectType.CONTACTS, properties=names)
        assert [one.properties[names[-1]] for one in page.results] == [None, "there"]
        assert connector.get(ObjectType.CONTACTS, "2", properties=names) == page.results[1]
        with pytest.raises(NotFound):
            connector.get(ObjectType.CONTACTS, "3", properties=names)

    def test_an_object_that_goes_between_listing_and_batch_read_is_left_out(
        self, api: Api, server: ScriptedServer, connector: HubSpot
    ) -> None:
        self.fill(api, 3)
        server.api = self.after_requests(api, 1, lambda: api.rows.pop(1))
        pages = list(connector.read("contacts", properties=[f"property_{n:040}" for n in range(200)]))
        assert [item["id"] for page in pages for item in page.items] == ["1", "3"]

    # ---- associations

    def test_more_associations_than_one_answer_holds_are_all_read(self, api: Api, connector: HubSpot) -> None:
        api.associations = {"1": list(range(1, 1_302)), "2": [7], "4": list(range(1, 501))}
        pages = connector.read_children("associations/contacts/companies", [1, 2, 3, 4])
        records = [item for page in pages for item in page.items]
        pairs = {(record["from_id"], record["to_id"]) for record in records}
        assert len(records) == len(pairs) == 1_301 + 1 + 500
        assert pairs == {(origin, str(end)) for origin, ends in api.associations.items() for end in ends}
        assert records[0]["association_types"] == [{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}]
        assert connector.requests == 3

    def test_any_number_of_parents_is_asked_for_a_thousand_at_a_time(
        self, api: Api, server: ScriptedServer, connector: HubSpot
    ) -> None:
        api.associations = {str(n): [n] for n in range(1, 2_502)}
        found = [a.from_id for a in connector.associations(ObjectType.CONTACTS, ObjectType.COMPANIES, range(1, 2_502))]
        assert found == [str(n) for n in range(1, 2_502)]
        assert sorted(len(json.loads(request.body)["inputs"]) for request in server.seen) == [501, 1_000, 1_000]

    def test_no_parents_need_no_request(self, connector: HubSpot) -> None:
        assert list(connector.read_children("associations/contacts/companies", [])) == []
        assert connector.requests == 0

    def test_another_error_about_associations_is_not_taken_for_their_absence(
        self, server: ScriptedServer, connector: HubSpot
    ) -> None:
        error = {"category": "VALIDATION_ERROR", "message": "no such pair of types"}
        server.script(as_json({"status": "COMPLETE", "results": [], "errors": [error]}, 207))
        with pytest.raises(Rejected, match="no such pair of types"):
            list(connector.read_children("associations/contacts/companies", ["1"]))

    # ---- limits

    def test_the_daily_limit_is_not_tried_again_before_midnight(
        self, server: ScriptedServer, connector: HubSpot
    ) -> None:
        server.script(refusal(429, "You have reached your daily limit.", "RATE_LIMITS", policyName="DAILY"))
        with pytest.raises(RateLimited, match="daily limit") as caught:
            self.read(connector)
        now = datetime.now(ZoneInfo("Australia/Melbourne"))
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
        assert len(server.seen) == 1
        assert caught.value.scope == "day"
        assert not caught.value.retryable
        assert caught.value.retry_after == pytest.approx(midnight.timestamp() - now.timestamp(), abs=5)

    @pytest.mark.parametrize(("policy", "scope"), [("TEN_SECONDLY_ROLLING", "10s"), ("SECONDLY", "search")])
    def test_other_limits_are_waited_for_and_named(
        self, api: Api, server: ScriptedServer, sink: InMemorySink, policy: str, scope: str
    ) -> None:
        full = refusal(429, "limit", "RATE_LIMITS", errorType="RATE_LIMIT", policyName=policy)
        server.api = lambda request: Answer(429, full.body, {**full.headers, "Retry-After": "60"})
        with self.connect(server.url, patience=HASTE) as hubspot, pytest.raises(RateLimited) as caught:
            list(hubspot.read("contacts", modified_since=CREATED))
        assert caught.value.scope == scope
        assert caught.value.retryable

    def test_the_limit_in_the_headers_is_believed(self, api: Api, server: ScriptedServer) -> None:
        headers = {
            "X-HubSpot-RateLimit-Max": "190",
            "X-HubSpot-RateLimit-Remaining": "3",
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": "1000000",
            "X-HubSpot-RateLimit-Daily-Remaining": "999000",
        }
        self.fill(api, 80)

        def limited(request: Request) -> Answer:
            answer = api(request)
            return Answer(answer.status, answer.body, {**answer.headers, **headers})

        server.api = limited
        brief = Patience(deadline=2.0)
        with HubSpot(
            server.url, "hubspot", BearerToken(SECRET), requests_per_10_seconds=1_000, patience=brief
        ) as hubspot:
            (ten_seconds, _) = hubspot.limit_news(httpx.Headers(headers))
            assert (ten_seconds.limit, ten_seconds.remaining) == (190, 3)
            pages = hubspot.read("contacts")
            for _ in range(4):
                next(pages)
            with pytest.raises(DeadlineExceeded, match="budget"):
                list(pages)

    def test_searches_keep_to_their_own_limit(self, api: Api, server: ScriptedServer) -> None:
        self.fill(api, 12 * 200)
        server.limit = (5, 1.0)
        with HubSpot(server.url, "hubspot", BearerToken(SECRET), budget=InMemoryBudget(), patience=HASTE) as hubspot:
            found = [item for page in hubspot.read("contacts", modified_since=CREATED) for item in page.items]
        assert len(found) == 2_400
        assert server.refused == 0
        assert len(server.seen) == 12

    # ---- errors

    def test_an_error_says_hubspots_message_details_and_correlation_id(
        self, server: ScriptedServer, connector: HubSpot
    ) -> None:
        details = [{"message": "Email address x is invalid", "code": "INVALID_EMAIL", "in": "email", "context": None}]
        server.script(refusal(400, "Property values were not valid", "VALIDATION_ERROR", errors=details))
        with pytest.raises(Rejected) as caught:
            connector.create(ObjectType.CONTACTS, {"email": "x"})
        assert caught.value.correlation_id == "c0ffee-1"
        assert "Property values were not valid | Email address x is invalid" in str(caught.value)
        assert "create contacts" in str(caught.value)

    @pytest.mark.parametrize(
        ("status", "category", "kind"),
        [
            (401, "EXPIRED_AUTHENTICATION", AuthenticationError),
            (403, "MISSING_SCOPES", PermissionDenied),
            (409, "CONFLICT", Conflict),
            (414, "URI_TOO_LONG", Rejected),
        ],
    )
    def test_each_refusal_has_its_own_error(
        self, server: ScriptedServer, connector: HubSpot, status: int, category: str, kind: type[Exception]
    ) -> None:
        server.script(refusal(status, "Contact already exists. Existing ID: 51", category))
        with pytest.raises(kind, match="Existing ID: 51"):
            connector.create(ObjectType.CONTACTS, {"email": "ann@example.com"})
        assert len(server.seen) == 1

    @pytest.mark.parametrize("context", [{"ids": "1"}, {"ids": [1, 2]}, "{missingScopes=[a]}", ["a"], None, 3])
    def test_a_context_of_any_shape_hides_no_message(
        self, server: ScriptedServer, connector: HubSpot, context: object
    ) -> None:
        server.script(refusal(400, "no good", "VALIDATION_ERROR", context=context, subCategory={"a": 1}))
        with pytest.raises(Rejected, match="no good") as caught:
            connector.get(ObjectType.CONTACTS, "1")
        assert caught.value.correlation_id == "c0ffee-1"

    def test_a_locked_object_is_asked_for_again(self, server: ScriptedServer, connector: HubSpot) -> None:
        locked = refusal(423, "locked", "LOCKED")
        server.script(Answer(423, locked.body, {**locked.headers, "Retry-After": "0"}), as_json({"id": "1"}))
        assert connector.update(ObjectType.CONTACTS, "1", {"city": "Melbourne"}).id == "1"

    # ---- writes

    def test_a_create_is_not_sent_twice_when_its_answer_is_lost(
        self, server: ScriptedServer, connector: HubSpot
    ) -> None:
        server.script(Answer(201, b'{"id": "1"}', cut_after=4), as_json({"id": "2"}, 201))
        with pytest.raises(MalformedResponse):
            connector.create(ObjectType.CONTACTS, {"email": "ann@example.com"})
        assert len(server.seen) == 1

    def test_a_create_that_met_the_limit_is_sent_again(self, server: ScriptedServer, connector: HubSpot) -> None:
        server.script(self.error(429), as_json({"id": "2", "properties": {"email": "a@b.c"}}, 201))
        made = connector.create(ObjectType.CONTACTS, {"email": "a@b.c"})
        assert made == HubSpotObject(id="2", properties={"email": "a@b.c"})

    @pytest.mark.parametrize(
        ("batch", "sends"),
        [
            (lambda hubspot: hubspot.batch_create(ObjectType.CONTACTS, [BatchInput(properties={"email": "a@b.c"})]), 1),
            (lambda hubspot: hubspot.batch_update(ObjectType.CONTACTS, [BatchInput(id="1", properties={})]), 4),
            (lambda hubspot: hubspot.batch_upsert(ObjectType.CONTACTS, [BatchInput(id="1")], id_property="email"), 4),
            (lambda hubspot: hubspot.batch_read(ObjectType.CONTACTS, ["1"]), 4),
            (lambda hubspot: hubspot.batch_archive(ObjectType.CONTACTS, ["1"]), 4),
        ],
        ids=["create", "update", "upsert", "read", "archive"],
    )
    def test_batches_are_repeated_only_where_that_does_no_harm(
        self, server: ScriptedServer, connector: HubSpot, batch: Callable[[HubSpot], object], sends: int
    ) -> None:
        server.api = lambda request: self.error(500)
        with pytest.raises(Unavailable):
            batch(connector)
        assert len(server.seen) == sends

    def test_ids_in_a_path_can_not_lead_elsewhere(self, server: ScriptedServer, connector: HubSpot) -> None:
        server.script(as_json({"id": "1"}))
        connector.get(ObjectType.CONTACTS, "../../owners?x=1", id_property="email")
        assert server.seen[0].path == "/crm/objects/2026-09/contacts/..%2F..%2Fowners%3Fx%3D1"
        assert server.seen[0].params == {"archived": "false", "idProperty": "email"}

    def test_the_version_of_the_api_is_one_setting(self, server: ScriptedServer) -> None:
        server.api = lambda request: as_json({"results": [], "total": 0})
        with HubSpot(server.url, "hubspot", BearerToken(SECRET), api_version="2027-03", patience=HASTE) as hubspot:
            hubspot.count("deals")
            for resource in ("contacts", "owners", "pipelines/deals", "properties"):
                list(hubspot.read(resource))
            list(hubspot.read_children("associations/deals/contacts", ["1"]))
            hubspot.batch_read(ObjectType.DEALS, ["1"])
        assert {request.path.split("/")[3] for request in server.seen} == {"2027-03"}

    # ---- typed answers

    def test_typed_search_goes_past_ten_thousand_and_the_single_page_does_not(
        self, many: list[dict[str, Any]], connector: HubSpot
    ) -> None:
        found = connector.search_all(ObjectType.CONTACTS, SearchRequest(properties=("email",)))
        assert [one.properties["email"] for one in found] == [row["properties"]["email"] for row in many]
        page = connector.search(ObjectType.CONTACTS, SearchRequest(limit=3, after="6"))
        assert (page.total, page.after, [one.id for one in page.results]) == (10_450, "9", ["7", "8", "9"])
        with pytest.raises(Rejected, match="10000"):
            connector.search(ObjectType.CONTACTS, SearchRequest(limit=200, after="10000"))

    def test_typed_pages_lead_on_to_the_last(self, api: Api, connector: HubSpot) -> None:
        self.fill(api, 5)
        first = connector.list_objects(ObjectType.CONTACTS, limit=3)
        second = connector.list_objects(ObjectType.CONTACTS, limit=3, after=first.after)
        assert [one.id for one in (*first.results, *second.results)] == ["1", "2", "3", "4", "5"]
        assert second.after is None

    def test_an_answer_without_what_an_object_must_have_is_malformed(
        self, server: ScriptedServer, connector: HubSpot
    ) -> None:
        server.script(as_json({"properties": {}}))
        with pytest.raises(MalformedResponse, match="no HubSpotObject"):
            connector.get(ObjectType.CONTACTS, "1")

    def test_a_listing_that_leads_to_itself_ends(self, server: ScriptedServer, connector: HubSpot) -> None:
        server.api = lambda request: as_json({"results": [{"id": "1"}], "paging": {"next": {"after": "1"}}})
        with pytest.raises(MalformedResponse, match="leads to itself"):
            self.read(connector)
