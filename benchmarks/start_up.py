"""How long one waits: for the definitions, for `dg dev` to answer, for a launched run of one small stream.

The goals are seconds, so the ratio is the figure against its goal.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Result, platform_folder, run
from masterops_dagster.businesses import account
from masterops_dagster.cli.dagster_client import FINISHED, Dagster, DagsterRefused, DagsterUnreachable
from masterops_dagster.cli.ports import HOST, any_free
from masterops_dagster.settings import PROJECT_ROOT

DEFINITIONS_GOAL, ANSWER_GOAL, RUN_GOAL = 2.0, 15.0, 8.0
PATIENCE = 180.0
SCALE = 0.02
STREAM = ("unleashed_teelixir", "warehouses")

LIST_MODULES = """
import sys
import masterops_dagster.definitions
print("\\n".join(name for name in sys.modules if not name.startswith(("masterops_dagster", "__"))))
"""

LOAD_DEFINITIONS = """
import importlib, sys, time
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except ImportError:  # made at run time, by six and its like
        pass
started = time.perf_counter()
from masterops_dagster.definitions import defs
defs.get_repository_def()
print(time.perf_counter() - started)
"""


def measure() -> list[Result]:
    """Each three times, the middle one counts."""
    with platform_folder() as folder:
        definitions = definitions_load()
        answer = statistics.median(dg_dev_answers() for _ in range(3))
        with platform(folder) as dagster:
            one_run = statistics.median(launched_run(dagster) for _ in range(3))
    return [
        within("the definitions load, beyond what they import", definitions, DEFINITIONS_GOAL),
        within("from `dg dev` to an answer with all definitions", answer, ANSWER_GOAL),
        within("a launched run of one small stream, start to end", one_run, RUN_GOAL),
    ]


def within(claim: str, figure: float, goal: float) -> Result:
    return Result(claim, f"{figure:.2f} s", f"{goal:g} s", figure / goal, "≤", 1)


def definitions_load() -> float:
    """Everything that isn't ours is imported beforehand, in the same fresh process."""
    modules = python(LIST_MODULES)
    return statistics.median(float(python(LOAD_DEFINITIONS, modules)) for _ in range(3))


def python(code: str, given: str = "") -> str:
    """What the code prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], input=given, stdout=subprocess.PIPE, text=True, check=True, cwd=PROJECT_ROOT
    )
    return done.stdout.splitlines()[-1] if given else done.stdout


def dg_dev_answers() -> float:
    """From the command until GraphQL names the repository, which needs all definitions loaded."""
    port = any_free()
    dg = str(Path(sys.executable).parent / "dg")
    started = time.perf_counter()
    with (
        subprocess.Popen(
            [dg, "dev", "--host", HOST, "--port", str(port)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process,
        Dagster(f"http://{HOST}:{port}") as dagster,
    ):
        try:
            while not has_definitions(dagster):
                if process.poll() is not None or time.perf_counter() - started > PATIENCE:
                    raise RuntimeError("dg dev doesn't answer")
                time.sleep(0.1)
            return time.perf_counter() - started
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C ends it; by force, with its servers, if it was still starting and doesn't listen."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def has_definitions(dagster: Dagster) -> bool:
    try:
        dagster.repository()
    except (DagsterUnreachable, DagsterRefused):
        return False
    return True


@contextmanager
def platform(folder: Path) -> Iterator[Dagster]:
    """A small platform of its own; a client of its Dagster."""
    masterops = str(Path(sys.executable).parent / "masterops")
    port = any_free()
    os.environ["MASTEROPS_WEBSERVER_PORT"] = str(port)
    (folder / "up").mkdir(mode=0o700)
    os.environ["MASTEROPS_STATE_DIR"] = str(folder / "up")
    try:
        subprocess.run(
            [masterops, "up", "--detach", "--scale", str(SCALE)], stdout=sys.stderr, check=True, cwd=PROJECT_ROOT
        )
        with Dagster(f"http://{HOST}:{port}") as dagster:
            yield dagster
    finally:
        subprocess.run([masterops, "down"], stdout=sys.stderr, check=True, cwd=PROJECT_ROOT)


def launched_run(dagster: Dagster) -> float:
    """From the launch until Dagster says that it has ended."""
    from masterops_dagster.cli.up import REFRESH_JOB, REFRESH_SCHEDULE

    key, stream = STREAM
    tags = dagster.tick_tags(REFRESH_SCHEDULE)
    started = time.perf_counter()
    run_id = dagster.launch(REFRESH_JOB, tags, [(*account(key).asset_prefix, stream)])
    while (status := dagster.status(run_id)) not in FINISHED:
        if time.perf_counter() - started > PATIENCE:
            raise RuntimeError(f"run {run_id} doesn't end: {status}")
        time.sleep(0.05)
    if status != "SUCCESS":
        raise RuntimeError(f"run {run_id} ended as {status}")
    return time.perf_counter() - started


if __name__ == "__main__":
    run(measure)
