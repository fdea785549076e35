"""Records that must not be one: where a veto forbids a group, ties are made one by one, the forbidden ones left out."""

from __future__ import annotations

from itertools import combinations

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.identity.entities import Entity, query

IN_FORCE = "select identity_id, other_identity_id from core.match_vetoes where entity = %s and withdrawn_at is null"
RELABEL = """
update labels set label = apart.label
from unnest(%s::bigint[], %s::bigint[]) as apart (identity_id, label)
where labels.identity_id = apart.identity_id
"""


def keep_apart(connection: psycopg.Connection[TupleRow], entity: Entity) -> None:
    """Splits the groups in `labels` that join a vetoed pair. The stronger rule, then the older records, tie first."""
    ties = connection.execute(query("vetoed"), {"entity": entity.name}).fetchall()
    if not ties:
        return
    vetoes = connection.execute(IN_FORCE, [entity.name]).fetchall()
    pairs = {
        (entity.rules.index(rule), older, younger)
        for rule, _, members in ties
        for older, younger in combinations(members, 2)
    }
    members = {identity for _, _, holders in ties for identity in holders}
    labels = connected(members, sorted(pairs), [(one, other) for one, other in vetoes])
    connection.execute(RELABEL, [list(labels), list(labels.values())])


def connected(members: set[int], ties: list[tuple[int, int, int]], vetoes: list[tuple[int, int]]) -> dict[int, int]:
    """The smallest member of each one's group, after making ties (strength, one, other) in their order.

    A tie that would bring a vetoed pair into one group is not made.
    """
    label = {member: member for member in members}
    groups = {member: {member} for member in members}
    forbidden: dict[int, set[int]] = {}
    for one, other in vetoes:
        forbidden.setdefault(one, set()).add(other)
        forbidden.setdefault(other, set()).add(one)
    for _, one, other in ties:
        keep, join = sorted((label[one], label[other]))
        if keep == join or any(forbidden.get(member, set()) & groups[keep] for member in groups[join]):
            continue
        for member in groups[join]:
            label[member] = keep
        groups[keep] |= groups.pop(join)
    return label
