"""HubSpot's connector and HubSpot's stand-in, which share no code, understand one another over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from masterops_dagster.connectors.auth import BearerToken
from masterops_dagster.connectors.base import Patience
from masterops_dagster.connectors.budget import InMemoryBudget, Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.hubspot import BatchInput, HubSpot, ObjectType, oauth
from masterops_dagster.connectors.telemetry import InMemorySink
from masterops_dagster.sources.hubspot import STREAMS
from masterops_dagster.sources.stream import Stream
from tests.stand_ins import StandIns

OBJECTS = [stream for stream in STREAMS if stream.resource in {str(kind) for kind in ObjectType}]
CONTACTS, COMPANIES, DEALS = ObjectType.CONTACTS, ObjectType.COMPANIES, ObjectType.DEALS
HASTE = Patience(timeout=5.0, deadline=20.0, attempts=8, pause=0.01, pause_max=0.05)


@contextmanager
def connected(stand_ins: StandIns, *windows: Window, token: str | None = None) -> Iterator[HubSpot]:
    """With limits as wide as the stand-ins' in tests, unless `windows` says otherwise."""
    endpoint = stand_ins.endpoint("hubspot")
    auth = BearerToken(token or endpoint["access_token"])
    with HubSpot(
        endpoint["base_url"],
        "hubspot",
        auth,
        search_requests_per_second=100_000,
        budget=InMemoryBudget(),
        sink=InMemorySink(),
        patience=HASTE,
    ) as hubspot:
        hubspot.windows = windows or (Window("10s", 100_000, 1.0), Window("day", 1_000_000, 86_400.0))
        yield hubspot


@pytest.fixture
def hubspot(stand_ins: StandIns) -> Iterator[HubSpot]:
    with connected(stand_ins) as connector:
        yield connector


def rows(hubspot: HubSpot, resource: str, **how: Any) -> list[dict[str, Any]]:
    return [item for page in hubspot.read(resource, **how) for item in page.items]


def email() -> str:
    return f"{uuid4()}@example.com"


# ---- ingest


@pytest.mark.parametrize("resource", [stream.resource for stream in OBJECTS])
def test_listing_search_keys_and_count_agree_on_what_is_there(hubspot: HubSpot, resource: str) -> None:
    listed = [row["id"] for row in rows(hubspot, resource)]
    searched = [row["id"] for row in rows(hubspot, resource, modified_since=datetime(2000, 1, 1, tzinfo=UTC))]
    keys = [key for page in hubspot.keys(resource) for key in page]
    assert listed
    assert listed == searched == keys
    assert hubspot.count(resource) == len(listed) == len(set(listed))


@pytest.mark.parametrize("stream", OBJECTS, ids=lambda stream: stream.name)
def test_every_property_of_the_stream_is_known_to_the_account_and_comes(hubspot: HubSpot, stream: Stream) -> None:
    names = [column.path.removeprefix("properties.") for column in stream.columns if "." in column.path]
    object_type = ObjectType(stream.resource)
    assert set(names) <= {one.name for one in hubspot.property_definitions(object_type)}
    assert set(names) <= set(rows(hubspot, object_type, properties=names)[0]["properties"])


def test_months_side_by_side_hold_every_contact_once(hubspot: HubSpot) -> None:
    edges = [datetime(2000, 1, 1, tzinfo=UTC), *(datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 6))]
    edges.append(datetime(2100, 1, 1, tzinfo=UTC))
    found = [
        row["id"]
        for start, end in pairwise(edges)
        for row in rows(hubspot, "contacts", created_from=start, created_to=end)
    ]
    assert sorted(found) == sorted(row["id"] for row in rows(hubspot, "contacts"))


def test_a_change_is_found_by_what_was_modified_since(hubspot: HubSpot) -> None:
    made = hubspot.create(CONTACTS, {"email": email()})
    changed = hubspot.update(CONTACTS, made.id, {"city": "Örebro"})
    assert changed.updated_at is not None
    found = rows(hubspot, "contacts", modified_since=changed.updated_at, properties=["city"])
    assert [row["properties"]["city"] for row in found if row["id"] == made.id] == ["Örebro"]


@pytest.mark.parametrize(
    ("resource", "parent", "child"),
    [
        ("associations/contacts/companies", "contacts", "companies"),
        ("associations/deals/contacts", "deals", "contacts"),
        ("associations/deals/line_items", "deals", "line_items"),
    ],
)
def test_associations_lead_from_known_objects_to_known_objects(
    hubspot: HubSpot, resource: str, parent: str, child: str
) -> None:
    parents = [str(row["id"]) for row in rows(hubspot, parent)]
    children = {row["id"] for row in rows(hubspot, child)}
    pairs = [record for page in hubspot.read_children(resource, parents) for record in page.items]
    assert pairs
    assert {record["from_id"] for record in pairs} <= set(parents)
    assert {record["to_id"] for record in pairs} <= children
    assert all(record["association_types"] for record in pairs)


