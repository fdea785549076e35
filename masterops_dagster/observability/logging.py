"""One configuration for all logs, ours and the libraries': a line for people, or JSON, to standard error, and a row.

What is said at INFO and above becomes a row of `ops.integration_logs`, with all ids that are bound where it is said; an
exception that ends the program or one of its threads becomes one, too.

No secret leaves through a log: fields with a secret's name, credentials inside URLs and headers, and every credential
that the settings know are blanked out, tracebacks included.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from traceback import format_exception
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.observability import correlation, tracing
from masterops_dagster.settings import Settings, settings

if TYPE_CHECKING:
    from masterops_dagster.observability.recorder import LogRow

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
NOT_RECORDED = ("masterops.recorder", "opentelemetry")
"""They tell that telemetry is in trouble: recording that could go round and round."""


def configure(
    level: str | None = None,
    output: Literal["console", "json"] | None = None,
    stream: TextIO | None = None,
    *,
    record: bool = True,
) -> None:
    """Sets up structlog and the standard library's logging for this process; by default as the settings say.

    `record`: what is said, at INFO and above, goes to this process's recorder, too.
    """
    current = settings()
    level, output, stream = level or current.log_level, output or current.log_format, stream or sys.stderr
    redaction = Redaction(known_secrets(current))
    shared: list[Processor] = [
        correlation.merge,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        error_class,
        structlog.processors.format_exc_info,
        redaction,
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
    stop_recording()
    for old in [old for old in root.handlers if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    if record:
        root.addHandler(RecordingHandler(shared))
        _record_crashes(redaction)
        tracing.start()
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def stop_recording() -> None:
    """What is said from now on goes to standard error alone."""
    global _hooks
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, RecordingHandler)]:
        root.removeHandler(handler)
    if _hooks is not None:
        sys.excepthook, threading.excepthook = _hooks
        _hooks = None


def error_class(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: the class of the exception that is logged."""
    given = event.get("exc_info")
    if given is True:
        given = sys.exc_info()
    kind = type(given) if isinstance(given, BaseException) else given[0] if isinstance(given, tuple) else None
    if kind is not None:
        event.setdefault("error_class", kind.__name__)
    return event


COLUMNS = ("system", "account", "business_key", "stream", "operation", "run_id", "correlation_id", "trace_id")
ELSEWHERE = {"event", "level", "logger", "timestamp", "error_class", "_record", "_from_structlog", *COLUMNS}


class RecordingHandler(logging.Handler):
    """Hands what is logged to the recorder; `shared` makes of a library's line what structlog's own already are."""

    def __init__(self, shared: Iterable[Processor]) -> None:
        super().__init__(logging.INFO)
        self._shared = tuple(shared)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(NOT_RECORDED):
            return
        from masterops_dagster.observability.recorder import recorder  # brings psycopg, which many commands don't need

        try:
            recorder().log(log_row(self._event(record), record.levelno))
        except (TypeError, ValueError, KeyError, AttributeError):  # the line's own fault: its arguments don't fit it
            self.handleError(record)

    def _event(self, record: logging.LogRecord) -> EventDict:
        if isinstance(record.msg, dict):
            return record.msg
        event: EventDict = {"event": record.getMessage(), "_record": record, "_from_structlog": False}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for processor in self._shared:
            event = processor(None, record.levelname.lower(), event)  # type: ignore[assignment]
        return event


def log_row(event: Mapping[str, object], level: int) -> LogRow:
    """The row of a log line; system and business follow from the account."""
    from masterops_dagster.observability.recorder import LONGEST_TEXT, LogRow, as_json, program, storable

    ids = {name: storable(str(event[name])) for name in COLUMNS if event.get(name) is not None}
    if (account := ACCOUNT_OF.get(ids.get("account", ""))) is not None:
        ids.setdefault("system", account.system)
        if account.business_key is not None:
            ids.setdefault("business_key", account.business_key)
    kind = event.get("error_class")
    return LogRow(
        occurred_at=datetime.now(UTC),
        error=level >= logging.ERROR,
        level=logging.getLevelName(level).lower(),
        logger=str(event.get("logger") or "root"),
        event=storable(str(event.get("event")))[:LONGEST_TEXT],
        program=program(),
        error_class=str(kind) if kind is not None else None,
        fields=as_json({name: value for name, value in event.items() if name not in ELSEWHERE}),
        **ids,
    )


ACCOUNT_OF = {account.key: account for account in ACCOUNTS}
_hooks: tuple[Callable[..., Any], Callable[..., Any]] | None = None
"""What was told of crashes before we were."""


def _record_crashes(redaction: Redaction) -> None:
    """What ends the program, or a thread, is recorded before it is printed as ever."""
    global _hooks
    _hooks = program_hook, thread_hook = sys.excepthook, threading.excepthook

    def crashed(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt | SystemExit):
            from masterops_dagster.observability.recorder import recorder

            event = {
                **correlation.current(),
                "event": f"the program ended by an exception: {error}",
                "logger": "masterops.crash",
                "error_class": kind.__name__,
                "exception": "".join(format_exception(kind, error, traceback)),
            }
            recorder().log(log_row(redaction(None, "critical", event), logging.CRITICAL))

    def of_program(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        crashed(kind, error, traceback)
        program_hook(kind, error, traceback)

    def of_thread(told: threading.ExceptHookArgs) -> None:
        crashed(told.exc_type, told.exc_value, told.exc_traceback)
        thread_hook(told)

    sys.excepthook, threading.excepthook = of_program, of_thread


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
