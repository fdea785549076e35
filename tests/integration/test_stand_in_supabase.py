"""The connector against Supabase's stand-in, over HTTP: tables, files, users, keys of both kinds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from masterops_dagster.businesses import account
from masterops_dagster.connectors.errors import AuthenticationError, Conflict, NotFound, PermissionDenied, Rejected
from masterops_dagster.connectors.registry import open_connector
from masterops_dagster.connectors.supabase import NewUser, Supabase
from masterops_dagster.settings import settings
from tests.stand_ins import StandIns


@pytest.fixture
def supabase(connected: StandIns, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supabase]:
    monkeypatch.setenv("MASTEROPS_SUPABASE_REQUESTS_PER_SECOND", "1000")
    settings.cache_clear()
    with open_connector(settings().access(account("supabase")), settings()) as connector:
        assert isinstance(connector, Supabase)
        yield connector


def test_rows_beyond_the_row_limit_are_all_read(supabase: Supabase) -> None:
    rows = [{"id": number, "title": f"Report {number}", "body": {"n": number}} for number in range(1, 2402)]
    assert len(supabase.upsert("reports", rows)) == 2401
    read = [item for page in supabase.rows("reports", columns=["id", "body"]) for item in page.items]
    assert [item["id"] for item in read] == list(range(1, 2402))
    assert read[-1]["body"] == {"n": 2401}
    assert supabase.count("tables/reports") == 2401
    assert supabase.count_rows("reports", {"id": "gt.2400"}) == 1
    cut = supabase.slice("reports", 100, 5000)
    assert (cut.last, cut.total) == (1099, 2401)
    assert supabase.slice("reports", 9000, 9100).rows == ()
    within = supabase.rows("reports", columns=["id"], filters={"id": "lte.1500"})
    assert sum(len(page.items) for page in within) == 1500
    assert len(supabase.delete("reports", {"id": "gte.1"})) == 2401


def test_rows_are_written_changed_and_refused_as_postgrest_does(supabase: Supabase) -> None:
    supabase.delete("preferences", {"name": "not.is.null"})
    (stored,) = supabase.insert("preferences", [{"name": "theme", "value": {"dark": True}}])
    assert stored["value"] == {"dark": True}
    with pytest.raises(Conflict, match=r"\(name\)=\(theme\)"):
        supabase.insert("preferences", [{"name": "theme"}])
    supabase.upsert("preferences", [{"name": "theme", "value": 1}], key="name")
    assert supabase.update("preferences", {"value": 2}, {"name": "eq.theme"})[0]["value"] == 2
    (page,) = supabase.rows("preferences", key="name")
    assert page.items[0]["value"] == 2
    with pytest.raises(NotFound, match="PGRST205"):
        supabase.count_rows("nowhere")
    with pytest.raises(Rejected, match="nothing does not exist"):
        supabase.update("preferences", {"nothing": 1}, {"name": "eq.theme"})


def test_a_file_goes_up_is_listed_signed_read_and_deleted(supabase: Supabase) -> None:
    if not any(bucket.name == "reports" for bucket in supabase.buckets()):
        supabase.create_bucket("reports")
    with pytest.raises(Conflict, match="Duplicate"):
        supabase.create_bucket("reports")
    supabase.upload("reports", "2026/kpi ü.csv", b"a,b\n1,2\n", content_type="text/csv", replace=True)
    with pytest.raises(Conflict):
        supabase.upload("reports", "2026/kpi ü.csv", b"")
    assert [(found.name, found.id) for found in supabase.objects("reports")] == [("2026", None)]
    (file,) = supabase.objects("reports", "2026")
    assert file.name == "kpi ü.csv"
    assert file.metadata == {"size": 8, "mimetype": "text/csv"}
    address = supabase.signed_url("reports", "2026/kpi ü.csv", valid_for=timedelta(minutes=1))
    assert httpx.get(address, trust_env=False).content == b"a,b\n1,2\n"
    assert httpx.get(address[:-1] + "x", trust_env=False).status_code == 400
    past = supabase.signed_url("reports", "2026/kpi ü.csv", valid_for=timedelta(seconds=-5))
    assert httpx.get(past, trust_env=False).json()["error"] == "InvalidJWT"
    assert supabase.remove("reports", ["2026/kpi ü.csv", "none"]) == ["2026/kpi ü.csv"]
    with pytest.raises(NotFound):
        supabase.signed_url("reports", "2026/kpi ü.csv", valid_for=timedelta(minutes=1))


def test_users_are_made_changed_and_deleted(supabase: Supabase) -> None:
    made = [supabase.create_user(NewUser(email=f"u{n}@example.com", email_confirm=True)) for n in range(3)]
    with pytest.raises(Conflict, match="email_exists"):
        supabase.create_user(NewUser(email="u1@example.com"))
    changed = supabase.update_user(made[0].id, NewUser(app_metadata={"role": "owner"}))
    assert changed.app_metadata["role"] == "owner"
    assert supabase.get_user(made[0].id).email == "u0@example.com"
    supabase.users_page_size = 2
    assert {user.id for user in supabase.users()} >= {user.id for user in made}
    for user in made:
        supabase.delete_user(user.id)
    with pytest.raises(NotFound, match="user_not_found"):
        supabase.get_user(made[0].id)


def test_every_service_is_healthy(supabase: Supabase) -> None:
    assert all(found.ok for found in supabase.health().values())


def test_keys_of_both_kinds_are_good_and_the_publishable_one_may_do_nothing(connected: StandIns) -> None:
    endpoint = connected.endpoint("supabase")
    with Supabase(endpoint["base_url"], "supabase", endpoint["service_role_key"]) as old:
        assert old.count("users") is not None
    with Supabase(endpoint["base_url"], "supabase", endpoint["publishable_key"]) as weak:
        with pytest.raises(PermissionDenied, match="42501"):
            weak.count_rows("reports")
        with pytest.raises(PermissionDenied, match="not_admin"):
            weak.count("users")
    with (
        Supabase(endpoint["base_url"], "supabase", "sb_secret_wrong") as stranger,
        pytest.raises(AuthenticationError, match="SUPABASE_SECRET_KEY"),
    ):
        stranger.buckets()
