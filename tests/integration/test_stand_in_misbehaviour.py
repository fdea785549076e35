"""Faults strike where, when and how they are told to, over real HTTP."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.stand_ins import StandIns

CONTACTS = "/crm/objects/2026-09/contacts"


@pytest.fixture
def hubspot(stand_ins: StandIns) -> httpx.Client:
    endpoint = stand_ins.endpoint("hubspot")
    headers = {"Authorization": f"Bearer {endpoint['access_token']}"}
    return httpx.Client(base_url=endpoint["base_url"], headers=headers, timeout=5)


def statuses(client: httpx.Client, times: int) -> list[int]:
    return [client.get(CONTACTS, params={"limit": 1}).status_code for _ in range(times)]


def test_a_rate_limit_says_how_long_to_wait_where_it_is_told_to(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.misbehave("hubspot", "rate_limit", seconds=7, times=1)
    refused = hubspot.get(CONTACTS)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    stand_ins.misbehave("hubspot", "rate_limit", times=1)
    assert "retry-after" not in hubspot.get(CONTACTS).headers
    assert hubspot.get(CONTACTS).status_code == 200


def test_the_same_seed_strikes_the_same_requests(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    runs = []
    for _ in range(2):
        stand_ins.calm()
        stand_ins.misbehave("hubspot", "rate_limit", rate=0.4, seed=11)
        runs.append(statuses(hubspot, 20))
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 429}
    stand_ins.misbehave("hubspot", "rate_limit", rate=0.4, seed=12)
    assert statuses(hubspot, 20) != runs[0]


def test_server_errors_come_in_turn_as_json_and_as_pages(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.misbehave("hubspot", "server_error")
    assert statuses(hubspot, 4) == [500, 502, 503, 504]
    assert hubspot.get(CONTACTS).json()["message"] == "internal error"
    assert hubspot.get(CONTACTS).text.startswith("<!DOCTYPE html>")


def test_latency_delays_the_answer(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.misbehave("hubspot", "latency", seconds=0.3, times=1)
    began = time.monotonic()
    assert hubspot.get(CONTACTS).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_a_reset_breaks_the_connection_in_the_middle_of_the_body(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.misbehave("hubspot", "reset", times=1)
    with hubspot.stream("GET", CONTACTS) as answer:
        assert answer.status_code == 200
        parts = answer.iter_raw()
        received = len(next(parts))
        with pytest.raises(httpx.ReadError):
            received += sum(map(len, parts))
    assert 0 < received < int(answer.headers["content-length"])
    assert hubspot.get(CONTACTS).status_code == 200


@pytest.mark.parametrize(
    ("kind", "content_type"), [("malformed", "application/json"), ("html", "text/html"), ("php_warning", "application")]
)
def test_a_damaged_body_is_complete_as_http_and_no_json(
    stand_ins: StandIns, hubspot: httpx.Client, kind: str, content_type: str
) -> None:
    stand_ins.misbehave("hubspot", kind, times=1)
    answer = hubspot.get(CONTACTS)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(content_type)
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    if kind == "php_warning":
        assert json.loads(answer.text[answer.text.index("{") :])["results"]
    assert hubspot.get(CONTACTS).json()["results"]


def test_a_skewed_clock_shows_in_dates_and_ends_tokens_early(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    endpoint = stand_ins.endpoint("hubspot")
    form = {name: endpoint[name] for name in ("client_id", "client_secret", "refresh_token")}
    token = hubspot.post("/oauth/v1/token", data={"grant_type": "refresh_token", **form}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert hubspot.get(CONTACTS, headers=headers).status_code == 200
    stand_ins.misbehave("hubspot", "clock_skew", seconds=3600)
    late = hubspot.get(CONTACTS, headers=headers)
    assert parsedate_to_datetime(late.headers["date"]).timestamp() - time.time() == pytest.approx(3600, abs=5)
    assert (late.status_code, late.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")


def test_part_of_a_batch_fails_and_the_rest_is_written(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.misbehave("hubspot", "partial_batch", times=1)
    inputs: list[dict[str, Any]] = [{"properties": {"email": f"part{n}@example.com"}} for n in range(7)]
    answer = hubspot.post(f"{CONTACTS}/batch/create", json={"inputs": inputs})
    body = answer.json()
    assert answer.status_code == 207
    assert body["numErrors"] == len(body["errors"]) > 0
    assert len(body["results"]) + len(body["errors"]) == 7
    failed = {address for error in body["errors"] for address in error["context"]["ids"]}
    written = {result["properties"]["email"] for result in body["results"]}
    assert failed | written == {item["properties"]["email"] for item in inputs}
    read = hubspot.post(
        f"{CONTACTS}/batch/read",
        json={"idProperty": "email", "properties": [], "inputs": [{"id": i} for i in sorted(failed)]},
    )
    assert read.json()["results"] == []


def test_a_fault_strikes_only_the_system_or_account_it_names(stand_ins: StandIns, hubspot: httpx.Client) -> None:
    stand_ins.misbehave("unleashed_teelixir", "rate_limit")
    assert statuses(hubspot, 2) == [200, 200]
    for account, status in (("unleashed_teelixir", 429), ("unleashed_elevate_wholesale", 403)):
        assert httpx.get(f"{stand_ins.endpoint(account)['base_url']}/Customers/1").status_code == status
    assert httpx.get(f"{stand_ins.origin}/healthz").status_code == 200
