"""The status page behind a real server on a free port, for tests and for as long as one lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from masterops_dagster.api.app import create_app

EVERY = 0.2
"""Seconds between two looks at the database: no test waits two for one."""


@contextmanager
def served(url: str) -> Iterator[str]:
    """The page's own address."""
    config = uvicorn.Config(create_app(url, every=EVERY), port=0, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
