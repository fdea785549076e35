"""`World`: what every stand-in answers from.

The interface for the HTTP side (paths, signatures and limits are its own business):

    world = World.open(state / "world")             # creates it (seed, scale) at first, a few seconds; else opens it
    world.now()                                     # business time; what is dated later can't be seen
    world.page(account, resource, Query(…), offset=0, limit=100)   # Page(records, total)
    world.count(account, resource, Query(…));  world.scan(…, Query(…));  world.get(account, resource, id)
    world.associations("contacts", "companies", ids)               # {from id: [AssociationTo]}
    world.create("contacts", {…});  update;  upsert;  archive;  merge;  associate;  dissociate
    with world.transaction(): …                                    # several writes, all or none (a batch, one sync)

`account` is an account key (`hubspot`, `unleashed_teelixir`, `woocommerce_red_hill_fresh`). Resources:

- HubSpot: contacts, companies, deals, products, line_items (`number` = int(id); body {id, properties, createdAt,
  updatedAt, archived[, archivedAt]}: all properties the record has, as strings or None, of which the HTTP side picks
  those asked for); owners; `pipelines` (parent = object type); `properties` (parent = object type, id
  `contacts/email`). A merged contact's old id is gone (`get` gives None); an archived record needs `archived=True`.
- Unleashed: the names in its paths (Products, ProductGroups, Customers, Suppliers, Warehouses, SalesPersons,
  SalesOrders, Invoices, CreditNotes, PurchaseOrders, StockAdjustments, StockOnHand); id = Guid; `business_at` is the
  date that `startDate`/`endDate` filter by (OrderDate, InvoiceDate, CreditDate, AdjustmentDate; else CreatedOn).
- Shopify: orders, customers, products, locations, abandoned_checkouts, inventory_levels; id = gid, every connection a
  plain list; `business_at` is `createdAt`. Moments are whole seconds.
- BigCommerce: orders (`products` and `shipments` are in them; an archived one needs `archived=True`), refunds (parent
  = order id), customers (with addresses), products (with variants), inventory; id = str(number). Stock is the day's.
- WooCommerce: orders, refunds (parent = order id), customers, products, `products/variations` (parent = product id);
  id = str(number). Moments are whole seconds. A product's stock is that of the Melbourne day.
- n8n: workflows (with all that is in them, and `pauses`, which the API doesn't show), executions (`number` = int(id);
  `business_at` is the start, or 1970 before it), tags, credentials. What has ended vanishes after a fortnight.

Bodies are JSON-ready dicts, fresh for each call. Records are stored as versions that become visible when business time
passes them; days are generated when business time comes near them, always the same for a seed, start and scale.
One `World` may be used from many threads, and several processes may open one folder: SQLite in WAL mode, each write a
synced transaction, so a kill -9 at any moment loses nothing that was answered.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.simulator.world import clock, generate, stock
from masterops_dagster.simulator.world.records import (
    EPOCH,
    FOREVER,
    Association,
    Body,
    Page,
    Query,
    Record,
    Version,
    iso,
    millis,
    moment,
)
from masterops_dagster.simulator.world.rhythm import Plan

WORLD_FILE = "world.sqlite"
WRITTEN_ID_START = 900_000_000_000
"""Objects created through HubSpot's API get ids from here on, clear of the generated ones."""

SCHEMA = """
create table if not exists world (
    singleton integer primary key check (singleton = 1),
    seed integer not null,
    scale real not null,
    start text not null,              -- Melbourne day on which the world was made; its history lies before
    generated_through text not null,  -- last Melbourne day that is generated; '' before the first
    imported text not null,           -- businesses whose shop history was imported, JSON
    next_id integer not null          -- next id of what is written or imported
);
create table if not exists collections (
    collection integer primary key,
    account text not null,
    resource text not null,
    unique (account, resource)
);
create table if not exists records (
    seq integer primary key,
    collection integer not null,
    id text not null,
    number integer not null,
    parent text not null,
    visible_from integer not null,
    visible_to integer not null,
    created_at integer not null,
    business_at integer not null,
    modified_at integer not null,
    archived integer not null,
    origin text not null,             -- generated, imported, written
    email text,                       -- of a HubSpot contact
    other_emails text,                -- its additional ones, ';' at both ends and between
    body text not null
);
create table if not exists associations (
    from_type text not null,
    from_id text not null,
    to_type text not null,
    to_id text not null,
    visible_from integer not null,
    visible_to integer not null,
    types text not null,              -- JSON list of [category, typeId, label]
    primary key (from_type, from_id, to_type, to_id, visible_from)
) without rowid;
"""

