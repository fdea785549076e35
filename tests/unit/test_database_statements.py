"""Statements are split where the Supabase CLI splits them, or the two would record different histories."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masterops_dagster.database.statements import split

CASES = {
    "semicolons separate": ("select 1; select 2;", ["select 1", "select 2"]),
    "the last needs none": ("select 1;\n\nselect 2\n", ["select 1", "select 2"]),
    "empty statements are left out": (";;\n ; select 1;;", ["select 1"]),
    "a comment stays with what follows": ("-- why; indeed\nselect 1;", ["-- why; indeed\nselect 1"]),
    "a comment at the end is a statement": ("select 1;\n-- done", ["select 1", "-- done"]),
    "block comments nest": ("/* a; /* b; */ c; */ select 1; select 2", ["/* a; /* b; */ c; */ select 1", "select 2"]),
    "quotes hide": ("select 'a;''b;', \"c;\"\"d\"; select 2", ["select 'a;''b;', \"c;\"\"d\"", "select 2"]),
    "dollar quotes hide": ("do $$ begin; end $$; select 1", ["do $$ begin; end $$", "select 1"]),
    "dollar tags are told apart": (
        "do $a$ select $b$;$b$; $a$; select 1",
        ["do $a$ select $b$;$b$; $a$", "select 1"],
    ),
    "a parameter is no tag": ("prepare p as select $1; select 2", ["prepare p as select $1", "select 2"]),
    "parentheses hide": (
        "create rule r as on insert to t do (select 1; select 2); select 3",
        ["create rule r as on insert to t do (select 1; select 2)", "select 3"],
    ),
    "an atomic body is one statement": (
        "create function f() returns int begin atomic; select 1; select 2; end; select 3",
        ["create function f() returns int begin atomic; select 1; select 2; end", "select 3"],
    ),
    "a minus and a division are no comments": ("select 3 - 1; select 4 / 2", ["select 3 - 1", "select 4 / 2"]),
    "quotes in comments are no quotes": ("-- it's\nselect 1; select 2", ["-- it's\nselect 1", "select 2"]),
    "comments in quotes are no comments": (
        "select '--'; select '/*'; select 3",
        ["select '--'", "select '/*'", "select 3"],
    ),
    "what is never closed ends with the file": ("select 'a; select 2", ["select 'a; select 2"]),
}


@pytest.mark.parametrize("case", CASES, ids=lambda name: name.replace(" ", "-"))
def test_splitting(case: str) -> None:
    sql, statements = CASES[case]
    assert split(sql) == statements


PIECES = st.sampled_from(
    ["select 1", "'a;b'", '"c;"', "$$;$$", "$t$ ; $u$ $t$", "-- x;\n", "/* y; */", "(1; 2)", " ", "\n", "ä", "-", "/"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_nothing_but_separators_and_white_space_is_lost(sql: str) -> None:
    assert re.sub(r"[\s;]", "", "".join(split(sql))) == re.sub(r"[\s;]", "", sql)
