"""What a load leaves to do in the raw tables once its rows are merged: everything about rows that did not come.

Lines edited away are deleted, what a full reading did not see is marked, a day's snapshot holds only its last reading,
dead letters of rows that fit by now are closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from psycopg import Rollback, sql

from masterops_dagster import clock
from masterops_dagster.businesses import Account
from masterops_dagster.settings import settings
from masterops_dagster.sources.catalogue import PARENT_VERSION
from masterops_dagster.sources.deletions import DeletionGuard
from masterops_dagster.sources.ledger import Connection, Load
from masterops_dagster.sources.raw_tables import table_name
from masterops_dagster.sources.reading import Family
from masterops_dagster.sources.stream import Mode, Stream
from masterops_dagster.sources.window import Window

# A child stays if it came with the reading of its parent that won. `_load_id` finds those of parents that were read
# again, `_parent_version` those of the older reading, where one load met a parent twice.
DELETE_STALE_CHILDREN = """
delete from {child} c
using {parent} p
where p.{parent_id} = c.{parent_key} and p._load_id = %(parent_load)s
    and (c._load_id is distinct from %(child_load)s or c.{version} is distinct from p.{modified})
"""

MARK_UNSEEN = """
update {table} t set _deleted_at = %(business_at)s
where t._deleted_at is null and t._load_id is distinct from %(load)s
    and not exists (
        select from ops.dead_letters d where d.load_id = %(load)s and d.external_id = {external_id}
    )
"""

DELETE_OLDER_SNAPSHOT = """
delete from {table} t
where t.snapshot_date = %(day)s and t._load_id is distinct from %(load)s
    and not exists (
        select from ops.dead_letters d where d.load_id = %(load)s and d.external_id = {external_id}
    )
"""

CLOSE_LETTERS_OF_PARENTS = """
update ops.dead_letters d set status = 'replayed', resolved_at = clock_timestamp(), resolved_by = %(by)s
from {table} t
where d.account = %(account)s and d.stream = %(stream)s and d.status = 'open' and d.load_id < %(load)s
    and t._load_id = %(load)s and d.external_id = {external_id}
"""

# The parent was read again with its children: a letter of an earlier reading has been answered, one way or the other.
CLOSE_LETTERS_OF_CHILDREN = """
update ops.dead_letters d set status = 'replayed', resolved_at = clock_timestamp(), resolved_by = %(by)s
from {parent} p
where d.account = %(account)s and d.stream = %(stream)s and d.status = 'open' and d.load_id < %(load)s
    and p._load_id = %(parent_load)s and d.payload ->> 'parent_key' = p.{parent_id}::text
"""

MARK_CHILDREN_OF_DELETED = """
update {child} c set _deleted_at = p._deleted_at
from {parent} p
where p.{parent_id} = c.{parent_key} and p._deleted_at is not null and c._deleted_at is null
"""

MARK_LISTED = """
update {table} t set _deleted_at = %(business_at)s
from listed_keys l
where l.key = t.{id} and t._deleted_at is null
"""

MARK_UNLISTED = """
update {table} t set _deleted_at = %(business_at)s
where t._deleted_at is null and not exists (select from listed_keys l where l.key = t.{id})
"""

# What a reload did not come across, of the days that it read; a row that could not be loaded was come across.
UNSEEN = """
select t.{id}
from {table} t
where t._deleted_at is null and t._load_id is distinct from %(load)s
    and (%(from)s::timestamptz is null or (t.{date} >= %(from)s and t.{date} < %(to)s))
    and not exists (
        select from ops.dead_letters d where d.load_id = %(load)s and d.external_id = {external_id}
    )
