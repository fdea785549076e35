"""What people did to loads by hand, in `ops.interventions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from psycopg.types.json import Jsonb

from masterops_dagster.businesses import Account
from masterops_dagster.sources.ledger import Connection
from masterops_dagster.sources.stream import Stream

Action = Literal["reload", "reset-cursor", "go-live", "accept-deletions"]

WRITE = "insert into ops.interventions (made_by, action, account, stream, detail) values (%s, %s, %s, %s, %s)"


def record(
    connection: Connection,
    action: Action,
    account: Account,
    stream: Stream | None = None,
    *,
    by: str,
    detail: Mapping[str, object],
) -> None:
    """Writes down who did what, and what came of it."""
    connection.execute(WRITE, [by, action, account.key, stream and stream.name, Jsonb(dict(detail))])
