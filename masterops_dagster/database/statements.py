"""Splits SQL into statements exactly as the Supabase CLI does, so that both record the same history.

Semicolons separate, except in comments, quotes, dollar quotes, parentheses and `begin atomic … end`. Comments stay with
the statement that follows them. Two oddities of the CLI are kept: the first closing parenthesis ends all open ones, and
the first `end` ends an atomic body.
"""

from __future__ import annotations

import re

OPENING = re.compile(
    r"""
      (?P<line> --[^\n]*\n?)
    | (?P<block> /\*)
    | (?P<quote> '(?:[^']|'')*'? | "(?:[^"]|"")*"?)
    | (?P<dollar> (?P<tag>\$\w*\$).*?(?:(?P=tag)|\Z))
    | (?P<escape> \\.)
    | (?P<parenthesis> \()
    | (?P<atomic> (?<=\s)atomic)
    | (?P<closing> \)|end)
    | (?P<separator> ;)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
BLOCK_COMMENT_EDGE = re.compile(r"/\*|\*/")


def split(sql: str) -> list[str]:
    """The statements in order, trimmed, without their semicolon; empty ones are left out."""
    statements: list[str] = []
    begin = position = 0
    awaited: str | None = None
    while (found := OPENING.search(sql, position)) is not None:
        position = found.end()
        match found.lastgroup:
            case "block":
                position = _end_of_block_comment(sql, position)
            case "parenthesis":
                awaited = ")"
            case "atomic":
                awaited = "end"
            case "closing" if found[0].lower() == awaited:
                awaited = None
            case "separator" if awaited is None:
                statements.append(sql[begin:position])
                begin = position
    statements.append(sql[begin:])
    trimmed = (statement.rstrip(";").strip() for statement in statements)
    return [statement for statement in trimmed if statement]


def _end_of_block_comment(sql: str, position: int) -> int:
    depth = 1
    while depth:
        edge = BLOCK_COMMENT_EDGE.search(sql, position)
        if edge is None:
            return len(sql)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position
