"""What `ops.loads` says about the past: how far the data reaches."""

from __future__ import annotations

from datetime import datetime

from masterops_dagster.database.connection import pool

LOADED_UNTIL = """
select min(last_load)
from (
    select max(business_at) as last_load
    from ops.loads
    where kind = 'live' and status = 'succeeded'
    group by account
) as accounts
"""


def loaded_until() -> datetime | None:
    """Business time up to which every account that was ever loaded has been read; None before the first load."""
    with pool().connection() as connection:
        row = connection.execute(LOADED_UNTIL).fetchone()
    return row[0] if row else None
