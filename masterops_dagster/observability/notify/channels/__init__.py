"""How a message leaves: one module per kind of channel, and which of them are set up here."""

from __future__ import annotations

from masterops_dagster.observability.notify.channels.channel import Channel, NotConfigured, SendFailed
from masterops_dagster.observability.notify.channels.configured import configured

__all__ = ["Channel", "NotConfigured", "SendFailed", "configured"]
