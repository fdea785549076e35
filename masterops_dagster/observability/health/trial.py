"""Tries an account out, step by step: credentials, connection, one page of each stream, scopes, limits, expiry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from masterops_dagster.businesses import Account
from masterops_dagster.connectors.errors import ConnectorError
from masterops_dagster.connectors.registry import AnyConnector
from masterops_dagster.connectors.shopify import Shopify
from masterops_dagster.observability.health.probes.connections import connected
from masterops_dagster.observability.health.probes.integration import CHEAP_CALLS, quota, token_days_left
from masterops_dagster.observability.logging import Redaction, known_secrets
from masterops_dagster.settings import AccountAccess, MissingCredential, settings
from masterops_dagster.sources.catalogue import children, streams_of
from masterops_dagster.sources.reading import properties
from masterops_dagster.sources.stream import Stream

Outcome = Literal["ok", "warning", "failed", "left out"]

SHOPIFY_SCOPES = frozenset(
    {"read_all_orders", "read_customers", "read_inventory", "read_locations", "read_orders", "read_products"}
)
"""What Shopify's streams need; other systems don't say what we may do, and refuse the stream itself."""
PAGE_PATIENCE = timedelta(seconds=60)
SOON = 14.0
"""Days; a credential that ends sooner is a warning."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step and how it ended; `seconds` is None for what needed no request."""

    name: str
    outcome: Outcome
    said: str
    seconds: float | None = None


def try_account(account: Account, at: datetime) -> Iterator[Step]:
    """The steps as they end. One that fails ends the trial if nothing after it can work."""
    redaction = Redaction(known_secrets(settings()))
    try:
        access = settings().access(account)
    except MissingCredential as error:
        yield Step("access", "failed", str(error))
        return
    yield _credentials(access)
    with connected(account.key, PAGE_PATIENCE) as (_, connector):
        known = _asked("sign in", redaction, lambda: _sign_in(account, connector))
        yield known
        if known.outcome == "ok":
            for stream in streams_of(account):
                if not stream.parent:
                    yield from _streams(account, stream, connector, redaction)
            yield _scopes(connector, redaction)
    yield _limits(account)
    yield _expiry(access, at)


def _credentials(access: AccountAccess) -> Step:
    place = urlsplit(access.base_url).netloc.rpartition("@")[2]
    whose = "the stand-in world" if access.simulated else "the real system"
    return Step("access", "ok", f"{', '.join(sorted(access.secrets))} for {place}, {whose}")


def _sign_in(account: Account, connector: AnyConnector) -> str:
    CHEAP_CALLS[account.system](connector)
    return connector.identity()


def _streams(account: Account, parent: Stream, connector: AnyConnector, redaction: Redaction) -> Iterator[Step]:
    """The first page of a stream, and of its children."""
    keys: list[str] = []
    rows = 0

    def first_page() -> str:
        nonlocal rows
        pages = iter(connector.read(parent.resource, properties=properties(parent)))
        page = next(pages, None)
        rows = len(page.items) if page else 0
        total = f" of {page.total:,}" if page and page.total is not None else ""
        if page:
            path = next(column.path for column in parent.columns if column.name == parent.key[0])
            keys.extend(str(item[path]) for item in page.items if item.get(path) is not None)
        return f"{rows:,}{total} rows in a page" if rows else "no rows"

    step = _asked(parent.name, redaction, first_page)
    yield step
    for child in children(account, parent):
        if step.outcome == "failed":
            yield Step(child.name, "left out", f"{parent.name} can't be read")
        elif child.items:
            yield Step(child.name, "ok", f"comes with {parent.name}")
        elif not keys:
            yield Step(child.name, "left out", f"there are no {parent.name} to ask for")
        else:
            yield _asked(child.name, redaction, lambda resource=child.resource: _children(connector, resource, keys))  # type: ignore[misc]


def _children(connector: AnyConnector, resource: str, keys: list[str]) -> str:
    page = next(iter(connector.read_children(resource, keys[:10])), None)
    return f"{len(page.items) if page else 0:,} rows of {min(10, len(keys))} parents"


def _scopes(connector: AnyConnector, redaction: Redaction) -> Step:
    if not isinstance(connector, Shopify):
        return Step("scopes", "ok", "the system doesn't list them: what could be read above is allowed")

    def compared() -> str:
        missing = SHOPIFY_SCOPES - connector.scopes()
        if missing:
            raise _Missing(f"missing: {', '.join(sorted(missing))}. Grant them to the app and install it again")
        return ", ".join(sorted(SHOPIFY_SCOPES))

    return _asked("scopes", redaction, compared)


class _Missing(Exception):
    """Scopes that the streams need and the credentials don't have."""


def _limits(account: Account) -> Step:
    _, windows = quota(account.key)
    if not windows:
        return Step("limits", "left out", "there is no database that counts requests; `make up` starts it")
    said = [f"{window['left']:,.0f} of {window['limit']:,.0f} left ({name})" for name, window in windows.items()]
    used_up = any(window["left"] < 0.1 * window["limit"] for window in windows.values())
    return Step("limits", "warning" if used_up else "ok", ", ".join(said))


def _expiry(access: AccountAccess, at: datetime) -> Step:
    left = token_days_left(access, at)
    if left is None:
        return Step("expiry", "ok", "the credentials say of no end")
    outcome: Outcome = "failed" if left <= 0 else "warning" if left < SOON else "ok"
    return Step("expiry", outcome, f"a credential ends in {left:,.0f} days" if left > 0 else "a credential has ended")


def _asked(name: str, redaction: Redaction, ask: Callable[[], str]) -> Step:
    began = time.monotonic()
    outcome: Outcome = "ok"
    try:
        said = ask()
    except (ConnectorError, _Missing) as error:
        outcome, said = "failed", redaction.text(" ".join(str(error).split()))
    return Step(name, outcome, said, round(time.monotonic() - began, 3))
