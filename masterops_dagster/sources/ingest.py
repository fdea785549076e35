"""One function loads: `ingest(account, streams, window)`, for Dagster, the command line and the tests alike.

It reads family by family (a parent with its children) into a spool, merges all that was read to its end in one dlt run,
settles each family in one transaction (lines that are gone, deletions, the cursor), and holds what it has against what
the system says it has. A family that fails is reported and stops no other; its cursor stays.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog

from masterops_dagster import clock
from masterops_dagster.businesses import Account
from masterops_dagster.connectors.base import Page, StreamReader
from masterops_dagster.connectors.errors import ConnectorError, MalformedResponse
from masterops_dagster.connectors.registry import open_connector
from masterops_dagster.connectors.telemetry import TelemetrySink
from masterops_dagster.database.budget import PostgresBudget
from masterops_dagster.database.connection import database_url
from masterops_dagster.settings import settings
from masterops_dagster.sources import disk, dlt_load, ledger, origins
from masterops_dagster.sources.catalogue import partitioned, stream, streams_of
from masterops_dagster.sources.deletions import DeletionGuard
from masterops_dagster.sources.errors import LoadProblem
from masterops_dagster.sources.ledger import Connection, Letter, Load, Method
from masterops_dagster.sources.reading import Family, Reading, properties, value_at
from masterops_dagster.sources.settle import RawTables
from masterops_dagster.sources.spool import Spool, Spooled
from masterops_dagster.sources.stream import Mode, Stream
from masterops_dagster.sources.turn import WAIT_SECONDS, AccountBusy, turn
from masterops_dagster.sources.window import Window

__all__ = [
    "AccountBusy",
    "CannotBackfill",
    "DatabaseLost",
    "IngestFailed",
    "LoadReport",
    "StreamReport",
    "Window",
    "ingest",
]

LIVE = Window.live()

FETCHED_BY_KEY = 50_000
"""Up to so many missing rows are picked out of a reading; if there are more, all of it is loaded again."""

Progress = Callable[[str], object]
Scope = Callable[..., AbstractContextManager[object]]
"""Called with `operation`, `account`, `stream`, `run_id`: what is logged or sent within is known to belong to them."""

log = structlog.get_logger()


class CannotBackfill(LoadProblem, ValueError):
    """A stream has no business date, so that no day of it can be read again; the message says which and why."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How the load of one stream went.

    `dead_letters` are those of this load, `open_dead_letters` all that are open now. `seconds` run from the begin of
    reading until everything is compared, other streams of the same load included. `source_count` is None where the
    system has no count or none was asked for. `held_back` are rows that the system says are gone, too many to believe.
    """

    stream: str
    load_id: int
    rows: int
    dead_letters: int
    open_dead_letters: int
    deleted: int
    held_back: int
    requests: int
    seconds: float
    watermark: datetime | None
    our_count: int
    source_count: int | None
    simulated: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How a load went, stream by stream, parents before their children."""

    account: str
    kind: str
    streams: tuple[StreamReport, ...]

    def stream(self, name: str) -> StreamReport:
        """The report of one stream. Raises `KeyError` if it was not part of the load."""
        for report in self.streams:
            if report.stream == name:
                return report
        raise KeyError(f"stream {name!r} was not part of this load of {self.account}")

    @property
    def rows(self) -> int:
        """Rows read and loaded, of all streams."""
        return sum(report.rows for report in self.streams)


class DatabaseLost(LoadProblem):
    """The database went away in the middle of a load. What was not committed by then is read again by the next one."""

    def __init__(self, account: Account, error: psycopg.OperationalError) -> None:
        reason = str(error).strip().partition("\n")[0]
        super().__init__(
            f"{account.key}: the database went away in the middle of the load ({reason}); nothing is half loaded, and "
            "no cursor moved. Once `masterops status` finds it again, run the load again"
        )


class IngestFailed(LoadProblem):
    """Some streams failed; the others are loaded. `report` has both, the message names each that failed and why."""

    def __init__(self, report: LoadReport) -> None:
        self.report = report
        failed = [f"{stream.stream}: {stream.error}" for stream in report.streams if stream.error is not None]
        super().__init__(
            f"{report.account}: {len(failed)} of {len(report.streams)} streams failed; {'; '.join(failed)}"
        )


