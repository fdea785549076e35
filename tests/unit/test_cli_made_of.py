"""`up` knows which running programs were started from other code than is there now."""

from __future__ import annotations

from pathlib import Path

import pytest

from masterops_dagster.cli import made_of
from masterops_dagster.cli.processes import PROGRAMS, Places

OURS = {"code-server", "status-page", "watch"}
"""What our own package runs in."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in ("masterops_dagster/businesses.py", "masterops_dagster/simulator/app.py", "dbt_project/models/a.sql"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ("masterops_dagster/identity.py", OURS),
        ("dbt_project/models/a.sql", {"code-server"}),
        (".env", OURS),
        ("docs/runbooks/run_failed.md", {"status-page"}),
        ("masterops_dagster/simulator/app.py", OURS | {"world"}),
        ("masterops_dagster/defs/launcher.py", OURS | {"webserver", "daemon"}),
        ("requirements.lock", set(made_of.MADE_OF)),
        ("dbt_project/target/manifest.json", set()),
        ("masterops_dagster/__pycache__/x.pyc", set()),
        ("docs/README.md", set()),
    ],
)
def test_a_change_concerns_the_programs_that_are_made_of_the_file(
    project: Path, change: str, concerned: set[str]
) -> None:
    before = {name: made_of.fingerprint(name, project) for name in made_of.MADE_OF}
    (project / change).parent.mkdir(parents=True, exist_ok=True)
    (project / change).write_text("y")
    after = {name: made_of.fingerprint(name, project) for name in made_of.MADE_OF}
    assert {name for name in before if before[name] != after[name]} == concerned


def test_a_program_of_which_nobody_knows_the_code_counts_as_old(tmp_path: Path) -> None:
    where = Places(tmp_path)
    assert made_of.outdated(where, PROGRAMS) == [program.name for program in PROGRAMS[1:]]
    for program in PROGRAMS:
        made_of.remember(where, program.name)
    assert made_of.outdated(where, PROGRAMS) == []
    (tmp_path / "supervisor" / "world.made-of").write_text("of something else")
    assert made_of.outdated(where, PROGRAMS) == ["world"]
