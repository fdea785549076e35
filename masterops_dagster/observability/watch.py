"""Watching from outside: stands in for Dagster's sensor, and tells what Dagster and the database can't tell themselves.

Every few seconds it looks who watches. It takes over when the lease isn't renewed and gives way when the sensor is
back; writes down which programs died; raises the alarm by itself while there is no database; and sends the heartbeat
by which others know that all this is alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import psycopg
import structlog

from masterops_dagster.database.connection import DatabaseUnavailable, connect
from masterops_dagster.observability import leases, monitor
from masterops_dagster.observability.leases import Connection
from masterops_dagster.observability.notify.deliver import deliver
from masterops_dagster.observability.outage import Outage
from masterops_dagster.settings import settings

SENSOR = "dagster"
"""The program whose sensor watches as a rule."""

RECORD_DEATH = """
insert into ops.workflow_execution_logs (
    started_at, error, source, kind, name, execution_id, status, ended_at, error_class, error_message
)
select %(at)s, true, 'masterops', 'command', %(program)s, %(id)s, 'failed', %(at)s, 'ProgramDied', %(reason)s
where not exists (
    select from ops.workflow_execution_logs
    where execution_id = %(id)s and started_at > %(at)s - interval '1 hour'
)
"""

log = structlog.get_logger("masterops.watch")


@dataclass(frozen=True, slots=True)
class Death:
    """A program that ended without having been told to; supervisord starts it again."""

    program: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. `grace` is how long after the start nobody needs to have watched since then."""

    round: float = 5.0
    tick: float = 15.0
    grace: float = 120.0
    heartbeat: float = 60.0


class Watch:
    """One process that watches; `deaths` says which programs died since it was last asked."""

    def __init__(
        self,
        holder: str,
        outage: Outage,
        deaths: Callable[[], Sequence[Death]],
        started: datetime,
        *,
        url: str | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._holder = holder
        self._outage = outage
        self._deaths = deaths
        self._started = started
        self._url = url
        self._timing = timing or Timing()
        self._unwritten: list[Death] = []
        self._ticked: datetime | None = None
        self._beat: datetime | None = None
        self.leads = False

    def round(self, at: datetime) -> str | None:
        """Looks once; returns a line if something is worth saying."""
        self._unwritten += self._deaths()
        try:
            with connect(self._url, application_name="masterops watch") as connection:
                said = self._outage.over(connection, at)
                self._write_deaths(connection)
                watched = self._decide(connection, at)
        except (DatabaseUnavailable, psycopg.OperationalError) as error:
            self.leads = False
            return self._outage.goes_on(at, str(error))
        if self._due(self._ticked, self._timing.tick, at):
            self._ticked = at
            try:
                said = _both(said, self._work(at))
            except (DatabaseUnavailable, psycopg.OperationalError) as error:
                return self._outage.goes_on(at, str(error))
        if watched and self._due(self._beat, self._timing.heartbeat, at):
            self._beat = at
            said = _both(said, self._send_heartbeat())
        return said

    def leave(self) -> None:
        """Lets somebody else watch at once."""
        if self.leads:
            with connect(self._url, application_name="masterops watch") as connection:
                leases.give_up(connection, monitor.LEASE, self._holder)

    def _decide(self, connection: Connection, at: datetime) -> bool:
        """Whether anybody watches now; sets `leads`."""
        lease = leases.holder_of(connection, monitor.LEASE)
        sensor_is_back = monitor.is_present(connection, SENSOR)
        settled = at - self._started > timedelta(seconds=self._timing.grace)
        if lease is None:
            self.leads = settled and not sensor_is_back
        elif lease.holder == self._holder and sensor_is_back:
            leases.give_up(connection, monitor.LEASE, self._holder)
            self.leads = False
        elif lease.holder == self._holder:
            self.leads = True
        else:
            silent = lease.expired and (
                not sensor_is_back or lease.expired_for > timedelta(seconds=monitor.LEASE_SECONDS)
            )
            watched_since = lease.renewed_at > self._started
            self.leads = silent and (settled or watched_since)
        return self.leads or (lease is not None and not lease.expired)

    def _work(self, at: datetime) -> str | None:
        """A round in the sensor's place, or only what waits to be sent."""
        if not self.leads:
            deliver(at, sender=self._holder, url=self._url)
            return None
        done = monitor.tick(at, self._holder, url=self._url)
        if done.took_over:
            return f"nobody watched for {monitor.LEASE_SECONDS:g} s: took over; {done.said}"
        return done.said if done.problems else None

    def _write_deaths(self, connection: Connection) -> None:
        for death in self._unwritten:
            values = {
                "at": death.at,
                "program": death.program,
                "id": f"{death.program} {death.at.isoformat()}",
                "reason": death.reason,
            }
            connection.execute(RECORD_DEATH, values)
            log.error("a program died", name=death.program, reason=death.reason)
        self._unwritten.clear()

    def _send_heartbeat(self) -> str | None:
        """Tells the outside that somebody watches. Its address may be a secret: it stays out of what is said."""
        url = settings().heartbeat_url
        if url is None:
            return None
        try:
            httpx.get(url.get_secret_value(), timeout=10, follow_redirects=True).raise_for_status()
        except httpx.HTTPStatusError as error:
            return f"the heartbeat was refused with status {error.response.status_code}; see MASTEROPS_HEARTBEAT_URL"
        except httpx.HTTPError as error:
            return f"the heartbeat could not be sent ({type(error).__name__}); see MASTEROPS_HEARTBEAT_URL"
        return None

    @staticmethod
    def _due(last: datetime | None, every: float, at: datetime) -> bool:
        """Also where the clock was set back."""
        return last is None or not timedelta(0) <= at - last < timedelta(seconds=every)


def _both(one: str | None, other: str | None) -> str | None:
    return "; ".join(said for said in (one, other) if said) or None
