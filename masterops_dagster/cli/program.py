"""`python -m masterops_dagster.cli.program NAME`: what supervisord starts; becomes the program of that name.

A predecessor that was killed may have left processes behind (runs of the code server, for one): they are ended first,
since the new program would neither know nor stop them.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from masterops_dagster.cli.left_overs import end, left_overs
from masterops_dagster.cli.made_of import remember
from masterops_dagster.cli.processes import PROGRAM_VARIABLE, arguments, base_environment, places
from masterops_dagster.settings import PROJECT_ROOT, settings


def become(name: str) -> NoReturn:
    """Replaces this process by the program, with its environment."""
    where = places()
    os.chdir(PROJECT_ROOT)
    os.environ.update(base_environment(where), **{PROGRAM_VARIABLE: name})
    if name == "postgres":
        from masterops_dagster.database.server import run_foreground

        run_foreground(settings().postgres_dir.resolve(), bin_dir=settings().postgres_bin_dir)
    end(left_overs(where.state, program=name))
    remember(where, name)
    if name != "world":
        from masterops_dagster.database.connection import dagster_url

        os.environ["DAGSTER_DB_URL"] = dagster_url()
    command = arguments(name, where)
    os.execv(command[0], command)


if __name__ == "__main__":
    become(sys.argv[1])
