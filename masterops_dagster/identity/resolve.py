"""Matches the records of all systems and writes the golden records: set-based, repeatable, one transaction an entity.

Records are connected where they share something that a rule names (an e-mail, a customer code, an ABN, a SKU, a HubSpot
merge); connected records are one entity. Its id is the one that its oldest record was given when it was first seen, so
that it stays when records join, and comes back when a merge is undone. Only rows that changed are written: a second run
writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster.identity.entities import ENTITIES, PRIORITIES, Entity, query
from masterops_dagster.identity.vetoes import keep_apart

Connection = psycopg.Connection[TupleRow]

LOCK = "select pg_advisory_xact_lock(hashtextextended('masterops identity', 0))"
SET = "select set_config('masterops.entity', %s, true), set_config('masterops.rules', %s, true)"
# sorts and hash joins over millions of records; the setting ends with the transaction
MEMORY = "set local work_mem = '128MB'"
NEWEST = "select coalesce(max(identity_id), 0) from core.identities"
RECORDS = """
select count(*), count(*) filter (where gone_at is not null), count(distinct entity_id)
from core.identities
where entity = %s
"""
PRIORITY = """
create temporary table priorities on commit drop as
select * from unnest({systems}::text[], {priorities}::integer[]) as priorities (system, priority)
"""
SAID = """
-- what a system says of a record, in the columns in which it is kept
create temporary table said on commit drop as
select ''::text as system, ''::text as account, ''::text as external_id, true as present, {columns}
from core.{table} as sources
with no data
"""
BULK = 1000
TEMPORARY = ("priorities", "said", "claims", "shared", "ties", "labels", "living_ties", "assigned", "golden")


@dataclass(frozen=True, slots=True)
class EntityReport:
    """What a run found and changed for one entity. `records` are identities, `entities` golden records.

    `moved` counts known records that changed from one entity to another, which is what a merge or a split does.
    """

    records: int
    gone: int
    entities: int
    new_records: int
    marked: int
    moved: int
    ties_changed: int
    sources_changed: int
    created: int
    updated: int
    deleted: int
    seconds: float

    @property
    def changed(self) -> int:
        """How many rows were written."""
        return (
            self.new_records + self.marked + self.moved + self.ties_changed + self.sources_changed
            + self.created + self.updated + self.deleted
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResolveReport:
    """What a run found and changed, by entity."""

    customer: EntityReport
    company: EntityReport
    product: EntityReport

    @property
    def changed(self) -> int:
        """How many rows were written; 0 where nothing was new."""
        return self.customer.changed + self.company.changed + self.product.changed

    def metadata(self, table: str) -> dict[str, int | float]:
        """Figures for the catalogue entry of `core.<table>`."""
        by_table = {"customers": self.customer, "companies": self.company, "products": self.product}
        if table in by_table:
            report = by_table[table]
            return {
                "dagster/row_count": report.entities,
                "created": report.created,
                "updated": report.updated,
                "deleted": report.deleted,
                "seconds": report.seconds,
            }
        reports = by_table.values()
        return {
            "dagster/row_count": sum(report.records for report in reports),
            "new": sum(report.new_records for report in reports),
            "gone": sum(report.gone for report in reports),
            "moved": sum(report.moved for report in reports),
        }


def resolve(connection: Connection) -> ResolveReport:
    """Brings `core` up to date with the staging views and with what people decided. Needs an autocommitting connection.

    Runs wait for each other.
    """
    customer, company, product = (_resolve(connection, entity) for entity in ENTITIES)
    return ResolveReport(customer, company, product)


def _resolve(connection: Connection, entity: Entity) -> EntityReport:
    begun = time.monotonic()
    named = {"entity": entity.name}
    with connection.transaction():
        connection.execute(LOCK)
        connection.execute(SET, [entity.name, ",".join(entity.rules)])
        connection.execute(MEMORY)
        connection.execute(sql.SQL("drop table if exists {}").format(_names(f"pg_temp.{name}" for name in TEMPORARY)))

        _prepare(connection, entity)
        for name in entity.said:
            connection.execute(query(name))
        connection.execute("analyze said; analyze claims")
        newest_before = _number(connection, NEWEST)
        new_records = connection.execute(query("register"), named).rowcount
        _analyze(connection, "identities", new_records)
        marked = connection.execute(query("mark"), named).rowcount
        sources_changed = _write_sources(connection, entity, newest_before)
        _analyze(connection, entity.sources_table, sources_changed)

        connection.execute(query("tie"))
        _connect(connection)
        keep_apart(connection, entity)
        connection.execute(query("assign"))
        moved = connection.execute(query("record_changes"), {**named, "newest_before": newest_before}).rowcount
        connection.execute(query("move"))
        ties_changed = connection.execute(query("forget_ties"), named).rowcount
        ties_changed += connection.execute(query("keep_ties"), named).rowcount
        _analyze(connection, "matches", ties_changed)

        connection.execute(query(f"golden_{entity.plural}"))
        _override(connection, entity)
        created, updated, deleted = _write_golden(connection, entity)
        _analyze(connection, entity.plural, created + deleted)
        records, gone, entities = connection.execute(RECORDS, [entity.name]).fetchone() or (0, 0, 0)
    return EntityReport(
        records, gone, entities, new_records, marked, moved, ties_changed, sources_changed, created, updated, deleted,
        seconds=round(time.monotonic() - begun, 3),
    )  # fmt: skip


def _prepare(connection: Connection, entity: Entity) -> None:
    """Makes the tables that the entity's SQL writes into and looks up."""
    ranked = [(system, rank) for rank, systems in enumerate(PRIORITIES) for system in systems]
    systems, ranks = map(list, zip(*ranked, strict=True))
    connection.execute(sql.SQL(PRIORITY).format(systems=sql.Literal(systems), priorities=sql.Literal(ranks)))
    columns, table = _columns(entity.sources, "sources"), sql.Identifier(entity.sources_table)
    connection.execute(sql.SQL(SAID).format(columns=columns, table=table))


