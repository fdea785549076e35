"""The runbooks of `docs/runbooks/`, as pages. Raw HTML in them is shown, not obeyed."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from masterops_dagster.settings import PROJECT_ROOT

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"
RULE_ID = re.compile(r"[a-z0-9_]+")
NEIGHBOUR = re.compile(r'href="([a-z0-9_]+)\.md(#[\w-]+)?"')


def runbook(rule_id: str) -> str | None:
    """The runbook of a rule, as HTML; links to other runbooks lead to their pages. None if there is none."""
    if not RULE_ID.fullmatch(rule_id) or not (path := RUNBOOKS / f"{rule_id}.md").is_file():
        return None
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return NEIGHBOUR.sub(r'href="/runbooks/\1\2"', markdown.render(path.read_text()))


def rule_ids() -> list[str]:
    """All rules that have one."""
    return sorted(path.stem for path in RUNBOOKS.glob("*.md") if RULE_ID.fullmatch(path.stem))
