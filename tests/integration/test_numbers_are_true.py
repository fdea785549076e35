"""KPIs equal what the world knows, to the cent: every figure of every period, both ways, after all that can happen.

The tests share one platform and leave it true; each makes its own changes and can run alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from psycopg import sql

from masterops_dagster import clock
from masterops_dagster.businesses import ACCOUNTS, account
from masterops_dagster.connectors.hubspot import HubSpot
from masterops_dagster.connectors.registry import open_connector
from masterops_dagster.database.dbt import kpi_keys
from masterops_dagster.reporting.kpis import Kpi
from masterops_dagster.settings import settings
from masterops_dagster.simulator.world.records import FOREVER, Version, millis
from masterops_dagster.simulator.world.store import World
from masterops_dagster.sources.catalogue import partitioned, streams_of
from masterops_dagster.sources.ingest import Window
from tests.refreshing import Platform
from tests.truth_and_kpis import ONLY_OURS, Comparison

ELEVATE, FRESH = "unleashed_elevate_wholesale", "woocommerce_red_hill_fresh"
SELLERS = ("group", "teelixir", "elevate_wholesale", "buy_organics_online", "red_hill_fresh")

RawRows = dict[str, tuple[int, datetime | None]]
"""By key: the load that a row came with, and the business date by which a backfill finds it, if one can."""

SALES = """
select external_id
from marts.fct_orders
where account = %s and is_sale and lines > 1 and revenue > 10 and ordered_on >= %s and ordered_on < %s
order by order_id
"""

BUYERS = """
-- contacts of different customers that bought in one month from one business
select identities.external_id, identities.entity_id, bought.business_key, bought.month
from core.identities as identities
inner join (
    select distinct customer_id, business_key, date_trunc('month', ordered_on)::date as month
    from marts.fct_orders
    where is_sale
) as bought on identities.entity_id = bought.customer_id
where identities.entity = 'customer' and identities.system = 'hubspot' and identities.gone_at is null
order by bought.month, bought.business_key, identities.entity_id, identities.external_id
"""


@pytest.fixture(scope="module")
def compared(platform: Platform) -> Comparison:
    """The platform after its first load."""
    platform.refresh()
    return Comparison(platform)


def test_the_numbers_are_true_after_a_first_load(compared: Comparison) -> None:
    assert compared.differences() == []
    figures = compared.figures()
    assert {business for business, *_ in figures} >= set(SELLERS)
    assert {kpi for _, kpi, *_ in figures} == set(kpi_keys()) - set(ONLY_OURS)
    assert {grain for *_, grain, _ in figures} == {"day", "week", "month", "fy", "all"}


def test_figures_stand_beside_those_of_the_earlier_periods(compared: Comparison) -> None:
    figures, today = compared.figures(), clock.today()
    added_up = 0
    for (business, kpi, grain, start), row in figures.items():
        if grain == "all":
            assert (row.prior_value, row.last_year_value, row.complete) == (None, None, False)
            continue
        end, earlier = _end(grain, start), (_before(grain, start), _a_year_before(grain, start))
        assert row.complete == (end <= today), (business, kpi, grain, start)
        found = (row.prior_value, row.last_year_value)
        if end <= today:
            there = [figures.get((business, kpi, grain, other)) for other in earlier]
            assert found == tuple(other and other.value for other in there), (business, kpi, grain, start)
        elif kpi in ("revenue", "orders", "units", "refunds"):
            added_up += 1
            elapsed = (today - start).days + 1
            ends = [min(other + timedelta(elapsed), _end(grain, other)) for other in earlier]
            sums = [
                _sum(figures.get((business, kpi, "day", since + timedelta(n))) for n in range((until - since).days))
                for since, until in zip(earlier, ends, strict=True)
            ]
            assert found == tuple(sums), (business, kpi, grain, start)
    assert added_up == len(SELLERS) * 4 * 4, "businesses with the group x KPIs x grains"


@pytest.mark.chaos  # half a minute; `test_dagster_runs` holds what a backfill reads
def test_a_backfill_mends_what_is_wrong_in_its_days_and_touches_nothing_else(
    compared: Comparison, platform: Platform
) -> None:
    march = _last_march()
    start, end = march
    connection = platform.connection
    (wrong,), (edited,), *_ = connection.execute(SALES, [ELEVATE, *march])
    (lost,), (hidden,), *_ = connection.execute(SALES, [FRESH, *march])
    newest = "(select max(load_id) from ops.loads)"
    as_if_loaded = f"set _load_id = {newest}"
    for statement, id in (
        (f"update raw_{ELEVATE}.sales_order_lines set line_total = line_total + 1000 where parent_guid = %s", wrong),
        (f"update raw_{ELEVATE}.sales_orders {as_if_loaded} where guid = %s", wrong),
        (f"delete from raw_{FRESH}.order_lines where order_id = %s::bigint", lost),
        (f"delete from raw_{FRESH}.orders where id = %s::bigint", lost),
        (f"update raw_{FRESH}.orders {as_if_loaded}, status = 'cancelled' where id = %s::bigint", hidden),
    ):
        assert connection.execute(statement, [id]).rowcount > 0
    platform.build()
    assert {line.split()[0] for line in compared.differences()} == {"group", "elevate_wholesale", "red_hill_fresh"}

    with changing(platform) as world:
        lines = world.get(ELEVATE, "SalesOrders", edited).body["SalesOrderLines"]
        put_order(world, ELEVATE, edited, {"SalesOrderLines": lines[1:]})
    cursors = connection.execute("select * from ops.cursors order by account, stream").fetchall()
    before, newest_load = raw_rows(platform), connection.execute(f"select {newest}").fetchone()
    platform.refresh(window=Window.backfill(start, end))
    after = raw_rows(platform)

    assert compared.differences() == []
    assert connection.execute("select * from ops.cursors order by account, stream").fetchall() == cursors
    loads = connection.execute(
        "select account, stream, load_id, kind, status, window_start, window_end from ops.loads where load_id > %s",
        newest_load,
    ).fetchall()
    days = (clock.day_start(start), clock.day_start(end))
    assert {load[3:] for load in loads} == {("backfill", "succeeded", *days)}
    load_of = {(key, stream): load_id for key, stream, load_id, *_ in loads}
    assert set(load_of) == {(a.key, s.name) for a in ACCOUNTS for s in streams_of(a) if partitioned(a, s)}
    for table, rows in after.items():
        read = {key for key, (load_id, _) in rows.items() if load_id == load_of.get(table)}
        assert read == {key for key, (_, at) in rows.items() if _within(days, at)}, table
        assert _outside(days, before[table]) == _outside(days, rows), table


def test_the_numbers_are_true_after_days_of_sales_edits_cancellations_and_refunds(
    compared: Comparison, platform: Platform
) -> None:
    connection = platform.connection
    long_ago, today = date(2000, 1, 1), clock.today()
    assert compared.differences() == []
    before = compared.figures()
    cancelled, shortened, credited = [id for (id,) in connection.execute(SALES, [ELEVATE, long_ago, today])][-3:]
    shop_cancelled, refunded, cheaper = [id for (id,) in connection.execute(SALES, [FRESH, long_ago, today])][-3:]
    platform.new_days(40)
    with changing(platform) as world:
        put_order(world, ELEVATE, cancelled, {"OrderStatus": "Deleted"})
        lines = world.get(ELEVATE, "SalesOrders", shortened).body["SalesOrderLines"]
        put_order(world, ELEVATE, shortened, {"SalesOrderLines": lines[:-1]})
        credit(world, ELEVATE, credited, Decimal("3.21"))
        put_order(world, FRESH, shop_cancelled, {"status": "cancelled"})
        refund(world, FRESH, refunded, Decimal("7.77"))
        lines = world.get(FRESH, "orders", cheaper).body["line_items"]
        put_order(world, FRESH, cheaper, {"line_items": [{**lines[0], "total": "0.05"}, *lines[1:]]})
    ((contact,), *_) = connection.execute("select id from raw_hubspot.contacts where not archived order by id desc")
    with hubspot() as crm:
        crm.archive("contacts", contact)
    platform.refresh()

    assert compared.differences() == []
    after = compared.figures()
    grown = {key[:2] for key, row in after.items() if key[2] == "day" and key[3] > today and row.value > 0}
    assert grown >= set(product(SELLERS, ("orders", "revenue", "units", "customers")))
    restated = {key[:2] for key, row in before.items() if key[2] == "day" and key[3] < today and row != after.get(key)}
    assert restated >= set(product(("group", "elevate_wholesale", "red_hill_fresh"), ("orders", "revenue", "units")))
    assert compared.days >= {today, clock.today()}


@pytest.mark.chaos  # half a minute; the tests of identity and of the warehouse hold their parts of it
def test_a_merge_in_hubspot_makes_one_customer_of_two_in_the_past_too(compared: Comparison, platform: Platform) -> None:
    kept, merged, business, month = _two_buyers(platform)
    before = compared.figures()
    with hubspot() as crm:
        crm.merge("contacts", kept, merged)
    platform.refresh(account("hubspot"))

    assert compared.differences() == []
    after = compared.figures()
    for key in (
        (business, "customers", "month", month),
        ("group", "customers", "month", month),
        next(key for key in after if key[:3] == ("group", "customers", "all")),
    ):
        assert after[key].value == before[key].value - 1, key


# ---- changes in the world


@contextmanager
def changing(platform: Platform) -> Iterator[World]:
    """The world, to be changed as one."""
    world = platform.world
    with world.transaction():
        yield world
    world.close()


def put_order(world: World, account_key: str, id: str, changes: dict[str, Any]) -> None:
    """Changes an order now."""
    resource = "SalesOrders" if account_key.startswith("unleashed") else "orders"
    order = world.get(account_key, resource, id)
    assert order is not None
    world.put(account_key, resource, id, order.body | changes | modified_now(world, account_key), order.business_at)


def modified_now(world: World, account_key: str) -> dict[str, str]:
    now = world.now()
    if account_key.startswith("unleashed"):
        return {"LastModifiedOn": f"/Date({millis(now)})/"}
    return {"date_modified_gmt": now.strftime("%Y-%m-%dT%H:%M:%S")}


def credit(world: World, account_key: str, order_id: str, amount: Decimal) -> None:
    """A credit note for an order's customer, now."""
    order = world.get(account_key, "SalesOrders", order_id)
    assert order is not None
    line = {
        "Guid": f"line-{order_id}",
        "LineNumber": 1,
        "CreditQuantity": 1,
        "LineTotal": amount,
        "LineTax": Decimal(0),
    }
    at = f"/Date({millis(world.now())})/"
    note = {
        "Guid": f"note-{order_id}",
        "CreditNoteNumber": f"CN-{order_id}",
        "Status": "Completed",
        "CreditDate": at,
        "InvoiceNumber": None,
        "Customer": order.body["Customer"],
        "SubTotal": amount,
        "TaxTotal": 0,
        "Total": amount,
        "CreditLines": [line],
        "CreatedOn": at,
        "LastModifiedOn": at,
    }
    world.put(account_key, "CreditNotes", f"note-{order_id}", note, world.now())


