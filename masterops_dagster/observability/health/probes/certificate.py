"""Looks at the certificate that a host shows: whether it is good for that host, and how long."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta

from masterops_dagster.observability.health.check import Check
from masterops_dagster.observability.health.reading import ProbeFailed, Reading


def certificate(check: Check, at: datetime) -> Reading:
    """The days left of it. Raises `ProbeFailed` for one that isn't good, `OSError` where nothing answers."""
    assert check.target is not None
    host, _, port = check.target.partition(":")
    seconds = check.timeout.total_seconds() * 0.9
    with socket.create_connection((host, int(port or 443)), timeout=seconds) as plain:
        try:
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as wrapped:
                shown = wrapped.getpeercert()
        except ssl.SSLCertVerificationError as error:
            raise ProbeFailed(f"the certificate of {check.target} is refused: {error.verify_message}") from error
    ends = shown.get("notAfter") if shown else None
    if not isinstance(ends, str):
        raise ProbeFailed(f"{check.target} shows no certificate")
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), at.tzinfo)
    left = round((expires - at) / timedelta(days=1), 1)
    return Reading({"days_left": left}, f"good until {expires:%d %B %Y}", detail={"expires_at": expires.isoformat()})
