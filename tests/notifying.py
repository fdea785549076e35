"""Incidents and messages for tests of what is told, and a receiver of webhooks that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from masterops_dagster.observability.incidents import Incident, incident
from masterops_dagster.observability.notify.contacts import Address
from masterops_dagster.observability.notify.message import Content
from masterops_dagster.observability.notify.plan import announce, write

Connection = psycopg.Connection[TupleRow]

NOON = datetime(2026, 11, 27, 1, 0, tzinfo=UTC)
"""Friday noon in Melbourne."""


def opened(connection: Connection, at: datetime = NOON, **fields: Any) -> Incident:
    """A critical incident of HubSpot that opened then, not announced yet."""
    values: dict[str, Any] = {
        "opened_at": at,
        "began_at": at,
        "cause": "integration_down:hubspot",
        "rule_id": "integration_down",
        "title": "HubSpot can't be reached",
        "severity": "critical",
        "system": "hubspot",
        "account": "hubspot",
        "business_key": None,
        "owner": "data-platform",
        "impact": "Nothing new from the CRM",
        "detail": {"message": "3 checks in a row failed", "messages": ["3 checks in a row failed"], "count": 1},
        **fields,
    }
    values["detail"] = Jsonb(values["detail"])
    columns = ", ".join(values)
    row = connection.execute(
        f"insert into ops.incidents ({columns}) values ({', '.join(['%s'] * len(values))}) returning incident_id",
        list(values.values()),
    ).fetchone()
    assert row is not None
    return again(connection, row[0])


def again(connection: Connection, incident_id: UUID) -> Incident:
    """The incident as it is now."""
    found = incident(connection, incident_id)
    assert found is not None
    return found


def announced(connection: Connection, at: datetime = NOON, **fields: Any) -> Incident:
    """An incident that opened and was announced then."""
    new = opened(connection, at, **fields)
    with connection.transaction():
        announce(connection, new, "opened", at)
    return again(connection, new.incident_id)


def resolved(connection: Connection, old: Incident, at: datetime) -> int:
    """Ends the incident and announces that; returns how many messages that is."""
    with connection.transaction():
        connection.execute(
            "update ops.incidents set state = 'resolved', resolved_at = %s, escalate_at = null where incident_id = %s",
            [at, old.incident_id],
        )
        return announce(connection, again(connection, old.incident_id), "resolved", at)


def queued(connection: Connection, *channels: Address, key: str = "k", at: datetime = NOON, **fields: Any) -> None:
    """A message in the outbox for these channels."""
    content = Content(
        **{"change": "opened", "title": "Chaga is out", "severity": "critical", "what": "No stock", "since": at}
        | {"channels": channels or (Address(kind="webhook", to="n8n"),)}
        | fields
    )
    write(connection, None, "somebody", key, content, at)


def outbox(connection: Connection) -> list[dict[str, Any]]:
    """All messages, in the order in which they were written."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from ops.notifications order by created_at, contact, kind").fetchall()


Answer = tuple[int, Mapping[str, str]]


@dataclass
class Receiver:
    """What arrived at the webhook; `answer` is asked for each request, after it was kept."""

    url: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    answer: Callable[[], Answer] = lambda: (200, {})


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A webhook receiver on a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(json.loads(body))
            receiver.keys.append(self.headers["Idempotency-Key"])
            status, headers = receiver.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook/s3cret-path"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield receiver
    server.shutdown()
    server.server_close()
