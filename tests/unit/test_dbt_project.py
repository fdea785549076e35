"""What dbt is told from outside is as the code says; what it documents is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from masterops_dagster.businesses import ACCOUNTS, BUSINESSES
from masterops_dagster.database import dbt

MODELS = sorted((dbt.PROJECT_DIR / "models").rglob("*.sql"))
KINDS = {"flow", "distinct", "state", "rolling"}
UNITS = {"AUD", "count", "percent", "days", "ratio"}


def described(model: Path) -> dict[str, Any]:
    """The model's own YAML, beside it."""
    (content,) = yaml.safe_load(model.with_suffix(".yml").read_text())["models"]
    assert content["name"] == model.stem
    return content


def test_the_generated_macros_are_as_new_as_what_they_follow_from() -> None:
    assert dbt.GENERATED_MACROS.read_text() == dbt.render_macros(), "run `python -m masterops_dagster.database.dbt`"


def test_every_account_and_business_reaches_dbt() -> None:
    macros = dbt.render_macros()
    assert all(f'"{account.schema}"' in macros for account in ACCOUNTS)
    assert all(f'"{business.key}"' in macros for business in BUSINESSES)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_every_model_and_every_column_is_described(model: Path) -> None:
    content = described(model)
    assert content["description"]
    assert all(column["description"] and column["data_type"] for column in content["columns"])


@pytest.mark.parametrize("kpi", dbt.kpi_keys())
def test_every_kpi_says_what_it_is(kpi: str) -> None:
    meta = described(dbt.KPI_DIR / f"{kpi}.sql")["config"]["meta"]
    assert meta["kind"] in KINDS
    assert meta["unit"] in UNITS
    assert meta["direction"] in {"up", "down"}
    assert meta["label"]
    assert meta["formula"]
    assert meta["owner"]
    assert meta["feeds"]


def test_kpis_stand_in_an_order_of_their_own() -> None:
    positions = [described(dbt.KPI_DIR / f"{kpi}.sql")["config"]["meta"]["position"] for kpi in dbt.kpi_keys()]
    assert len(set(positions)) == len(positions)


@pytest.mark.parametrize(
    ("url", "variables"),
    [
        (
            "postgresql://me:p%40ss@db.example.com:6543/masterops?sslmode=require",
            ("db.example.com", "6543", "me", "p@ss", "masterops", "require"),
        ),
        ("postgresql://me@127.0.0.1/masterops", ("127.0.0.1", "5432", "me", "", "masterops", None)),
    ],
)
def test_dbt_reaches_the_database_of_a_url(url: str, variables: tuple[str | None, ...]) -> None:
    environment = dbt.dbt_env(url)
    names = [f"MASTEROPS_DBT_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DBNAME")]
    assert tuple(environment.get(name) for name in [*names, "PGSSLMODE"]) == variables
