"""Named locks hold between processes and let go when their holder dies."""

from __future__ import annotations

import threading
import time

import pytest

from masterops_dagster.database.connection import connect
from masterops_dagster.database.locks import LockUnavailable, advisory_lock


def test_only_one_connection_holds_a_lock(database_url: str) -> None:
    with connect(database_url) as one, connect(database_url) as another, advisory_lock(one, "load hubspot"):
        with pytest.raises(LockUnavailable, match="load hubspot"), advisory_lock(another, "load hubspot", wait=0):
            pass
        with advisory_lock(another, "load unleashed_teelixir", wait=0):
            pass


def test_a_lock_is_free_after_the_block_even_when_it_raises(database_url: str) -> None:
    with connect(database_url) as one, connect(database_url) as another:
        with pytest.raises(RuntimeError, match="in the middle"), advisory_lock(one, "load"):
            raise RuntimeError("in the middle")
        with advisory_lock(another, "load", wait=0):
            pass


def test_waiting_ends_after_the_time_that_was_given(database_url: str) -> None:
    with connect(database_url) as one, connect(database_url) as another, advisory_lock(one, "load"):
        begun = time.monotonic()
        with pytest.raises(LockUnavailable, match="still locked"), advisory_lock(another, "load", wait=0.1):
            pass
        assert 0.1 <= time.monotonic() - begun < 1
        assert another.execute("show lock_timeout").fetchone() == ("0",)


def test_a_waiting_process_gets_the_lock_when_its_holder_dies(database_url: str) -> None:
    holder = connect(database_url)
    lock = advisory_lock(holder, "load")
    lock.__enter__()
    threading.Timer(0.1, holder.close).start()
    with connect(database_url) as waiting, advisory_lock(waiting, "load", wait=5):
        pass
    lock.__exit__(None, None, None)
