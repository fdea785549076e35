"""What can go wrong between us and an outside system: one tree, so that a caller can act on the kind of error.

Each error carries the system's own words and correlation id, and says whether trying again can help. The message
ends with what to do. `repr` leaves the system's words out: they may quote personal data, and a repr ends up in logs.
"""

from __future__ import annotations

from typing import ClassVar


class ConnectorError(Exception):
    """An operation at an outside system failed.

    `detail` is the system's own message. `retryable` says that the same request may succeed later, `retry_after` after
    how many seconds, if the system said so. `unprocessed` says that the system surely didn't act on it, so that
    repeating is safe even for what isn't idempotent. `attempts` is how often it was sent (0: never). `kind` names the
    class in telemetry.
    """

    kind: ClassVar[str] = "error"
    default_advice: ClassVar[str] = ""
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        system: str,
        account: str,
        operation: str,
        status: int | None = None,
        correlation_id: str | None = None,
        retryable: bool | None = None,
        advice: str | None = None,
        attempts: int = 0,
        retry_after: float | None = None,
        unprocessed: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.system = system
        self.account = account
        self.operation = operation
        self.status = status
        self.correlation_id = correlation_id
        self.retryable = self.default_retryable if retryable is None else retryable
        self.advice = self.default_advice if advice is None else advice
        self.attempts = attempts
        self.retry_after = retry_after
        self.unprocessed = unprocessed

    def __str__(self) -> str:
        status = f" ({self.status})" if self.status is not None else ""
        correlation = f" [correlation id {self.correlation_id}]" if self.correlation_id else ""
        advice = f" {self.advice}" if self.advice else ""
        return f"{self.account}: {self.operation}{status}: {self.detail}{correlation}{advice}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account={self.account!r}, operation={self.operation!r}, status={self.status!r})"


class AuthenticationError(ConnectorError):
    """The system doesn't accept our credentials: wrong, expired or revoked."""

    kind = "authentication"
    default_advice = "Check the account's credentials."


class PermissionDenied(ConnectorError):
    """The credentials are known but may not do this."""

    kind = "permission"
    default_advice = "Grant the credentials the permission or scope that the message names."


class RateLimited(ConnectorError):
    """The system's rate limit was met; `scope` names the budget window that it is about."""

    kind = "rate_limited"
    default_advice = "Try again later, or lower the account's limit in the settings if others share it."
    default_retryable = True
    scope: str = ""


class Unavailable(ConnectorError):
    """No answer, or one that says the system is in trouble (5xx). Whether it acted on the request is unknown."""

    kind = "unavailable"
    default_advice = "The system or the network is in trouble; try again later."
    default_retryable = True


class Rejected(ConnectorError):
    """The system understood and refused: the request itself has to change."""

    kind = "rejected"
    default_advice = "Correct the request; the same one will be refused again."


class NotFound(ConnectorError):
    """There is nothing under that id or path."""

    kind = "not_found"


class Conflict(ConnectorError):
    """What was to be created is already there, or was changed by somebody else meanwhile."""

    kind = "conflict"


class MalformedResponse(ConnectorError):
    """An answer that can't be read: HTML instead of JSON, a body that breaks off, a shape that isn't the API's."""

    kind = "malformed"
    default_advice = "If it stays, check the base URL and what stands between us and the system."
    default_retryable = True


class DeadlineExceeded(ConnectorError):
    """The time for the whole operation, waiting for budget and retries included, is over."""

    kind = "deadline"
    default_advice = "Try again when the account is less busy, or allow more time."
    default_retryable = True


class CircuitOpen(ConnectorError):
    """Nothing was sent, because the last operations at this account all failed."""

    kind = "circuit_open"
    default_advice = "The connector tries again by itself after a pause."
    default_retryable = True
