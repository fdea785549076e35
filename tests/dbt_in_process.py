"""dbt in this process, on a project that is parsed once for all test processes of a run.

dbt takes seconds to import and to parse: it is imported when it is first asked for something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterops_dagster.database import dbt
from tests.made_once import made_once

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunner
    from dbt.contracts.results import RunExecutionResult

DATABASE = "module"
"""The name of each database that dbt builds in: names of databases are part of what was parsed."""


@dataclass
class Dbt:
    """dbt with a folder of its own for what it writes. Its connection is what the environment says."""

    folder: Path
    temporary: pytest.TempPathFactory
    _runner: dbtRunner | None = field(default=None, repr=False)

    def __call__(self, *arguments: str) -> RunExecutionResult:
        """`dbt …`; fails with dbt's own words."""
        if self._runner is None:
            from dbt.cli.main import dbtRunner
            from dbt.contracts.graph.manifest import Manifest
            from dbt.parser.manifest import extended_mashumuro_decoder

            parsed = made_once(self.temporary, "dbt_manifest", self._parse)
            self._runner = dbtRunner(Manifest.from_msgpack(parsed.read_bytes(), decoder=extended_mashumuro_decoder))
        done = self._runner.invoke([*arguments, *self._quietly()])
        if not done.success:
            raise AssertionError(done.exception or [(node.node.name, node.message) for node in done.result])
        return done.result  # type: ignore[return-value]

    def _parse(self, file: Path) -> None:
        from dbt.cli.main import dbtRunner
        from dbt.contracts.graph.manifest import Manifest
        from dbt.parser.manifest import extended_mashumaro_encoder

        done = dbtRunner().invoke(["parse", *self._quietly()])
        assert isinstance(done.result, Manifest), done.exception
        file.write_bytes(done.result.to_msgpack(extended_mashumaro_encoder))

    def _quietly(self) -> list[Any]:
        folders = ["--project-dir", str(dbt.PROJECT_DIR), "--profiles-dir", str(dbt.PROJECT_DIR)]
        outputs = ["--target-path", str(self.folder), "--log-path", str(self.folder), "--no-write-json"]
        return [*folders, *outputs, "--log-level", "none", "--quiet"]
