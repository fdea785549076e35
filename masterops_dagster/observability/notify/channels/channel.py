"""What every channel does, and how it says that it could not."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Protocol

from masterops_dagster.observability.notify.message import Message

TIMEOUT_SECONDS = 10
"""For each answer that is waited for."""
LONGEST_ANSWER = 200
"""So much of what a server said is kept."""


class SendFailed(Exception):
    """A message was not taken. The text holds no secret: it goes into the outbox and the logs.

    `retry`: trying again can help, `after` so many seconds at least, if the server says so. `everyone`: others on this
    channel would fare the same now. `perhaps_sent`: it broke off after the message was handed over.
    """

    def __init__(
        self,
        said: str,
        *,
        retry: bool,
        after: float | None = None,
        everyone: bool = True,
        perhaps_sent: bool = False,
    ) -> None:
        super().__init__(said)
        self.retry = retry
        self.after = after
        self.everyone = everyone
        self.perhaps_sent = perhaps_sent


class NotConfigured(SendFailed):
    """The settings name nothing to send through; the text says which ones would."""

    def __init__(self, said: str) -> None:
        super().__init__(said, retry=False)


class Channel(Protocol):
    """Sends once, tries nothing again by itself. Returns the id under which the other side knows the message, or ''.

    Raises `SendFailed`.
    """

    def send(self, message: Message) -> str: ...


@cache
def trusted() -> ssl.SSLContext:
    """Which certificates are good. Read once: that takes longer than sending a message."""
    return ssl.create_default_context()


def said_by(answer: str, secrets: Iterable[str] = ()) -> str:
    """The beginning of what a server said, on one line, without secrets."""
    for secret in sorted((secret for secret in secrets if secret), key=len, reverse=True):
        answer = answer.replace(secret, "[redacted]")
    return " ".join(answer.split())[:LONGEST_ANSWER]


def retry_after(value: str | None) -> float | None:
    """The seconds of a `Retry-After` header; None if it has none that are a number."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