def refund(world: World, account_key: str, order_id: str, amount: Decimal) -> None:
    """A refund of an amount, without lines, now."""
    order = world.get(account_key, "orders", order_id)
    assert order is not None
    id, at = world.reserve_ids(1), millis(world.now())
    body = {
        "id": id,
        "parent_id": order.number,
        "date_created_gmt": world.now().strftime("%Y-%m-%dT%H:%M:%S"),
        "amount": str(amount),
        "reason": "",
        "line_items": [],
    }
    world.insert(
        [Version(account_key, "refunds", str(id), id, at, at, at, at, body, FOREVER, parent=order_id)], origin="written"
    )


@contextmanager
def hubspot() -> Iterator[HubSpot]:
    """HubSpot's API, as our connector speaks it."""
    connector = open_connector(settings().access(account("hubspot")), settings())
    assert isinstance(connector, HubSpot)
    with connector:
        yield connector


# ---- what is there


def raw_rows(platform: Platform) -> dict[tuple[str, str], RawRows]:
    """By account key and stream, deleted rows without a business date."""
    found = {}
    for owner in ACCOUNTS:
        for stream in streams_of(owner):
            parent = next((s for s in streams_of(owner) if s.name == stream.parent), stream)
            table, key = sql.Identifier(owner.schema, stream.name), sql.SQL(", ").join(map(sql.Identifier, stream.key))
            date_of = (
                sql.SQL("(select p.{} from {} p where p.{} = t.{} and p._deleted_at is null)").format(
                    sql.Identifier(parent.business_date),
                    sql.Identifier(owner.schema, parent.name),
                    sql.Identifier(parent.key[0]),
                    sql.Identifier(stream.parent_key or stream.key[0]),
                )
                if parent.business_date
                else sql.SQL("null::timestamptz")
            )
            rows = platform.connection.execute(
                sql.SQL("select concat_ws('|', {}), _load_id, {} from {} t").format(key, date_of, table)
            )
            found[owner.key, stream.name] = {id: (load_id, at) for id, load_id, at in rows}
    return found


