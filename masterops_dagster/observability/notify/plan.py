"""Decides who is told, in the transaction that decides what: rows of `ops.notifications`, sent afterwards by `deliver`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from masterops_dagster.observability.incidents import Connection, Incident

Announced = Literal["opened", "worsened", "resolved"]


def announce(connection: Connection, incident: Incident, kind: Announced, at: datetime) -> int:
    """Writes what is to be told of a change of an incident, and when it escalates; returns how many messages.

    Must run in the caller's transaction, after the incident was written; told once, however often it is called.
    """
    return 0


def escalate(connection: Connection, at: datetime) -> int:
    """Tells the next step of each incident that nobody acknowledged in time; returns how many messages."""
    return 0


def digest(connection: Connection, at: datetime) -> int:
    """Once a day, what was kept for the digest, in one message per contact; returns how many."""
    return 0
