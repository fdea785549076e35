"""The Admin schema as far as the stand-in answers it (`schema.graphql`, cut out by `prune.py`), and its versions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from graphql import GraphQLSchema, build_schema

STABLE = ("2026-01", "2026-04", "2026-07", "2026-10")
"""Supported stable versions, oldest first; each answers by the schema of the newest."""

CANDIDATE = "2027-01"
UNSTABLE = "unstable"


@cache
def admin_schema() -> GraphQLSchema:
    return build_schema(Path(__file__).with_name("schema.graphql").read_text())


def served_version(asked: str) -> str | None:
    """The version that answers; None for one that there never was.

    One that is no longer supported falls forward to the oldest that is.
    """
    if asked in (*STABLE, CANDIDATE, UNSTABLE):
        return asked
    year, _, month = asked.partition("-")
    is_version = len(year) == 4 and year.isdecimal() and month in ("01", "04", "07", "10")
    return STABLE[0] if is_version and asked < STABLE[0] else None
