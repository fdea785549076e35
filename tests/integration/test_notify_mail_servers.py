"""Mail servers that want TLS, have none, or refuse for good; Slack behind a proxy that answers in its place."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from masterops_dagster.observability.notify.channels import SendFailed
from masterops_dagster.observability.notify.channels.channel import trusted
from masterops_dagster.observability.notify.channels.email import Email
from masterops_dagster.observability.notify.channels.slack import SlackBot, SlackWebhook
from masterops_dagster.observability.notify.contacts import Address
from masterops_dagster.observability.notify.message import Content, Message
from tests.notifying import NOON
from tests.stand_ins import StandIns

PASSWORD = "correct horse battery"


def message(to: str = "zoe@example.com", title: str = "Chaga is out") -> Message:
    address = Address(kind="slack" if to.startswith("#") else "email", to=to)
    content = Content(change="opened", title=title, severity="critical", what="x", since=NOON, channels=(address,))
    return Message(
        notification_id=uuid4(), incident_id=uuid4(), key="k", contact="zoe", to=to, created_at=NOON,
        may_repeat=False, content=content,
    )  # fmt: skip


class Mailbox:
    """Takes mail for example.com; knows one password; counts logins."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.logins = 0

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if not address.endswith("@example.com"):
            return f"550 5.7.1 No relaying for {PASSWORD}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        self.mails.append(bytes(envelope.content or b""))
        return "250 OK"

    def authenticate(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=good, handled=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def mail_server(authority: trustme.CA, *, tls: bool) -> Iterator[tuple[Mailbox, int]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=port, tls_context=context if tls else None, require_starttls=tls,
        authenticator=mailbox.authenticate, auth_require_tls=tls, auth_required=tls,
    )  # fmt: skip
    controller.start()
    yield mailbox, port
    controller.stop()


@pytest.fixture
def _trusting(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    trusted.cache_clear()
    yield
    trusted.cache_clear()


def email(port: int, password: str = PASSWORD) -> Email:
    return Email("localhost", port, sender="masterops@example.com", user="masterops", password=password, starttls=True)


@pytest.mark.usefixtures("_trusting")
def test_mail_goes_out_over_tls_with_a_login(authority: trustme.CA) -> None:
    with mail_server(authority, tls=True) as (mailbox, port):
        known_as = email(port).send(message(title="Preise 健康"))
        assert known_as.encode() in mailbox.mails[0]
        with pytest.raises(SendFailed, match="535") as refused:
            email(port, "wrong").send(message())
        assert not refused.value.retry
        with pytest.raises(SendFailed, match=r"550 5.7.1 No relaying for \[redacted\]") as refused:
            email(port).send(message("zoe@elsewhere.example"))
        assert (refused.value.retry, refused.value.everyone) == (False, False)


def test_a_certificate_that_nobody_vouches_for_gets_no_password(authority: trustme.CA) -> None:
    with mail_server(authority, tls=True) as (mailbox, port):
        with pytest.raises(SendFailed, match="SSLCertVerificationError"):
            email(port).send(message())
        assert mailbox.logins == 0


def test_a_server_without_tls_gets_no_password(authority: trustme.CA) -> None:
    with mail_server(authority, tls=False) as (mailbox, port):
        with pytest.raises(SendFailed, match="MASTEROPS_SMTP_STARTTLS"):
            email(port).send(message())
        assert (mailbox.logins, mailbox.mails) == (0, [])


@pytest.mark.parametrize("fault", ["html", "malformed"])
def test_an_answer_that_is_not_slacks_leaves_open_whether_it_was_sent(connected: StandIns, fault: str) -> None:
    there = connected.endpoint("slack")
    connected.misbehave("slack", fault)
    channels = [SlackBot(there["bot_token"], f"{there['base_url']}/api/"), SlackWebhook(there["webhook_url"])]
    for channel in channels:
        with pytest.raises(SendFailed, match="slack answered 200: an answer that isn't Slack's") as failed:
            channel.send(message("#alerts"))
        assert (failed.value.retry, failed.value.perhaps_sent) == (True, True)
