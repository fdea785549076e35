"""The rate budget that all processes share, against a server that counts strictly."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.rows import TupleRow

from masterops_dagster.connectors.budget import BudgetTimeout, Window
from masterops_dagster.database.budget import PostgresBudget
from masterops_dagster.database.connection import close_pools, pool

SECOND = Window("second", limit=3, seconds=0.3)
DAY = Window("day", limit=250_000, seconds=86_400)


@pytest.fixture
def budget(state_dir: Path) -> PostgresBudget:
    return PostgresBudget()


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def test_an_idle_account_may_burst_to_its_limit_and_then_waits_a_window(budget: PostgresBudget) -> None:
    for _ in range(3):
        lease = budget.acquire("shop", [SECOND, DAY], soon())
        assert lease.waited < 0.2
        budget.settle(lease)
    assert 0.2 < budget.acquire("shop", [SECOND, DAY], soon()).waited < 0.6


def test_a_slot_is_free_a_window_after_the_answer_not_after_the_question(budget: PostgresBudget) -> None:
    slow = Window("second", limit=1, seconds=0.2)
    lease = budget.acquire("shop", [slow], soon())
    threading.Timer(0.2, budget.settle, [lease]).start()
    assert budget.acquire("shop", [slow], soon()).waited >= 0.4


def test_a_wait_that_cannot_end_in_time_is_refused_at_once(budget: PostgresBudget) -> None:
    for _ in range(3):
        budget.settle(budget.acquire("shop", [SECOND], soon()))
    begun = time.monotonic()
    with pytest.raises(BudgetTimeout) as refused:
        budget.acquire("shop", [SECOND, DAY], soon(0.05))
    assert time.monotonic() - begun < 0.1
    assert refused.value.window == "second"


def test_nothing_is_taken_from_one_window_while_another_is_full(
    budget: PostgresBudget, database: psycopg.Connection[TupleRow]
) -> None:
    one = Window("a", limit=1, seconds=60)
    budget.settle(budget.acquire("shop", [one, DAY], soon()))
    with pytest.raises(BudgetTimeout):
        budget.acquire("shop", [one, DAY], soon(0.05))
    state = database.execute("select leases, used_slots from ops.rate_budgets where window_name = 'day'").fetchone()
    assert state == ([], [1])


def test_the_limit_that_the_system_states_is_believed(budget: PostgresBudget) -> None:
    budget.adapt("shop", SECOND, limit=1)
    budget.settle(budget.acquire("shop", [SECOND], soon()))
    with pytest.raises(BudgetTimeout):
        budget.acquire("shop", [SECOND], soon(0.05))
    budget.adapt("shop", SECOND, limit=10)
    assert budget.acquire("shop", [SECOND], soon()).waited < 0.1


def test_a_limit_that_is_configured_anew_replaces_what_was_known(budget: PostgresBudget) -> None:
    budget.settle(budget.acquire("shop", [Window("second", limit=1, seconds=60)], soon()))
    assert budget.acquire("shop", [Window("second", limit=2, seconds=60)], soon()).waited < 0.1


def test_what_others_used_is_counted_until_the_reset(budget: PostgresBudget) -> None:
    budget.adapt("shop", SECOND, remaining=0, reset_after=0.3)
    assert budget.acquire("shop", [SECOND], soon()).waited > 0.25


def test_more_remaining_than_we_know_of_changes_nothing(budget: PostgresBudget) -> None:
    for _ in range(3):
        budget.settle(budget.acquire("shop", [SECOND], soon()))
    budget.adapt("shop", SECOND, remaining=3)
    with pytest.raises(BudgetTimeout):
        budget.acquire("shop", [SECOND], soon(0.05))


def test_after_a_429_nobody_is_let_through(budget: PostgresBudget) -> None:
    budget.exhausted("shop", SECOND, 0.3)
    budget.exhausted("shop", SECOND, 0.01)
    assert PostgresBudget().acquire("shop", [SECOND], soon()).waited > 0.25


def test_the_slot_of_a_process_that_died_frees_itself(state_dir: Path) -> None:
    only = Window("second", limit=1, seconds=0.1)
    budget = PostgresBudget(lease_seconds=0.2)
    budget.acquire("shop", [only], soon())
    assert 0.2 < budget.acquire("shop", [only], soon()).waited < 0.8


def test_accounts_do_not_share(budget: PostgresBudget) -> None:
    only = Window("second", limit=1, seconds=60)
    budget.acquire("one", [only], soon())
    assert budget.acquire("another", [only], soon()).waited < 0.1


def test_a_row_stays_small_at_a_limit_of_a_quarter_of_a_million(
    budget: PostgresBudget, database: psycopg.Connection[TupleRow]
) -> None:
    for _ in range(150):
        budget.settle(budget.acquire("crm", [Window("day", limit=250_000, seconds=1)], soon()))
        time.sleep(0.005)
    buckets = database.execute("select cardinality(used_until) from ops.rate_budgets").fetchone()
    assert buckets is not None
    assert buckets[0] <= 101


# ---- four processes at the limit


class StrictHandler(BaseHTTPRequestHandler):
    """Answers 429 to the request that exceeds LIMIT in any span of SECONDS."""

    protocol_version = "HTTP/1.1"
    limit, seconds = 25, 0.5
    lock = threading.Lock()
    arrivals: deque[float]
    refused = 0

    def do_GET(self) -> None:
        with self.lock:
            now = time.monotonic()
            while self.arrivals and self.arrivals[0] <= now - self.seconds:
                self.arrivals.popleft()
            allowed = len(self.arrivals) < self.limit
            if allowed:
                self.arrivals.append(now)
            else:
                type(self).refused += 1
        self.send_response(200 if allowed else 429)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def strict_server() -> Iterator[str]:
    StrictHandler.arrivals, StrictHandler.refused = deque(), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), StrictHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def send(database_url: str, url: str, requests: int) -> None:
    """What one process does: requests as fast as the budget lets it, on two threads."""
    budget = PostgresBudget(pool(database_url))
    window = Window("half", limit=StrictHandler.limit, seconds=StrictHandler.seconds)

    def work() -> None:
        with httpx.Client() as client:
            for _ in range(requests // 2):
                lease = budget.acquire("shop", [window], time.monotonic() + 60)
                client.get(url)
                budget.settle(lease)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_pools()


def test_four_processes_at_the_limit_draw_no_429_and_lose_little_time(strict_server: str, database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=send, args=(database_url, strict_server, 24)) for _ in range(4)]
    for process in processes:
        process.start()
    first = None
    while any(process.is_alive() for process in processes):
        if first is None and StrictHandler.arrivals:
            first = time.monotonic()
        time.sleep(0.01)
    assert [process.exitcode for process in processes] == [0] * 4
    assert StrictHandler.refused == 0
    assert first is not None
    # 96 requests at 25 per half second take 1.5 s at least
    assert time.monotonic() - first < 6