def test_more_associations_than_one_answer_holds_are_all_read(hubspot: HubSpot) -> None:
    company = hubspot.create(COMPANIES, {"name": "Crowd Pty Ltd"})
    made = hubspot.batch_create(CONTACTS, [BatchInput(properties={"email": email()}) for _ in range(620)])
    people = {found.id for found in made.objects}
    assert len(people) == 620
    hubspot.associate(COMPANIES, CONTACTS, [(company.id, person) for person in sorted(people)])
    found = list(hubspot.associations(COMPANIES, CONTACTS, [company.id]))
    assert {pair.to_id for pair in found} == people
    hubspot.dissociate(COMPANIES, CONTACTS, [(company.id, person) for person in people])
    assert list(hubspot.associations(COMPANIES, CONTACTS, [company.id])) == []


def test_owners_pipelines_and_property_definitions_come_whole(hubspot: HubSpot) -> None:
    assert {owner.id for owner in hubspot.owners()} == {row["id"] for row in rows(hubspot, "owners")}
    stages = [stage for pipeline in hubspot.pipelines(DEALS) for stage in pipeline.stages]
    assert {stage.metadata.get("isClosed") for stage in stages} == {"true", "false"}
    kinds = {row["objectType"] for row in rows(hubspot, "properties")}
    assert kinds == {str(kind) for kind in ObjectType}
    keys = [key for page in hubspot.keys("properties") for key in page]
    assert len(keys) == len(set(keys)) == len(rows(hubspot, "properties"))
    assert hubspot.count("owners") is None


# ---- archived and merged


def test_an_archived_contact_leaves_the_listing_for_the_archived_one(hubspot: HubSpot) -> None:
    made = hubspot.create(CONTACTS, {"email": email()})
    hubspot.archive(CONTACTS, made.id)
    hubspot.archive(CONTACTS, made.id)
    assert made.id not in {row["id"] for row in rows(hubspot, "contacts")}
    (gone,) = [row for row in rows(hubspot, "contacts", archived=True) if row["id"] == made.id]
    assert gone["archived"] is True
    assert gone["archivedAt"]
    archived_at = datetime.fromisoformat(gone["archivedAt"])
    recent = rows(hubspot, "contacts", archived=True, modified_since=archived_at)
    assert made.id in {row["id"] for row in recent}
    with pytest.raises(NotFound):
        hubspot.get(CONTACTS, made.id)
    assert hubspot.get(CONTACTS, made.id, archived=True).archived


def test_a_merged_contact_lives_on_only_in_its_survivor(hubspot: HubSpot) -> None:
    primary, other = (hubspot.create(CONTACTS, {"email": email()}) for _ in range(2))
    survivor = hubspot.merge(CONTACTS, primary.id, other.id)
    live = {row["id"]: row for row in rows(hubspot, "contacts", properties=["hs_merged_object_ids"])}
    assert other.id not in live
    assert hubspot.get(CONTACTS, survivor.id, properties=["hs_merged_object_ids"]).merged_ids == (other.id,)
    changed = rows(hubspot, "contacts", modified_since=survivor.updated_at)
    assert survivor.id in {row["id"] for row in changed}


# ---- writes


def test_an_email_that_exists_is_a_conflict_that_names_who_has_it(hubspot: HubSpot) -> None:
    address = email()
    made = hubspot.create(CONTACTS, {"email": address})
    with pytest.raises(Conflict, match=made.id):
        hubspot.create(CONTACTS, {"email": address.upper()})
    assert hubspot.get(CONTACTS, address, id_property="email").id == made.id


def test_a_value_that_hubspot_does_not_allow_is_rejected_with_its_reason(hubspot: HubSpot) -> None:
    with pytest.raises(Rejected, match="invalid") as caught:
        hubspot.create(CONTACTS, {"email": "nonsense"})
    assert caught.value.correlation_id


def test_a_property_can_be_set_and_cleared(hubspot: HubSpot) -> None:
    made = hubspot.create(CONTACTS, {"email": email(), "city": "Mornington"})
    assert hubspot.update(CONTACTS, made.id, {"city": None}).properties["city"] is None


def test_a_batch_of_good_and_bad_creates_each_on_its_own(hubspot: HubSpot) -> None:
    taken = email()
    hubspot.create(CONTACTS, {"email": taken})
    wanted = [email() for _ in range(230)]
    wanted[17], wanted[120] = taken, "nonsense"
    result = hubspot.batch_create(CONTACTS, [BatchInput(properties={"email": address}) for address in wanted])
    assert [(o.index, type(o.error)) for o in result.failed] == [(17, Conflict), (120, Rejected)]
    for outcome in result.succeeded:
        assert outcome.object is not None
        assert outcome.object.properties["email"] == wanted[outcome.index]


def test_a_batch_update_says_which_object_is_not_there(hubspot: HubSpot) -> None:
    made = hubspot.batch_create(CONTACTS, [BatchInput(properties={"email": email()}) for _ in range(3)]).objects
    inputs = [BatchInput(id=one.id, properties={"city": "Carlton"}) for one in made]
    inputs.insert(1, BatchInput(id="1", properties={"city": "Nowhere"}))
    result = hubspot.batch_update(CONTACTS, inputs)
    assert [(o.index, type(o.error)) for o in result.failed] == [(1, NotFound)]
    read = hubspot.batch_read(CONTACTS, [one.id for one in made] + ["1"], properties=["city"])
    assert [o.object and o.object.properties["city"] for o in read.outcomes] == ["Carlton"] * 3 + [None]
    assert isinstance(read.failed[0].error, NotFound)


