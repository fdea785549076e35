"""No secret leaves through a log, and every log line has one form."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from masterops_dagster.observability.logging import configure
from masterops_dagster.settings import settings

API_KEY = "sk-4711-of-unleashed"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[io.StringIO]:
    monkeypatch.setenv("MASTEROPS_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("UNLEASHED_TEELIXIR_API_ID", "id-of-unleashed")
    monkeypatch.setenv("UNLEASHED_TEELIXIR_API_KEY", API_KEY)
    monkeypatch.setenv("SUPABASE_DB_URL", "postgresql://postgres:correct-horse@db.example.com/postgres")
    settings.cache_clear()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure(level="INFO", output="json", stream=stream, record=False)
    yield stream
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    settings.cache_clear()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fields_with_a_secrets_name_are_blank_at_any_depth(logged: io.StringIO) -> None:
    structlog.get_logger().info(
        "signed", password="a", headers={"Authorization": "b", "api-auth-signature": "c"}, items=[{"access_token": "d"}]
    )
    (line,) = lines(logged)
    assert line["password"] == "[redacted]"
    assert line["headers"] == {"Authorization": "[redacted]", "api-auth-signature": "[redacted]"}
    assert line["items"] == [{"access_token": "[redacted]"}]


def test_a_known_credential_is_blank_wherever_it_turns_up(logged: io.StringIO) -> None:
    try:
        raise ValueError(f"refused: {API_KEY}")
    except ValueError:
        structlog.get_logger().exception(
            "failed", detail=f"key {API_KEY}", correct="correct-horse", value=SecretStr("x")
        )
    text = logged.getvalue()
    assert API_KEY not in text
    assert "correct-horse" not in text
    assert "refused: [redacted]" in text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://someone:hunter2hunter2@host/db",
        "Authorization: Bearer hunter2hunter2",
        "https://shop.example/wp-json?consumer_key=ck&consumer_secret=hunter2hunter2",
    ],
)
def test_credentials_in_urls_and_headers_are_blank(logged: io.StringIO, text: str) -> None:
    structlog.get_logger().info(text)
    logging.getLogger("some.library").warning("said %s", text)
    assert "hunter2" not in logged.getvalue()
    assert len(lines(logged)) == 2


def test_what_is_no_secret_stays(logged: io.StringIO) -> None:
    structlog.get_logger().info("loaded", account="unleashed_teelixir", rows=12, tokenised=None)
    (line,) = lines(logged)
    assert (line["event"], line["account"], line["rows"], line["level"]) == ("loaded", "unleashed_teelixir", 12, "info")


def test_libraries_that_log_every_request_are_quiet(logged: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://api.example/?key=1")
    assert lines(logged) == []
