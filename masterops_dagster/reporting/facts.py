"""The facts in `marts`, as far as they are kept from build to build and say which account they come from."""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from masterops_dagster.businesses import Account

OF_ACCOUNTS = """
select c.table_name
from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
where c.table_schema = 'marts' and c.column_name = 'account' and t.table_type = 'BASE TABLE'
order by 1
"""


def forget(connection: psycopg.Connection[TupleRow], account: Account) -> int:
    """Deletes the account's facts, those of days that have gone too; returns how many. The next build does the rest."""
    gone = 0
    for (table,) in connection.execute(OF_ACCOUNTS).fetchall():
        statement = sql.SQL("delete from {} where account = %s").format(sql.Identifier("marts", table))
        gone += connection.execute(statement, [account.key]).rowcount
    return gone
