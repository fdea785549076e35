"""The channels as the settings have them. In `local` the stand-in world's inbox takes what nothing else is set for."""

from __future__ import annotations

import json
from collections.abc import Mapping

from masterops_dagster.observability.notify.channels.channel import Channel, NotConfigured
from masterops_dagster.observability.notify.channels.email import Email
from masterops_dagster.observability.notify.channels.slack import SlackBot, SlackWebhook
from masterops_dagster.observability.notify.channels.webhook import Webhook
from masterops_dagster.observability.notify.contacts import ChannelKind
from masterops_dagster.observability.notify.message import Message
from masterops_dagster.settings import settings

HOW: Mapping[ChannelKind, str] = {
    "slack": "set MASTEROPS_SLACK_BOT_TOKEN or MASTEROPS_SLACK_WEBHOOK_URL",
    "email": "set MASTEROPS_SMTP_HOST",
    "webhook": "set MASTEROPS_ALERT_WEBHOOK_URL",
}


class Unconfigured:
    """In the place of a channel that nothing was set up for."""

    def __init__(self, kind: ChannelKind) -> None:
        self._said = f"{kind} is not set up: {HOW[kind]}"

    def send(self, message: Message) -> str:
        raise NotConfigured(self._said)


def configured() -> dict[ChannelKind, Channel]:
    """One for each kind; those that aren't set up raise `NotConfigured`."""
    return {"slack": _slack(), "email": _email(), "webhook": _webhook()}


def _slack() -> Channel:
    current = settings()
    if current.slack_bot_token is not None:
        return SlackBot(current.slack_bot_token.get_secret_value())
    if current.slack_webhook_url is not None:
        return SlackWebhook(current.slack_webhook_url.get_secret_value())
    if stand_in := _stand_in("slack"):
        return SlackBot(stand_in["bot_token"], base_url=f"{stand_in['base_url']}/api/")
    return Unconfigured("slack")


def _email() -> Channel:
    current = settings()
    if current.smtp_host is not None:
        password = current.smtp_password.get_secret_value() if current.smtp_password else ""
        return Email(
            current.smtp_host,
            current.smtp_port,
            sender=current.smtp_from,
            user=current.smtp_user or "",
            password=password,
            starttls=current.smtp_starttls,
        )
    if there := _stand_in("email"):
        return Email(
            there["host"],
            int(there["port"]),
            sender=current.smtp_from,
            user=there["user"],
            password=there["password"],
            starttls=False,
        )
    return Unconfigured("email")


def _webhook() -> Channel:
    url = settings().alert_webhook_url
    return Webhook(url.get_secret_value()) if url is not None else Unconfigured("webhook")


def _stand_in(name: str) -> dict[str, str] | None:
    current = settings()
    if current.env != "local" or not current.world_endpoints_file.exists():
        return None
    entry: dict[str, str] | None = json.loads(current.world_endpoints_file.read_text()).get(name)
    return entry
