"""A webhook of one's own, such as a node of n8n: the message as JSON, with its key, by which a repeat can be told."""

from __future__ import annotations

from datetime import datetime

from masterops_dagster.observability.notify.channels.channel import TIMEOUT_SECONDS, SendFailed, retry_after, trusted
from masterops_dagster.observability.notify.message import Message

NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError")
"""httpx's errors from before anything was handed over."""
PASSING = frozenset({408, 425, 429})


class Webhook:
    """Posts to one URL, which is a secret."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> str:
        import httpx

        headers = {"Idempotency-Key": message.key}
        try:
            answer = httpx.post(
                self._url, json=body(message), headers=headers, timeout=TIMEOUT_SECONDS, verify=trusted()
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            name = type(error).__name__
            text = f"the webhook can't be reached: {name}"
            raise SendFailed(text, retry=True, perhaps_sent=name not in NOT_SENT) from None
        if answer.is_success:
            return str(answer.headers.get("x-request-id", ""))
        raise SendFailed(
            f"the webhook answered {answer.status_code}",
            retry=answer.status_code >= 500 or answer.status_code in PASSING,
            after=retry_after(answer.headers.get("retry-after")),
        )


def body(message: Message) -> dict[str, object]:
    """What the receiver gets; times are ISO 8601, UTC."""
    content = message.content
    return {
        "key": message.key,
        "change": content.change,
        "contact": message.contact,
        "to": message.to,
        "subject": message.subject,
        "text": message.text,
        "title": content.title,
        "severity": content.severity,
        "what": content.what,
        "impact": content.impact,
        "since": _iso(content.since),
        "over_at": _iso(content.over_at),
        "business": content.business_key,
        "system": content.system,
        "account": content.account,
        "incident_id": str(message.incident_id) if message.incident_id else None,
        "incident_url": content.incident_url,
        "runbook": content.runbook,
        "acknowledge": content.acknowledge,
        "simulated": content.simulated,
        "may_repeat": message.may_repeat,
        "items": [item.model_dump(mode="json") for item in content.items],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
