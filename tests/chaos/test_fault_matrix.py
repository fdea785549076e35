"""Every system in every trouble: nothing is lost, nothing doubled, and a person is told what happened and what to do.

A cell meets its trouble twice. In a light dose a first load gets through by itself. In a heavy one a load that reads
what changed ends in the middle; once it is calm again another one brings all of it. Each time the content equals that
of loads which nothing disturbed, row for row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from masterops_dagster.businesses import Account, account
from masterops_dagster.settings import settings
from masterops_dagster.sources.ingest import IngestFailed
from tests.fault_matrix import LOADED, QUICK, TROUBLES, Trouble
from tests.laboratory import Laboratory, content, laboratory_with, load

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.refreshing import Platform

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def laboratory(request: pytest.FixtureRequest, platform: Platform, databases: Databases) -> Laboratory:
    chosen = [item.callspec.params.get("of") for item in request.session.items if hasattr(item, "callspec")]
    return laboratory_with([account(key) for key in LOADED if account(key) in chosen], platform, databases)


CELLS = [
    pytest.param(
        account(key),
        trouble,
        id=f"{key}-{trouble.name}",
        marks=[] if (key, trouble.name) in QUICK else [pytest.mark.chaos],
    )
    for key in LOADED
    for trouble in TROUBLES
]


@pytest.mark.parametrize(("of", "trouble"), CELLS)
def test_a_system_in_trouble_loses_nothing_doubles_nothing_and_says_what_to_do(
    laboratory: Laboratory, of: Account, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble.light:
        should_be = laboratory.should_be(of, loaded_before=False)
        with laboratory.database(loaded_before=False):
            laboratory.stand_ins.misbehave(of.key, trouble.kind, **{"seed": 1, **trouble.light})
            assert any(map(trouble.strikes, load(of)))
            assert content(of) == should_be, "a light dose"
            laboratory.stand_ins.calm()

    should_be = laboratory.should_be(of, loaded_before=True)
    with laboratory.database(loaded_before=True):
        laboratory.stand_ins.misbehave(of.key, trouble.kind, **trouble.heavy)
        with monkeypatch.context() as hasty:
            for name, value in trouble.haste.items():
                hasty.setenv(name, value)
            settings.cache_clear()
            if trouble.ends_a_load_of(of.system):
                with pytest.raises(IngestFailed) as failed:
                    load(of)
                assert_a_person_knows(failed.value, of, trouble)
            else:
                load(of)
        settings.cache_clear()
        laboratory.stand_ins.calm()
        load(of)
        assert content(of) == should_be, "a heavy dose"


def assert_a_person_knows(failure: IngestFailed, of: Account, trouble: Trouble) -> None:
    """Each stream that failed names system, account and operation, and says what to do."""
    told = [stream.error for stream in failure.report.streams if stream.error is not None]
    assert told
    for error in told:
        account_key, operation, rest = error.split(": ", 2)
        assert account_key == of.key, error
        assert of.system in account_key
        assert re.match(r"(list|search|read|count|keys of|get|start|poll|fetch|bulk|token|find) \S", operation), error
        assert re.search(trouble.advice, rest), error
        assert error in str(failure)
