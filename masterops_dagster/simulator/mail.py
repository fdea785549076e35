"""The stand-in mail server: takes every message of whoever knows the password, and keeps it in the world's inbox.

SMTP on loopback, without TLS. The faults `rate_limit` and `server_error` put it off (451, 421), `latency` slows it.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.misbehaviour import FaultsInForce
from masterops_dagster.simulator.world.inbox import Inbox

MAILBOX = Account("email")
LARGEST = 25 * 1024 * 1024
ACCEPTED = "250 2.0.0 OK: message kept"
PUT_OFF = {"rate_limit": "451 4.7.1 Try again later: too many messages", "server_error": "421 4.3.0 Try again later"}


class MailServer:
    """Serves on a listening socket between `start` and `close`."""

    def __init__(
        self, listener: socket.socket, endpoint: Mapping[str, str], inbox: Inbox, faults: FaultsInForce
    ) -> None:
        self._listener = listener
        self._endpoint = endpoint
        self._inbox = inbox
        self._faults = faults
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._session, sock=self._listener)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _session(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.stand-in.invalid",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            auth_required=True,
            auth_require_tls=False,
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        known = isinstance(data, LoginPassword) and hmac.compare_digest(
            data.login + b"\0" + data.password,
            f"{self._endpoint['user']}\0{self._endpoint['password']}".encode(),
        )
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's
        """One message, once its last line is here."""
        struck = self._faults.strike(MAILBOX)
        if "latency" in struck:
            await asyncio.sleep(struck["latency"].fault.seconds)
        for kind, reply in PUT_OFF.items():
            if kind in struck:
                return reply
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        await asyncio.to_thread(self._keep, content, envelope.mail_from or "", list(envelope.rcpt_tos))
        return ACCEPTED

    def _keep(self, content: bytes, sender: str, recipients: list[str]) -> None:
        message = message_from_bytes(content, _class=EmailMessage, policy=default)
        parts = [part for part in message.walk() if not part.is_multipart()]
        self._inbox.receive(
            "email",
            recipients=recipients,
            sender=sender,
            subject=str(message.get("Subject", "")),
            body=_body(message),
            payload={
                "headers": [[name, str(value)] for name, value in message.items()],
                "parts": [
                    {"type": part.get_content_type(), "file_name": part.get_filename(), "text": _text(part)}
                    for part in parts
                ],
            },
        )


def _body(message: EmailMessage) -> str:
    """What a person reads: the plain part, else the HTML."""
    part = message.get_body(("plain", "html"))
    return (_text(part) or "") if part is not None else ""


def _text(part: Any) -> str | None:
    """A part's text; None for what is none, such as a picture."""
    return str(part.get_content()).strip() if part.get_content_maintype() == "text" else None
