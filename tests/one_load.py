"""One load in a process of its own, with its environment's settings: ends with 1 and the message if it fails.

    python -m tests.one_load unleashed_teelixir credit_notes,warehouses [FROM TO]

FROM and TO make it a backfill of these days.
"""

from __future__ import annotations

import sys
from datetime import date

from masterops_dagster.businesses import account
from masterops_dagster.cli.problems import described, known_errors
from masterops_dagster.settings import Settings
from masterops_dagster.sources.ingest import Window, ingest


def main(key: str, streams: str, *days: str) -> None:
    Settings.model_config["env_file"] = None
    window = Window.backfill(*map(date.fromisoformat, days)) if days else Window.live()
    try:
        ingest(account(key), streams.split(","), window)
    except known_errors() as error:
        sys.exit(described(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
