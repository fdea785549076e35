"""`python -m masterops_dagster.simulator --state DIR --port N`: serves the stand-ins on loopback until SIGTERM.

With `--tls-cert` and `--tls-key` (PEM files) over https. Port 0 takes a free one; `world/endpoints.json` says which.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from masterops_dagster.simulator.app import create_app
from masterops_dagster.simulator.endpoints import last_mail_port, publish
from masterops_dagster.simulator.misbehaviour import Connections
from masterops_dagster.simulator.world.store import World

HOST = "127.0.0.1"

log = logging.getLogger("masterops.simulator")


def main() -> int:
    """Exit status 1, with one line, if the port is taken. Endpoints are published once the world is there."""
    options = _arguments()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, options.port))
    except OSError as error:
        sys.stderr.write(f"the stand-ins can't listen on {HOST}:{options.port}: {error.strerror}\n")
        return 1
    listener.listen(512)
    scheme = "https" if options.tls_cert else "http"
    origin = f"{scheme}://{HOST}:{listener.getsockname()[1]}"
    world = World.open(options.state / "world")
    mail = _mail_listener(last_mail_port(world.directory))
    connections = Connections()
    config = uvicorn.Config(
        create_app(world, publish(world.directory, origin, mail.getsockname()), connections, mail),
        http=connections.protocol(),
        ws="none",
        lifespan="on",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        log_level="warning",
        timeout_keep_alive=65,
        timeout_graceful_shutdown=2,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    log.info("the stand-ins answer at %s", origin)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)  # uvicorn shuts down on a signal and then raises it once more
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _mail_listener(port: int) -> socket.socket:
    """A socket for the mail server, on the port that it had, or on a free one where that is taken."""
    try:
        return socket.create_server((HOST, port))
    except OSError:
        return socket.create_server((HOST, 0))


def _ended(number: int, frame: FrameType | None) -> None:
    """Nothing is left to do: the server has shut down already."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m masterops_dagster.simulator", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="the state folder; the world is below")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0 (the default) takes a free one")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM")
    parser.add_argument("--tls-key", type=Path, metavar="PEM")
    options = parser.parse_args()
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key go together")
    return options


if __name__ == "__main__":
    sys.exit(main())
