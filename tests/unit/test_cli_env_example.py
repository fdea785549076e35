"""`.env.example` is the list of all settings: nothing missing, nothing made up, every default true."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import AliasChoices

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.settings import BASE_URLS, CREDENTIALS, PROJECT_ROOT, Settings

LISTED = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", (PROJECT_ROOT / ".env.example").read_text(), re.MULTILINE))


def settings_with_defaults() -> dict[str, str]:
    found = {}
    for name, field in Settings.model_fields.items():
        if name == "accounts":
            continue
        alias = field.validation_alias
        variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"MASTEROPS_{name}".upper()
        default = field.get_default(call_default_factory=True)
        if isinstance(default, Path):
            default = default.relative_to(PROJECT_ROOT)
        found[variable] = "" if default is None else str(default)
    return found


def account_variables() -> dict[str, str]:
    found = {}
    for account in ACCOUNTS:
        names = {name for accepted in CREDENTIALS[account.system] for name in accepted}
        found |= {f"{account.key}_{name}".upper(): "" for name in names}
        found[f"{account.key}_base_url".upper()] = BASE_URLS.get(account.system, "")
    return found


def test_every_setting_is_listed_with_its_default_and_nothing_else_is() -> None:
    assert settings_with_defaults() | account_variables() == LISTED


def test_the_example_as_it_stands_changes_nothing(tmp_path: Path) -> None:
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
