"""E-mail over SMTP, as text and as HTML. Mails of one incident refer to the same first one, so that they are a thread.

A repeat has the same Message-ID, by which most mailboxes show it once.
"""

from __future__ import annotations

import smtplib
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masterops_dagster.observability.notify.channels.channel import TIMEOUT_SECONDS, SendFailed, said_by, trusted
from masterops_dagster.observability.notify.message import Message, told_item

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent.parent / "templates"
SENDER_NAME = "masterops"


class _Smtp(smtplib.SMTP):
    """Knows whether a message was handed over: what breaks off after that may have arrived."""

    handed_over = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.handed_over = True
        return super().data(msg)


class Email:
    """Sends through one server. `starttls`: nothing is said in the clear, the password least."""

    def __init__(self, host: str, port: int, *, sender: str, user: str, password: str, starttls: bool) -> None:
        self._host, self._port = host, port
        self._sender = sender
        self._user, self._password = user, password
        self._starttls = starttls

    def send(self, message: Message) -> str:
        try:
            mail = letter(message, self._sender)
        except ValueError as error:
            raise SendFailed(f"the mail can't be written: {said_by(str(error))}", retry=False, everyone=False) from None
        server: _Smtp | None = None
        try:
            server = _Smtp(self._host, self._port, timeout=TIMEOUT_SECONDS)
            if self._starttls:
                server.starttls(context=trusted())
            if self._user:
                server.login(self._user, self._password)
            server.send_message(mail)
        except smtplib.SMTPException as error:
            raise self._refused(error, server is not None and server.handed_over) from None
        except OSError as error:
            text = f"the mail server can't be reached: {type(error).__name__}"
            raise SendFailed(text, retry=True, perhaps_sent=server is not None and server.handed_over) from None
        finally:
            if server is not None:
                _hang_up(server)
        return str(mail["Message-ID"])

    def _refused(self, error: smtplib.SMTPException, handed_over: bool) -> SendFailed:
        """4xx goes by, 5xx doesn't; what the server says of one recipient holds for no other."""
        code, said, everyone = 0, "", True
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            ((code, answer),) = list(error.recipients.values())[:1] or [(0, b"")]
            said, everyone = _decoded(answer), False
        elif isinstance(error, smtplib.SMTPResponseException):
            code, said = error.smtp_code, _decoded(error.smtp_error)
            everyone = not isinstance(error, smtplib.SMTPDataError) or code == 421
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return SendFailed("the mail server hung up", retry=True, perhaps_sent=handed_over)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return SendFailed("the mail server has no STARTTLS or no login; see MASTEROPS_SMTP_STARTTLS", retry=False)
        said = said_by(said, (self._password,))
        passing = 400 <= code < 500
        return SendFailed(f"the mail server answered {code} {said}".rstrip(), retry=passing, everyone=everyone)


def letter(message: Message, sender: str) -> EmailMessage:
    """The whole mail. Raises `ValueError` for what no header can hold."""
    domain = parseaddr(sender)[1].partition("@")[2] or "localhost"
    mail = EmailMessage()
    mail["From"] = sender if "<" in sender else MailAddress(SENDER_NAME, addr_spec=sender)
    mail["To"] = message.to
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = f"<{message.notification_id}@{domain}>"
    if message.incident_id is not None:
        thread = f"<incident-{message.incident_id}@{domain}>"
        mail["References"] = thread
        mail["In-Reply-To"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    values = {"message": message, "content": message.content, "items": map(told_item, message.content.items)}
    mail.set_content(_templates().get_template("email.txt.j2").render(values))
    values["items"] = map(told_item, message.content.items)
    mail.add_alternative(_templates().get_template("email.html.j2").render(values), subtype="html")
    return mail


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2", "html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _decoded(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def _hang_up(server: smtplib.SMTP) -> None:
    """What the server says to the goodbye changes nothing."""
    try:
        if server.sock is not None:
            server.quit()
    except (smtplib.SMTPException, OSError):
        pass
    finally:
        server.close()
