"""Slack: by a bot's token into the channel that a contact names, or by an incoming webhook into the webhook's own.

Slack has no key by which it would know a message again, so that the SDK must not try anything a second time by itself.
"""

from __future__ import annotations

import logging
import re
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from masterops_dagster.observability.notify.channels.channel import TIMEOUT_SECONDS, SendFailed, retry_after, trusted
from masterops_dagster.observability.notify.message import Message, told_item

COLOURS = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":large_blue_circle:"}
DONE = ":large_green_circle:"
LONGEST_TEXT = 2900
"""Slack refuses a section with more than 3000 characters."""
PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""Errors inside an answer with status 200 that go by."""

_quiet = logging.Logger("masterops.slack", logging.CRITICAL)
"""The SDK's own lines name the webhook's address, which is a secret."""


class SlackBot:
    """Posts by `chat.postMessage`."""

    def __init__(self, token: str, base_url: str = "https://slack.com/api/") -> None:
        self._token = token
        self._base_url = base_url

    def send(self, message: Message) -> str:
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError, SlackClientError

        client = WebClient(
            self._token,
            base_url=self._base_url,
            timeout=TIMEOUT_SECONDS,
            retry_handlers=[],
            logger=_quiet,
            ssl=trusted(),
        )
        try:
            answer = client.chat_postMessage(
                channel=message.to,
                text=fallback_text(message),
                blocks=blocks(message),
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            raise _refused(error.response.status_code, str(error.response.get("error")), headers) from None
        except SlackClientError as error:
            raise SendFailed(f"slack: {type(error).__name__}", retry=False, everyone=False) from None
        except (OSError, HTTPException) as error:
            raise _broken(error) from None
        return str(answer.get("ts") or "")


class SlackWebhook:
    """Posts to an incoming webhook."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> str:
        from slack_sdk.webhook import WebhookClient

        client = WebhookClient(self._url, timeout=TIMEOUT_SECONDS, retry_handlers=[], logger=_quiet, ssl=trusted())
        try:
            answer = client.send(text=fallback_text(message), blocks=blocks(message))
        except (OSError, HTTPException, ValueError) as error:
            raise _broken(error) from None
        if answer.status_code == 200 and answer.body == "ok":
            return ""
        headers = {name.lower(): str(value) for name, value in answer.headers.items()}
        raise _refused(answer.status_code, answer.body, headers)


def fallback_text(message: Message) -> str:
    """What notifications and screen readers show, and where blocks aren't."""
    return escaped(f"{message.subject}\n{message.text}")[:LONGEST_TEXT]


def blocks(message: Message) -> list[dict[str, Any]]:
    """Heading; notes; what; facts; buttons that are links; the command that acknowledges."""
    content = message.content
    sign = DONE if content.change in ("resolved", "test", "digest") else COLOURS.get(content.severity, "")
    title = escaped(message.subject)[:LONGEST_TEXT]
    shown: list[dict[str, Any]] = [_section(f"{sign} *{title}*")]
    if message.notes:
        shown.append({"type": "context", "elements": [_markdown(f":warning: {note}") for note in message.notes]})
    shown.append(_section(escaped(content.what)))
    if message.facts:
        fields = [_markdown(f"*{label}*\n{escaped(value)}"[:1900]) for label, value in message.facts]
        shown.append({"type": "section", "fields": fields})
    for start in range(0, len(content.items), 10):
        lines = [f"• {escaped(told_item(item))}" for item in content.items[start : start + 10]]
        shown.append(_section("\n".join(lines)))
    if message.links:
        buttons = [
            {"type": "button", "text": {"type": "plain_text", "text": label}, "url": link, "action_id": label.lower()}
            for label, link in message.links
        ]
        shown.append({"type": "actions", "elements": buttons})
    elif content.runbook:
        shown.append(_section(f"Runbook: `{content.runbook}`"))
    if content.acknowledge:
        elements = [_markdown(f"To acknowledge: `{content.acknowledge}`")]
        shown.append({"type": "context", "elements": elements})
    return shown[:50]


def escaped(text: str) -> str:
    """Slack's three signs, so that no text of a system becomes a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text[:LONGEST_TEXT])}


def _markdown(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def _refused(status: int, said: str, headers: dict[str, str]) -> SendFailed:
    """`said` is one of Slack's codes, or a page for people, which isn't repeated."""
    code = said if re.fullmatch(r"[a-z][a-z_]{1,60}", said) else "an answer that isn't Slack's"
    text = f"slack answered {status}: {code}"
    if status == 429 or code in PASSING:
        return SendFailed(text, retry=True, after=retry_after(headers.get("retry-after")))
    if status >= 500:
        return SendFailed(text, retry=True, after=retry_after(headers.get("retry-after")))
    if status == 200 and code != said:
        return SendFailed(text, retry=True, perhaps_sent=True)
    return SendFailed(text, retry=False, everyone=False)


def _broken(error: BaseException) -> SendFailed:
    """Without the error's own text, which may name the address."""
    reason = error.reason if isinstance(error, URLError) else error
    name = type(reason).__name__ if isinstance(reason, BaseException) else "URLError"
    return SendFailed(f"slack can't be reached: {name}", retry=True, perhaps_sent=not isinstance(error, URLError))