def _connect(connection: Connection) -> None:
    """Gives all connected records one label, the smallest identity among them."""
    spread, compress = query("spread"), query("compress")
    while connection.execute(spread).rowcount > 0:
        while connection.execute(compress).rowcount > 0:
            pass


def _write_sources(connection: Connection, entity: Entity, newest_before: int) -> int:
    """Stores what the systems say. A record that is only mentioned keeps what its system last said of it."""
    table, columns = sql.Identifier("core", entity.sources_table), entity.sources
    update = sql.SQL(
        """
        update {table} as sources
        set {assignments}
        from said inner join core.identities as identities
            on identities.entity = {entity} and said.system = identities.system
            and said.account = identities.account and said.external_id = identities.external_id
        where sources.identity_id = identities.identity_id and said.present
            and ({stored}) is distinct from ({said})
        """
    ).format(
        table=table,
        entity=sql.Literal(entity.name),
        assignments=_assignments(columns, "said"),
        stored=_columns(columns, "sources"),
        said=_columns(columns, "said"),
    )
    insert = sql.SQL(
        """
        insert into {table} (identity_id, {names})
        select identities.identity_id, {said}
        from said inner join core.identities as identities
            on identities.entity = {entity} and said.system = identities.system
            and said.account = identities.account and said.external_id = identities.external_id
        where identities.identity_id > {newest_before}
        """
    ).format(
        table=table,
        entity=sql.Literal(entity.name),
        names=_names(columns),
        said=_columns(columns, "said"),
        newest_before=sql.Literal(newest_before),
    )  # fmt: skip
    return connection.execute(update).rowcount + connection.execute(insert).rowcount


def _override(connection: Connection, entity: Entity) -> None:
    """Puts what people decided over what was resolved, field by field."""
    decided: dict[str, list[tuple[object, str | None]]] = {}
    for entity_id, field, value in connection.execute(query("overrides"), {"entity": entity.name}):
        decided.setdefault(field, []).append((entity_id, value))
    types: dict[str, str] = dict(
        connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass",
            [f"core.{entity.plural}"],
        ).fetchall()
    )
    for field, values in decided.items():
        statement = sql.SQL(
            """
            update golden set {field} = decided.value::{type}
            from unnest(%s::uuid[], %s::text[]) as decided (entity_id, value)
            where golden.{key} = decided.entity_id
            """
        ).format(field=sql.Identifier(field), key=sql.Identifier(entity.key), type=sql.SQL(types[field]))
        connection.execute(statement, [[entity_id for entity_id, _ in values], [value for _, value in values]])


def _write_golden(connection: Connection, entity: Entity) -> tuple[int, int, int]:
    """Writes the golden records that differ; returns how many were created, updated and deleted."""
    columns = (*(("business_key",) if entity.name == "product" else ()), *entity.fields, "known_since")
    parts = {
        "table": sql.Identifier("core", entity.plural),
        "key": sql.Identifier(entity.key),
        "names": _names(columns),
        "golden": _columns(columns, "golden"),
    }
    delete = sql.SQL("delete from {table} where not exists (select from golden where golden.{key} = {table}.{key})")
    update = sql.SQL(
        """
        update {table} as stored set {assignments}, updated_at = clock_timestamp()
        from golden where golden.{key} = stored.{key} and ({stored}) is distinct from ({golden})
        """
    )
    insert = sql.SQL(
        """
        insert into {table} ({key}, {names}) select {key}, {golden} from golden
        where not exists (select from {table} as stored where stored.{key} = golden.{key})
        -- sorted first, inserted then: a join with a table that grows under it would never end
        order by {key}
        """
    )
    connection.execute("analyze golden")
    deleted = connection.execute(delete.format(**parts)).rowcount
    assignments, stored = _assignments(columns, "golden"), _columns(columns, "stored")
    updated = connection.execute(update.format(assignments=assignments, stored=stored, **parts)).rowcount
    created = connection.execute(insert.format(**parts)).rowcount
    return created, updated, deleted


def _analyze(connection: Connection, table: str, changed: int) -> None:
    """Tells the planner about a bulk change at once; believing the table to be empty it would choose nested loops."""
    if changed >= BULK:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("core", table)))


def _names(names: Iterator[str] | tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*name.split(".")) for name in names)


def _columns(names: tuple[str, ...], table: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)


def _assignments(names: tuple[str, ...], table: str) -> sql.Composed:
    pairs = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier(table, name)) for name in names)
    return sql.SQL(", ").join(pairs)


def _number(connection: Connection, question: str) -> int:
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return int(row[0])
