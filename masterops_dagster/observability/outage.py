"""While there is no database, there is no outbox: an outage of it is told directly, and kept in a file meanwhile.

Told once, then every quarter of an hour; written down as an incident once the database is back. The file outlives a
kill of the process, so that nobody is told twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import psycopg
import structlog
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

TOLD_AFTER = timedelta(seconds=8)
"""A restart of PostgreSQL takes a second or two; what lasts longer is an outage."""
REMINDED_AFTER = timedelta(minutes=15)

RECORD = """
with incident as (
    insert into ops.incidents (
        opened_at, cause, rule_id, title, severity, system, owner, state, impact, began_at, resolved_at, detail
    )
    values (
        %(told)s, 'database_down|watch', 'database_down', 'The database could not be reached', 'critical', 'postgres',
        'data-platform', 'resolved', 'Nothing was loaded, built or watched.', %(began)s, %(at)s, %(detail)s
    )
    returning incident_id
)
insert into ops.alerts (
    occurred_at, rule_id, fingerprint, incident_id, from_state, to_state, severity, subject, system, message, by_whom
)
select changes.occurred_at, 'database_down', 'database_down|watch', incident_id, changes.from_state, changes.to_state,
    'critical', 'database', 'postgres', changes.message, 'watch'
from incident, (
    values
        (%(told)s::timestamptz, null, 'firing', %(reason)s),
        (%(at)s::timestamptz, 'firing', 'resolved', 'the database answers again')
) as changes (occurred_at, from_state, to_state, message)
"""

log = structlog.get_logger("masterops.watch")

Tell = Callable[[Literal["opened", "resolved"], str, str, datetime], list[str]]
"""Sends a title, a text and since when it is so, to whoever is told of the worst; returns the channels that took it."""


@dataclass(slots=True)
class Known:
    """What the file says."""

    began: datetime
    reason: str
    told: datetime | None = None
    reminded: datetime | None = None
    channels: list[str] | None = None


class Outage:
    """The outage of the database that goes on, if one does."""

    def __init__(self, path: Path, tell: Tell) -> None:
        self._path = path
        self._tell = tell

    def goes_on(self, at: datetime, reason: str) -> str:
        """The database can't be reached; tells once that lasts. Returns a line about it."""
        known = self._read() or Known(began=at, reason=reason)
        last = known.reminded or known.told
        if at - known.began >= TOLD_AFTER and (last is None or at - last >= REMINDED_AFTER):
            text = (
                f"The database has not answered since {known.began:%H:%M:%S} UTC: {reason}. Nothing is loaded, built "
                "or watched meanwhile. Look at `masterops status` and `masterops doctor`."
            )
            taken = self._tell("opened", "The database can't be reached", text, known.began)
            if taken:
                known.told, known.reminded, known.channels = known.told or at, at, taken
            else:
                log.error("nobody could be told that the database can't be reached", reason=reason)
        self._write(known)
        return f"the database can't be reached since {known.began:%H:%M:%S} UTC: {reason}"

    def over(self, connection: psycopg.Connection[TupleRow], at: datetime) -> str | None:
        """The database answers; ends an outage that went on and writes it down. Returns a line if one did."""
        known = self._read()
        if known is None:
            return None
        seconds = (at - known.began).total_seconds()
        if known.told is not None:
            detail = Jsonb({"told_by": known.channels, "seconds": round(seconds)})
            values = {"told": known.told, "began": known.began, "at": at, "reason": known.reason, "detail": detail}
            with connection.transaction():
                connection.execute("select ops.ensure_partitions(%s, %s)", [known.told, at])
                connection.execute(RECORD, values)
            self._tell(
                "resolved", "The database answers again", f"It could not be reached for {seconds:.0f} s.", known.began
            )
        self._path.unlink(missing_ok=True)
        return f"the database answers again, after {seconds:.0f} s"

    def _read(self) -> Known | None:
        try:
            content = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        moments = {
            name: datetime.fromisoformat(content[name]) if content[name] else None
            for name in ("began", "told", "reminded")
        }
        return Known(**{**content, **moments})

    def _write(self, known: Known) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(known), default=str))
        draft.replace(self._path)
