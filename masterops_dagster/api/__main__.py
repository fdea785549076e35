"""`python -m masterops_dagster.api --port 3080`: serves the status page until it is told to stop."""

from __future__ import annotations

import argparse

import uvicorn

from masterops_dagster.api.app import create_app
from masterops_dagster.observability import logging

SECONDS_TO_STOP = 2
"""Live views never end by themselves."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m masterops_dagster.api", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; default: %(default)s, this machine only")
    given = parser.parse_args()
    logging.configure()
    uvicorn.run(
        create_app(),
        host=given.host,
        port=given.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_STOP,
    )


if __name__ == "__main__":
    main()