def _within(days: tuple[datetime, datetime], at: datetime | None) -> bool:
    return at is not None and days[0] <= at < days[1]


def _outside(days: tuple[datetime, datetime], rows: RawRows) -> RawRows:
    return {key: row for key, row in rows.items() if not _within(days, row[1])}


def _two_buyers(platform: Platform) -> tuple[str, str, str, date]:
    """Contacts of two customers that bought from one business in one month, that business and that month."""
    seen: dict[tuple[str, date], tuple[str, str]] = {}
    for contact, customer, business, month in platform.connection.execute(BUYERS):
        other, other_customer = seen.setdefault((business, month), (contact, customer))
        if customer != other_customer:
            return other, contact, business, month
    raise AssertionError("no two buyers with contacts in one month")


def _last_march() -> tuple[date, date]:
    """The last March that is over, as [start, end)."""
    today = clock.today()
    year = today.year if today.month > 3 else today.year - 1
    return date(year, 3, 1), date(year, 4, 1)


def _sum(rows: Iterable[Kpi | None]) -> Decimal | None:
    values = [row.value for row in rows if row is not None]
    return sum(values, Decimal(0)) if values else None


def _end(grain: str, start: date) -> date:
    """The first day after a period."""
    match grain:
        case "day":
            return start + timedelta(1)
        case "week":
            return start + timedelta(7)
        case "month":
            return (start + timedelta(31)).replace(day=1)
        case _:
            return start.replace(year=start.year + 1)


def _before(grain: str, start: date) -> date:
    """The first day of the period before."""
    match grain:
        case "day":
            return start - timedelta(1)
        case "week":
            return start - timedelta(7)
        case "month":
            return (start - timedelta(1)).replace(day=1)
        case _:
            return start.replace(year=start.year - 1)


def _a_year_before(grain: str, start: date) -> date:
    """The first day of the period of last year that is compared; 29 February is held against the 28th."""
    if grain == "week":
        return start - timedelta(364)
    leap_day = (start.month, start.day) == (2, 29)
    return start.replace(year=start.year - 1, day=28 if leap_day else start.day)
