"""A real order history, from its CSV file to the figures that are known of it: through HTTP, dlt, identity and dbt."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from masterops_dagster.businesses import ACCOUNTS, account
from masterops_dagster.reporting.kpis import read_kpis
from masterops_dagster.sources import raw_tables
from tests.refreshing import Platform
from tests.truth_and_kpis import Comparison

SUPERSTORE = Path(__file__).parent.parent / "data" / "superstore_orders.csv.gz"
SHOP = account("woocommerce_red_hill_fresh")
BUSINESS = "red_hill_fresh"
FIRST_DAY, LAST_DAY = date(2014, 1, 3), date(2017, 12, 30)

KNOWN = {
    ("all", FIRST_DAY): {
        "revenue": "2297201.07",
        "orders": "5009",
        "units": "37873",
        "customers": "793",
        "new_customers": "793",
        "gross_margin": "12.467",
        "cost_coverage": "100",
        "fulfilment_time": "3.957",
    },
    ("month", date(2014, 3, 1)): {"new_customers": "65"},
    ("month", date(2016, 11, 1)): {"revenue": "79412.03", "orders": "183", "customers": "165", "new_customers": "6"},
    ("month", date(2017, 9, 1)): {"revenue": "87866.66", "orders": "226", "customers": "196"},
    ("month", date(2017, 11, 1)): {"revenue": "118447.81", "orders": "261", "customers": "216"},
    ("fy", date(2014, 7, 1)): {"revenue": "481236.95", "orders": "995"},
    ("fy", date(2015, 7, 1)): {"revenue": "541875.97", "orders": "1153"},
    ("fy", date(2016, 7, 1)): {"revenue": "636795.50", "orders": "1449"},
}
"""tests/data/README.md, as far as the figures are KPIs."""


@pytest.fixture(scope="module")
def imported(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The shop's generated orders are in the KPIs; then the history takes their place, and there is one refresh."""
    for owner in ACCOUNTS:
        raw_tables.prepare(platform.connection, owner)
    platform.refresh(SHOP)
    generated = read_kpis(platform.connection, BUSINESS, "all")
    assert next(row.value for row in generated if row.kpi == "orders") > 0
    file = tmp_path_factory.mktemp("history") / "superstore_orders.csv"
    file.write_bytes(gzip.decompress(SUPERSTORE.read_bytes()))
    said = platform.run("world", "import", str(file), "--business", BUSINESS)
    assert said.startswith("5,009 orders with 9,994 lines of 793 customers, 1,862 products")
    platform.refresh(SHOP)
    return platform


@pytest.mark.parametrize(("grain", "start"), KNOWN)
def test_the_known_figures_come_out(imported: Platform, grain: str, start: date) -> None:
    rows = {row.kpi: row.value for row in read_kpis(imported.connection, BUSINESS, grain) if row.period_start == start}
    for kpi, known in KNOWN[grain, start].items():
        assert round(rows[kpi], len(known.partition(".")[2])) == Decimal(known), kpi


def test_programs_read_the_same_figures(imported: Platform) -> None:
    rows = json.loads(imported.run("kpi", "--business", BUSINESS, "--json"), parse_float=Decimal)
    found = {(row["grain"], row["period_start"], row["kpi"]): row["value"] for row in rows}
    for (grain, start), figures in KNOWN.items():
        for kpi, known in figures.items():
            value = round(Decimal(found[grain, str(start), kpi]), len(known.partition(".")[2]))
            assert value == Decimal(known), (grain, start, kpi)
    assert found["all", str(FIRST_DAY), "revenue"] == Decimal("2297201.07")


def test_every_other_figure_is_the_worlds_too(imported: Platform) -> None:
    wrong = [line.split() for line in Comparison(imported).differences()]
    assert [line for line in wrong if line[0] == BUSINESS and line[1] != "win_rate"] == [], "HubSpot was not read"


def test_generated_orders_are_gone_after_the_next_refresh(imported: Platform) -> None:
    rows = read_kpis(imported.connection, BUSINESS, "day")
    sold = {row.period_start for row in rows if row.kpi in ("orders", "revenue", "refunds") and row.value}
    assert (min(sold), max(sold)) == (FIRST_DAY, LAST_DAY)
    ((orders, days),) = imported.connection.execute(
        "select count(*), count(*) filter (where ordered_on > %s) from marts.fct_orders where account = %s",
        [LAST_DAY, SHOP.key],
    ).fetchall()
    assert (orders, days) == (5009, 0)


def test_cost_products_and_repeated_lines_are_those_of_the_file(imported: Platform) -> None:
    ((cost, lines, repeated),) = imported.connection.execute(
        """
        select sum(cost), sum(lines), sum(repeated)
        from (
            select sum(cost) as cost, count(*) as lines, count(*) - count(distinct product_id) as repeated
            from marts.fct_order_lines
            where account = %s
            group by order_id
        ) as orders
        """,
        [SHOP.key],
    ).fetchall()
    assert (cost, lines, repeated) == (Decimal("2010803.28"), 9994, 8)
    ((products, named, renamed),) = imported.connection.execute(
        """
        select count(*), count(product_name), count(*) filter (where names > 1 and product_name = latest)
        from marts.dim_products
        inner join (
            select
                product_id,
                count(distinct product_name) as names,
                (array_agg(product_name order by ordered_on desc, external_id::bigint desc))[1] as latest
            from marts.fct_order_lines
            group by 1
        ) as sold using (product_id)
        where business_key = %s and units > 0
        """,
        [BUSINESS],
    ).fetchall()
    assert (products, named, renamed) == (1862, 1862, 32)
