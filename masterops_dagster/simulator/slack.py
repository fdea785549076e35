"""Slack's stand-in: incoming webhooks and `chat.postMessage`. What arrives is kept in the world's inbox.

A webhook answers `ok` in plain text, and refuses in plain words (`invalid_payload`, `no_text`, `no_service`); the Web
API answers 200 with `ok` true or false. A rate limit is 429 with `Retry-After`, of both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.responses import PlainTextResponse, Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.limits import Meter, Policies, Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.replies import html_reply, json_reply
from masterops_dagster.simulator.serving import Call
from masterops_dagster.simulator.world.inbox import Inbox

WORKSPACE = Account("slack")
CONTENT = ("text", "blocks", "attachments")
POST_MESSAGE = "/api/chat.postMessage"


class SlackStandIn:
    """Answers for one workspace with one app."""

    def __init__(self, endpoint: Mapping[str, str], inbox: Inbox, policies: Policies) -> None:
        self._webhook = urlsplit(endpoint["webhook_url"]).path.removeprefix(urlsplit(endpoint["base_url"]).path)
        self._token = endpoint["bot_token"]
        self._inbox = inbox
        self._policies = policies
        self._meter = Meter()
        self.bodies = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        outcome = self._meter.take(self._policies.of(WORKSPACE))
        return _rate_limited(outcome.retry_after) if isinstance(outcome, Refusal) else {}

    def answer(self, call: Call) -> Response:
        if call.path.startswith("/services/") and call.method == "POST":
            return self._incoming_webhook(call)
        if call.path == POST_MESSAGE and call.method == "POST":
            return self._post_message(call)
        if call.path.startswith("/api/"):
            return json_reply({"ok": False, "error": "unknown_method", "req_method": call.path.removeprefix("/api/")})
        return html_reply("There's been a glitch…", "Slack", 404)

    def _incoming_webhook(self, call: Call) -> Response:
        if call.path != self._webhook:
            return PlainTextResponse("no_service", 404)
        given = _given(call)
        if given is None:
            return PlainTextResponse("invalid_payload", 400)
        if not _says_something(given):
            return PlainTextResponse("no_text", 400)
        name = str(given.get("username") or "masterops")
        self._inbox.receive("slack", recipients=["incoming webhook"], sender=name, body=_text(given), payload=given)
        return PlainTextResponse("ok")

    def _post_message(self, call: Call) -> Response:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if not token:
            return _error("not_authed")
        if scheme.lower() != "bearer" or token != self._token:
            return _error("invalid_auth")
        given = _given(call)
        if given is None:
            return _error("invalid_json")
        if not given.get("channel"):
            return _error("channel_not_found")
        if not _says_something(given):
            return _error("no_text")
        channel = str(given["channel"])
        number = self._inbox.receive(
            "slack", recipients=[channel], sender="masterops", body=_text(given), payload=given
        )
        stamp = f"{time.time():.0f}.{number:06}"
        message = {"type": "message", "text": _text(given), "ts": stamp, "bot_id": "B0MASTEROPS"}
        return json_reply({"ok": True, "channel": channel, "ts": stamp, "message": message})


def _given(call: Call) -> dict[str, Any] | None:
    """The message, as JSON, or in a form (`payload` at a webhook). None if it is neither."""
    body = call.body
    if "form-urlencoded" in call.headers.get("content-type", ""):
        fields = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        if "payload" not in fields:
            return fields
        body = fields["payload"].encode()
    try:
        given = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return given if isinstance(given, dict) else None


def _says_something(given: Mapping[str, Any]) -> bool:
    return any(given.get(name) for name in CONTENT)


def _text(given: Mapping[str, Any]) -> str:
    """What a person reads: the text, else the texts of the blocks."""
    if given.get("text"):
        return str(given["text"])
    blocks = given.get("blocks")
    texts = [block.get("text") for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    return "\n".join(str(text["text"]) for text in texts if isinstance(text, dict) and "text" in text)


def _error(code: str) -> Response:
    return json_reply({"ok": False, "error": code})


def _rate_limited(retry_after: float | None) -> Response:
    """Slack always says how long; a second where nothing else is asked for."""
    headers = {"Retry-After": str(max(1, math.ceil(retry_after or 1)))}
    return json_reply({"ok": False, "error": "ratelimited"}, 429, headers)


def _server_error(status: int) -> Response:
    return json_reply({"ok": False, "error": "internal_error"}, status)