"""

LISTED = "select l.key::text from listed_keys l where l.key::text = any(%s)"

MISSING = """
select l.key from listed_keys l
where not exists (select from {table} t where t.{id} = l.key and t._deleted_at is null)
"""

OUR_COUNT = "select count(*) from {table} where _deleted_at is null"

OUR_COUNT_OF_DAY = OUR_COUNT + " and snapshot_date = %s"

# Rows that the system has and we can't hold: those with an open letter and no row.
REFUSED = """
select count(*) from ops.dead_letters d
where d.account = %s and d.stream = %s and d.status = 'open'
    and not exists (select from {table} t where t._deleted_at is null and {external_id} = d.external_id)
"""

CHILDREN_OF_PARENTS = """
select count(*) from {child} c
join {parent} p on p.{parent_id} = c.{parent_key} and p.{modified} is not distinct from c.{version}
where c._deleted_at is null and p._deleted_at is null
"""


BULK, SHARE = 1_000, 0.1
"""After so many rows, and so large a share of the table, the planner is told at once: believing the table to be small,
it would choose nested loops. A sample of a large table for a few rows costs more than loading them."""

ROWS_KNOWN = "select reltuples from pg_class where oid = %s::regclass"


class RawTables:
    """The raw tables of one account, through a connection that no other thread uses."""

    def __init__(self, connection: Connection, account: Account) -> None:
        self.connection = connection
        self.account = account

    def settle(self, family: Family, loads: Mapping[str, Load], *, seen_whole: bool) -> None:
        """Everything above for a family whose rows are merged. `seen_whole`: its parent was read from end to end."""
        for one in family.streams:
            if loads[one.name].rows >= max(BULK, SHARE * self._rows_known(one)):
                self._run("analyze {table}", one, {})
        parent = loads[family.parent.name]
        if seen_whole and family.parent.mode is Mode.FULL:
            self._mark(MARK_UNSEEN, parent, family.business_at)
        if seen_whole and family.parent.mode is Mode.SNAPSHOT:
            day = clock.business_day(family.business_at)
            self._run(DELETE_OLDER_SNAPSHOT, family.parent, {"day": day, "load": parent.load_id})
        by = f"load {parent.load_id}"
        own = {"account": self.account.key, "stream": family.parent.name, "load": parent.load_id, "by": by}
        self._run(CLOSE_LETTERS_OF_PARENTS, family.parent, own)
        for child in family.children:
            load = loads[child.name]
            values = {"parent_load": parent.load_id, "child_load": load.load_id}
            self._run_child(DELETE_STALE_CHILDREN, child, family.parent, values)
            own = {"account": self.account.key, "stream": child.name, "load": load.load_id, "by": by}
            self._run_child(CLOSE_LETTERS_OF_CHILDREN, child, family.parent, own | {"parent_load": parent.load_id})

    def list_keys(self, stream: Stream, keys: Iterable[Sequence[object]]) -> int:
        """Puts the system's keys into a temporary table, and returns how many different ones there are."""
        kind = next(column.type for column in stream.columns if column.name == stream.key[0])
        self.connection.execute("drop table if exists pg_temp.listed_keys")
        self.connection.execute(
            sql.SQL("create temporary table listed_keys (key {} primary key)").format(sql.SQL(kind.value))
        )
        insert = sql.SQL("insert into listed_keys select unnest(%s::text[])::{} on conflict do nothing").format(
            sql.SQL(kind.value)
        )
        for page in keys:
            self.connection.execute(insert, [[str(key) for key in page]])
        self.connection.execute("analyze listed_keys")
        return self._count("select count(*) from listed_keys")

    def mark_listed(self, load: Load, business_at: datetime) -> None:
        """Marks the rows whose keys are listed as deleted."""
        self._mark(MARK_LISTED, load, business_at)

    def mark_unlisted(self, load: Load, business_at: datetime) -> None:
        """Marks the rows whose keys are not listed as deleted."""
        self._mark(MARK_UNLISTED, load, business_at)

    def unseen(self, load: Load, window: Window) -> set[str]:
        """The keys of rows that a reload should have come across and did not."""
        named = {"load": load.load_id, "from": window.starts_at, "to": window.ends_at}
        return {str(key) for (key,) in self.connection.execute(self._compose(UNSEEN, load.stream), named)}

    def listed(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that are listed."""
        return {key for (key,) in self.connection.execute(LISTED, [list(keys)])}

    def missing(self, stream: Stream) -> set[str]:
        """The listed keys that have no row, or one that is marked deleted."""
        return {str(key) for (key,) in self.connection.execute(self._compose(MISSING, stream))}

    def mark_children(self, child: Stream, parent: Stream) -> int:
        """Marks the children of parents that are marked deleted."""
        return self._run_child(MARK_CHILDREN_OF_DELETED, child, parent, {})

    def our_count(self, stream: Stream, business_at: datetime) -> int:
        """How many rows we hold that are not marked deleted; of a snapshot, those of that moment's day."""
        if stream.mode is Mode.SNAPSHOT:
            return self._count(self._compose(OUR_COUNT_OF_DAY, stream), [clock.business_day(business_at)])
        return self._count(self._compose(OUR_COUNT, stream))

    def _rows_known(self, stream: Stream) -> int:
        """How many rows the planner believes there to be; -1 where it knows nothing."""
        return self._count(ROWS_KNOWN, [table_name(self.account, stream).as_string()])

    def refused(self, stream: Stream) -> int:
        """How many rows an open dead letter keeps from being ours."""
        return self._count(self._compose(REFUSED, stream), [self.account.key, stream.name])

    def children_of_parents(self, child: Stream, parent: Stream) -> int:
        """How many children belong to the version of a parent that we hold."""
        return self._count(self._compose_child(CHILDREN_OF_PARENTS, child, parent))

    def _mark(self, statement: str, load: Load, business_at: datetime) -> None:
        """Marks rows of the load's stream as deleted; none if they are too many to believe, and that is told."""
        guard = DeletionGuard(self.connection, self.account, load.stream)
        ours = 0
        with self.connection.transaction() as marking:
            gone = self._run(statement, load.stream, {"business_at": business_at, "load": load.load_id})
            if gone >= settings().deletions_held_rows:
                ours = gone + self.our_count(load.stream, business_at)
            if guard.holds_back(gone, of=ours):
                raise Rollback(marking)
            load.deleted += gone
            return
        load.held_back = max(load.held_back, gone)
        guard.hold(load, ours)

    def _run(self, statement: str, stream: Stream, values: Mapping[str, object]) -> int:
        return self.connection.execute(self._compose(statement, stream), values).rowcount

    def _run_child(self, statement: str, child: Stream, parent: Stream, values: Mapping[str, object]) -> int:
        return self.connection.execute(self._compose_child(statement, child, parent), values).rowcount

    def _count(self, statement: str | sql.Composed, values: Sequence[object] | Mapping[str, object] = ()) -> int:
        query = sql.SQL(statement) if isinstance(statement, str) else statement
        row = self.connection.execute(query, values).fetchone()
        assert row is not None
        return int(row[0])

    def _compose(self, statement: str, stream: Stream) -> sql.Composed:
        key = [sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in stream.key]
        return sql.SQL(statement).format(
            table=table_name(self.account, stream),
            id=sql.Identifier(stream.key[0]),
            date=sql.Identifier(stream.business_date or stream.key[0]),
            external_id=sql.SQL("concat_ws('|', {})").format(sql.SQL(", ").join(key)),
        )

    def _compose_child(self, statement: str, child: Stream, parent: Stream) -> sql.Composed:
        assert child.parent_key is not None
        assert parent.modified is not None
        return sql.SQL(statement).format(
            child=table_name(self.account, child),
            parent=table_name(self.account, parent),
            parent_id=sql.Identifier(parent.key[0]),
            parent_key=sql.Identifier(child.parent_key),
            modified=sql.Identifier(parent.modified),
            version=sql.Identifier(PARENT_VERSION.name),
        )
