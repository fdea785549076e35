"""A stream read anew, or told to start over at its next load; who asked for it is written down."""

from __future__ import annotations

from datetime import datetime

from masterops_dagster.businesses import Account
from masterops_dagster.connectors.base import StreamReader
from masterops_dagster.connectors.telemetry import TelemetrySink
from masterops_dagster.database.connection import connect
from masterops_dagster.sources import interventions, ledger
from masterops_dagster.sources.catalogue import stream
from masterops_dagster.sources.errors import LoadProblem
from masterops_dagster.sources.ingest import LoadReport, Progress, ingest
from masterops_dagster.sources.stream import Mode, Stream
from masterops_dagster.sources.turn import WAIT_SECONDS, turn
from masterops_dagster.sources.window import Window


class NoCursor(LoadProblem):
    """The stream is read whole each time, so that there is nothing to reset."""


def reload(
    account: Account,
    of: Stream,
    window: Window,
    *,
    by: str,
    progress: Progress | None = None,
    sink: TelemetrySink | None = None,
    reader: StreamReader | None = None,
    wait: float = WAIT_SECONDS,
) -> LoadReport:
    """Reads a stream and the streams of its family anew, all of them or some days. Raises what `ingest` raises.

    Rows are replaced where they are, so that readers and views never miss one; those that the system no longer has are
    marked deleted. A snapshot's present day is read anew, its past days stay.
    """
    report = ingest(account, [of], window, progress=progress, sink=sink, reader=reader, wait=wait)
    days = {"from": window.start.isoformat(), "to": window.end.isoformat()} if window.start and window.end else {}
    with connect() as connection:
        for one in report.streams:
            detail = {**days, "load_id": one.load_id, "rows": one.rows, "deleted": one.deleted}
            interventions.record(connection, "reload", account, stream(account, one.stream), by=by, detail=detail)
    return report


def reset_cursor(
    account: Account, of: Stream, to: datetime | None, *, by: str, wait: float = WAIT_SECONDS
) -> tuple[Stream, datetime | None]:
    """Puts the cursor of a stream back: the next live load reads what was modified since then, or (None) everything.

    A child has its parent's cursor. Returns the stream whose cursor it was, and where that stood. Raises `NoCursor`,
    `AccountBusy`.
    """
    parent = stream(account, of.parent) if of.parent else of
    if parent.mode is not Mode.INCREMENTAL:
        raise NoCursor(f"{account.key}: {parent.name} has no cursor: it is read whole each time; `masterops refresh`")
    with turn(account, wait) as connection, connection.transaction():
        before = ledger.cursor(connection, account, parent)
        ledger.set_cursor(connection, account, parent, to)
        detail = {"from": before and before.isoformat(), "to": to and to.isoformat()}
        interventions.record(connection, "reset-cursor", account, parent, by=by, detail=detail)
    return parent, before
