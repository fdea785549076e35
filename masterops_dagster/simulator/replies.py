"""Answers in JSON, and the pages in HTML that stand in for them where a host or proxy answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder(decimal_format="number")


def json_reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`data` in JSON; decimals as JSON numbers with all their digits."""
    return Response(_encoder.encode(data), status, headers, media_type="application/json;charset=utf-8")


def html_reply(title: str, text: str, status: int) -> Response:
    """The kind of page that proxies and hosts put in front of a system that doesn't answer."""
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    )
    return Response(page, status, media_type="text/html")
