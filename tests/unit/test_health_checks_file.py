"""The file of health checks: what stands in it, and what a mistake in it is told as."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.observability.health import ChecksInvalid, load_checks
from masterops_dagster.observability.health.check import KINDS
from masterops_dagster.observability.health.probes import PROBES
from masterops_dagster.observability.health.state import CONFIRM_AFTER

DEFAULTS = "defaults: {timeout: 8 s, fail_after: 2, recover_after: 2}\n"
GOOD = {"id": "database", "what": "it answers", "probe": "database", "every": "15 s"}


def written(folder: Path, **changes: object) -> Path:
    """A file of one check that differs from a good one so; None leaves a field out."""
    entry = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    path = folder / "checks.yaml"
    lines = "".join(f"    {name}: {value}\n" for name, value in entry.items())
    path.write_text(f"{DEFAULTS}checks:\n  -{lines[3:]}")
    return path


def test_every_account_is_checked_and_every_probe_is_used() -> None:
    checks = load_checks()
    asked = {check.account: check for check in checks if check.probe == "integration"}
    assert sorted(asked, key=str) == sorted(account.key for account in ACCOUNTS)
    assert asked["unleashed_teelixir"].business_key == "teelixir"
    assert asked["unleashed_teelixir"].every > asked["hubspot"].every
    used = {check.probe for check in checks}
    assert used | {"certificate"} == set(PROBES) == set(KINDS)  # no host is reached over https here


def test_a_dead_integration_is_known_within_a_minute() -> None:
    rounds_apart = timedelta(seconds=15)
    for check in load_checks():
        if check.probe in ("integration", "database", "dagster_webserver", "dagster_code_location", "n8n_server"):
            doubts = (check.fail_after - 1) * CONFIRM_AFTER
            assert check.every + doubts + check.timeout < timedelta(seconds=60), check.id
            assert check.timeout < rounds_apart, check.id


def test_hosts_reached_over_https_have_their_certificates_checked(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from masterops_dagster.settings import settings

    for business in ("TEELIXIR", "ELEVATE_WHOLESALE"):
        monkeypatch.setenv(f"UNLEASHED_{business}_API_ID", "id")
        monkeypatch.setenv(f"UNLEASHED_{business}_API_KEY", "key")
    monkeypatch.setenv("N8N_BASE_URL", "https://n8n.example.com:8443/")
    monkeypatch.setenv("N8N_API_KEY", "key")
    settings.cache_clear()
    found = {check.id: check for check in load_checks() if check.probe == "certificate"}
    assert set(found) == {"certificate_api.unleashedsoftware.com", "certificate_n8n.example.com:8443"}
    assert found["certificate_api.unleashedsoftware.com"].account is None
    assert found["certificate_n8n.example.com:8443"].account == "n8n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every": "15 sek"}, "check database (no. 1): every: '15 sek' is no time; write a number and s, min, h, days"),
        ({"probe": "oracle"}, "check database (no. 1): there is no probe 'oracle'; there are integration, database,"),
        ({"evry": "15 s"}, "check database (no. 1): evry: Extra inputs are not permitted; there are id, what, probe"),
        ({"every": None}, "check database (no. 1): every: Field required"),
        ({"fail_after": 0}, "check database (no. 1): fail_after: Input should be greater than or equal to 1"),
        (
            {"degraded_unless": "[speed < 3]"},
            "the probe database tells no 'speed'; it tells response_ms, connections_used, replication_lag_s",
        ),
        ({"degraded_unless": "[response_ms < 3 s]"}, "response_ms is in ms, not s"),
        ({"down_unless": "[response_ms is fine]"}, "is no condition; write one like `response_ms < 2000 ms`"),
        ({"for_each": "accounts"}, "the probe database is asked once: leave for_each out"),
        ({"probe": "integration"}, "the probe integration needs for_each: accounts"),
        ({"probe": "integration", "for_each": "accounts"}, "the id must contain {account}"),
        (
            {"id": "'x_{account}'", "probe": "integration", "for_each": "accounts", "systems": "[sap]"},
            "there is no system 'sap'; there are bigcommerce, hubspot",
        ),
        ({"what": "[unclosed"}, "checks.yaml is no YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ChecksInvalid) as raised:
        load_checks(written(tmp_path, **changes))
    assert "checks.yaml" in str(raised.value)
    assert message in str(raised.value)


def test_an_empty_file_and_an_id_that_is_there_twice_are_told(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text("")
    with pytest.raises(ChecksInvalid, match=r"checks\.yaml"):
        load_checks(path)
    one = written(tmp_path).read_text()
    path.write_text(one + one.partition("checks:\n")[2])
    with pytest.raises(ChecksInvalid, match="two checks have the id database"):
        load_checks(path)