INDEXES = {
    "records_by_id": "records (collection, id, visible_from)",
    "records_by_number": "records (collection, number, visible_from, visible_to, archived)",
    "records_by_business": "records (collection, business_at, visible_from, visible_to, archived)",
    "records_by_modified": "records (collection, modified_at, visible_from, visible_to, archived)",
    "records_by_parent": "records (collection, parent) where parent <> ''",
    "records_by_email": "records (email) where email is not null",
    "records_by_other_emails": "records (other_emails) where other_emails is not null",
}
"""Made once the history is there: sorting it then takes a fraction of keeping it sorted meanwhile."""

RESOURCES: dict[str, tuple[str, ...]] = {
    "hubspot": (
        *("contacts", "companies", "deals", "products", "line_items", "tickets", "orders"),
        *("owners", "pipelines", "properties"),
    ),
    "unleashed": (
        *("Products", "ProductGroups", "Customers", "Suppliers", "Warehouses", "SalesPersons"),
        *("SalesOrders", "Invoices", "CreditNotes", "PurchaseOrders", "StockAdjustments"),
    ),
    "shopify": ("orders", "customers", "products", "locations", "abandoned_checkouts"),
    "bigcommerce": ("orders", "refunds", "customers", "products"),
    "woocommerce": ("orders", "refunds", "customers", "products", "products/variations"),
    "n8n": ("workflows", "executions", "tags", "credentials"),
    "supabase": (),
}
"""What is stored for an account of each system."""

UNIQUE_PROPERTIES = {"contacts": "email"}
"""HubSpot refuses a second object with one of these values (409)."""

MODIFIED_PROPERTY = {"contacts": "lastmodifieddate"}
"""Everything else calls it `hs_lastmodifieddate`."""

decode_exactly = msgspec.json.Decoder(float_hook=Decimal).decode
encode_body = msgspec.json.Encoder(decimal_format="number").encode


class UnknownRecord(LookupError):
    """There is no such live record at business-now."""


class DuplicateValue(ValueError):
    """The value of a unique property belongs to `existing_id` already."""

    def __init__(self, object_type: str, name: str, value: str, existing_id: str) -> None:
        super().__init__(f"{object_type} {name}={value!r} exists already. Existing ID: {existing_id}")
        self.existing_id = existing_id


@dataclass(frozen=True, slots=True)
class WorldState:
    """What the world follows from, and how far it is generated."""

    plan: Plan
    generated_through: date | None
    imported: frozenset[str]
    next_id: int

    @property
    def scale(self) -> float:
        return self.plan.scale


@dataclass(frozen=True, slots=True)
class AssociationTo:
    """One end of an association, as HubSpot lists it."""

    to_id: str
    types: tuple[tuple[str, int, str | None], ...]
    """(category, typeId, label)."""


