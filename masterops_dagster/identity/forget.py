"""Takes away what an account said of buyers, companies and products, as if it had never been read."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account

VETOES = """
delete from core.match_vetoes v using core.identities i
where i.account = %s and i.identity_id in (v.identity_id, v.other_identity_id)
"""
IDENTITIES = "delete from core.identities where account = %s"


def forget(connection: psycopg.Connection[TupleRow], account: Account) -> int:
    """Deletes the account's identities and the vetoes between them and others; returns how many identities.

    Golden records that nothing else speaks for go at the next `resolve`; others may get the id of their next oldest
    record.
    """
    connection.execute(VETOES, [account.key])
    return connection.execute(IDENTITIES, [account.key]).rowcount