def ingest(
    account: Account,
    streams: Sequence[Stream | str] | None = None,
    window: Window = LIVE,
    *,
    run_id: str | None = None,
    progress: Progress | None = None,
    sink: TelemetrySink | None = None,
    scope: Scope = structlog.contextvars.bound_contextvars,
    reader: StreamReader | None = None,
    wait: float = WAIT_SECONDS,
) -> LoadReport:
    """Loads streams of an account (None: all that the window can read) and returns what happened.

    Parents and children load together, whichever is named. `reader` stands in for the account's own connector;
    `sink` gets the connector's requests. Another load of the account is waited for, up to `wait` seconds.
    Raises `IngestFailed` once everything else is loaded, `DatabaseLost`; before anything is read `CannotBackfill`,
    `AccountBusy`, `ForeignRows`, `MissingCredential`, `DatabaseUnavailable`.
    """
    parents = _parents(account, streams, window)
    with ExitStack() as stack:
        stack.enter_context(scope(operation="load", account=account.key, **({"run_id": run_id} if run_id else {})))
        stack.enter_context(_told_when_lost(account))
        connection = stack.enter_context(turn(account, wait))
        simulated = False
        if reader is None:
            access = settings().access(account)
            simulated = access.simulated
            reader = stack.enter_context(closing(open_connector(access, settings(), PostgresBudget(), sink)))
            origins.require_same(connection, account, origins.origin_of(access, reader))
        spool = stack.enter_context(Spool(account))
        ingestion = _Ingestion(
            connection,
            account,
            window,
            reader,
            spool,
            run_id=run_id,
            simulated=simulated,
            progress=progress,
            scope=scope,
        )
        stack.enter_context(ledger.closing(connection, ingestion.loads))
        report = ingestion.run(parents)
    if any(stream.error is not None for stream in report.streams):
        raise IngestFailed(report)
    return report


@contextmanager
def _told_when_lost(account: Account) -> Iterator[None]:
    """What the server says when it stops, or nothing where it is gone, ends as `DatabaseLost`."""
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            raise DatabaseLost(account, error) from error
        raise


def _parents(account: Account, streams: Sequence[Stream | str] | None, window: Window) -> list[Stream]:
    """The parents of the families to load."""
    if streams is None:
        chosen = [one for one in streams_of(account) if window.kind != "backfill" or partitioned(account, one)]
    else:
        chosen = [stream(account, one if isinstance(one, str) else one.name) for one in streams]
        dateless = [one for one in chosen if not partitioned(account, one)]
        if window.by_date and dateless:
            raise CannotBackfill(f"{account.key}: {'; '.join(map(_no_days, dateless))}")
    names = {one.parent or one.name for one in chosen}
    return [one for one in streams_of(account) if one.name in names]


def _no_days(of: Stream) -> str:
    """Why no days of a stream can be read again."""
    if of.mode is Mode.SNAPSHOT:
        return (
            f"{of.name} can't be backfilled: it is a snapshot, the system only tells its present state, and that of a "
            "past day is known only if it was read on that day"
        )
    return (
        f"{of.name} can't be backfilled: these rows have no business date, the system only tells their present state; "
        "load them live"
    )


