"""A full load keeps to the account's limit: how near it comes to what the limit allows, and how many 429s it draws."""

from __future__ import annotations

from benchmarks.measure import Result, database, run, seconds
from benchmarks.world_behind import endpoint, stand_ins

SCALE = 0.5
PAGE = 3
REQUESTS, SPAN = 100, 10.0
"""The account's limit: so many requests in so many seconds, as HubSpot's smallest plans have it."""


def measure() -> list[Result]:
    """Elevate's sales orders in small pages, so that the limit is what a load waits for; through the shared budget."""
    with database(), stand_ins(SCALE, {"unleashed": {"burst": {"requests": REQUESTS, "seconds": SPAN}}}) as world:
        from masterops_dagster.businesses import account
        from masterops_dagster.connectors.budget import Window
        from masterops_dagster.connectors.telemetry import InMemorySink
        from masterops_dagster.connectors.unleashed import Unleashed
        from masterops_dagster.database.budget import PostgresBudget
        from masterops_dagster.sources.ingest import ingest

        elevate = account("unleashed_elevate_wholesale")
        access = endpoint(world, elevate.key)
        sink = InMemorySink()
        with Unleashed(
            access["base_url"],
            elevate.key,
            access["api_id"],
            access["api_key"],
            page_size=PAGE,
            window=Window("5min", REQUESTS, SPAN),
            budget=PostgresBudget(),
            sink=sink,
        ) as unleashed:
            ingest(elevate, ["warehouses"], reader=unleashed)  # imports, tables
            before = unleashed.requests
            taken = seconds(lambda: unleashed.count("SalesOrders") and drain(unleashed))
            sent = unleashed.requests - before
    refused = sum(event.status == 429 for event in sink.events)
    allowed = (sent - 1) // REQUESTS * SPAN
    return [
        Result(
            f"requests per second of a full load against the account's limit; {refused} drew a 429",
            f"{sent} requests in {taken:.2f} s",
            f"{allowed:.2f} s at {REQUESTS} in {SPAN:g} s",
            0.0 if refused else allowed / taken,
            "≥",
            0.95,
        )
    ]


def drain(unleashed: object) -> None:
    """Reads all orders."""
    for _ in unleashed.read("SalesOrders"):  # type: ignore[attr-defined]
        pass


if __name__ == "__main__":
    run(measure)
