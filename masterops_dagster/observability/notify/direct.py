"""Tells whoever hears of the worst without the outbox: for when the database, where the outbox is, is what is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

import structlog

from masterops_dagster.observability.links import runbook_url
from masterops_dagster.observability.notify.channels import SendFailed, configured
from masterops_dagster.observability.notify.contacts import contacts
from masterops_dagster.observability.notify.message import Content, Message

OWNER, SYSTEM, RULE = "data-platform", "postgres", "database_down"

log = structlog.get_logger("masterops.notify")


def tell(change: Literal["opened", "resolved"], title: str, text: str, since: datetime) -> list[str]:
    """Sends to each contact of the route, by the first of their channels that takes it; returns those that did.

    Tries each channel once: whoever calls tries again. Raises nothing.
    """
    known, channels, now = contacts(), configured(), datetime.now(UTC)
    taken = []
    for name in known.route_of(None, "critical", OWNER, SYSTEM).contacts:
        addresses = known.contacts[name].channels
        content = Content(
            change=change,
            title=title,
            severity="critical",
            what=text,
            since=since,
            over_at=now if change == "resolved" else None,
            system=SYSTEM,
            runbook=runbook_url(RULE),
            channels=addresses,
        )
        for address in addresses:
            message = Message(
                notification_id=uuid4(),
                incident_id=None,
                key=f"{RULE}/{since.isoformat()}/{change}/{name}/{now.isoformat()}",
                contact=name,
                to=address.to,
                created_at=now,
                may_repeat=False,
                content=content,
            )
            try:
                channels[address.kind].send(message)
            except SendFailed as failure:
                log.error("a message could not be sent", contact=name, channel=str(address), error=str(failure))
                continue
            taken.append(str(address))
            break
    return taken
