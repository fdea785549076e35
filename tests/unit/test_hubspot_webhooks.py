"""HubSpot's webhook signature v3, against the vector in HubSpot's own Python client and against that client itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hubspot.utils.signature import Signature  # type: ignore[import-untyped]

from masterops_dagster.connectors.hubspot import webhooks

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URI = "https://www.example.com/webhook_uri"
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
BODY = b'[{"eventId":1,"subscriptionType":"contact.propertyChange","objectId":51,"propertyName":"city",' + (
    '"propertyValue":"Örebro 東京","occurredAt":1764000000000,"attemptNumber":0,"changeSource":"CRM"}]'.encode()
)


def signed(body: bytes = BODY, *, uri: str = URI, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(at.timestamp() * 1000))
    made = Signature.get_signature(secret, body.decode(), "v3", uri, "POST", timestamp)
    return {"x-hubspot-signature-v3": made, "x-hubspot-request-timestamp": timestamp}


def test_the_published_vector_of_hubspots_client_is_met() -> None:
    body = b"{'example_field':'example_value'}"
    assert webhooks.signature(SECRET, "POST", URI, body, "15000000") == "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw="


def test_a_request_signed_by_hubspots_own_client_is_accepted_whatever_the_case_of_its_headers() -> None:
    webhooks.verify(SECRET, "POST", URI, BODY, signed(), now=NOW)
    webhooks.verify(SECRET, "post", URI, BODY, {name.upper(): value for name, value in signed().items()}, now=NOW)


@pytest.mark.parametrize(
    ("called", "hashed"),
    [
        ("https://a.example/hook?to=x%40y.z&at=1%3A2", "https://a.example/hook?to=x@y.z&at=1:2"),
        ("https://a.example/hook?path=%2fa%2Fb", "https://a.example/hook?path=/a/b"),
        ("https://a.example/hook?q=%21%24%27%28%29%2A%2C%3B%3F", "https://a.example/hook?q=!$'()*,;?"),
        ("https://a.example/hook?q=a%20b%26c%3Dd%25%2B", "https://a.example/hook?q=a%20b%26c%3Dd%25%2B"),
        ("https://a.example/hook?q=%253A", "https://a.example/hook?q=%253A"),
    ],
)
def test_only_the_encodings_that_hubspot_decodes_are_decoded_and_only_once(called: str, hashed: str) -> None:
    webhooks.verify(SECRET, "POST", called, BODY, signed(uri=hashed), now=NOW)


@pytest.mark.parametrize("age", [timedelta(minutes=5, seconds=1), timedelta(days=400), -timedelta(minutes=6)])
def test_a_request_from_another_time_is_refused_though_its_signature_is_right(age: timedelta) -> None:
    with pytest.raises(webhooks.InvalidSignature, match="dated"):
        webhooks.verify(SECRET, "POST", URI, BODY, signed(at=NOW - age), now=NOW)


def test_a_request_of_just_under_five_minutes_is_accepted() -> None:
    webhooks.verify(SECRET, "POST", URI, BODY, signed(at=NOW - timedelta(minutes=4, seconds=59)), now=NOW)


def test_any_change_to_method_uri_body_or_secret_is_refused() -> None:
    headers = signed()
    for secret, method, uri, body in (
        (SECRET, "PUT", URI, BODY),
        (SECRET, "POST", URI + "/", BODY),
        (SECRET, "POST", URI, BODY + b" "),
        ("another", "POST", URI, BODY),
    ):
        with pytest.raises(webhooks.InvalidSignature, match="does not match"):
            webhooks.verify(secret, method, uri, body, headers, now=NOW)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"x-hubspot-signature-v3": ""},
        {"x-hubspot-request-timestamp": ""},
        {"x-hubspot-request-timestamp": "yesterday"},
        {"x-hubspot-request-timestamp": "٢" * 13},
        {"x-hubspot-request-timestamp": "9" * 400},
        {"x-hubspot-signature-v3": "päßwört"},
    ],
)
def test_headers_that_make_no_sense_are_refused_and_not_a_crash(spoiled: dict[str, str]) -> None:
    with pytest.raises(webhooks.InvalidSignature):
        webhooks.verify(SECRET, "POST", URI, BODY, {**signed(), **spoiled}, now=NOW)


def test_events_are_read_with_their_moment_in_utc() -> None:
    (event,) = webhooks.events(BODY)
    assert (event.object_id, event.property_name, event.property_value) == (51, "city", "Örebro 東京")
    assert event.occurred_at == datetime(2025, 11, 24, 16, 0, tzinfo=UTC)


def test_a_body_that_is_no_list_of_events_is_refused() -> None:
    with pytest.raises(ValueError, match="not a list of HubSpot events"):
        webhooks.events(b'{"eventId": 1}')
