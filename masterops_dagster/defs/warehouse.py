"""dbt and identity: staging views, then the golden records of `core`, then everything that is built on both.

Two dbt asset definitions of one project, since identity reads staging and the marts read identity. The manifest is
built at set-up, never here.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets
from dbt.constants import PARTIAL_PARSE_FILE_NAME

from masterops_dagster.database import dbt_builds
from masterops_dagster.database.connection import connect, database_url
from masterops_dagster.database.dbt import PROJECT_DIR, dbt_env

MANIFEST = PROJECT_DIR / "target" / "manifest.json"
CORE_TABLES = {
    "customers": "One row per buyer or contact of the group, resolved from all systems.",
    "companies": "One row per company of the group.",
    "products": "One row per SKU of a business.",
    "identities": "Which record of which system is which of ours, and the rule that matched it.",
}
IDENTITY_READS = (
    "stg_bigcommerce__customers",
    "stg_bigcommerce__order_products",
    "stg_bigcommerce__orders",
    "stg_bigcommerce__product_variants",
    "stg_bigcommerce__products",
    "stg_hubspot__companies",
    "stg_hubspot__contacts",
    "stg_hubspot__products",
    "stg_shopify__customers",
    "stg_shopify__order_lines",
    "stg_shopify__orders",
    "stg_shopify__product_variants",
    "stg_shopify__products",
    "stg_unleashed__customers",
    "stg_unleashed__invoices",
    "stg_unleashed__products",
    "stg_unleashed__sales_order_lines",
    "stg_unleashed__sales_orders",
    "stg_woocommerce__customers",
    "stg_woocommerce__order_lines",
    "stg_woocommerce__orders",
    "stg_woocommerce__product_variations",
    "stg_woocommerce__products",
)
"""The staging views that the SQL of `identity/` reads; a test holds this list against it."""
STAGING = "fqn:masterops.staging"
LATER = "fqn:masterops.intermediate fqn:masterops.marts fqn:masterops.kpi"
ACCOUNTING_TESTS = "test_type:singular"
"""They hold facts against staging, so that they belong to what is built last."""
RUN_RESULTS = "run_results.json"
UNIT_TESTS = "resource_type:unit_test"
"""Left out of production builds; the test suite runs them."""


class LayeredTranslator(DagsterDbtTranslator):
    """Asset keys are `<layer>/<model>`; sources keep the key that their YAML names."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([layer_of(dbt_resource_props), dbt_resource_props["name"]])


def layer_of(dbt_resource_props: Mapping[str, Any]) -> str:
    """The folder under `models/`; snapshots and seeds belong to the marts that read them."""
    folders: list[str] = dbt_resource_props["fqn"]
    return folders[1] if dbt_resource_props["resource_type"] == "model" else "marts"


TRANSLATOR = LayeredTranslator()


@dbt_assets(
    manifest=MANIFEST,
    name="staging",
    select=STAGING,
    exclude=f"{ACCOUNTING_TESTS} {UNIT_TESTS}",
    dagster_dbt_translator=TRANSLATOR,
    pool="dbt",
)
def staging(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Views over the raw tables."""
    yield from build(context, dbt)


@dbt_assets(
    manifest=MANIFEST,
    name="marts",
    select=LATER,
    exclude=UNIT_TESTS,
    dagster_dbt_translator=TRANSLATOR,
    pool="dbt",
)
def marts(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Intermediate, marts and KPIs; all of them made anew where the project has changed since they were last built."""
    state = dbt_builds.project_state()
    whole = len(context.selected_asset_keys) == len(context.assets_def.keys)
    with connect() as connection:
        anew = whole and dbt_builds.is_changed(connection, "marts", state)
    if anew:
        context.log.info("the dbt project has changed since the last build: everything is built anew")
    yield from build(context, dbt, *(["--full-refresh"] if anew else []))
    if whole:
        with connect() as connection:
            dbt_builds.record(connection, "marts", state)


def build(context: dg.AssetExecutionContext, dbt: DbtCliResource, *arguments: str) -> Iterator[Any]:
    """`dbt build` of what is selected, with row counts, columns and their lineage in the catalogue."""
    from masterops_dagster.defs.catalogue import described
    from masterops_dagster.observability.correlation import handed_on
    from masterops_dagster.observability.executions.dbt import record_nodes
    from masterops_dagster.observability.recorder import recorder

    os.environ.update(dbt_env(database_url()))
    with handed_on(context.run.run_id):
        invocation = dbt.cli(["build", *arguments], context=context)
    try:
        yield from described(context, invocation, MANIFEST)
    finally:
        record_nodes(invocation.target_path / RUN_RESULTS, context.run.run_id)
        recorder().flush()
        keep_parsed(invocation.target_path, MANIFEST.parent)


def keep_parsed(run_folder: Path, target: Path) -> None:
    """Puts what dbt parsed where the next run looks for it: six seconds of a run.

    What set-up parsed is of no use to a run, since dbt parses anew when the connection has changed, and there is none
    at set-up.
    """
    parsed = run_folder / PARTIAL_PARSE_FILE_NAME
    if parsed.exists():
        draft = target / f"{run_folder.name}.parsed"
        shutil.copyfile(parsed, draft)
        draft.replace(target / PARTIAL_PARSE_FILE_NAME)


@dg.multi_asset(
    name="identity",
    specs=[
        dg.AssetSpec(
            ["core", table],
            deps=[["staging", view] for view in IDENTITY_READS],
            description=description,
            kinds={"python", "postgres"},
            metadata={"dagster/table_name": f"core.{table}"},
        )
        for table, description in CORE_TABLES.items()
    ],
    pool="dbt",
)
def core(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Who is who across systems."""
    from masterops_dagster.identity import resolve
    from masterops_dagster.observability import logging
    from masterops_dagster.observability.telemetry import recorded

    logging.configure()
    with recorded(operation="identity", run_id=context.run.run_id), connect() as connection:
        report = resolve(connection)
    for table in CORE_TABLES:
        yield dg.MaterializeResult(asset_key=["core", table], metadata=report.metadata(table))
