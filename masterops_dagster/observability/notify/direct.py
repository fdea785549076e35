"""Tells without the outbox, where there is no database to keep one: those whom a critical incident of it goes to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from masterops_dagster.observability.links import runbook_url
from masterops_dagster.observability.notify.channels import Channel, SendFailed, configured
from masterops_dagster.observability.notify.contacts import ChannelKind, contacts
from masterops_dagster.observability.notify.message import Content, Message

RULE = "database_down"
OWNER = "data-platform"

log = structlog.get_logger("masterops.notify")


def tell(title: str, text: str, *, channels: Mapping[ChannelKind, Channel] | None = None) -> list[str]:
    """Sends to each contact by the first of its channels that takes it; returns these channels: `slack #alerts`.

    Nobody repeats it by itself: the caller asks again where nothing comes back.
    """
    known, channels, at = contacts(), channels or configured(), datetime.now(UTC)
    taken = []
    for name in known.route_of(None, "critical", OWNER, "postgres").contacts:
        addresses = known.contacts[name].channels
        content = Content(
            change="opened",
            title=title,
            severity="critical",
            what=text,
            since=at,
            system="postgres",
            runbook=runbook_url(RULE) or f"docs/runbooks/{RULE}.md",
            channels=addresses,
        )
        identity = uuid4()
        for address in addresses:
            message = Message(
                notification_id=identity,
                incident_id=None,
                key=f"direct/{identity}",
                contact=name,
                to=address.to,
                created_at=at,
                may_repeat=False,
                content=content,
            )
            try:
                channels[address.kind].send(message)
            except SendFailed as failure:
                log.error("a channel failed; the next one is tried", channel=str(address), error=str(failure))
            else:
                taken.append(str(address))
                break
    return taken
