"""The GraphQL documents: each whole in a file of this folder, named like the file."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def document(name: str) -> str:
    """The text of a document."""
    return (files(__package__) / f"{name}.graphql").read_text(encoding="utf-8")


def bulk_document(name: str, search: str) -> str:
    """A document for a bulk operation, which takes no variables: its one variable, `$filter`, is filled in."""
    return document(name).replace("($filter: String!) {", " {").replace("$filter", json.dumps(search))
