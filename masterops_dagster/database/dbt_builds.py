"""Whether dbt has to build a part of the warehouse anew as a whole: always when the project has changed since.

An incremental model keeps rows that were made by what its SQL said then, with the columns that it had then.
"""

from __future__ import annotations

from typing import Any

import psycopg

from masterops_dagster.database.dbt import PROJECT_DIR

MADE_FROM = PROJECT_DIR / "target" / "manifest.made-from"
"""The fingerprint of the project that the manifest was made from; written at set-up."""


def project_state() -> str | None:
    """The fingerprint of the project as set up; None where nothing was set up, as in a deployment without Make."""
    return MADE_FROM.read_text() if MADE_FROM.exists() else None


def is_changed(connection: psycopg.Connection[Any], part: str, state: str | None) -> bool:
    """Whether the part was built from another state of the project, or never."""
    if state is None:
        return False
    found = connection.execute("select made_from from ops.dbt_builds where part = %s", [part]).fetchone()
    return found is None or found[0] != state


def record(connection: psycopg.Connection[Any], part: str, state: str | None) -> None:
    """The whole part was built from this state."""
    if state is not None:
        connection.execute(
            "insert into ops.dbt_builds (part, made_from) values (%s, %s)"
            " on conflict (part) do update set made_from = excluded.made_from, built_at = clock_timestamp()",
            [part, state],
        )