class World:
    """See the module's docstring. Build it with `World.open`."""

    def __init__(self, directory: Path, now: Callable[[], datetime] | None = None, *, exact: bool = False) -> None:
        self.directory = directory
        self._now = now
        self._decode = msgspec.json.Decoder(float_hook=Decimal).decode if exact else msgspec.json.decode
        self._local = threading.local()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        seed: int = 1,
        scale: float = 1.0,
        now: Callable[[], datetime] | None = None,
        progress: Callable[[date, date], None] | None = None,
    ) -> World:
        """Opens the world in this folder; makes it first where there is none, starting at the present business day.

        `seed` and `scale` count only when it is made. `now` replaces business time (tests, truth of the past).
        `progress(day, last day)` is called as days are generated. A first making that was cut short goes on.
        """
        directory.mkdir(parents=True, exist_ok=True)
        world = cls(directory, now)
        world._create(seed, scale)
        world.catch_up(progress)
        world._index()
        return world

    @staticmethod
    def exists(directory: Path) -> bool:
        return (directory / WORLD_FILE).exists()

    def close(self) -> None:
        """Closes this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def seen_at(self, at: datetime) -> World:
        """The same world as it could be seen at a moment, with decimals for all numbers that aren't whole."""
        return World(self.directory, lambda: at, exact=True)

    # ---- time and state

    def now(self) -> datetime:
        """Business time, aware, UTC."""
        return self._now() if self._now is not None else clock.now(self.directory)

    def state(self) -> WorldState:
        row = self._connection.execute(
            "select seed, scale, start, generated_through, imported, next_id from world"
        ).fetchone()
        return WorldState(
            plan=Plan(seed=row[0], scale=row[1], start=date.fromisoformat(row[2])),
            generated_through=date.fromisoformat(row[3]) if row[3] else None,
            imported=frozenset(msgspec.json.decode(row[4])),
            next_id=row[5],
        )

    def catch_up(self, progress: Callable[[date, date], None] | None = None) -> None:
        """Generates the days up to tomorrow that are missing, each in a transaction of its own or a few together."""
        last = clock.melbourne_day(self.now()) + timedelta(days=1)
        while (state := self.state()).generated_through is None or state.generated_through < last:
            with self.transaction():
                state = self.state()  # another process may have been faster
                rows = 0
                day = state.generated_through
                while rows < 20_000 and (day is None or day < last):
                    if day is None:
                        rows += self.insert(generate.base(state.plan, state.imported))
                        day = state.plan.first - timedelta(days=1)
                    else:
                        day += timedelta(days=1)
                        rows += self.insert(generate.day(state.plan, state.imported, day))
                        if progress is not None:
                            progress(day, last)
                self._connection.execute("update world set generated_through = ?", (str(day),))

    def reset(self, seed: int, scale: float, progress: Callable[[date, date], None] | None = None) -> None:
        """Makes the world anew, starting at the present business day."""
        with self.transaction():
            for index in INDEXES:
                self._connection.execute(f"drop index if exists {index}")
            for table in ("records", "associations", "world"):
                self._connection.execute(f"delete from {table}")  # noqa: S608 names of our own
        self._create(seed, scale)
        self.catch_up(progress)
        self._index()

    # ---- reading

    def page(
        self, account: str, resource: str, query: Query | None = None, *, offset: int = 0, limit: int = 100
    ) -> Page:
        """Rows `offset` … `offset + limit` of what the query finds, and how many it finds in all."""
        query = query or Query()
        at = self._ready()
        if resource in stock.SNAPSHOTS:
            found = self._of_the_day(account, resource, query, at)
            return Page(found[offset : offset + limit], len(found))
        if query.matching is not None:
            matching = list(self._scan(account, resource, query, at))
            return Page(matching[offset : offset + limit], len(matching))
        where, arguments = self._where(account, resource, query, at)
        total: int = self._connection.execute(f"select count(*) from records where {where}", arguments).fetchone()[0]  # noqa: S608
        rows = self._connection.execute(
            f"select {RECORD_COLUMNS} from records where {where} order by {_order(query)} limit ? offset ?",  # noqa: S608
            (*arguments, limit, offset),
        ).fetchall()
        return Page([self._record(account, resource, row, at) for row in rows], total)

    def count(self, account: str, resource: str, query: Query | None = None) -> int:
        return self.page(account, resource, query, limit=0).total

    def get(self, account: str, resource: str, id: str, *, archived: bool | None = False) -> Record | None:
        """The record as it can be seen now, or None."""
        if resource in stock.SNAPSHOTS:
            found = self.page(account, resource, Query(ids=(id,), archived=archived), limit=1).records
            return found[0] if found else None
        at = self._ready()
        row = self._connection.execute(
            f"""select {RECORD_COLUMNS} from records
            where collection = ? and id = ? and visible_from <= ? and visible_to > ?
                and (? is null or archived = ?)""",  # noqa: S608 names of our own
            (self._collection(account, resource), id, at, at, archived, archived),
        ).fetchone()
        return self._record(account, resource, row, at) if row is not None else None

    def scan(self, account: str, resource: str, query: Query | None = None) -> Iterator[Record]:
        """All that the query finds, row by row, as of one moment."""
        query = query or Query()
        at = self._ready()
        if resource in stock.SNAPSHOTS:
            yield from self._of_the_day(account, resource, query, at)
        else:
            yield from self._scan(account, resource, query, at)

    def ever(self, account: str, resource: str) -> Iterator[Record]:
        """All that there is or was up to now, each record in its last state, in no particular order."""
        at = self._ready()
        for row in self._connection.execute(
            f"""select {RECORD_COLUMNS} from records where collection = ? and visible_from <= ?
            group by id having visible_from = max(visible_from)""",  # noqa: S608 names of our own
            (self._collection(account, resource), at),
        ):
            yield self._record(account, resource, row, at)

    def associations(self, from_type: str, to_type: str, ids: Collection[str]) -> dict[str, list[AssociationTo]]:
        """What each of the objects is associated with; objects without any are missing from the answer."""
        at = self._ready()
        found: dict[str, list[AssociationTo]] = {}
        rows = self._connection.execute(
            """
            select a.from_id, a.to_id, a.types
            from associations a
            join json_each(?) as wanted on wanted.value = a.from_id
            where a.from_type = ? and a.to_type = ? and a.visible_from <= ? and a.visible_to > ?
            order by a.from_id, cast(a.to_id as integer)
            """,
            (msgspec.json.encode(sorted(set(ids))).decode(), from_type, to_type, at, at),
        )
        for from_id, to_id, types in rows:
            kinds = tuple((category, type_id, label) for category, type_id, label in msgspec.json.decode(types))
            found.setdefault(from_id, []).append(AssociationTo(to_id, kinds))
        return found

    # ---- writing: HubSpot's objects

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several writes, all or none; may be nested. Reads inside see the writes."""
        connection = self._connection
        if connection.in_transaction:
            yield
            return
        connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")

    def find(self, object_type: str, name: str, value: str) -> Record | None:
        """The live HubSpot object with that property value; e-mails in any case, additional ones too."""
        if name == "hs_object_id":
            return self.get("hubspot", object_type, value)
        if name == "email" and object_type == "contacts":
            at, wanted = self._ready(), value.strip().lower()
            row = self._connection.execute(
                """
                select id from records
                where email = ? and visible_from <= ? and visible_to > ? and not archived
                union all
                select id from records
                where other_emails is not null and instr(other_emails, ?) and visible_from <= ? and visible_to > ?
                    and not archived
                """,
                (wanted, at, at, f";{wanted};", at, at),
            ).fetchone()
            return self.get("hubspot", object_type, row[0]) if row else None
        found = self.page("hubspot", object_type, Query(fields={f"properties.{name}": (value,)}), limit=1).records
        return found[0] if found else None

    def create(self, object_type: str, properties: Mapping[str, str | None]) -> Record:
        """A new object, visible at once. Raises `DuplicateValue` where a unique value is taken."""
        with self.transaction():
            at = self._ready()
            self._refuse_duplicates(object_type, properties, own_id=None)
            number = self._next_ids(1)
            body: Body = {"id": str(number), "properties": {"createdate": iso(at), "hs_object_id": str(number)}}
            body["properties"].update(_clean(properties))
            body["createdAt"] = iso(at)
            version = Version("hubspot", object_type, str(number), number, at, at, at, at, body)
            self._put(_touched(version, at))
        return self._expect(object_type, str(number))

    def update(self, object_type: str, id: str, properties: Mapping[str, str | None]) -> Record:
        """Changes properties; what the world has in store for this object later keeps them changed.

        Raises `UnknownRecord`, `DuplicateValue`.
        """
        with self.transaction():
            at = self._ready()
            self._expect(object_type, id)
            self._refuse_duplicates(object_type, properties, own_id=id)
            changed = _clean(properties)
            versions = self._versions(object_type, id)
            current = next(v for v in versions if v.visible_from <= at < v.visible_to)
            self._replace(current, at, changed)
            for later in versions:
                if later.visible_from > at:
                    later.body["properties"].update(changed)
                    self._connection.execute(
                        """update records set body = ?, email = ?, other_emails = ?
                        where collection = ? and id = ? and visible_from = ?""",
                        (
                            encode_body(later.body).decode(),
                            *_emails(later),
                            self._collection("hubspot", object_type),
                            id,
                            later.visible_from,
                        ),
                    )
        return self._expect(object_type, id)

    def upsert(
        self, object_type: str, id_property: str, value: str, properties: Mapping[str, str | None]
    ) -> tuple[Record, bool]:
        """Updates the object with that value of a unique property, or creates it; the flag says whether it is new."""
        with self.transaction():
            existing = self.find(object_type, id_property, value)
            if existing is not None:
                return self.update(object_type, existing.id, properties), False
            own = {} if id_property == "hs_object_id" else {id_property: value}
            return self.create(object_type, {**own, **properties}), True

    def archive(self, object_type: str, id: str) -> None:
        """Archives an object; it is found by `archived=True` afterwards. Raises `UnknownRecord`."""
        with self.transaction():
            at = self._ready()
            self._expect(object_type, id)
            current = self._end(object_type, id, at)
            body = {**current.body, "archived": True, "archivedAt": iso(at), "updatedAt": iso(at)}
            self._put(replace(current, visible_from=at, visible_to=FOREVER, modified_at=at, archived=True, body=body))
            self._end_associations(object_type, id, at)

    def merge(self, object_type: str, primary_id: str, merged_id: str) -> Record:
        """Merges one object into another, whose values win; the merged id is gone. Raises `UnknownRecord`."""
        with self.transaction():
            at = self._ready()
            primary, merged = self._expect(object_type, primary_id), self._expect(object_type, merged_id)
            mine, theirs = primary.body["properties"], merged.body["properties"]
            changed = {name: value for name, value in theirs.items() if value and not mine.get(name)}
            ids = [*_listed(mine.get("hs_merged_object_ids")), *_listed(theirs.get("hs_merged_object_ids")), merged_id]
            changed["hs_merged_object_ids"] = ";".join(ids)
            emails = [
                *_listed(mine.get("hs_additional_emails")),
                *_listed(theirs.get("hs_additional_emails")),
                *_listed(theirs.get("email") if mine.get("email") else None),
            ]
            if object_type == "contacts" and emails:
                changed["hs_additional_emails"] = ";".join(dict.fromkeys(emails))
            self._end(object_type, merged_id, at)
            for to_type, to in self._associated(object_type, merged_id, at):
                self.associate(object_type, primary_id, to_type, to.to_id, to.types)
            self._end_associations(object_type, merged_id, at)
            return self.update(object_type, primary_id, changed)

    def associate(
        self, from_type: str, from_id: str, to_type: str, to_id: str, types: Iterable[tuple[str, int, str | None]]
    ) -> None:
        """Associates two objects, in both directions, in place of what was between them."""
        with self.transaction():
            at = self._ready()
            kinds = tuple(types)
            self.dissociate(from_type, from_id, to_type, to_id)
            self._associate([Association(from_type, from_id, to_type, to_id, at, kinds)])

    def dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        """Ends the association of two objects, if there is one."""
        with self.transaction():
            at = self._ready()
            for ends in ((from_type, from_id, to_type, to_id), (to_type, to_id, from_type, from_id)):
                self._connection.execute(
                    """delete from associations
                    where from_type = ? and from_id = ? and to_type = ? and to_id = ? and visible_from >= ?""",
                    (*ends, at),
                )
                self._connection.execute(
                    """update associations set visible_to = ?
                    where from_type = ? and from_id = ? and to_type = ? and to_id = ? and visible_to > ?""",
                    (at, *ends, at),
                )

    def erase(self, object_type: str, id: str) -> None:
        """Deletes a HubSpot object for good, archived or not, past states included; nothing where there is none."""
        with self.transaction():
            at = self._ready()
            self._end_associations(object_type, id, at)
            self._connection.execute(
                "delete from records where collection = ? and id = ?", (self._collection("hubspot", object_type), id)
            )

    # ---- writing: records of the other systems

    def put(self, account: str, resource: str, id: str, body: Body, business_at: datetime | None = None) -> Record:
        """The record as it is from now on, in place of what was there and of all that was in store for it.

        `business_at` is the date that the API's date window filters by; without it, creation.
        """
        with self.transaction():
            at = self._ready()
            before = self.get(account, resource, id)
            self._cut_off(account, resource, id, at)
            created = millis(before.created_at) if before is not None else at
            self._put(
                Version(
                    account=account,
                    resource=resource,
                    id=id,
                    number=before.number if before is not None else self._next_ids(1),
                    parent=before.parent if before is not None else "",
                    visible_from=at,
                    created_at=created,
                    business_at=millis(business_at) if business_at is not None else created,
                    modified_at=at,
                    body=body,
                )
            )
            record = self.get(account, resource, id)
        if record is None:
            raise UnknownRecord(f"{account} {resource} {id} was written and can't be seen")
        return record

    def foretell(self, versions: Sequence[Version]) -> None:
        """A record's states from now on, its coming ones too, in place of all that was in store for it."""
        with self.transaction():
            self._cut_off(versions[0].account, versions[0].resource, versions[0].id, self._ready())
            self.insert(versions, origin="written")

    def remove(self, account: str, resource: str, id: str) -> None:
        """The record is gone from now on. Raises `UnknownRecord`."""
        with self.transaction():
            at = self._ready()
            if self.get(account, resource, id, archived=None) is None:
                raise UnknownRecord(f"{account} {resource} {id}")
            self._cut_off(account, resource, id, at)

    def _cut_off(self, account: str, resource: str, id: str, at: int) -> None:
        key = (self._collection(account, resource), id)
        self._connection.execute(
            "delete from records where collection = ? and id = ? and visible_from >= ?", (*key, at)
        )
        self._connection.execute(
            "update records set visible_to = ? where collection = ? and id = ? and visible_to > ?", (at, *key, at)
        )

    # ---- writing: generated and imported records

    def insert(self, items: Iterable[Version | Association], origin: str = "generated") -> int:
        """Stores versions and associations, streaming. Returns how many rows."""
        rows = 0
        batch: list[tuple[object, ...]] = []
        pairs: list[Association] = []
        for item in items:
            rows += 1
            if isinstance(item, Association):
                pairs.append(item)
                continue
            batch.append(self._row(item, origin))
            if len(batch) >= 5_000:
                self._connection.executemany(INSERT_RECORD, batch)
                batch.clear()
        self._connection.executemany(INSERT_RECORD, batch)
        self._associate(pairs)
        return rows

    def replace_history(
        self,
        collections: Collection[tuple[str, str]],
        business_key: str,
        build: Callable[[int], Iterable[Version]],
    ) -> int:
        """Puts imported records in place of everything these (account, resource) hold, from business-now on, for good.

        `build(at)` gives them, visible from `at` (milliseconds). Returns how many.
        """
        with self.transaction():
            at = self._ready()
            for account, resource in collections:
                collection = self._collection(account, resource)
                self._connection.execute(
                    "delete from records where collection = ? and visible_from >= ?", (collection, at)
                )
                self._connection.execute(
                    "update records set visible_to = ? where collection = ? and visible_to > ?", (at, collection, at)
                )
            imported = sorted(self.state().imported | {business_key})
            self._connection.execute("update world set imported = ?", (msgspec.json.encode(imported).decode(),))
            return self.insert(build(at), origin="imported")

    def reserve_ids(self, count: int) -> int:
        """The first of `count` ids that nothing else in the world has or will get."""
        with self.transaction():
            return self._next_ids(count)

    # ---- inside

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.directory / WORLD_FILE, isolation_level=None, timeout=60)
            connection.execute("pragma page_size = 16384")
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute("pragma cache_size = -32000")
            self._local.connection = connection
        return connection

    def _create(self, seed: int, scale: float) -> None:
        if not scale > 0:
            raise ValueError(f"the scale must be above 0, not {scale}")
        with self.transaction():
            for statement in SCHEMA.split(";\n"):
                self._connection.execute(statement)
            self._connection.executemany(
                "insert or ignore into collections (account, resource) values (?, ?)",
                [(account.key, resource) for account in ACCOUNTS for resource in RESOURCES[account.system]],
            )
            self._connection.execute(
                "insert or ignore into world values (1, ?, ?, ?, '', '[]', ?)",
                (seed, scale, str(clock.melbourne_day(self.now())), WRITTEN_ID_START),
            )

    def _index(self) -> None:
        for name, columns in INDEXES.items():
            self._connection.execute(f"create index if not exists {name} on {columns}")

    def _ready(self) -> int:
        """Business-now in milliseconds, with everything up to it generated."""
        at = self.now()
        through = self._connection.execute("select generated_through from world").fetchone()[0]
        if through <= str(clock.melbourne_day(at)):
            self.catch_up()
        return millis(at)

    def _collection(self, account: str, resource: str) -> int:
        """The number under which an account's resource is stored; 0, which holds nothing, for one it doesn't have."""
        known: dict[tuple[str, str], int] | None = getattr(self._local, "collections", None)
        if known is None:
            rows = self._connection.execute("select account, resource, collection from collections")
            known = self._local.collections = {(row[0], row[1]): row[2] for row in rows}
        return known.get((account, resource), 0)

    def _row(self, version: Version, origin: str) -> tuple[object, ...]:
        return (
            self._collection(version.account, version.resource),
            version.id,
            version.number,
            version.parent,
            version.visible_from,
            version.visible_to,
            version.created_at,
            version.business_at,
            version.modified_at,
            int(version.archived),
            origin,
            *_emails(version),
            encode_body(version.body).decode(),
        )

    def _put(self, version: Version) -> None:
        self._connection.execute(INSERT_RECORD, self._row(version, "written"))

    def _where(self, account: str, resource: str, query: Query, at: int) -> tuple[str, tuple[object, ...]]:
        clauses = ["collection = ?", "visible_from <= ?", "visible_to > ?"]
        arguments: list[object] = [self._collection(account, resource), at, at]

        def also(clause: str, *values: object) -> None:
            clauses.append(clause)
            arguments.extend(values)

        if query.archived is not None:
            also("archived = ?", int(query.archived))
        if query.ids is not None:
            also("id in (select value from json_each(?))", _json_list(query.ids))
        if query.parents is not None:
            also("parent <> '' and parent in (select value from json_each(?))", _json_list(query.parents))
        for column, start, end in (
            ("modified_at", query.modified_from, query.modified_to),
            ("business_at", query.business_from, query.business_to),
            ("created_at", query.created_from, query.created_to),
        ):
            if start is not None:
                also(f"{column} >= ?", _ceil_millis(start))
            if end is not None:
                also(f"{column} < ?", _ceil_millis(end))
        if query.after_number is not None:
            also("number > ?", query.after_number)
        if query.before_number is not None:
            also("number < ?", query.before_number)
        for path, values in query.fields.items():
            also(
                "cast(json_extract(body, ?) as text) in (select value from json_each(?))",
                "$." + path,
                _json_list(values),
            )
        return " and ".join(clauses), tuple(arguments)

    def _scan(self, account: str, resource: str, query: Query, at: int) -> Iterator[Record]:
        where, arguments = self._where(account, resource, query, at)
        for row in self._connection.execute(
            f"select {RECORD_COLUMNS} from records where {where} order by {_order(query)}",  # noqa: S608
            arguments,
        ):
            record = self._record(account, resource, row, at)
            if query.matching is None or query.matching(record.body):
                yield record

    def _record(self, account: str, resource: str, row: tuple[Any, ...], at: int) -> Record:
        id, number, created, business, modified, archived, parent, origin, text = row
        body: Body = self._decode(text)
        if account.startswith("woocommerce") and resource in stock.CARRIES_STOCK and origin != "imported":
            stock.set_level(body, self._seed(), clock.melbourne_day(moment(at)))
        elif account.startswith("bigcommerce") and resource == "products":
            stock.set_variant_levels(body, self._seed(), clock.melbourne_day(moment(at)))
        return Record(
            id=id,
            number=number,
            created_at=moment(created),
            business_at=moment(business),
            modified_at=moment(modified),
            archived=bool(archived),
            parent=parent,
            body=body,
        )

    def _seed(self) -> int:
        seed: int = self._connection.execute("select seed from world").fetchone()[0]
        return seed

    def _of_the_day(self, account: str, resource: str, query: Query, at: int) -> list[Record]:
        """Stock is no stored record: it follows from the products of the day."""
        products, rows_of = stock.SNAPSHOTS[resource]
        day = clock.melbourne_day(moment(at))
        seed = self._seed()
        where, arguments = self._where(account, products, Query(), at)
        rows: list[Record] = []
        for (text,) in self._connection.execute(
            f"select body from records where {where} and origin <> 'imported' order by number",  # noqa: S608
            arguments,
        ):
            for row in rows_of(account, decode_exactly(text), seed, day, len(rows)):
                rows.append(replace(row, body=self._decode(encode_body(row.body))))
        return [row for row in rows if _matches(row, query)]

    def _expect(self, object_type: str, id: str) -> Record:
        record = self.get("hubspot", object_type, id)
        if record is None:
            raise UnknownRecord(f"{object_type} {id} does not exist")
        return record

    def _refuse_duplicates(self, object_type: str, properties: Mapping[str, str | None], own_id: str | None) -> None:
        name = UNIQUE_PROPERTIES.get(object_type)
        value = properties.get(name) if name else None
        if name and value:
            existing = self.find(object_type, name, value)
            if existing is not None and existing.id != own_id:
                raise DuplicateValue(object_type, name, value, existing.id)

    def _next_ids(self, count: int) -> int:
        first: int = self._connection.execute(
            "update world set next_id = next_id + ? returning next_id - ?", (count, count)
        ).fetchone()[0]
        return first

    def _versions(self, object_type: str, id: str) -> list[Version]:
        rows = self._connection.execute(
            """select number, visible_from, visible_to, created_at, business_at, modified_at, archived, body
            from records where collection = ? and id = ? order by visible_from""",
            (self._collection("hubspot", object_type), id),
        )
        return [
            Version(
                account="hubspot",
                resource=object_type,
                id=id,
                number=number,
                visible_from=visible_from,
                visible_to=visible_to,
                created_at=created,
                business_at=business,
                modified_at=modified,
                archived=bool(archived),
                body=msgspec.json.decode(text),
            )
            for number, visible_from, visible_to, created, business, modified, archived, text in rows
        ]

    def _replace(self, current: Version, at: int, changed: Mapping[str, str | None]) -> None:
        """A new version of an object, from `at` until what the old one's successor says."""
        body = {**current.body, "properties": {**current.body["properties"], **changed}}
        key = (self._collection("hubspot", current.resource), current.id, current.visible_from)
        if current.visible_from == at:
            self._connection.execute("delete from records where collection = ? and id = ? and visible_from = ?", key)
        else:
            self._connection.execute(
                "update records set visible_to = ? where collection = ? and id = ? and visible_from = ?", (at, *key)
            )
        self._put(_touched(replace(current, visible_from=at, body=body), at))

    def _end(self, object_type: str, id: str, at: int) -> Version:
        """Ends an object at `at`, with all that was in store for it. Returns its last version."""
        current = next(v for v in self._versions(object_type, id) if v.visible_from <= at < v.visible_to)
        key = (self._collection("hubspot", object_type), id)
        self._connection.execute(
            "delete from records where collection = ? and id = ? and visible_from >= ?", (*key, at)
        )
        self._connection.execute(
            "update records set visible_to = ? where collection = ? and id = ? and visible_to > ?", (at, *key, at)
        )
        return current

    def _associate(self, pairs: Iterable[Association]) -> None:
        self._connection.executemany(
            "insert or replace into associations values (?, ?, ?, ?, ?, ?, ?)",
            (
                (*ends, pair.visible_from, pair.visible_to, msgspec.json.encode(types).decode())
                for pair in pairs
                for *ends, types in (
                    (pair.from_type, pair.from_id, pair.to_type, pair.to_id, pair.types),
                    (pair.to_type, pair.to_id, pair.from_type, pair.from_id, _reversed(pair.types)),
                )
            ),
        )

    def _associated(self, object_type: str, id: str, at: int) -> list[tuple[str, AssociationTo]]:
        rows = self._connection.execute(
            """select to_type, to_id, types from associations
            where from_type = ? and from_id = ? and visible_from <= ? and visible_to > ?""",
            (object_type, id, at, at),
        )
        return [(to_type, AssociationTo(to_id, msgspec.json.decode(types))) for to_type, to_id, types in rows]

    def _end_associations(self, object_type: str, id: str, at: int) -> None:
        for to_type, to in self._associated(object_type, id, at):
            self.dissociate(object_type, id, to_type, to.to_id)


