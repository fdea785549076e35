"""From Dagster to the incident and the runbook: failed checks, runs and assets carry their addresses.

Dagster is imported by the tests, since every test process imports this module and only one runs it.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from masterops_dagster.observability.incidents import incident
from masterops_dagster.observability.links import run_url
from masterops_dagster.settings import settings

Connection = psycopg.Connection[TupleRow]
PAGE = "https://status.example"


@pytest.fixture(autouse=True)
def reachable(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTEROPS_STATUS_URL", f"{PAGE}/")
    settings.cache_clear()


def opened(database: Connection, rule_id: str, account: str | None, **reading: str) -> str:
    """An incident's id."""
    row = database.execute(
        "insert into ops.incidents (opened_at, began_at, cause, rule_id, title, severity, account, detail)"
        " values (now(), now(), %s, %s, 'A title', 'warning', %s, %s) returning incident_id",
        [str(uuid4()), rule_id, account, Jsonb({"reading": reading})],
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_failed_check_leads_to_its_runbook_and_to_the_incident_that_is_open(database: Connection) -> None:
    from masterops_dagster.defs import links

    before = links.of_incident("dead_letters", "hubspot")
    assert {name: value.value for name, value in before.items()} == {"runbook": f"{PAGE}/runbooks/dead_letters"}
    found = opened(database, "dead_letters", "hubspot")
    opened(database, "dead_letters", "n8n")
    assert links.of_incident("dead_letters", "hubspot")["incident"].value == f"{PAGE}/incidents/{found}"


def test_an_asset_says_what_to_do_when_it_is_not_fresh() -> None:
    import dagster as dg

    from masterops_dagster.defs.policies import with_policies

    spec = with_policies(dg.AssetSpec(["raw", "hubspot", "contacts"], metadata={"key": "id"}))
    assert spec.metadata["if not fresh"].value == f"{PAGE}/runbooks/stream_stale"
    assert spec.metadata["key"] == "id"


def test_a_run_that_failed_leads_to_the_incident_about_it(database: Connection) -> None:
    import dagster as dg

    from masterops_dagster.defs.monitoring import INCIDENT_TAG, RUNBOOK_TAG, tag_failed_runs

    @dg.job
    def nothing() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        run = nothing.execute_in_process(instance=instance)
        about = incident(database, UUID(opened(database, "run_failed", None, run_id=run.run_id)))
        assert about is not None
        tag_failed_runs(instance, SimpleNamespace(evaluation=SimpleNamespace(opened=[about])))
        tags = instance.get_run_by_id(run.run_id).tags
    assert tags[INCIDENT_TAG] == f"{PAGE}/incidents/{about.incident_id}"
    assert tags[RUNBOOK_TAG] == f"{PAGE}/runbooks/run_failed"


def test_without_a_page_that_can_be_reached_nothing_leads_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from masterops_dagster.defs import links

    monkeypatch.delenv("MASTEROPS_STATUS_URL")
    settings.cache_clear()
    assert links.of_rule("run_failed") == {}
    assert run_url("x") is None


def test_in_local_the_addresses_are_those_of_the_running_programs(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from masterops_dagster.cli.ports import Ports
    from masterops_dagster.observability.links import incident_url

    monkeypatch.delenv("MASTEROPS_STATUS_URL")
    settings.cache_clear()
    ports = Ports(state_dir / "ports.json")
    page, webserver = ports.claim("status-page", 0), ports.claim("webserver", 0)
    number = uuid4()
    assert incident_url(number) == f"http://127.0.0.1:{page}/incidents/{number}"
    assert run_url("x") == f"http://127.0.0.1:{webserver}/runs/x"