class _Ingestion:
    """One call of `ingest`, while it is the account's turn."""

    def __init__(
        self,
        connection: Connection,
        account: Account,
        window: Window,
        reader: StreamReader,
        spool: Spool,
        *,
        run_id: str | None,
        simulated: bool,
        progress: Progress | None,
        scope: Scope,
    ) -> None:
        self.connection = connection
        self.account = account
        self.window = window
        self.reader = reader
        self.run_id = run_id
        self.simulated = simulated
        self.tables = RawTables(connection, account)
        self.spool = spool
        self.loads: dict[str, Load] = {}
        self.reports: dict[str, StreamReport] = {}
        self.source_counts: dict[str, int] = {}
        self.our_counts: dict[str, int] = {}
        """As last counted; counting a large table takes as long as a small load."""
        self._say: Progress = progress or (lambda _: None)
        self._scope = scope

    def run(self, parents: Sequence[Stream]) -> LoadReport:
        """Read, load, settle, compare."""
        read = [done for parent in parents if (done := self._read(parent)) is not None]
        for family in self._load(read):
            with self._scope(operation="settle", stream=family.parent.name):
                self._settle(family, moves_cursor=True)
                self._compare(family)
        order = [one.name for one in streams_of(self.account) if one.name in self.reports]
        return LoadReport(self.account.key, self.window.kind, tuple(self.reports[name] for name in order))

    # ---- read

    def _read(self, parent: Stream) -> tuple[Family, list[Spooled]] | None:
        """Reads one family into the spool; None if that failed."""
        with self._scope(operation="read", stream=parent.name):
            return self._read_family(parent)

    def _read_family(self, parent: Stream) -> tuple[Family, list[Spooled]] | None:
        since = self._since(parent)
        family = self._begin(parent, since)
        before = self.reader.requests
        reading = Reading(family, self.reader, self.spool, self._deliver)
        try:
            disk.require_room()
            if self._is_read(parent):
                reading.read(
                    self._announced(family, self.reader.read(parent.resource, **self._arguments(parent, since)))
                )
            spooled = self.spool.finish(family.streams)
        except (ConnectorError, disk.DiskFull) as error:
            self.spool.discard(family.streams)
            self._fail(family, error, before)
            return None
        self.loads[parent.name].requests += self.reader.requests - before
        return family, spooled

    def _is_read(self, parent: Stream) -> bool:
        """A sweep of a stream with a cursor reads keys only; streams without one are read whole each time."""
        return self.window.kind != "sweep" or parent.mode is not Mode.INCREMENTAL

    def _since(self, parent: Stream) -> datetime | None:
        if self.window.kind != "live" or parent.mode is not Mode.INCREMENTAL:
            return None
        cursor = ledger.cursor(self.connection, self.account, parent)
        return cursor and cursor - timedelta(minutes=settings().cursor_overlap_minutes)

    def _arguments(self, parent: Stream, since: datetime | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {"properties": properties(parent)}
        if self.window.by_date:
            return arguments | {"created_from": self.window.starts_at, "created_to": self.window.ends_at}
        return arguments | ({"modified_since": since} if since else {})

    def _begin(self, parent: Stream, since: datetime | None) -> Family:
        business_at = clock.now()
        reach = (self.window.starts_at or since, self.window.ends_at)
        family = Family(self.account, parent, {}, business_at)
        for one in family.streams:
            self.loads[one.name] = ledger.begin(
                self.connection,
                self.account,
                one,
                self.window.kind,
                business_at=business_at,
                window=reach,
                run_id=self.run_id,
                simulated=self.simulated,
            )
        return replace(family, load_ids={one.name: self.loads[one.name].load_id for one in family.streams})

    def _announced(self, family: Family, pages: Iterator[Page]) -> Iterator[Page]:
        """The pages, with a word now and then about how far reading has come."""
        seen, told = 0, 0
        for page in pages:
            yield page
            disk.require_room(self.spool.size)
            seen += len(page.items)
            if seen - told >= 10_000:
                told = seen
                self._say(f"{self.account.key} {family.parent.name}: {seen:,} rows read")

    def _deliver(self, of: Stream, letters: Sequence[Letter]) -> None:
        ledger.write_letters(self.connection, self.account, self.loads[of.name], letters)

    # ---- load

    def _load(self, read: list[tuple[Family, list[Spooled]]]) -> Iterator[Family]:
        """Merges all families in one dlt run; if that fails each in its own, so that one can't block another."""
        try:
            self._merge([spooled for _, of_family in read for spooled in of_family])
        except disk.DiskFull as error:
            for family, _ in read:
                self._fail(family, error, self.reader.requests)
        except dlt_load.LoadFailed as error:
            for family, spooled in read:
                try:
                    self._merge(spooled)
                except (dlt_load.LoadFailed, disk.DiskFull) as own_error:
                    self._fail(family, own_error, self.reader.requests)
                else:
                    yield family
            log.warning("a joint load failed and was taken apart", account=self.account.key, error=str(error))
        else:
            yield from (family for family, _ in read)

    def _merge(self, files: Sequence[Spooled]) -> None:
        if not files:
            return
        disk.require_room(sum(path.stat().st_size for spooled in files for path in spooled.paths))
        with self._scope(operation="merge"):
            load_id = dlt_load.load(self.account, database_url(), files)
        for spooled in files:
            load = self.loads[spooled.stream.name]
            load.rows += spooled.rows
            load.dlt_load_id = load_id

    # ---- settle

    def _settle(self, family: Family, *, moves_cursor: bool) -> None:
        parent = self.loads[family.parent.name]
        with self.connection.transaction():
            seen_whole = moves_cursor and self._is_read(family.parent) and not self.window.by_date
            self.tables.settle(family, self.loads, seen_whole=seen_whole)
            for one in family.streams:
                ledger.count_unknown_fields(self.connection, self.account, one, family.unknown_fields[one.name])
            if moves_cursor and family.watermark is not None:
                parent.watermark = family.watermark
                if self.window.kind == "live":
                    ledger.move_cursor(self.connection, self.account, family.parent, family.watermark)
                elif self.window.kind == "reload" and not self.window.by_date:
                    ledger.set_cursor(self.connection, self.account, family.parent, family.watermark)

    # ---- compare

    def _compare(self, family: Family) -> None:
        """Holds a family against what the system says, unless it was a backfill, and closes its loads."""
        before = self.reader.requests
        try:
            if self.window.kind != "backfill":
                self._reconcile(family)
        except (ConnectorError, dlt_load.LoadFailed, disk.DiskFull) as error:
            self._fail(family, error, before)
            return
        self.loads[family.parent.name].requests += self.reader.requests - before
        for one in family.streams:
            self._finish(one)

    def _reconcile(self, family: Family) -> None:
        parent = family.parent
        load = self.loads[parent.name]
        swept = None
        theirs = self.reader.count(parent.resource)
        unseen = self.tables.unseen(load, self.window) if self.window.kind == "reload" else set()
        sweeps = self.window.kind == "sweep" or bool(unseen)
        if parent.mode is Mode.INCREMENTAL and (sweeps or self._differs(parent, theirs)):
            if self.window.kind == "live" and self._has_archive(parent):
                self._mark_archived(family)
            if sweeps or self._differs(parent, theirs):
                swept = self._sweep(family, theirs, unseen)
            for child in family.children:
                self.loads[child.name].deleted += self.tables.mark_children(child, parent)
        counted = parent.name in self.our_counts and swept is None  # nothing was marked since
        ours = self.our_counts[parent.name] if counted else self._count_ours(parent)
        source = theirs if swept is None else swept
        if not load.held_back and (source is not None or parent.mode is Mode.FULL):
            DeletionGuard(self.connection, self.account, parent).release()
        if source is not None:
            self.source_counts[parent.name] = source
            method: Method = "count" if swept is None else "sweep"
            ledger.reconcile(self.connection, self.account, load, source, ours, method)
        for child in family.children:
            theirs = self.tables.children_of_parents(child, parent) + self.tables.refused(child)
            self.source_counts[child.name] = theirs
            ours = self._count_ours(child)
            ledger.reconcile(self.connection, self.account, self.loads[child.name], theirs, ours, "parent")

    def _differs(self, parent: Stream, theirs: int | None) -> bool:
        """Whether the system has other rows than ours and those that we had to refuse."""
        if theirs is None:
            return False
        return theirs != self._count_ours(parent) + self.tables.refused(parent)

    def _count_ours(self, of: Stream) -> int:
        self.our_counts[of.name] = self.tables.our_count(of, self.loads[of.name].business_at)
        return self.our_counts[of.name]

    def _has_archive(self, parent: Stream) -> bool:
        return any(column.name == "archived" for column in parent.columns)

    def _mark_archived(self, family: Family) -> None:
        """HubSpot lists what was archived lately: cheaper than all keys."""
        parent = family.parent
        archived = self.reader.read(parent.resource, archived=True)
        path = _key_path(parent)
        self.tables.list_keys(parent, ([value_at(record, path) for record in page.items] for page in archived))
        self.tables.mark_listed(self.loads[parent.name], family.business_at)

    def _sweep(self, family: Family, theirs: int | None, unseen: Set[str]) -> int:
        """Compares all keys: marks what is gone, fetches what we miss. Returns how many the system has.

        `unseen` are rows that a reload did not come across: if they are listed (they left the days that it read, or
        moved between pages) they are fetched.
        """
        parent = family.parent
        load = self.loads[parent.name]
        listed = self.tables.list_keys(parent, self.reader.keys(parent.resource))
        if listed == 0 and theirs:
            raise MalformedResponse(
                f"no keys are listed, though there are {theirs} rows: nothing is marked deleted",
                system=self.account.system,
                account=self.account.key,
                operation=f"keys of {parent.resource}",
            )
        self.tables.mark_unlisted(load, family.business_at)
        missing = self.tables.missing(parent) | self.tables.listed(unseen)
        if missing:
            self._say(f"{self.account.key} {parent.name}: {len(missing):,} rows are missing here and fetched")
            self._fetch(family, missing)
        return listed

    def _fetch(self, family: Family, missing: set[str]) -> None:
        """Reads the missing rows: first where new ones are, then everywhere. Moves no cursor: it reads only a part."""
        parent = family.parent
        part = replace(family, watermark=None, unknown_fields=defaultdict(Counter))
        reading = Reading(part, self.reader, self.spool, self._deliver)
        key_path = _key_path(parent)
        lately = family.business_at - timedelta(minutes=settings().cursor_overlap_minutes)
        everything = len(missing) > FETCHED_BY_KEY
        places: list[datetime | None] = [None] if everything else [lately, None]
        for since in places:
            pages = self.reader.read(parent.resource, properties=properties(parent), modified_since=since)
            reading.read(pages if everything else _picked(pages, key_path, missing))
            if not missing:
                break
        self._merge(self.spool.finish(part.streams))
        self._settle(part, moves_cursor=False)

    # ---- the books

    def _fail(self, family: Family, error: Exception, requests_before: int) -> None:
        self.loads[family.parent.name].requests += self.reader.requests - requests_before
        log.error(
            "a stream could not be loaded",
            account=self.account.key,
            stream=family.parent.name,
            load_id=self.loads[family.parent.name].load_id,
            error=str(error),
            error_class=type(error).__name__,
            correlation_id=error.correlation_id if isinstance(error, ConnectorError) else None,
        )
        for one in family.streams:
            self._finish(one, str(error))

    def _finish(self, of: Stream, error: str | None = None) -> None:
        load = self.loads[of.name]
        counted = error is None and of.name in self.our_counts
        ours = self.our_counts[of.name] if counted else self._count_ours(of)
        ledger.finish(self.connection, load, error)
        self.reports[of.name] = StreamReport(
            stream=of.name,
            load_id=load.load_id,
            rows=load.rows,
            dead_letters=load.dead_letters,
            open_dead_letters=ledger.open_letters(self.connection, self.account, of),
            deleted=load.deleted,
            held_back=load.held_back,
            requests=load.requests,
            seconds=load.seconds,
            watermark=load.watermark,
            our_count=ours,
            source_count=self.source_counts.get(of.name),
            simulated=self.simulated,
            error=error,
        )
        self._say(f"{self.account.key} {of.name}: " + (f"failed: {error}" if error else f"{load.rows:,} rows loaded"))


def _key_path(parent: Stream) -> str:
    return next(column.path for column in parent.columns if column.name == parent.key[0])


def _picked(pages: Iterator[Page], key_path: str, missing: set[str]) -> Iterator[Page]:
    """The missing records among the pages; ends as soon as all were found. Takes them out of `missing`."""
    for page in pages:
        found = [record for record in page.items if str(value_at(record, key_path)) in missing]
        missing.difference_update(str(value_at(record, key_path)) for record in found)
        if found:
            yield Page(found)
        if not missing:
            return
