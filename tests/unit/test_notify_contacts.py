"""Contacts, routes and quiet hours: the shipped file is right, a wrong one says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from masterops_dagster.observability.notify.contacts import CONTACTS_FILE, ContactsInvalid, load_contacts

KNOWN = load_contacts()


def melbourne(written: str) -> datetime:
    """A moment written with its offset, in UTC."""
    return datetime.fromisoformat(written).astimezone(UTC)


def test_the_shipped_file_reaches_only_examples() -> None:
    for name, contact in KNOWN.contacts.items():
        for address in contact.channels:
            if address.kind == "email":
                assert address.to.endswith((".example", "@example.com")), name
            if address.kind == "slack":
                assert address.to.startswith("#"), name


@pytest.mark.parametrize(
    ("business", "severity", "owner", "system", "contact"),
    [
        ("red_hill_fresh", "warning", "operations", "woocommerce", "red-hill-fresh-operations"),
        ("red_hill_fresh", "critical", "data-platform", "woocommerce", "data-platform"),
        (None, "critical", "automation", "n8n", "automation"),
        (None, "warning", None, None, "data-platform"),
        (None, "warning", "nobody-known", "hubspot", "data-platform"),
    ],
)
def test_the_first_route_that_matches_wins(
    business: str | None, severity: str, owner: str | None, system: str | None, contact: str
) -> None:
    assert KNOWN.route_of(business, severity, owner, system).contacts == (contact,)


WRONG: list[tuple[str, Any, str]] = [
    ("routes.0.contacts", ["nobody"], "route 1: there is no contact 'nobody'"),
    ("routes.0.escalation", "never", "route 1: there is no escalation 'never'"),
    ("routes.0.business", "teelixier", "there is no business 'teelixier'"),
    ("routes.0.severity", "fatal", "routes → 1 → severity"),
    ("routes.0.colour", "red", "routes → 1 → colour: Extra inputs are not permitted"),
    ("routes.6.severity", "info", "the last route must match everything"),
    ("quiet_hours.severities", ["critical"], "critical is never held"),
    ("digest.severities", ["critical"], "critical doesn't wait for a digest"),
    ("contacts.management.channels", [{"pager": "1"}], "there is no channel 'pager'"),
    ("contacts.management.channels", [{"email": "nobody"}], "'nobody' is no e-mail address"),
    ("contacts.management.channels", [], "contacts → management → channels"),
    ("escalations.platform.0.after", "soon", "'soon' is no duration"),
    ("escalations.platform.0.contacts", ["nobody"], "escalation platform, step 1: there is no contact 'nobody'"),
]


@pytest.mark.parametrize(("place", "value", "said"), WRONG)
def test_a_wrong_file_says_where_and_what(place: str, value: Any, said: str, tmp_path: Path) -> None:
    content = yaml.safe_load(CONTACTS_FILE.read_text())
    *path, last = place.split(".")
    at: Any = content
    for part in path:
        at = at[int(part)] if isinstance(at, list) else at[part]
    at[int(last) if isinstance(at, list) else last] = value
    file = tmp_path / "contacts.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ContactsInvalid) as told:
        load_contacts(file)
    assert said in str(told.value)


def test_a_file_that_is_no_yaml_says_so(tmp_path: Path) -> None:
    (tmp_path / "contacts.yaml").write_text("contacts: [")
    with pytest.raises(ContactsInvalid, match=r"contacts.yaml is no YAML"):
        load_contacts(tmp_path / "contacts.yaml")


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-27T20:59:59+11:00", None),
        ("2026-11-27T21:00:00+11:00", "2026-11-28T07:00:00+11:00"),
        ("2026-11-28T03:00:00+11:00", "2026-11-28T07:00:00+11:00"),
        ("2026-11-28T07:00:00+11:00", None),
        # Daylight saving begins on 4 October 2026 at 2:00 and ends on 5 April 2026 at 3:00.
        ("2026-10-03T22:00:00+10:00", "2026-10-04T07:00:00+11:00"),
        ("2026-10-04T06:59:00+11:00", "2026-10-04T07:00:00+11:00"),
        ("2026-10-04T06:30:00+10:00", None),
        ("2026-04-04T22:00:00+11:00", "2026-04-05T07:00:00+10:00"),
        ("2026-04-05T02:30:00+11:00", "2026-04-05T07:00:00+10:00"),
        ("2026-04-05T02:30:00+10:00", "2026-04-05T07:00:00+10:00"),
        ("2026-04-05T06:59:00+10:00", "2026-04-05T07:00:00+10:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_wall(at: str, until: str | None) -> None:
    expected = melbourne(until) if until else None
    assert KNOWN.held_until("warning", melbourne(at)) == expected
    assert KNOWN.held_until("critical", melbourne(at)) is None


def test_the_digest_comes_once_a_day_also_where_days_are_longer() -> None:
    for day in ("2026-10-03", "2026-10-04", "2026-04-04", "2026-04-05"):
        at = melbourne(f"{day}T12:00:00+10:00")
        last, following = KNOWN.digest.last(at), KNOWN.digest.next(at)
        assert last <= at < following
        assert timedelta(hours=22) < following - last < timedelta(hours=26)
        assert KNOWN.digest.last(following) == following
