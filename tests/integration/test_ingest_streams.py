"""What `ingest` promises, stream by stream, against PostgreSQL and a system in memory."""

import json
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from psycopg.rows import dict_row

from masterops_dagster import clock
from masterops_dagster.businesses import account
from masterops_dagster.database.connection import connect
from masterops_dagster.database.locks import advisory_lock
from masterops_dagster.sources import dead_letters
from masterops_dagster.sources.ingest import AccountBusy, CannotBackfill, IngestFailed, Window, ingest
from masterops_dagster.sources.raw_tables import TableDiffers
from masterops_dagster.sources.turn import turn
from tests.in_memory_system import InMemorySystem, Resource

TEELIXIR = account("unleashed_teelixir")
HUBSPOT = account("hubspot")
SHOP = account("woocommerce_red_hill_fresh")
T0 = datetime(2026, 3, 1, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("state_dir")


def iso(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(guid, *lines, modified=T0, placed=T0, **fields):
    """A sales order with lines given as (guid, total)."""
    return {
        "Guid": guid,
        "OrderNumber": f"SO-{guid}",
        "OrderStatus": "Placed",
        "OrderDate": iso(placed),
        "CreatedOn": iso(placed),
        "LastModifiedOn": iso(modified),
        "SalesOrderLines": [
            {"Guid": line, "LineNumber": n, "LineTotal": total} for n, (line, total) in enumerate(lines)
        ],
        **fields,
    }


@pytest.fixture
def unleashed():
    system = InMemorySystem(page_size=3)
    system.resources["SalesOrders"] = Resource("Guid", "LastModifiedOn", "OrderDate")
    for name in ("Warehouses", "Products"):
        system.resources[name] = Resource("Guid", "LastModifiedOn", "CreatedOn")
    system.resources["StockOnHand"] = Resource("ProductGuid", "LastModifiedOn", "LastModifiedOn")
    return system


@pytest.fixture
def hubspot():
    return InMemorySystem(page_size=3)


@pytest.fixture
def shop():
    system = InMemorySystem(page_size=3)
    system.resources["products"] = Resource("id", "date_modified_gmt", "date_created_gmt")
    return system


@pytest.fixture
def rows(database):
    def read(query, *values):
        with database.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()

    return read


@pytest.fixture
def column(rows):
    def read(query, *values):
        return [next(iter(row.values())) for row in rows(query, *values)]

    return read


@pytest.fixture
def at_business_time(state_dir):
    """Moves business time by an offset from now."""

    def move(**offset):
        path = state_dir / "world" / "clock.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"offset_seconds": timedelta(**offset).total_seconds()}))

    return move


ORDERS = "select guid from raw_unleashed_teelixir.sales_orders where _deleted_at is null order by 1"
LINES = "select guid from raw_unleashed_teelixir.sales_order_lines where _deleted_at is null order by 1"


# ---- tables


def test_all_tables_are_there_after_a_load_that_found_nothing(unleashed, column):
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    tables = column("select table_name from information_schema.tables where table_schema = 'raw_unleashed_teelixir'")
    assert {"sales_orders", "sales_order_lines", "stock_on_hand", "suppliers"} <= set(tables)
    assert column(ORDERS) == []


def test_a_new_column_of_a_stream_is_added_and_a_changed_type_is_refused(unleashed, database, column):
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    database.execute("alter table raw_unleashed_teelixir.sales_orders drop column comments")
    unleashed["SalesOrders"].put(order("a", Comments="late"))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert column("select comments from raw_unleashed_teelixir.sales_orders") == ["late"]
    database.execute("alter table raw_unleashed_teelixir.sales_orders alter column total type text")
    with pytest.raises(TableDiffers, match=r"sales_orders\.total is text"):
        ingest(TEELIXIR, ["sales_orders"], reader=unleashed)


# ---- dlt


def test_dlt_sends_nothing_to_its_makers_and_leaves_nothing_on_disk(unleashed, state_dir):
    unleashed["Warehouses"].put({"Guid": "w1"})
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    assert "anon_tracker" not in "".join(thread.name for thread in threading.enumerate())
    assert [path for path in (state_dir / "dlt").rglob("*") if path.is_file()] == []


# ---- live


def test_a_first_load_reads_everything_and_the_next_what_changed_since_with_an_overlap(unleashed, column):
    newest = T0 + timedelta(days=5)
    unleashed["SalesOrders"].put(*(order(f"o{n}", (f"l{n}", 5)) for n in range(7)), order("o7", modified=newest))
    first = ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert (first.stream("sales_orders").rows, first.stream("sales_order_lines").rows) == (8, 7)
    assert first.stream("sales_orders").watermark == newest
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    reads = [arguments for kind, name, arguments in unleashed.calls if (kind, name) == ("read", "SalesOrders")]
    assert reads == [{}, {"modified_since": newest - timedelta(minutes=10)}]
    assert len(column(ORDERS)) == 8


def test_the_cursor_never_passes_the_moment_at_which_reading_began(unleashed, column):
    unleashed["SalesOrders"].put(order("a", modified=clock.now() + timedelta(days=1)))
    before = clock.now()
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    (watermark,) = column("select watermark from ops.cursors where stream = 'sales_orders'")
    assert before <= watermark <= clock.now()


def test_of_a_row_that_comes_twice_the_newer_one_stays_with_its_own_lines(unleashed, column):
    unleashed["SalesOrders"].rows = [
        order("a", ("kept", 1), modified=T0 + timedelta(hours=1), OrderStatus="Completed"),
        *(order(f"o{n}") for n in range(5)),
        order("a", ("kept", 1), ("dropped", 2), modified=T0),
    ]
    unleashed["SalesOrders"].counts = False
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert column("select order_status from raw_unleashed_teelixir.sales_orders where guid = 'a'") == ["Completed"]
    assert column(LINES) == ["kept"]


def test_lines_edited_away_go_away_even_the_last_one(unleashed, column, rows):
    unleashed["SalesOrders"].put(order("a", ("a1", 1), ("a2", 2)), order("b", ("b1", 1)), order("c", ("c1", 3)))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    later = T0 + timedelta(days=1)
    unleashed["SalesOrders"].put(order("a", ("a2", 9), modified=later), order("b", modified=later))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert rows(
        "select parent_guid, guid, line_total, _parent_version from raw_unleashed_teelixir.sales_order_lines order by 1"
    ) == [
        {"parent_guid": "a", "guid": "a2", "line_total": Decimal(9), "_parent_version": later},
        {"parent_guid": "c", "guid": "c1", "line_total": Decimal(3), "_parent_version": T0},
    ]


def test_every_row_leads_to_its_load_and_each_load_says_how_it_went(unleashed, rows, column):
    unleashed["SalesOrders"].put(order("a", ("a1", 1)))
    report = ingest(TEELIXIR, ["sales_order_lines"], reader=unleashed, run_id="run-1")
    (load,) = rows("select l.* from ops.loads l join raw_unleashed_teelixir.sales_orders o on o._load_id = l.load_id")
    assert (load["stream"], load["kind"], load["status"], load["rows"]) == ("sales_orders", "live", "succeeded", 1)
    assert (load["dagster_run_id"], load["watermark"], load["requests"]) == ("run-1", T0, 2)
    assert load["seconds"] > 0
    assert column("select load_id from raw_unleashed_teelixir_staging._dlt_loads") == [load["dlt_load_id"]]
    assert report.stream("sales_orders").load_id == load["load_id"]
    assert rows("select source_count, our_count, method from ops.reconciliations order by reconciliation_id") == [
        {"source_count": 1, "our_count": 1, "method": "count"},
        {"source_count": 1, "our_count": 1, "method": "parent"},
    ]


def test_fields_that_no_column_names_are_kept_and_reported(unleashed, rows, column):
    unleashed["SalesOrders"].put(order("a", ("a1", 1), DeliveryName="Ana"), order("b", DeliveryName="Bo"))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert column("select _extra ->> 'DeliveryName' from raw_unleashed_teelixir.sales_orders order by guid") == [
        "Ana",
        "Bo",
    ]
    assert rows("select stream, field, occurrences from ops.unknown_fields") == [
        {"stream": "sales_orders", "field": "DeliveryName", "occurrences": 2}
    ]


# ---- children that are asked for


def test_associations_are_replaced_with_their_parent(hubspot, column):
    def contact(number, modified=T0):
        return {
            "id": str(number),
            "createdAt": iso(T0),
            "updatedAt": iso(modified),
            "archived": False,
            "properties": {},
        }

    def link(contact, company):
        return {"from_id": str(contact), "to_id": str(company), "association_types": [{"typeId": 1}]}

    hubspot["contacts"].put(contact(1), contact(2), contact(3))
    links = {"1": [link(1, 10), link(1, 11)], "2": [link(2, 10)]}
    hubspot.children["associations/contacts/companies"] = links
    ingest(HUBSPOT, ["contacts"], reader=hubspot)
    pairs = "select from_id || '-' || to_id from raw_hubspot.contact_companies order by 1"
    assert column(pairs) == ["1-10", "1-11", "2-10"]
    hubspot["contacts"].put(contact(1, T0 + timedelta(days=1)), contact(2, T0 + timedelta(days=1)))
    links.update({"1": [link(1, 11)], "2": []})
    ingest(HUBSPOT, ["contacts"], reader=hubspot)
    assert column(pairs) == ["1-11"]
    assert column("select association_types from raw_hubspot.contact_companies") == [[{"typeId": 1}]]


def test_only_products_that_have_variations_are_asked_for_them(shop, column):
    def product(number, variations):
        dates = {"date_created_gmt": iso(T0), "date_modified_gmt": iso(T0)}
        return {"id": number, "name": "Box", "variations": variations, "manage_stock": False, **dates}

    shop["products"].put(product(1, []), product(2, [21, 22]), product(3, []))
    shop.children["products/variations"] = {
        2: [{"id": 21, "product_id": 2, "price": "9.50"}, {"id": 22, "product_id": 2}]
    }
    ingest(SHOP, ["products"], reader=shop)
    assert [arguments for kind, _, arguments in shop.calls if kind == "children"] == [{"parents": [2]}]
    assert column("select price from raw_woocommerce_red_hill_fresh.product_variations order by id") == [
        Decimal("9.5"),
        None,
    ]


# ---- backfill


def test_a_backfill_reads_the_days_of_its_orders_and_leaves_the_cursor(unleashed, column):
    march = datetime(2026, 3, 10, tzinfo=UTC)
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    unleashed["SalesOrders"].put(
        order("edited in May", placed=march, modified=march + timedelta(days=60)),
        order("last minute", placed=datetime(2026, 3, 31, 12, 59, 59, tzinfo=UTC), modified=march),
        order("April already", placed=datetime(2026, 3, 31, 13, 0, tzinfo=UTC), modified=march),
        order("still February", placed=datetime(2026, 2, 28, 12, 59, 59, tzinfo=UTC), modified=march),
    )
    report = ingest(TEELIXIR, ["sales_orders"], Window.backfill(date(2026, 3, 1), date(2026, 4, 1)), reader=unleashed)
    assert column(ORDERS) == ["edited in May", "last minute"]
    assert column("select watermark from ops.cursors") == []
    assert report.stream("sales_orders").source_count is None
    assert column("select window_end from ops.loads where kind = 'backfill' limit 1") == [
        datetime(2026, 3, 31, 13, 0, tzinfo=UTC)
    ]


def test_what_has_no_business_date_refuses_a_backfill_and_says_why(unleashed):
    march = Window.backfill(date(2026, 3, 1), date(2026, 4, 1))
    with pytest.raises(
        CannotBackfill, match=r"stock_on_hand can't be.*snapshot.*; warehouses can't be.*no business date"
    ):
        ingest(TEELIXIR, ["stock_on_hand", "warehouses", "sales_orders"], march, reader=unleashed)
    with pytest.raises(ValueError, match="has no days"):
        Window.backfill(date(2026, 4, 1), date(2026, 4, 1))
    report = ingest(TEELIXIR, None, march, reader=unleashed)
    assert "sales_orders" in {stream.stream for stream in report.streams}
    assert "stock_on_hand" not in {stream.stream for stream in report.streams}


# ---- full and snapshot streams


def test_what_a_full_reading_no_longer_sees_is_marked_and_unmarked_when_it_comes_back(unleashed, rows):
    marks = "select guid, _deleted_at is not null as gone from raw_unleashed_teelixir.warehouses order by 1"
    unleashed["Warehouses"].put({"Guid": "w1"}, {"Guid": "w2"})
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    unleashed["Warehouses"].remove("w1")
    assert ingest(TEELIXIR, ["warehouses"], reader=unleashed).stream("warehouses").deleted == 1
    assert rows(marks) == [{"guid": "w1", "gone": True}, {"guid": "w2", "gone": False}]
    unleashed["Warehouses"].put({"Guid": "w1"})
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    assert rows(marks) == [{"guid": "w1", "gone": False}, {"guid": "w2", "gone": False}]


def test_a_snapshot_keeps_the_last_reading_of_each_day(unleashed, rows, at_business_time):
    def stock(product, quantity):
        return {"ProductGuid": product, "WarehouseCode": "W", "QtyOnHand": quantity}

    at_business_time(days=1)
    yesterday = clock.today()
    unleashed["StockOnHand"].put(stock("p1", 5), stock("p2", 6))
    ingest(TEELIXIR, ["stock_on_hand"], reader=unleashed)
    at_business_time(days=2)
    ingest(TEELIXIR, ["stock_on_hand"], reader=unleashed)
    unleashed["StockOnHand"].put(stock("p1", 3))
    unleashed["StockOnHand"].remove("p2")
    ingest(TEELIXIR, ["stock_on_hand"], reader=unleashed)
    assert rows(
        "select snapshot_date, product_guid, qty_on_hand from raw_unleashed_teelixir.stock_on_hand order by 1, 2"
    ) == [
        {"snapshot_date": yesterday, "product_guid": "p1", "qty_on_hand": Decimal(5)},
        {"snapshot_date": yesterday, "product_guid": "p2", "qty_on_hand": Decimal(6)},
        {"snapshot_date": yesterday + timedelta(days=1), "product_guid": "p1", "qty_on_hand": Decimal(3)},
    ]


# ---- what is gone or missing


def test_a_row_deleted_at_the_system_is_marked_by_the_next_live_load_with_its_lines(unleashed, column, rows):
    unleashed["SalesOrders"].put(order("a", ("a1", 1)), order("b", ("b1", 1)))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    unleashed["SalesOrders"].remove("a")
    report = ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert (column(ORDERS), column(LINES)) == (["b"], ["b1"])
    assert (report.stream("sales_orders").deleted, report.stream("sales_order_lines").deleted) == (1, 1)
    assert (report.stream("sales_orders").source_count, report.stream("sales_orders").our_count) == (1, 1)


def test_archived_objects_are_found_without_listing_all_keys(hubspot, column):
    def contact(number):
        return {"id": str(number), "createdAt": iso(T0), "updatedAt": iso(T0), "archived": False, "properties": {}}

    hubspot["contacts"].put(contact(1), contact(2))
    ingest(HUBSPOT, ["contacts"], reader=hubspot)
    hubspot["contacts"].archive("1")
    ingest(HUBSPOT, ["contacts"], reader=hubspot)
    assert column("select id from raw_hubspot.contacts where _deleted_at is null") == ["2"]
    assert "keys" not in {kind for kind, _, _ in hubspot.calls}


def test_a_row_that_the_cursor_passed_over_is_fetched(unleashed, column):
    unleashed["SalesOrders"].put(order("a", modified=T0 + timedelta(days=9)))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    unleashed["SalesOrders"].put(order("committed late", ("x1", 1), modified=T0))
    report = ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert (column(ORDERS), column(LINES)) == (["a", "committed late"], ["x1"])
    assert report.stream("sales_orders").source_count == report.stream("sales_orders").our_count == 2
    assert column("select watermark from ops.cursors") == [T0 + timedelta(days=9)]


def test_a_sweep_compares_keys_only_and_mends_both_ways(unleashed, column):
    unleashed["SalesOrders"].put(order("a"), order("b"))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    unleashed["SalesOrders"].remove("a")
    unleashed["SalesOrders"].put(order("c"))
    unleashed.calls.clear()
    report = ingest(TEELIXIR, ["sales_orders", "warehouses"], Window.sweep(), reader=unleashed)
    assert column(ORDERS) == ["b", "c"]
    assert report.stream("sales_orders").rows == 1
    assert column("select method from ops.reconciliations where stream = 'sales_orders' order by checked_at") == [
        "count",
        "sweep",
    ]
    assert column("select distinct kind from ops.loads where load_id >= %s", report.streams[0].load_id) == ["sweep"]


def test_a_marked_row_that_is_back_at_the_system_is_unmarked_by_a_sweep(unleashed, database, column):
    unleashed["SalesOrders"].put(order("a", ("a1", 1)))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    database.execute("update raw_unleashed_teelixir.sales_orders set _deleted_at = now()")
    database.execute("update raw_unleashed_teelixir.sales_order_lines set _deleted_at = now()")
    ingest(TEELIXIR, ["sales_orders"], Window.sweep(), reader=unleashed)
    assert (column(ORDERS), column(LINES)) == (["a"], ["a1"])


def test_a_key_listing_that_is_empty_against_the_count_marks_nothing(unleashed, column):
    unleashed["SalesOrders"].put(order("a"), order("b"))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    unleashed.keys = lambda resource: iter(())
    with pytest.raises(IngestFailed, match="nothing is marked deleted"):
        ingest(TEELIXIR, ["sales_orders"], Window.sweep(), reader=unleashed)
    assert column(ORDERS) == ["a", "b"]


# ---- failures


def test_a_stream_that_fails_half_way_stops_no_other_and_keeps_its_cursor(unleashed, rows, column):
    unleashed["SalesOrders"].put(*(order(f"o{n}", (f"l{n}", 1)) for n in range(9)))
    unleashed["SalesOrders"].fails_after_pages = 2
    unleashed["Warehouses"].put({"Guid": "w1"})
    with pytest.raises(IngestFailed, match=r"2 of 3 streams failed; sales_orders: .*no answer") as failed:
        ingest(TEELIXIR, ["sales_orders", "warehouses"], reader=unleashed)
    assert failed.value.report.stream("warehouses").error is None
    assert column("select guid from raw_unleashed_teelixir.warehouses") == ["w1"]
    assert column(ORDERS) == []
    assert column("select stream from ops.cursors") == []
    assert rows("select stream, status from ops.loads order by load_id") == [
        {"stream": "warehouses", "status": "succeeded"},
        {"stream": "sales_orders", "status": "failed"},
        {"stream": "sales_order_lines", "status": "failed"},
    ]
    unleashed["SalesOrders"].fails_after_pages = None
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert len(column(ORDERS)) == 9


def test_a_table_that_refuses_its_rows_stops_only_its_own_family(unleashed, database, column):
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    database.execute("alter table raw_unleashed_teelixir.sales_order_lines add check (line_total < 100)")
    unleashed["SalesOrders"].put(order("a", ("a1", 100)))
    unleashed["Warehouses"].put({"Guid": "w1"})
    with pytest.raises(IngestFailed, match=r"2 of 3 .*violates check constraint") as failed:
        ingest(TEELIXIR, ["sales_orders", "warehouses"], reader=unleashed)
    assert "Failing row" not in str(failed.value), "a message quotes no row: there may be people in it"
    assert column("select guid from raw_unleashed_teelixir.warehouses") == ["w1"]
    assert column("select stream from ops.cursors") == []
    database.execute(
        "alter table raw_unleashed_teelixir.sales_order_lines drop constraint sales_order_lines_line_total_check"
    )
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert (column(ORDERS), column(LINES)) == (["a"], ["a1"])


def test_an_error_that_nobody_expected_is_written_down(unleashed, rows):
    def broken(resource, **_):
        raise ZeroDivisionError("a defect")

    unleashed.read = broken
    with pytest.raises(ZeroDivisionError):
        ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    assert rows("select status, error from ops.loads") == [{"status": "failed", "error": "ZeroDivisionError: a defect"}]


def test_a_load_whose_process_is_gone_is_closed_by_the_next_one(unleashed, database, rows, state_dir):
    database.execute("insert into ops.loads (account, stream, kind) values ('unleashed_teelixir', 'products', 'live')")
    left_over = state_dir / "dlt" / "pipelines" / "unleashed_teelixir" / "normalize" / "extracted" / "1.0"
    left_over.mkdir(parents=True)
    (left_over / "junk.parquet").write_text("half a file")
    unleashed["Warehouses"].put({"Guid": "w1"})
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    assert rows("select status, error from ops.loads where stream = 'products'") == [
        {"status": "failed", "error": "the process that ran it is gone"}
    ]
    assert not left_over.exists()


def test_two_loads_of_an_account_never_run_together(unleashed, database_url):
    with (
        connect(database_url) as other,
        advisory_lock(other, "ingest:unleashed_teelixir"),
        pytest.raises(AccountBusy, match=r"unleashed_teelixir can't be loaded now.*locked by another process"),
    ):
        ingest(TEELIXIR, ["warehouses"], reader=unleashed, wait=0.1)
    ingest(TEELIXIR, ["warehouses"], reader=unleashed, wait=0.1)


def test_a_dead_process_that_still_merges_is_ended_first(unleashed, database_url, database):
    left_over = connect(database_url, application_name="masterops-load-unleashed_teelixir")
    with turn(TEELIXIR):
        names = database.execute(
            "select count(*) from pg_stat_activity where application_name = 'masterops-load-unleashed_teelixir'"
        ).fetchone()
    assert names == (0,)
    left_over.close()


# ---- dead letters


def test_a_value_that_breaks_its_type_costs_its_own_row_only(unleashed, column, rows):
    unleashed["SalesOrders"].put(
        order("a", ("a1", 1)), order("b", ("b1", 1), Total="a lot"), order("c", ("c1", "two"), ("c2", 2)), order(None)
    )
    unleashed["SalesOrders"].counts = False
    report = ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert (column(ORDERS), column(LINES)) == (["a", "c"], ["a1", "c2"])
    assert (report.stream("sales_orders").dead_letters, report.stream("sales_order_lines").dead_letters) == (2, 1)
    assert rows(
        "select stream, external_id, column_name, reason, load_id from ops.dead_letters order by dead_letter_id"
    ) == [
        {
            "stream": "sales_orders",
            "external_id": "b",
            "column_name": "total",
            "reason": "total: 'a lot' is no number",
            "load_id": report.stream("sales_orders").load_id,
        },
        {
            "stream": "sales_orders",
            "external_id": None,
            "column_name": "guid",
            "reason": "guid: is missing, and is part of the key",
            "load_id": report.stream("sales_orders").load_id,
        },
        {
            "stream": "sales_order_lines",
            "external_id": "c|c1",
            "column_name": "line_total",
            "reason": "line_total: 'two' is no number",
            "load_id": report.stream("sales_order_lines").load_id,
        },
    ]


def test_a_row_that_stays_broken_keeps_one_letter_and_one_that_is_mended_closes_it(unleashed, rows):
    letters = "select external_id, status, reason from ops.dead_letters order by 1"
    unleashed["SalesOrders"].put(order("a", Total="x"), order("b", ("b1", "y")), order(None))
    for total in ("x", "z"):
        unleashed["SalesOrders"].put(order("a", Total=total))
        ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert rows(letters) == [
        {"external_id": "a", "status": "open", "reason": "total: 'z' is no number"},
        {"external_id": "b|b1", "status": "open", "reason": "line_total: 'y' is no number"},
        {"external_id": None, "status": "open", "reason": "guid: is missing, and is part of the key"},
    ]
    unleashed["SalesOrders"].put(order("a", Total=5), order("b", ("b1", 6)))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert [row["status"] for row in rows(letters)] == ["replayed", "replayed", "open"]


def test_a_row_that_can_not_be_read_any_more_is_not_taken_for_deleted(unleashed, column):
    unleashed["Warehouses"].put({"Guid": "w1", "WarehouseName": "Old"}, {"Guid": "w2"})
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    unleashed["Warehouses"].put({"Guid": "w1", "IsDefault": "perhaps"})
    ingest(TEELIXIR, ["warehouses"], reader=unleashed)
    alive = "select warehouse_name from raw_unleashed_teelixir.warehouses where guid = 'w1' and _deleted_at is null"
    assert column(alive) == ["Old"]


def test_rows_that_we_had_to_refuse_do_not_cause_a_sweep_each_time(unleashed):
    unleashed["SalesOrders"].put(order("a"), order("b", Total="x"))
    report = ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert (report.stream("sales_orders").source_count, report.stream("sales_orders").our_count) == (2, 1)
    assert report.stream("sales_orders").open_dead_letters == 1
    assert "keys" not in {kind for kind, _, _ in unleashed.calls}


def test_a_text_with_nul_is_a_dead_letter_that_postgresql_can_hold(unleashed, column):
    unleashed["SalesOrders"].put(order("a"), order("b", Comments="a\x00b \\u0000"))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    assert column("select payload ->> 'Comments' from ops.dead_letters") == ["a\ufffdb \\u0000"]


def test_letters_are_replayed_with_todays_declarations(unleashed, database, column, rows):
    unleashed["SalesOrders"].put(
        order("a", ("a1", "1.10")), order("b", ("b1", "y"), ("b2", Decimal("2.20"))), order("c", ("c1", 3), Total="x")
    )
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    # stands for a declaration that was corrected: what was broken reads well now
    database.execute(
        "update ops.dead_letters set payload = jsonb_set(payload, '{record,LineTotal}', '7.25') "
        "where stream = 'sales_order_lines'"
    )
    results = dead_letters.replay(database, dead_letters.find(database), by="ana")
    assert {(r.stream, r.loaded, r.still_broken) for r in results} == {
        ("sales_orders", 0, 1),
        ("sales_order_lines", 1, 0),
    }
    assert column("select line_total from raw_unleashed_teelixir.sales_order_lines order by guid") == [
        Decimal("1.1"),
        Decimal("7.25"),
        Decimal("2.2"),
    ]
    database.execute(
        "update ops.dead_letters set payload = jsonb_set(payload, '{Total}', '9') where stream = 'sales_orders'"
    )
    (result,) = dead_letters.replay(database, dead_letters.find(database), by="ana")
    assert (column(ORDERS), column(LINES)) == (["a", "b", "c"], ["a1", "b1", "b2", "c1"])
    assert dead_letters.find(database) == []
    assert column("select resolved_by from ops.dead_letters where stream = 'sales_orders'") == [
        f"ana: load {result.load_id}"
    ]
    assert column("select distinct status from ops.loads where kind = 'replay'") == ["succeeded"]


def test_a_snapshots_letter_goes_back_to_its_own_day(unleashed, database, column, at_business_time):
    at_business_time(days=1)
    day = clock.today()
    unleashed["StockOnHand"].put({"ProductGuid": "p1", "WarehouseCode": "W", "QtyOnHand": "many"})
    ingest(TEELIXIR, ["stock_on_hand"], reader=unleashed)
    at_business_time(days=3)
    database.execute("update ops.dead_letters set payload = jsonb_set(payload, '{QtyOnHand}', '4')")
    dead_letters.replay(database, dead_letters.find(database), by="ana")
    assert column("select snapshot_date from raw_unleashed_teelixir.stock_on_hand") == [day]


def test_a_discarded_letter_says_who_and_why(unleashed, database, rows):
    unleashed["SalesOrders"].put(order("a", Total="x"))
    ingest(TEELIXIR, ["sales_orders"], reader=unleashed)
    (letter,) = dead_letters.find(database)
    assert letter.payload["Total"] == "x"
    assert dead_letters.discard(database, [letter.dead_letter_id], by="ana", why="a test order") == 1
    assert rows("select status, resolved_by from ops.dead_letters") == [
        {"status": "discarded", "resolved_by": "ana: a test order"}
    ]
    with pytest.raises(dead_letters.NoSuchLetter, match=str(letter.dead_letter_id)):
        dead_letters.discard(database, [letter.dead_letter_id], by="ana", why="again")
    assert dead_letters.show(database, letter.dead_letter_id).status == "discarded"
