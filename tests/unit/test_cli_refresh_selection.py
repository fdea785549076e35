"""What `masterops refresh` reads for a business and a system; what is built on it is always built."""

from __future__ import annotations

import pytest

from masterops_dagster.cli.dagster_client import CheckFailed, Failed, Materialized, StepFinished, StepStarted
from masterops_dagster.cli.problems import BadInput
from masterops_dagster.cli.progress import Progress, reason
from masterops_dagster.cli.refresh import accounts, selection

ASSETS = [
    ("core", "customers"),
    ("kpi", "kpis"),
    ("raw", "hubspot", "contacts"),
    ("raw", "unleashed", "elevate_wholesale", "sales_orders"),
    ("raw", "unleashed", "teelixir", "sales_orders"),
    ("raw", "woocommerce", "red_hill_fresh", "orders"),
    ("staging", "stg_orders"),
]


def keys(business: str | None = None, system: str | None = None) -> list[str]:
    return [account.key for account in accounts(business, system)]


def test_without_a_choice_everything_is_read() -> None:
    assert selection(ASSETS, accounts(None, None)) == ASSETS


def test_a_business_is_fed_by_its_own_accounts_and_by_those_that_all_share() -> None:
    assert keys(business="teelixir") == ["hubspot", "shopify_teelixir", "unleashed_teelixir", "n8n"]


def test_a_system_is_all_its_accounts() -> None:
    assert keys(system="unleashed") == ["unleashed_teelixir", "unleashed_elevate_wholesale"]


def test_what_is_built_is_built_whatever_was_read() -> None:
    assert selection(ASSETS, accounts("red_hill_fresh", "woocommerce")) == [
        ("core", "customers"),
        ("kpi", "kpis"),
        ("raw", "woocommerce", "red_hill_fresh", "orders"),
        ("staging", "stg_orders"),
    ]


@pytest.mark.parametrize(
    ("business", "system", "said"),
    [
        ("nobody", None, "unknown business 'nobody'; known: teelixir"),
        ("Red-Hill", None, r"unknown business 'Red-Hill': did you mean 'red_hill_fresh'\? known: "),
        (None, "woocomerce", r"unknown system 'woocomerce': did you mean 'woocommerce'\? known: "),
        (None, "myob", "unknown system 'myob'; known: bigcommerce"),
        ("red_hill_fresh", "unleashed", "red_hill_fresh has no unleashed account"),
    ],
)
def test_a_choice_that_names_nothing_is_refused(business: str | None, system: str | None, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        accounts(business, system)


def test_rows_are_those_that_came_from_outside_each_asset_once() -> None:
    progress = Progress("run", expected=3)
    for _ in range(3):  # a partitioned asset tells of each partition
        progress.take(Materialized(("raw", "hubspot", "contacts"), 40))
    progress.take(Materialized(("raw", "hubspot", "deals"), 2))
    progress.take(Materialized(("staging", "stg_contacts"), 40))
    assert progress.rows == 42
    assert progress.rows_of([("raw", "hubspot", "contacts")]) == 40


def test_the_line_says_what_is_being_done() -> None:
    progress = Progress("run", expected=9)
    assert progress.line().endswith("queued")
    progress.take(StepStarted("hubspot_by_day"))
    progress.take(Materialized(("raw", "hubspot", "contacts"), 1234))
    assert "1 of 9 assets, 1,234 rows" in progress.line()
    assert progress.line().endswith("hubspot_by_day")
    progress.take(StepFinished("hubspot_by_day"))
    assert progress.line().endswith("between steps")


def test_a_failed_step_is_told_once_though_the_run_fails_with_it() -> None:
    progress = Progress("run", expected=1)
    progress.take(CheckFailed(("raw", "hubspot", "contacts"), "reconciled", error=True))
    progress.take(Failed("staging", "no such table"))
    progress.take(Failed(None, "no such table"))
    assert [failure.step for failure in progress.failures] == ["staging"]
    assert len(progress.warnings) == 1


def test_of_a_dbt_failure_the_test_and_its_reason_are_told() -> None:
    message = """dagster_dbt.errors.DagsterDbtCliRuntimeError: The dbt CLI process with command

`dbt build`

failed with exit code `1`.

Errors parsed from dbt logs:

55 of 56 ERROR no_line_is_lost ......... [ERROR in 0.08s]

Failure in test no_line_is_lost (tests/no_line_is_lost.sql)

  Database Error in test no_line_is_lost (tests/no_line_is_lost.sql)
  relation "marts.fct_orders" does not exist
"""
    assert (
        reason(message)
        == 'Failure in test no_line_is_lost (tests/no_line_is_lost.sql): relation "marts.fct_orders" does not exist'
    )


def test_of_another_failure_the_first_line_is_told() -> None:
    assert reason("\nRateLimited: 429\n  at line 3") == "RateLimited: 429"
