"""Why records are one: what ties them, what each system says, what people decided, and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row

from masterops_dagster.identity.entities import entity as entity_named

CURRENT_ID = "select entity_id from core.identities where entity = %s and own_id = %s"
RECORDS = """
select
    identities.identity_id, identities.system, identities.account, identities.external_id, identities.rule,
    identities.first_seen_at, identities.matched_at, identities.gone_at,
    coalesce(jsonb_strip_nulls(to_jsonb(sources) - 'identity_id'), '{{}}') as said
from core.identities as identities
left join core.{sources} as sources on identities.identity_id = sources.identity_id
where identities.entity = %s and identities.entity_id = %s
order by identities.identity_id
"""
TIES = """
select matches.rule, matches.value, array_agg(matches.identity_id order by matches.identity_id) as identity_ids
from core.matches as matches
inner join core.identities as identities on matches.identity_id = identities.identity_id
where identities.entity = %s and identities.entity_id = %s
group by matches.rule, matches.value
order by min(array_position(%s::text[], matches.rule)), matches.value
"""
CHANGES = """
select changes.identity_id, changes.from_entity_id, changes.to_entity_id, changes.rule, changes.changed_at
from core.identity_changes as changes
inner join core.identities as identities on changes.identity_id = identities.identity_id
where changes.entity = %s and %s in (identities.entity_id, changes.from_entity_id, changes.to_entity_id)
order by changes.change_id
"""
OVERRIDES = """
select overrides.field, overrides.value, overrides.reason, overrides.made_by, overrides.made_at
from core.overrides as overrides
inner join core.identities as identities
    on overrides.entity = identities.entity and overrides.entity_id = identities.own_id
where overrides.entity = %s and identities.entity_id = %s and overrides.withdrawn_at is null
order by overrides.override_id
"""
VETOES = """
select vetoes.identity_id, vetoes.other_identity_id, vetoes.reason, vetoes.made_by, vetoes.made_at
from core.match_vetoes as vetoes
where
    vetoes.entity = %s and vetoes.withdrawn_at is null
    and exists (
        select from core.identities as identities
        where identities.identity_id in (vetoes.identity_id, vetoes.other_identity_id) and identities.entity_id = %s
    )
order by vetoes.veto_id
"""


@dataclass(frozen=True, slots=True)
class ExplainedRecord:
    """A record of an outside system. `said` is what it says, or said last; `rule` the strongest that ties it."""

    identity_id: int
    system: str
    account: str
    external_id: str
    rule: str
    first_seen_at: datetime
    matched_at: datetime
    gone_at: datetime | None
    said: dict[str, object]


@dataclass(frozen=True, slots=True)
class Tie:
    """What two or more records share."""

    rule: str
    value: str
    identity_ids: list[int]


@dataclass(frozen=True, slots=True)
class Change:
    """A record moved from one entity to another: a merge or a split."""

    identity_id: int
    from_entity_id: UUID
    to_entity_id: UUID
    rule: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Override:
    """A field that a person decided, in force."""

    field: str
    value: str | None
    reason: str
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Veto:
    """Two records that a person decided are not one, in force."""

    identity_id: int
    other_identity_id: int
    reason: str
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about how an entity came to be. `entity_id` is its id now, whichever of its ids was asked for."""

    entity: str
    entity_id: UUID
    records: list[ExplainedRecord]
    ties: list[Tie]
    overrides: list[Override]
    vetoes: list[Veto]
    changes: list[Change]


def explain(connection: psycopg.Connection[TupleRow], entity_id: UUID, entity: str = "customer") -> Explanation:
    """Why these records are one customer, company or product. Raises `LookupError` where there never was that id."""
    known = entity_named(entity)
    found = connection.execute(CURRENT_ID, [entity, entity_id]).fetchone()
    if found is None:
        raise LookupError(f"there is no {entity} {entity_id}")
    current: UUID = found[0]
    records = sql.SQL(RECORDS).format(sources=sql.Identifier(known.sources_table))
    which = [entity, current]
    return Explanation(
        entity,
        current,
        connection.cursor(row_factory=class_row(ExplainedRecord)).execute(records, which).fetchall(),
        connection.cursor(row_factory=class_row(Tie)).execute(TIES, [*which, list(known.rules)]).fetchall(),
        connection.cursor(row_factory=class_row(Override)).execute(OVERRIDES, which).fetchall(),
        connection.cursor(row_factory=class_row(Veto)).execute(VETOES, which).fetchall(),
        connection.cursor(row_factory=class_row(Change)).execute(CHANGES, which).fetchall(),
    )
