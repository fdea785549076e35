"""HubSpot's stand-in keeps to HubSpot's rules: auth, paging, search, batches, errors and limits, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.stand_ins import StandIns

OBJECTS = "/crm/objects/2026-09"
CONTACTS = f"{OBJECTS}/contacts"
Json = dict[str, Any]


@pytest.fixture
def hubspot(stand_ins: StandIns) -> Iterator[httpx.Client]:
    endpoint = stand_ins.endpoint("hubspot")
    headers = {"Authorization": f"Bearer {endpoint['access_token']}"}
    with httpx.Client(base_url=endpoint["base_url"], headers=headers, timeout=10) as client:
        yield client


def listed(client: httpx.Client, path: str, **arguments: Any) -> list[Json]:
    """All pages of a list, walked by `paging.next.after`."""
    found: list[Json] = []
    while True:
        page = client.get(path, params=arguments).raise_for_status().json()
        found.extend(page["results"])
        if "paging" not in page:
            return found
        arguments["after"] = page["paging"]["next"]["after"]


def new_contact(client: httpx.Client, **properties: Any) -> Json:
    body = {"properties": {"email": f"{uuid4().hex}@example.com", **properties}}
    created = client.post(CONTACTS, json=body)
    assert created.status_code == 201, created.text
    return dict(created.json())


def search(client: httpx.Client, *filters: Json, **request: Any) -> httpx.Response:
    groups = [{"filters": list(filters)}] if filters else []
    return client.post(f"{CONTACTS}/search", json={"filterGroups": groups, "limit": 200, **request})


# ---- who may call


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic Zm9vOmJhcg=="}])
def test_without_a_good_token_nothing_is_answered(stand_ins: StandIns, header: dict[str, str]) -> None:
    refused = httpx.get(f"{stand_ins.endpoint('hubspot')['base_url']}{CONTACTS}", headers=header)
    assert refused.status_code == 401
    assert refused.json()["category"] == "INVALID_AUTHENTICATION"
    assert UUID(refused.json()["correlationId"])


def test_a_refresh_token_buys_an_access_token_that_expires(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    endpoint = stand_ins.endpoint("hubspot")
    form = {"grant_type": "refresh_token", **{k: endpoint[k] for k in ("client_id", "client_secret", "refresh_token")}}
    granted = hubspot.post("/oauth/v1/token", data=form).json()
    assert granted["expires_in"] == 1800
    assert granted["refresh_token"] == endpoint["refresh_token"]
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    assert hubspot.get(CONTACTS, headers=headers).status_code == 200
    stand_ins.limit({"hubspot": {"token_seconds": 0.2}})
    token = hubspot.post("/oauth/v1/token", data=form).json()["access_token"]
    time.sleep(0.25)
    expired = hubspot.get(CONTACTS, headers={"Authorization": f"Bearer {token}"})
    assert (expired.status_code, expired.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")


@pytest.mark.parametrize(
    ("changed", "status"),
    [("client_id", "BAD_CLIENT_ID"), ("client_secret", "BAD_CLIENT_SECRET"), ("refresh_token", "BAD_REFRESH_TOKEN")],
)
def test_a_wrong_grant_is_refused_in_the_oauth_way(
    stand_ins: StandIns, hubspot: httpx.Client, changed: str, status: str
) -> None:
    endpoint = stand_ins.endpoint("hubspot")
    form = {"grant_type": "refresh_token", **{k: endpoint[k] for k in ("client_id", "client_secret", "refresh_token")}}
    refused = hubspot.post("/oauth/v1/token", data={**form, changed: "wrong"})
    assert (refused.status_code, refused.json()["status"]) == (400, status)


# ---- reading


@pytest.mark.parametrize("path", ["/crm/objects/2026-09/{0}", "/crm/objects/2026-03/{0}", "/crm/v3/objects/{0}"])
def test_every_version_lists_every_live_object_once(stand_ins: StandIns, hubspot: httpx.Client, path: str) -> None:
    for kind in ("contacts", "companies", "deals", "products", "line_items"):
        ids = [row["id"] for row in listed(hubspot, path.format(kind), limit=100)]
        assert ids == [record.id for record in stand_ins.world().scan("hubspot", kind)]
        assert len(set(ids)) == len(ids) > 0


@pytest.mark.parametrize("path", ["/crm/objects/2025-09/contacts", "/crm/v1/objects/contacts", "/crm/v3/wings", "/x"])
def test_an_unknown_version_or_path_is_not_found(hubspot: httpx.Client, path: str) -> None:
    missing = hubspot.get(path)
    assert (missing.status_code, missing.json()["status"]) == (404, "error")


def test_an_unknown_object_type_is_a_bad_request(hubspot: httpx.Client) -> None:
    assert hubspot.get(f"{OBJECTS}/wings").status_code == 400


def test_a_page_that_ends_the_list_has_no_paging_and_others_a_link(hubspot: httpx.Client) -> None:
    owners = len(listed(hubspot, "/crm/owners/2026-09"))
    exact = hubspot.get("/crm/owners/2026-09", params={"limit": owners}).json()
    assert len(exact["results"]) == owners
    assert "paging" not in exact
    first = hubspot.get(CONTACTS, params={"limit": 2, "properties": "email"}).json()
    second = hubspot.get(first["paging"]["next"]["link"]).json()
    by_after = {"limit": 2, "after": first["paging"]["next"]["after"], "properties": "email"}
    assert second == hubspot.get(CONTACTS, params=by_after).json()
    assert {row["id"] for row in first["results"]}.isdisjoint(row["id"] for row in second["results"])


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_list_page_has_one_to_a_hundred_rows(hubspot: httpx.Client, limit: str) -> None:
    assert hubspot.get(CONTACTS, params={"limit": limit}).status_code == 400


def test_asked_for_properties_come_and_unset_ones_are_null(hubspot: httpx.Client) -> None:
    id = new_contact(hubspot, firstname="Zoë", city="")["id"]
    asked = hubspot.get(f"{CONTACTS}/{id}", params={"properties": "firstname,city,no_such_property"}).json()
    assert asked["properties"].keys() == {"createdate", "hs_object_id", "lastmodifieddate", "firstname", "city"}
    assert (asked["properties"]["firstname"], asked["properties"]["city"]) == ("Zoë", None)
    default = hubspot.get(f"{CONTACTS}/{id}").json()["properties"]
    assert default.keys() == {"createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"}


def test_a_url_with_very_many_properties_is_too_long(hubspot: httpx.Client) -> None:
    names = ",".join(f"property_number_{n}" for n in range(1200))
    assert hubspot.get(CONTACTS, params={"properties": names}).status_code == 414


def test_objects_carry_their_associations_where_asked(hubspot: httpx.Client) -> None:
    deals = listed(hubspot, f"{OBJECTS}/deals", limit=100, associations="line_items,contacts")
    linked = [deal for deal in deals if "line_items" in deal.get("associations", {})]
    assert linked
    assert linked[0]["associations"]["line_items"]["results"][0]["type"] == "deal_to_line_item"


def test_definitions_owners_and_pipelines_are_complete(hubspot: httpx.Client) -> None:
    properties = hubspot.get("/crm/properties/2026-09/contacts").json()["results"]
    by_name = {one["name"]: one for one in properties}
    assert {
        "email",
        "contact_type",
        "source_business",
        "wholesale_account",
        "unleashed_customer_code",
    } <= by_name.keys()
    assert [option["value"] for option in by_name["contact_type"]["options"]]
    assert hubspot.get("/crm/properties/2026-09/contacts/email").json() == by_name["email"]
    pipelines = hubspot.get("/crm/pipelines/2026-09/deals").json()["results"]
    assert pipelines[0]["stages"]
    assert hubspot.get(f"/crm/pipelines/2026-09/deals/{pipelines[0]['id']}").json() == pipelines[0]
    owner = hubspot.get("/crm/owners/2026-09").json()["results"][0]
    assert hubspot.get(f"/crm/owners/2026-09/{owner['id']}").json() == owner
    assert hubspot.get("/crm/owners/2026-09", params={"email": owner["email"]}).json()["results"] == [owner]


# ---- search


def with_number(name: str, test: Callable[[float], bool]) -> Callable[[Json], bool]:
    return lambda row: row["properties"][name] is not None and test(float(row["properties"][name]))


SEARCHES: list[tuple[Json, Callable[[Json], bool]]] = [
    (
        {"propertyName": "engagement_score", "operator": "GT", "value": "50"},
        with_number("engagement_score", lambda score: score > 50),
    ),
    (
        {"propertyName": "engagement_score", "operator": "LTE", "value": 50},
        with_number("engagement_score", lambda score: score <= 50),
    ),
    (
        {"propertyName": "engagement_score", "operator": "BETWEEN", "value": "20", "highValue": "60"},
        with_number("engagement_score", lambda score: 20 <= score <= 60),
    ),
    (
        {"propertyName": "source_business", "operator": "EQ", "value": "teelixir"},
        lambda row: row["properties"]["source_business"] == "teelixir",
    ),
    (
        {"propertyName": "source_business", "operator": "NEQ", "value": "teelixir"},
        lambda row: row["properties"]["source_business"] != "teelixir",
    ),
    (
        {"propertyName": "source_business", "operator": "IN", "values": ["teelixir", "red_hill_fresh"]},
        lambda row: row["properties"]["source_business"] in ("teelixir", "red_hill_fresh"),
    ),
    (
        {"propertyName": "source_business", "operator": "NOT_IN", "values": ["teelixir"]},
        lambda row: row["properties"]["source_business"] != "teelixir",
    ),
    (
        {"propertyName": "unleashed_customer_code", "operator": "HAS_PROPERTY"},
        lambda row: bool(row["properties"]["unleashed_customer_code"]),
    ),
    (
        {"propertyName": "unleashed_customer_code", "operator": "NOT_HAS_PROPERTY"},
        lambda row: not row["properties"]["unleashed_customer_code"],
    ),
    (
        {"propertyName": "email", "operator": "CONTAINS_TOKEN", "value": "*O*"},
        lambda row: "o" in (row["properties"]["email"] or "").lower(),
    ),
]


@pytest.mark.parametrize(
    ("condition", "test"), SEARCHES, ids=lambda case: case.get("operator") if isinstance(case, dict) else ""
)
def test_search_finds_what_its_operator_says(
    hubspot: httpx.Client, condition: Json, test: Callable[[Json], bool]
) -> None:
    names = "engagement_score,source_business,unleashed_customer_code,email"
    everyone = listed(hubspot, CONTACTS, limit=100, properties=names)
    wanted = {row["id"] for row in everyone if test(row)}
    found: list[Json] = []
    after: str | None = "0"
    while after is not None:
        page = search(hubspot, condition, after=after).json()
        found.extend(page["results"])
        after = page.get("paging", {}).get("next", {}).get("after")
    assert {row["id"] for row in found} == wanted
    assert page["total"] == len(wanted) > 0


def test_search_walks_by_object_id(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    walked: list[str] = []
    last = "0"
    while True:
        condition = {"propertyName": "hs_object_id", "operator": "GT", "value": last}
        page = search(hubspot, condition, limit=7, sorts=[{"propertyName": "hs_object_id", "direction": "ASCENDING"}])
        rows = page.json()["results"]
        if not rows:
            break
        walked += [row["id"] for row in rows]
        last = walked[-1]
    assert walked == [record.id for record in stand_ins.world().scan("hubspot", "contacts")]


def test_search_windows_by_modification_are_exact_to_the_millisecond(hubspot: httpx.Client) -> None:
    contact = new_contact(hubspot)
    changed = contact["properties"]["lastmodifieddate"]
    milliseconds = str(round(datetime.fromisoformat(changed).timestamp() * 1000))
    for operator, value, inside in (
        ("GTE", changed, True),
        ("GTE", milliseconds, True),
        ("GT", milliseconds, False),
        ("LTE", milliseconds, True),
        ("LT", changed, False),
    ):
        found = search(
            hubspot,
            {"propertyName": "lastmodifieddate", "operator": operator, "value": value},
            {"propertyName": "hs_object_id", "operator": "EQ", "value": contact["id"]},
        ).json()
        assert (found["total"] == 1) is inside, (operator, value)


def test_filter_groups_are_alternatives_and_sorts_sort(hubspot: httpx.Client) -> None:
    ids = [new_contact(hubspot, engagement_score=score)["id"] for score in (9, 10, 100)]
    groups = [{"filters": [{"propertyName": "hs_object_id", "operator": "EQ", "value": id}]} for id in ids]
    request = {"filterGroups": groups, "sorts": ["-engagement_score"], "properties": ["engagement_score"]}
    found = hubspot.post(f"{CONTACTS}/search", json=request).json()
    assert [row["properties"]["engagement_score"] for row in found["results"]] == ["100", "10", "9"]


CONDITION = {"propertyName": "email", "operator": "HAS_PROPERTY"}


@pytest.mark.parametrize(
    "request_body",
    [
        {"limit": 201},
        {"limit": 200, "after": "9900"},
        {"filterGroups": [{"filters": [CONDITION]}] * 6},
        {"filterGroups": [{"filters": [CONDITION] * 7}]},
        {"filterGroups": [{"filters": [CONDITION] * 5}] * 4},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "x"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "no_such_property", "operator": "EQ", "value": "x"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "createdate", "operator": "GT", "value": "soon"}]}]},
        {"filterGroups": "all"},
    ],
)
def test_a_search_beyond_the_bounds_is_refused(hubspot: httpx.Client, request_body: Json) -> None:
    refused = hubspot.post(f"{CONTACTS}/search", json=request_body)
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")


def test_the_search_index_may_lag_behind_writes(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.limit({"hubspot": {"search_lag_seconds": 60}})
    id = new_contact(hubspot)["id"]
    condition = {"propertyName": "hs_object_id", "operator": "EQ", "value": id}
    assert search(hubspot, condition).json()["total"] == 0
    assert hubspot.get(f"{CONTACTS}/{id}").status_code == 200
    stand_ins.limit({"hubspot": {"search_lag_seconds": 0}})
    assert search(hubspot, condition).json()["total"] == 1


# ---- writing


def test_an_email_belongs_to_one_contact(hubspot: httpx.Client) -> None:
    contact = new_contact(hubspot, email="Once@Example.com")
    again = hubspot.post(CONTACTS, json={"properties": {"email": "once@example.com"}})
    assert again.status_code == 409
    assert again.json()["category"] == "CONFLICT"
    assert again.json()["message"] == f"Contact already exists. Existing ID: {contact['id']}"
    assert contact["properties"]["email"] == "once@example.com"


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"no_such_property": "1"}, "PROPERTY_DOESNT_EXIST"),
        ({"contact_type": "friend"}, "INVALID_OPTION"),
        ({"engagement_score": "high"}, "INVALID_DOUBLE"),
        ({"wholesale_account": "yes"}, "INVALID_OPTION"),
        ({"email": "nobody"}, "INVALID_EMAIL"),
        ({"createdate": "2026-01-01"}, "READ_ONLY_VALUE"),
    ],
)
def test_an_invalid_value_is_named_with_its_property(hubspot: httpx.Client, properties: Json, code: str) -> None:
    refused = hubspot.post(CONTACTS, json={"properties": properties})
    assert refused.status_code == 400
    body = refused.json()
    assert body["category"] == "VALIDATION_ERROR"
    assert [(error["code"], error["context"]["propertyName"]) for error in body["errors"]] == [(code, list(properties))]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"properties": 1}', b"{}"])
def test_a_body_of_another_shape_is_a_bad_request(hubspot: httpx.Client, body: bytes) -> None:
    assert hubspot.post(CONTACTS, content=body).status_code == 400


def test_an_object_is_updated_archived_and_found_among_the_archived(hubspot: httpx.Client) -> None:
    contact = new_contact(hubspot, firstname="Ada")
    path = f"{CONTACTS}/{contact['id']}"
    updated = hubspot.patch(path, json={"properties": {"firstname": "Grace", "wholesale_account": True}}).json()
    assert (updated["properties"]["firstname"], updated["properties"]["wholesale_account"]) == ("Grace", "true")
    assert updated["updatedAt"] > contact["updatedAt"]
    assert hubspot.delete(path).status_code == 204
    assert hubspot.delete(path).status_code == 204
    assert hubspot.get(path).status_code == 404
    assert hubspot.get(path, params={"archived": "true"}).json()["archived"] is True
    assert contact["id"] in {row["id"] for row in listed(hubspot, CONTACTS, limit=100, archived="true")}
    assert contact["id"] not in {row["id"] for row in listed(hubspot, CONTACTS, limit=100)}


def test_a_deals_stage_says_whether_it_is_closed_and_won(hubspot: httpx.Client) -> None:
    deal = hubspot.post(f"{OBJECTS}/deals", json={"properties": {"dealname": "Spring", "pipeline": "default"}}).json()
    for stage, closed, won in (
        ("contractsent", "false", "false"),
        ("closedlost", "true", "false"),
        ("closedwon", "true", "true"),
    ):
        hubspot.patch(f"{OBJECTS}/deals/{deal['id']}", json={"properties": {"dealstage": stage}}).raise_for_status()
        shown = hubspot.get(
            f"{OBJECTS}/deals/{deal['id']}", params={"properties": "hs_is_closed,hs_is_closed_won"}
        ).json()
        assert (shown["properties"]["hs_is_closed"], shown["properties"]["hs_is_closed_won"]) == (closed, won)


def test_a_contact_is_found_by_its_email(hubspot: httpx.Client) -> None:
    contact = new_contact(hubspot)
    address = contact["properties"]["email"]
    assert hubspot.get(f"{CONTACTS}/{address}", params={"idProperty": "email"}).json()["id"] == contact["id"]
    assert hubspot.get(f"{CONTACTS}/{address}", params={"idProperty": "firstname"}).status_code == 400


def test_a_merged_contact_is_gone_and_named_by_the_survivor(hubspot: httpx.Client) -> None:
    survivor, merged = new_contact(hubspot), new_contact(hubspot, city="Hobart")
    body = {"primaryObjectId": survivor["id"], "objectIdToMerge": merged["id"]}
    assert hubspot.post(f"{CONTACTS}/merge", json=body).status_code == 200
    assert hubspot.get(f"{CONTACTS}/{merged['id']}").status_code == 404
    names = {"properties": "hs_merged_object_ids,hs_additional_emails,city"}
    properties = hubspot.get(f"{CONTACTS}/{survivor['id']}", params=names).json()["properties"]
    assert properties["hs_merged_object_ids"] == merged["id"]
    assert properties["hs_additional_emails"] == merged["properties"]["email"]
    assert properties["city"] == "Hobart"
    assert hubspot.post(f"{CONTACTS}/merge", json=body).status_code == 404


def test_a_deletion_for_privacy_leaves_nothing(hubspot: httpx.Client) -> None:
    contact = new_contact(hubspot)
    hubspot.delete(f"{CONTACTS}/{contact['id']}")
    assert hubspot.post(f"{CONTACTS}/gdpr-delete", json={"objectId": contact["id"]}).status_code == 204
    assert hubspot.get(f"{CONTACTS}/{contact['id']}", params={"archived": "true"}).status_code == 404


# ---- batches


def test_a_batch_read_says_what_is_not_there(hubspot: httpx.Client) -> None:
    ids = [new_contact(hubspot)["id"] for _ in range(3)]
    inputs = [{"id": id} for id in (*ids, "1", "2")]
    answer = hubspot.post(f"{CONTACTS}/batch/read", json={"inputs": inputs, "properties": ["email"]})
    body = answer.json()
    assert answer.status_code == 207
    assert [row["id"] for row in body["results"]] == ids
    assert body["numErrors"] == 1
    assert body["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert body["errors"][0]["context"]["ids"] == ["1", "2"]
    complete = hubspot.post(f"{CONTACTS}/batch/read", json={"inputs": [{"id": ids[0]}]})
    assert (complete.status_code, complete.json()["status"]) == (200, "COMPLETE")
    assert complete.json().keys() == {"status", "results", "startedAt", "completedAt"}


def test_a_batch_without_trace_ids_is_written_whole_or_not_at_all(hubspot: httpx.Client) -> None:
    taken = new_contact(hubspot)["properties"]["email"]
    fresh = f"{uuid4().hex}@example.com"
    inputs: list[Json] = [{"properties": {"email": fresh}}, {"properties": {"email": taken}}]
    assert hubspot.post(f"{CONTACTS}/batch/create", json={"inputs": inputs}).status_code == 409
    assert hubspot.get(f"{CONTACTS}/{fresh}", params={"idProperty": "email"}).status_code == 404


def test_a_batch_with_trace_ids_tells_each_failure_apart(hubspot: httpx.Client) -> None:
    taken = new_contact(hubspot)["properties"]["email"]
    addresses = (f"{uuid4().hex}@example.com", taken, "nobody")
    inputs = [{"properties": {"email": one}, "objectWriteTraceId": f"row {n}"} for n, one in enumerate(addresses)]
    answer = hubspot.post(f"{CONTACTS}/batch/create", json={"inputs": inputs})
    assert answer.status_code == 207
    assert [row["properties"]["email"] for row in answer.json()["results"]] == [addresses[0]]
    failed = {error["context"]["objectWriteTraceId"][0]: error["category"] for error in answer.json()["errors"]}
    assert failed == {"row 1": "CONFLICT", "row 2": "VALIDATION_ERROR"}


def test_a_batch_update_writes_what_exists(hubspot: httpx.Client) -> None:
    id = new_contact(hubspot)["id"]
    inputs = [{"id": one, "properties": {"city": "Darwin"}} for one in (id, "1")]
    answer = hubspot.post(f"{CONTACTS}/batch/update", json={"inputs": inputs})
    assert answer.status_code == 207
    assert [row["id"] for row in answer.json()["results"]] == [id]
    assert answer.json()["errors"][0]["context"]["ids"] == ["1"]
    assert hubspot.get(f"{CONTACTS}/{id}", params={"properties": "city"}).json()["properties"]["city"] == "Darwin"


def test_an_upsert_says_what_is_new(hubspot: httpx.Client) -> None:
    known, unknown = new_contact(hubspot)["properties"]["email"], f"{uuid4().hex}@example.com"
    inputs = [{"id": one, "idProperty": "email", "properties": {"city": "Perth"}} for one in (known, unknown)]
    answer = hubspot.post(f"{CONTACTS}/batch/upsert", json={"inputs": inputs})
    assert answer.status_code == 200
    assert [(row["new"], row["properties"]["email"]) for row in answer.json()["results"]] == [
        (False, known),
        (True, unknown),
    ]


def test_a_batch_has_at_most_a_hundred_inputs(hubspot: httpx.Client) -> None:
    inputs = [{"id": str(n)} for n in range(101)]
    for action in ("read", "archive"):
        assert hubspot.post(f"{CONTACTS}/batch/{action}", json={"inputs": inputs}).status_code == 400


def test_a_batch_archive_archives(hubspot: httpx.Client) -> None:
    ids = [new_contact(hubspot)["id"] for _ in range(2)]
    inputs = [{"id": id} for id in (*ids, "1")]
    assert hubspot.post(f"{CONTACTS}/batch/archive", json={"inputs": inputs}).status_code == 204
    assert [hubspot.get(f"{CONTACTS}/{id}").status_code for id in ids] == [404, 404]


# ---- associations


def test_associations_are_seen_from_both_ends_with_their_own_types(hubspot: httpx.Client) -> None:
    company = hubspot.post(f"{OBJECTS}/companies", json={"properties": {"name": "Quoll & Sons"}}).json()["id"]
    contact = new_contact(hubspot)["id"]
    paths = "/crm/associations/2026-09/{}/{}/batch/{}"
    pair = {"from": {"id": contact}, "to": {"id": company}}
    made = hubspot.post(paths.format("contacts", "companies", "associate/default"), json={"inputs": [pair]})
    assert made.status_code == 200
    for kind, other, id, end, type_id in (
        ("contacts", "companies", contact, company, 279),
        ("companies", "contacts", company, contact, 280),
    ):
        read = hubspot.post(paths.format(kind, other, "read"), json={"inputs": [{"id": id}]})
        assert read.status_code == 200
        (result,) = read.json()["results"]
        assert result["from"] == {"id": id}
        assert [(to["toObjectId"], to["associationTypes"][0]["typeId"]) for to in result["to"]] == [(int(end), type_id)]
    one = hubspot.get(f"/crm/v4/objects/contacts/{contact}/associations/companies").json()
    assert [row["toObjectId"] for row in one["results"]] == [int(company)]
    ends = {"from": {"id": contact}, "to": [{"id": company}]}
    assert hubspot.post(paths.format("contacts", "companies", "archive"), json={"inputs": [ends]}).status_code == 204
    none = hubspot.post(paths.format("companies", "contacts", "read"), json={"inputs": [{"id": company}]})
    assert none.status_code == 207
    assert none.json()["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"


def test_more_associations_than_one_answer_holds_are_paged(hubspot: httpx.Client) -> None:
    company = hubspot.post(f"{OBJECTS}/companies", json={"properties": {"name": "Everyone Pty Ltd"}}).json()["id"]
    ids: list[str] = []
    for _ in range(6):
        inputs = [{"properties": {"email": f"{uuid4().hex}@example.com"}} for _ in range(100)]
        created = hubspot.post(f"{CONTACTS}/batch/create", json={"inputs": inputs}).json()["results"]
        ids += [row["id"] for row in created]
    pairs = [{"from": {"id": id}, "to": {"id": company}} for id in ids]
    hubspot.post("/crm/associations/2026-09/contacts/companies/batch/associate/default", json={"inputs": pairs})
    read: list[int] = []
    request: Json = {"id": company}
    while True:
        answer = hubspot.post("/crm/associations/2026-09/companies/contacts/batch/read", json={"inputs": [request]})
        (result,) = answer.json()["results"]
        read += [to["toObjectId"] for to in result["to"]]
        if "paging" not in result:
            break
        request["after"] = result["paging"]["next"]["after"]
    assert read == sorted(map(int, ids))


# ---- limits


def test_the_rolling_limit_refuses_and_recovers_and_its_headers_count_down(
    stand_ins: StandIns, hubspot: httpx.Client
) -> None:
    stand_ins.allow("hubspot", 3, lambda: hubspot.get(CONTACTS))
    answers = [hubspot.get(CONTACTS, params={"limit": 1}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-hubspot-ratelimit-remaining"] for answer in answers[:3]] == ["2", "1", "0"]
    assert answers[0].headers["x-hubspot-ratelimit-max"] == "4"
    assert answers[0].headers["x-hubspot-ratelimit-interval-milliseconds"] == "60000"
    refused = answers[3].json()
    assert refused["message"] == "You have reached your ten_secondly_rolling limit."
    assert (refused["errorType"], refused["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")
    stand_ins.limit({"hubspot": {"burst": {"requests": 4, "seconds": 0.001}}})
    time.sleep(0.002)
    assert hubspot.get(CONTACTS, params={"limit": 1}).status_code == 200


def test_search_has_a_limit_of_its_own_and_no_limit_headers(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.allow("hubspot", 2, lambda: search(hubspot, limit=1), limit="search")
    answers = [search(hubspot, limit=1) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["policyName"] == "SECONDLY"
    assert "x-hubspot-ratelimit-remaining" not in answers[0].headers
    assert hubspot.get(CONTACTS, params={"limit": 1}).status_code == 200


def test_a_spent_day_is_told_apart(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.limit({"hubspot": {"day": 1}})
    assert hubspot.get(CONTACTS).json().get("policyName") == "DAILY"
