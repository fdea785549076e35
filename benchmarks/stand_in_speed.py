"""API to raw, the whole path, against the API's own speed: the same requests with the bodies thrown away.

Once as fast as the stand-in answers on this machine, once with a latency that is nearer to that of a real API.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.measure import Result, database, run, seconds
from benchmarks.world_behind import OUT_OF_REACH, endpoint, stand_ins

SCALE = 0.25
COPIES = 60
"""Of each order, so that what a load costs whatever its size doesn't count."""
PAGE = 250
PARALLEL = 4
LATENCY = 0.3
"""Seconds; Unleashed itself takes longer, and allows one request a second."""


def measure(copies: int = COPIES) -> list[Result]:
    """Elevate's sales orders with their lines, from Unleashed's stand-in."""
    with (
        database(),
        stand_ins(SCALE, {"unleashed": OUT_OF_REACH}, ("unleashed_elevate_wholesale", "SalesOrders", copies)) as world,
    ):
        from masterops_dagster.businesses import account
        from masterops_dagster.connectors.budget import Window
        from masterops_dagster.connectors.unleashed import Unleashed
        from masterops_dagster.database.connection import connect
        from masterops_dagster.simulator.world import faults
        from masterops_dagster.sources.ingest import ingest

        elevate = account("unleashed_elevate_wholesale")
        access = endpoint(world, elevate.key)
        with Unleashed(
            access["base_url"],
            elevate.key,
            access["api_id"],
            access["api_key"],
            page_size=PAGE,
            parallel=PARALLEL,
            window=Window("w", 10**9, 1.0),
        ) as unleashed:
            ingest(elevate, ["warehouses"], reader=unleashed)  # imports, tables
            pages = -(-(unleashed.count("SalesOrders") or 0) // PAGE)
            results = []
            for behind, latency in (("the stand-in", 0.0), (f"an API that takes {LATENCY:g} s a page", LATENCY)):
                if latency:
                    faults.misbehave(world, faults.Fault("unleashed", "latency", rate=1.0, seconds=latency))
                with connect() as connection:
                    connection.execute("truncate ops.cursors, raw_unleashed_elevate_wholesale.sales_orders")
                    connection.execute("truncate raw_unleashed_elevate_wholesale.sales_order_lines")
                alone = seconds(lambda: throw_away(access, pages))
                rows = 0

                def load() -> None:
                    nonlocal rows
                    rows = sum(one.rows for one in ingest(elevate, ["sales_orders"], reader=unleashed).streams)

                whole = seconds(load)
                results.append(
                    Result(
                        f"from {behind} into raw, against the same requests with the bodies thrown away",
                        f"{rows:,} rows in {whole:.2f} s",
                        f"{pages} pages in {alone:.2f} s",
                        alone / whole,
                        "≥",
                        0.7,
                    )
                )
    return results


def throw_away(access: dict[str, str], pages: int) -> None:
    """The first page, then the others, as many at once as the connector asks for."""
    from masterops_dagster.connectors.auth import UnleashedSignature

    with httpx.Client(auth=UnleashedSignature(access["api_id"], access["api_key"]), trust_env=False) as client:

        def fetch(number: int) -> None:
            with client.stream("GET", f"{access['base_url']}/SalesOrders/{number}?pageSize={PAGE}") as response:
                response.raise_for_status()
                for _ in response.iter_bytes():
                    pass

        fetch(1)
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(fetch, range(2, pages + 1)))


if __name__ == "__main__":
    run(measure)