def test_an_upsert_creates_or_updates_by_email_and_says_which(hubspot: HubSpot) -> None:
    known, new = email(), email()
    made = hubspot.create(CONTACTS, {"email": known})
    inputs = [BatchInput(id=known.upper(), properties={"city": "A"}), BatchInput(id=new, properties={"city": "B"})]
    first, second = hubspot.batch_upsert(CONTACTS, inputs, id_property="email").outcomes
    assert first.object is not None
    assert second.object is not None
    assert (first.object.id, first.object.new, second.object.new) == (made.id, False, True)
    assert hubspot.get(CONTACTS, new, id_property="email", properties=["city"]).properties["city"] == "B"


def test_a_batch_archive_takes_all_of_them(hubspot: HubSpot) -> None:
    made = hubspot.batch_create(CONTACTS, [BatchInput(properties={"email": email()}) for _ in range(120)]).objects
    assert len(hubspot.batch_archive(CONTACTS, [one.id for one in made]).succeeded) == 120
    assert not hubspot.batch_read(CONTACTS, [one.id for one in made]).succeeded


def test_items_that_fail_inside_hubspot_fail_alone_and_may_be_tried_again(
    stand_ins: StandIns, hubspot: HubSpot
) -> None:
    stand_ins.misbehave("hubspot", "partial_batch")
    inputs = [BatchInput(properties={"email": email()}) for _ in range(12)]
    result = hubspot.batch_create(CONTACTS, inputs)
    assert result.failed
    assert all(isinstance(outcome.error, Unavailable) and outcome.error.retryable for outcome in result.failed)
    for outcome in result.succeeded:
        assert outcome.object is not None
        assert outcome.object.properties["email"] == (outcome.input.properties or {})["email"]
    stand_ins.calm()
    again = hubspot.batch_create(CONTACTS, [outcome.input for outcome in result.failed])
    assert not again.failed


# ---- limits, faults, credentials


def test_reading_at_the_limit_draws_no_429(stand_ins: StandIns) -> None:
    stand_ins.limit({"hubspot": {"burst": {"requests": 20, "seconds": 0.5}, "search": {"requests": 5, "seconds": 1}}})
    time.sleep(1.1)  # what earlier tests called counts no more
    endpoint = stand_ins.endpoint("hubspot")
    sink = InMemorySink()
    auth = BearerToken(endpoint["access_token"])
    with HubSpot(endpoint["base_url"], "hubspot", auth, budget=InMemoryBudget(), sink=sink) as hubspot:
        hubspot.windows = (Window("10s", 20, 0.5),)
        for resource in ("products", "companies", "deals"):
            rows(hubspot, resource)
        for _ in range(4):
            hubspot.count("contacts")
        list(hubspot.read_children("associations/deals/contacts", [row["id"] for row in rows(hubspot, "deals")]))
    assert {event.outcome for event in sink.events} == {"ok"}


def test_the_days_last_request_is_the_last(stand_ins: StandIns, hubspot: HubSpot) -> None:
    stand_ins.limit({"hubspot": {"day": 0}})
    with pytest.raises(RateLimited, match="daily limit") as caught:
        hubspot.count("contacts")
    assert (caught.value.scope, caught.value.retryable, hubspot.requests) == ("day", False, 1)


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "reset", "malformed", "html"])
def test_what_a_fault_breaks_is_made_good_by_trying_again(stand_ins: StandIns, hubspot: HubSpot, fault: str) -> None:
    expected = rows(hubspot, "products")
    before = hubspot.requests
    stand_ins.misbehave("hubspot", fault, rate=0.5, seed=3, times=4)
    assert rows(hubspot, "products") == expected
    assert hubspot.count("products") == len(expected)
    assert hubspot.requests > before + 2


def test_a_wrong_key_is_named_as_such(stand_ins: StandIns) -> None:
    with connected(stand_ins, token="pat-ap1-wrong") as hubspot, pytest.raises(AuthenticationError):
        hubspot.count("contacts")


def test_oauth_goes_on_when_hubspot_calls_the_token_expired(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("hubspot")
    auth = oauth(endpoint["base_url"], endpoint["client_id"], endpoint["client_secret"], endpoint["refresh_token"])
    with HubSpot(endpoint["base_url"], "hubspot", auth, search_requests_per_second=1_000) as hubspot:
        total = hubspot.count("deals")
        stand_ins.misbehave("hubspot", "clock_skew", seconds=3_600)
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(lambda _: hubspot.count("deals"), range(6))) == [total] * 6


def test_oauth_with_a_wrong_refresh_token_is_an_authentication_error(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("hubspot")
    auth = oauth(endpoint["base_url"], endpoint["client_id"], endpoint["client_secret"], "ap1-wrong")
    with HubSpot(endpoint["base_url"], "hubspot", auth) as hubspot, pytest.raises(AuthenticationError):
        hubspot.count("deals")
