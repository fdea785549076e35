"""HubSpot's contacts into PostgreSQL against `meltano-tap-hubspot` writing JSONL, from the same stand-in, limits off.

The tap gets a virtual environment of its own, kept in the user's cache; its base URL is a literal, which is rewritten
while it loads. Start-up is not counted: both are timed from their first request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.measure import Result, database, run, seconds
from benchmarks.world_behind import OUT_OF_REACH, endpoint, stand_ins

TAP = "meltano-tap-hubspot==0.10.1"
SCALE = 0.25
COPIES = 40
"""Of each contact, so that what a load costs whatever its size doesn't count."""

RUN_TAP = """
import json, sys, time
from pathlib import Path
import tap_hubspot, importlib.util, importlib.machinery
origin, config, out = sys.argv[1:]

class Rewriting(importlib.machinery.SourceFileLoader):
    def get_data(self, path):
        data = super().get_data(path)
        return data.replace(b"https://api.hubapi.com", origin.encode()) if path.endswith(".py") else data
    def get_code(self, fullname):
        return self.source_to_code(self.get_data(self.path), self.path)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("tap_hubspot."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.origin and spec.origin.endswith(".py"):
            spec.loader = Rewriting(name, spec.origin)
        return spec

sys.meta_path.insert(0, Finder())
from tap_hubspot.streams import ContactStream
from tap_hubspot.tap import TapHubspot

class OnlyContacts(TapHubspot):
    def discover_streams(self):
        return [ContactStream(tap=self)]

sys.stdout = Path(out).open("w")
tap = OnlyContacts(config=json.loads(config))
started = time.perf_counter()
tap.sync_all()
sys.stdout.flush()
sys.stderr.write(f"\\nseconds {time.perf_counter() - started}\\n")
"""


def measure(copies: int = COPIES) -> list[Result]:
    """All contacts, with the properties that each side asks for by itself."""
    python = tap_environment()
    with database(), stand_ins(SCALE, {"hubspot": OUT_OF_REACH}, ("hubspot", "contacts", copies)) as world:
        from masterops_dagster.businesses import account
        from masterops_dagster.connectors.registry import open_connector
        from masterops_dagster.settings import settings
        from masterops_dagster.sources.ingest import ingest

        hubspot = account("hubspot")
        wide = settings().model_copy(
            update={"hubspot_requests_per_10_seconds": 10**6, "hubspot_search_requests_per_second": 10**6}
        )
        rows = 0
        with open_connector(wide.access(hubspot), wide) as connector:
            ingest(hubspot, ["owners"], reader=connector)  # imports, tables

            def load() -> None:
                nonlocal rows
                report = ingest(hubspot, ["contacts"], reader=connector)
                rows = next(one.rows for one in report.streams if one.stream == "contacts")

            ours = rows_per_second(seconds(load), lambda: rows)
        written, taken = by_tap(python, endpoint(world, "hubspot"), world.parent / "contacts.jsonl")
    theirs = written / taken
    return [
        Result(
            "HubSpot contacts into PostgreSQL against meltano-tap-hubspot into JSONL",
            f"{ours:,.0f} rows/s ({rows:,} rows, with their associations)",
            f"{theirs:,.0f} rows/s ({written:,} rows)",
            ours / theirs,
            "≥",
            3,
        )
    ]


def rows_per_second(taken: float, rows: object) -> float:
    """`rows` is asked after the load."""
    return float(rows()) / taken  # type: ignore[operator]


def by_tap(python: Path, access: dict[str, str], out: Path) -> tuple[int, float]:
    """How many contacts the tap wrote, and the seconds from its first request on."""
    config = json.dumps({"access_token": access["access_token"], "start_date": "2000-01-01T00:00:00Z"})

    command = [str(python), "-c", RUN_TAP, access["base_url"], config, str(out)]
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True, env=env)
    taken = float(done.stderr.rpartition("seconds ")[2])
    with out.open() as lines:
        return sum('"type":"RECORD"' in line or '"type": "RECORD"' in line for line in lines), taken


def tap_environment() -> Path:
    """The tap's Python, made at the first call."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "masterops" / TAP
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TAP], check=True, stdout=sys.stderr)
        (folder / ".complete").touch()
    return python


if __name__ == "__main__":
    run(measure)