OPPOSITE_TYPES = {1: 2, 3: 4, 5: 6, 19: 20, 279: 280, 341: 342}
"""HubSpot's own association types come in pairs, one for each direction: 1 contact → company, 2 company → contact."""

RECORD_COLUMNS = "id, number, created_at, business_at, modified_at, archived, parent, origin, body"

INSERT_RECORD = """
insert into records (collection, id, number, parent, visible_from, visible_to, created_at, business_at, modified_at,
    archived, origin, email, other_emails, body)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _order(query: Query) -> str:
    direction = "desc" if query.descending else "asc"
    return f"number {direction}" if query.order == "number" else f"{query.order} {direction}, number {direction}"


def _matches(row: Record, query: Query) -> bool:
    """The part of a query that makes sense for the stock of a day."""
    if query.ids is not None and row.id not in query.ids:
        return False
    if query.modified_from is not None and row.modified_at < query.modified_from:
        return False
    if any(str(row.body.get(path)) not in set(values) for path, values in query.fields.items()):
        return False
    return query.matching is None or query.matching(row.body)


def _json_list(values: Collection[str]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _ceil_millis(at: datetime) -> int:
    """Milliseconds since the epoch, rounded up: stored moments have no finer part."""
    return -((EPOCH - at) // timedelta(milliseconds=1))


def _clean(properties: Mapping[str, str | None]) -> dict[str, str | None]:
    """As HubSpot keeps them: empty is null, e-mails in lower case."""
    cleaned = {name: value if value != "" else None for name, value in properties.items()}
    if cleaned.get("email"):
        cleaned["email"] = str(cleaned["email"]).strip().lower()
    return cleaned


def _touched(version: Version, at: int) -> Version:
    """The version as modified at that moment."""
    body = version.body
    name = MODIFIED_PROPERTY.get(version.resource, "hs_lastmodifieddate")
    body["properties"][name] = iso(at)
    body["updatedAt"] = iso(at)
    body["archived"] = False
    return replace(version, modified_at=at)


def _listed(value: object) -> list[str]:
    return [part for part in str(value).split(";") if part] if value else []


def _emails(version: Version) -> tuple[str | None, str | None]:
    if version.resource != "contacts":
        return None, None
    others = _listed(version.body["properties"].get("hs_additional_emails"))
    return version.body["properties"].get("email"), f";{';'.join(others)};" if others else None


def _reversed(types: Iterable[tuple[str, int, str | None]]) -> tuple[tuple[str, int, str | None], ...]:
    opposite = {**OPPOSITE_TYPES, **{there: here for here, there in OPPOSITE_TYPES.items()}}
    return tuple((category, opposite.get(type_id, type_id), label) for category, type_id, label in types)
