"""No load fills the disk: it doesn't start, it ends in the middle, and what it loads next time is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.businesses import account
from masterops_dagster.settings import settings
from masterops_dagster.sources import disk
from masterops_dagster.sources.ingest import IngestFailed, ingest
from tests.in_memory_system import InMemorySystem, Resource

SHOP = account("woocommerce_red_hill_fresh")
PLENTY = "100000000"


@pytest.fixture
def shop(state_dir: Path) -> InMemorySystem:
    system = InMemorySystem(page_size=3)
    system.resources["customers"] = Resource("id", "date_modified_gmt", "date_created_gmt")
    moment = "2026-03-01T00:00:00+00:00"
    system["customers"].put(
        *({"id": n, "email": f"c{n}@x.org", "date_modified_gmt": moment, "date_created_gmt": moment} for n in range(10))
    )
    return system


@pytest.fixture
def keep_free(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def keep(gib: str) -> None:
        monkeypatch.setenv("MASTEROPS_FREE_DISK_GIB", gib)
        settings.cache_clear()

    yield keep
    settings.cache_clear()


def loads(database: psycopg.Connection[TupleRow]) -> list[tuple[Any, ...]]:
    return database.execute("select status, rows, error from ops.loads order by load_id").fetchall()


def test_a_load_does_not_start_on_a_disk_that_is_almost_full_and_says_why(
    shop: InMemorySystem, keep_free: Any, database: psycopg.Connection[TupleRow]
) -> None:
    keep_free(PLENTY)
    with pytest.raises(IngestFailed, match=r"GiB free at .*MASTEROPS_STATE_DIR"):
        ingest(SHOP, ["customers"], reader=shop)
    assert shop.requests == 0
    ((status, rows, error),) = loads(database)
    assert (status, rows) == ("failed", 0)
    assert "the disk is almost full" in error
    assert database.execute("select count(*) from ops.cursors").fetchone() == (0,)


def test_a_load_under_way_ends_before_the_disk_is_full_and_the_next_one_is_whole(
    shop: InMemorySystem, keep_free: Any, database: psycopg.Connection[TupleRow]
) -> None:
    shop.before_page = lambda number: keep_free(PLENTY) if number == 2 else None
    with pytest.raises(IngestFailed, match="the disk is almost full"):
        ingest(SHOP, ["customers"], reader=shop)
    assert shop.requests == 3
    table = "raw_woocommerce_red_hill_fresh.customers"
    assert database.execute(f"select count(*) from {table}".encode()).fetchone() == (0,)
    assert not list((settings().state_dir / "dlt" / "spool").rglob("*.parquet"))
    keep_free("0.001")
    shop.before_page = lambda _: None
    assert ingest(SHOP, ["customers"], reader=shop).stream("customers").our_count == 10


def test_what_is_read_is_not_loaded_where_it_would_not_fit(
    shop: InMemorySystem, keep_free: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "GROWTH", 1)
    free = disk.room().free / disk.GIB
    keep_free(f"{free - 0.5:.3f}")
    disk.require_room()
    with pytest.raises(disk.DiskFull, match="this load needs about"):
        disk.require_room(disk.GIB)


def test_a_disk_that_is_full_while_rows_are_written_is_told_as_such(shop: InMemorySystem) -> None:
    spooled = settings().state_dir / "dlt" / "spool" / SHOP.key / "customers.0.parquet"
    shop.before_page = lambda number: None if spooled.is_symlink() else spooled.symlink_to("/dev/full")
    with pytest.raises(IngestFailed, match="the disk is full"):
        ingest(SHOP, ["customers"], reader=shop)
    assert Path("/dev/full").is_char_device()


def test_room_warns_before_loads_stop(keep_free: Any) -> None:
    free = disk.room().free / disk.GIB
    keep_free(f"{free * 0.7:.3f}")
    assert disk.room().enough
    assert disk.room().tight
    keep_free("0.001")
    assert not disk.room().tight
