"""How long the status page lets one wait with 50 viewers, against one viewer alone: its page and its live news.

A server in a process of its own, on a database that was watched for 90 days. Each viewer holds the live stream open and
asks for the whole page once a second. News is from a change in the database to the line that tells a viewer of it; it
waits for the next look, two seconds away at most.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psutil

from benchmarks import watched
from benchmarks.measure import Result, database, run
from masterops_dagster.cli.ports import any_free

VIEWERS = 50
SECONDS = 10.0
PAUSE = 1.0
CHANGES = 5
PAGE_GOAL, NEWS_GOAL = 5.0, 2.0
"""So many times as long as one viewer alone."""
MEMORY_GOAL = 150.0


def measure() -> list[Result]:
    """One viewer, then fifty."""
    with database() as url:
        from masterops_dagster.database.connection import connect

        with connect(url) as connection:
            at = datetime.now(UTC)
            watched.well(connection, at)
            watched.trouble(connection, at)
            watched.watched_until(connection, timedelta(hours=1))
        with served(url) as (origin, process):
            one, one_news = asyncio.run(viewed(origin, url, 1))
            many, many_news = asyncio.run(viewed(origin, url, VIEWERS))
            memory = process.memory_info().rss / 2**20
    return [
        Result(
            f"95 % of the status page's answers under {VIEWERS} viewers, against one viewer",
            f"p50 {share(many, 50):.1f} ms, p95 {share(many, 95):.1f} ms, {len(many):,} answers",
            f"one viewer: p50 {share(one, 50):.1f} ms, p95 {share(one, 95):.1f} ms",
            share(many, 95) / share(one, 95),
            "≤",
            PAGE_GOAL,
        ),
        Result(
            f"from a change in the database to the news of it at {VIEWERS} viewers, against one viewer",
            f"p50 {share(many_news, 50):.2f} s, p95 {share(many_news, 95):.2f} s",
            f"one viewer: p50 {share(one_news, 50):.2f} s, p95 {share(one_news, 95):.2f} s",
            share(many_news, 95) / share(one_news, 95),
            "≤",
            NEWS_GOAL,
        ),
        Result(
            "the status page's memory after that",
            f"{memory:.0f} MB",
            f"{MEMORY_GOAL:.0f} MB",
            memory / MEMORY_GOAL,
            "≤",
            1,
        ),
    ]


def share(values: Sequence[float], percent: int) -> float:
    """A percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def viewed(origin: str, url: str, viewers: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each answer, and seconds until each viewer knew of each change."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=origin, trust_env=False, limits=limits, timeout=30) as client:
        for _ in range(3):
            await client.get("/")
        answers: list[float] = []
        told: list[float] = []
        changed_at = [float("inf")]
        listening = [asyncio.create_task(listen(client, told, changed_at)) for _ in range(viewers)]
        await asyncio.sleep(1)
        asking = [asyncio.create_task(ask(client, answers)) for _ in range(viewers)]
        for change in range(CHANGES):
            await asyncio.sleep(SECONDS / CHANGES)
            await asyncio.to_thread(worsen, url, change)
            changed_at[0] = time.perf_counter()
        await asyncio.gather(*asking)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    return answers, told


async def ask(client: httpx.AsyncClient, answers: list[float]) -> None:
    until = time.perf_counter() + SECONDS + 3
    await asyncio.sleep(random.random() * PAUSE)  # noqa: S311 - viewers don't come in step
    while (started := time.perf_counter()) < until:
        answer = await client.get("/")
        answer.raise_for_status()
        answers.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(PAUSE)


async def listen(client: httpx.AsyncClient, told: list[float], changed_at: list[float]) -> None:
    version, known = "", float("inf")
    async with client.stream("GET", "/events", timeout=None) as events:
        async for line in events.aiter_lines():
            if not line.startswith("data: ") or line.split()[1] == version:
                continue
            version = line.split()[1]
            if changed_at[0] not in (known, float("inf")):
                known = changed_at[0]
                told.append(time.perf_counter() - known)


def worsen(url: str, change: int) -> None:
    """Something that every viewer sees."""
    from masterops_dagster.database.connection import connect

    with connect(url) as connection:
        connection.execute(
            "update ops.health_states set response_ms = %s where check_id = 'integration_hubspot'", [200 + change]
        )


@contextmanager
def served(url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The program as `masterops up` runs it; gives its address."""
    port = any_free()
    command = [sys.executable, "-m", "masterops_dagster.api", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, "SUPABASE_DB_URL": url}) as process:
        try:
            origin = f"http://127.0.0.1:{port}"
            while not answers(origin):
                time.sleep(0.1)
            yield origin, psutil.Process(process.pid)
        finally:
            process.terminate()


def answers(origin: str) -> bool:
    """Whether the page is there already."""
    try:
        return httpx.get(f"{origin}/healthz", trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    run(measure)
