"""One configuration for all logs, ours and the libraries', to standard error: a line for people, or JSON for machines.

No secret leaves through a log: fields with a secret's name, credentials inside URLs and headers, and every credential
that the settings know are blanked out, tracebacks included.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Literal, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from masterops_dagster.settings import Settings, settings

REDACTED = "[redacted]"
SHORTEST_SECRET = 8
"""A shorter credential is not searched for in texts: it would blank out words."""

SECRET_NAME = re.compile(
    r"pass(word|wd)?$|secret|token|api_?(key|id)|(consumer|private|access)_?key|authorization|signature|cookie|credential",
    re.IGNORECASE,
)
SECRET_TEXT = (
    (re.compile(r"(\w://[^\s:/@]*:)[^\s@/]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"\b(Bearer|Basic|OAuth)\s+[\w.~+/=\-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\b(password|secret|token|consumer_key|consumer_secret|api_key)=[^\s&'\"]+", re.I), rf"\1={REDACTED}"),
)
CHATTY = ("httpx", "httpcore", "urllib3", "asyncio")
"""Libraries that log every request, with its query, at INFO."""


def configure(
    level: str | None = None, output: Literal["console", "json"] | None = None, stream: TextIO | None = None
) -> None:
    """Sets up structlog and the standard library's logging for this process; by default as the settings say."""
    current = settings()
    level, output, stream = level or current.log_level, output or current.log_format, stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redaction(known_secrets(current)),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if output == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def known_secrets(current: Settings) -> list[str]:
    """Every credential that the settings hold, passwords of database URLs included."""
    secrets = [value for account in current.accounts.values() for name, value in account.items() if name != "base_url"]
    passwords = [
        found[1]
        for url in (current.supabase_db_url, current.dagster_db_url)
        if url is not None and (found := re.search(r"://[^:/@]*:([^@/]+)@", url.get_secret_value()))
    ]
    secrets += [
        value
        for value in (
            current.heartbeat_url,
            current.slack_webhook_url,
            current.slack_bot_token,
            current.smtp_password,
            current.alert_webhook_url,
        )
        if value is not None
    ]
    return [secret.get_secret_value() for secret in secrets] + passwords


class Redaction:
    """A structlog processor that blanks secrets out, at any depth of the event."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = sorted({secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, long_enough))) if long_enough else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {name: self._field(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern, replacement in SECRET_TEXT:
            text = pattern.sub(replacement, text)
        return text

    def _field(self, name: object, value: object) -> object:
        if isinstance(name, str) and not name.startswith("_") and value is not None and SECRET_NAME.search(name):
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, SecretStr):
            return REDACTED
        if isinstance(value, Mapping):
            return {inner: self._field(inner, content) for inner, content in value.items()}
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        if isinstance(value, list | tuple | set | frozenset):
            return [self._field("", content) for content in value]
        return value
