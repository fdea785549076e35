"""What a person decides: a field's value, or that two records are not one. The next `resolve` applies it.

Both can be withdrawn, and then what the systems say holds again.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.identity.entities import entity as entity_named

Connection = psycopg.Connection[TupleRow]

BOOLEANS = ("wholesale_account", "is_sellable")
NUMBERS = ("minimum_order_value",)

KNOWN = "select exists (select from core.identities where entity = %s and own_id = %s)"
OVERRIDE = """
insert into core.overrides (entity, entity_id, field, value, reason, made_by) values (%s, %s, %s, %s, %s, %s)
returning override_id
"""
WITHDRAW_OVERRIDE = """
update core.overrides set withdrawn_at = clock_timestamp(), withdrawn_by = %s
where entity = %s and entity_id = %s and field = %s and withdrawn_at is null
"""
ENTITIES_OF = "select entity from core.identities where identity_id in (%s, %s)"
VETO = """
insert into core.match_vetoes (entity, identity_id, other_identity_id, reason, made_by)
values (%s, least(%s::bigint, %s::bigint), greatest(%s::bigint, %s::bigint), %s, %s)
on conflict (identity_id, other_identity_id) where withdrawn_at is null do nothing
"""
WITHDRAW_VETO = """
update core.match_vetoes set withdrawn_at = clock_timestamp(), withdrawn_by = %s
where identity_id = least(%s::bigint, %s::bigint) and other_identity_id = greatest(%s::bigint, %s::bigint)
    and withdrawn_at is null
"""


class InvalidDecision(ValueError):
    """What was decided can't be: no such record or field, or a value of the wrong type. The message says which."""


def override(
    connection: Connection, entity: str, entity_id: UUID, field: str, value: str | None, *, reason: str, made_by: str
) -> int:
    """Decides a field of a golden record, as text, None for empty; replaces an earlier decision. Returns its number."""
    known = entity_named(entity)
    if field not in known.fields:
        raise InvalidDecision(f"{entity} has no field {field!r} to override; it has {', '.join(known.fields)}")
    if value is not None and field in BOOLEANS and value not in ("true", "false"):
        raise InvalidDecision(f"{field} is true or false, not {value!r}")
    if field in NUMBERS and value is not None:
        try:
            Decimal(value)
        except InvalidOperation:
            raise InvalidDecision(f"{field} is a number, not {value!r}") from None
    if value is None and field == "wholesale_account":
        raise InvalidDecision("wholesale_account is true or false, never empty")
    if connection.execute(KNOWN, [entity, entity_id]).fetchone() != (True,):
        raise InvalidDecision(f"there is no {entity} {entity_id}")
    with connection.transaction():
        connection.execute(WITHDRAW_OVERRIDE, [made_by, entity, entity_id, field])
        made = connection.execute(OVERRIDE, [entity, entity_id, field, value, reason, made_by]).fetchone()
    assert made is not None
    return int(made[0])


def withdraw_override(connection: Connection, entity: str, entity_id: UUID, field: str, *, withdrawn_by: str) -> bool:
    """Lets the systems decide the field again. Whether there was an override in force."""
    return connection.execute(WITHDRAW_OVERRIDE, [withdrawn_by, entity, entity_id, field]).rowcount > 0


def veto(connection: Connection, identity_id: int, other_identity_id: int, *, reason: str, made_by: str) -> None:
    """Decides that two records, as `explain` numbers them, are not one. Does nothing where that is decided already."""
    entities = [name for (name,) in connection.execute(ENTITIES_OF, [identity_id, other_identity_id])]
    if identity_id == other_identity_id or len(entities) != 2 or entities[0] != entities[1]:
        raise InvalidDecision(f"{identity_id} and {other_identity_id} are not two records of one kind")
    pair = [identity_id, other_identity_id]
    connection.execute(VETO, [entities[0], *pair, *pair, reason, made_by])


def withdraw_veto(connection: Connection, identity_id: int, other_identity_id: int, *, withdrawn_by: str) -> bool:
    """Lets the rules decide about two records again. Whether there was a veto in force."""
    pair = [identity_id, other_identity_id]
    return connection.execute(WITHDRAW_VETO, [withdrawn_by, *pair, *pair]).rowcount > 0
