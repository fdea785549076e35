"""The running platform as the other commands find it; they start nothing by themselves."""

from __future__ import annotations

from masterops_dagster.cli.dagster_client import Dagster
from masterops_dagster.cli.ports import Ports
from masterops_dagster.cli.problems import NotRunning
from masterops_dagster.cli.processes import PROGRAMS, Places, places
from masterops_dagster.cli.supervision import Supervisor

WEBSERVER = next(program for program in PROGRAMS if program.name == "webserver")


def require_running() -> Places:
    """The state folder of the running platform. Raises `NotRunning`."""
    where = places()
    if not Supervisor(where).answers():
        raise NotRunning
    return where


def dagster(where: Places) -> Dagster:
    """A client of the running webserver. Raises `NotRunning` if there has been none in this state folder."""
    url = WEBSERVER.url(Ports(where.ports))
    if url is None:
        raise NotRunning
    return Dagster(url)
