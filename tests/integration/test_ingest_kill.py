"""A load that is killed with -9 at any moment and run again leaves the same content as one that was not disturbed."""

import multiprocessing
import os
import random
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from masterops_dagster.businesses import account
from masterops_dagster.settings import settings
from masterops_dagster.sources.ingest import ingest
from tests.in_memory_system import InMemorySystem, Resource

TEELIXIR = account("unleashed_teelixir")
STREAMS = ("sales_orders", "warehouses", "stock_on_hand")
T0 = datetime(2026, 3, 1, tzinfo=UTC)
SEED = 20261124

PRELOADED = [
    "masterops_dagster.sources.ingest",
    "dlt",
    "pandas",
    "sqlalchemy",
    "psycopg2",
    "adbc_driver_postgresql.dbapi",
]
"""What a load imports, some of it late; the processes to be killed begin with it."""

CONTENT = """
select to_jsonb(t) - '{_load_id,_loaded_at,_deleted_at}'::text[], _deleted_at is null
from raw_unleashed_teelixir.%s t
"""


def system(edited):
    """Sixty orders and their lines; `edited`: changed, shortened, removed, new and broken ones among them."""

    def order(number, lines, modified=T0, **fields):
        at = modified.isoformat().replace("+00:00", "Z")
        items = [{"Guid": f"l{number}-{n}", "LineTotal": n} for n in range(lines)]
        return {"Guid": f"o{number}", "OrderDate": at, "LastModifiedOn": at, "SalesOrderLines": items, **fields}

    there = InMemorySystem(page_size=10)
    there.resources["SalesOrders"] = Resource("Guid", "LastModifiedOn", "OrderDate")
    there.resources["Warehouses"] = Resource("Guid")
    there.resources["StockOnHand"] = Resource("ProductGuid")
    there["SalesOrders"].put(*(order(n, n % 4) for n in range(60)))
    there["Warehouses"].put({"Guid": "w1"}, {"Guid": "w2"})
    there["StockOnHand"].put(*({"ProductGuid": f"p{n}", "WarehouseCode": "W", "QtyOnHand": n} for n in range(20)))
    if edited:
        later = T0 + timedelta(days=1)
        there["SalesOrders"].put(*(order(n, 1, later) for n in range(20)), order(3, 0, later), order(70, 5, later))
        there["SalesOrders"].put(order(8, 2, later, Total="broken"))
        there["SalesOrders"].remove("o40", "o41")
        there["Warehouses"].remove("w1")
        there["StockOnHand"].put({"ProductGuid": "p1", "WarehouseCode": "W", "QtyOnHand": 99})
        there["StockOnHand"].remove("p2")
    return there


def load(url, state_dir, edited):
    """One load, of a process whose settings lead to that database."""
    os.environ.update(SUPABASE_DB_URL=url, MASTEROPS_STATE_DIR=str(state_dir))
    settings.cache_clear()
    ingest(TEELIXIR, STREAMS, reader=system(edited))


def load_and_die(url, state_dir, edited, moment, calls):
    """A load that kills its own process at the given call of a Python function; `calls` gets how many there were.

    Counting calls hits the same places on a slow machine and on a fast one; a time-out would not.
    """
    count = 0

    def at_call(frame, event, argument):
        nonlocal count
        if event == "call":
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(at_call)
    sys.setprofile(at_call)
    load(url, state_dir, edited)
    sys.setprofile(None)
    calls.value = count


def content(database):
    """All rows but for the numbers and times of their loads, and the books that loads go by."""
    tables = {
        name: database.execute(CONTENT % name).fetchall()
        for name in ("sales_orders", "sales_order_lines", "warehouses", "stock_on_hand")
    }
    books = {
        "cursors": "select stream, watermark from ops.cursors",
        "letters": "select stream, external_id, reason, status from ops.dead_letters",
        "running": "select load_id from ops.loads where status = 'running'",
    }
    tables |= {name: database.execute(query).fetchall() for name, query in books.items()}
    return {name: sorted(map(repr, rows)) for name, rows in tables.items()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.chaos)])
def test_a_load_killed_at_any_moment_and_run_again_leaves_what_an_undisturbed_one_leaves(
    database, database_url, state_dir, monkeypatch, kills
):
    monkeypatch.setenv("SUPABASE_DB_URL", database_url)  # load() sets it as well; monkeypatch puts it back
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([*PRELOADED, __name__])
    moments = random.Random(SEED)

    def start_over(edited):
        """Nothing loaded yet, or, where a load is to find edits, everything before them."""
        database.execute("drop schema if exists raw_unleashed_teelixir, raw_unleashed_teelixir_staging cascade")
        database.execute(
            "truncate ops.loads, ops.held_deletions, ops.cursors, ops.dead_letters, ops.reconciliations,"
            " ops.unknown_fields"
        )
        if edited:
            load(database_url, state_dir, edited=False)

    def run(edited, moment=0):
        """A load in a process of its own: how it ended, and how many calls it took."""
        calls = processes.Value("q", 0)
        child = processes.Process(target=load_and_die, args=(database_url, state_dir, edited, moment, calls))
        child.start()
        child.join()
        return child.exitcode, calls.value

    undisturbed, calls = {}, {}
    for edited in (False, True):
        start_over(edited)
        exitcode, calls[edited] = run(edited)
        assert exitcode == 0
        undisturbed[edited] = content(database)
    assert len(undisturbed[False]["sales_orders"]) == 60
    assert len(undisturbed[True]["letters"]) == 1

    endings = []
    for number in range(kills):
        edited = bool(number % 2)
        start_over(edited)
        exitcode, _ = run(edited, moment=int((number + moments.random()) / kills * calls[edited]) + 1)
        endings.append(exitcode)
        load(database_url, state_dir, edited)
        assert content(database) == undisturbed[edited], f"killed at moment {number} of seed {SEED}"
    assert endings.count(-signal.SIGKILL) >= kills - 1, "the kills have to hit a load that runs"
