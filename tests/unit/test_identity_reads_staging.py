"""The staging tables that identity is tested with have the columns that dbt's staging views publish."""

from __future__ import annotations

import pytest
import yaml

from masterops_dagster.settings import PROJECT_ROOT
from tests.factories import STAGING


@pytest.mark.parametrize("view", STAGING)
def test_every_column_is_published(view: str) -> None:
    (description,) = (PROJECT_ROOT / "dbt_project" / "models" / "staging").rglob(f"{view}.yml")
    (model,) = yaml.safe_load(description.read_text())["models"]
    published = {column["name"] for column in model["columns"]}
    assert {column.split()[0] for column in STAGING[view].strip().split(",")} <= published
